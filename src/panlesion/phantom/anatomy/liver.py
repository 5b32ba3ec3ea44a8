"""Liver (5) with portal and hepatic veins inside, gallbladder (4), portal and splenic vein (9), bile duct."""

from dataclasses import dataclass

import numpy as np

from panlesion.phantom.anatomy.lattice import Array, Field, Points
from panlesion.phantom.anatomy.solids import (
    Coordinates,
    curve,
    ellipsoid,
    fit_volume,
    keep_largest,
    smooth_max,
    smooth_min,
    triangle,
    waves,
)
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.anatomy.tree import grow, scatter
from panlesion.phantom.tissue import Tissue

CONFLUENCE = (14.0, 50.0, -14.0)
PORTAL_FORK = (44.0, 40.0, 32.0)


@dataclass(frozen=True, kw_only=True)
class Liver:
    """Volumes, lobe proportions and seeds of liver and gallbladder."""

    volume_ml: float
    left_reach: float
    low_tip_mm: float
    gallbladder_ml: float
    gallbladder_shift_mm: tuple[float, float, float]
    seed: int


def draw_liver(rng: np.random.Generator, female: bool, size: float) -> Liver:
    """Draw liver and gallbladder.

    Liver 1650 (SD 250) ml in men, 1350 (220) in women (ICRP 89: 1800 and 1400 g; Geraghty et al. 2004: 1710 and 1411 ml);
    fasting gallbladder 30 (SD 13) ml (12 to 60, ours; ICRP 89: 58 and 48 ml of bile when full).
    """
    mean, sd = (1350, 170) if female else (1620, 200)
    return Liver(
        volume_ml=float(np.clip(rng.normal(mean, sd) * size, 850, 2300)),
        left_reach=float(rng.uniform(0.8, 1.15)),
        low_tip_mm=float(rng.normal(0, 8)),
        gallbladder_ml=float(np.clip(rng.normal(30, 11), 12, 60)),
        gallbladder_shift_mm=(float(rng.normal(0, 3)), float(rng.normal(0, 4)), float(rng.normal(0, 4))),
        seed=int(rng.integers(2**31)),
    )


def build_portal(stage: Stage) -> None:
    """Superior mesenteric, splenic and portal vein (9); claims "portal"."""
    portal = curve(stage.organ_points([CONFLUENCE, (27, 46, 10), PORTAL_FORK]), [7.5, 7.2, 7.0])
    splenic = curve(
        stage.organ_points([CONFLUENCE, (-14, 53, -1), (-42, 37, 9), (-68, 14, 20), (-84, 0, 28)]), [5.5, 5.0, 4.6, 4.4, 4.0]
    )
    mesenteric = curve(stage.organ_points([CONFLUENCE, (13, 59, -36), (10, 70, -66)]), [6.2, 5.8, 4.6])
    field = stage.tube_field([portal, splenic, mesenteric])
    field = stage.claim(
        Field(lattice=field.lattice, values=keep_largest(np.maximum(field.values, 0.8 - stage.taken(field.lattice)), 0.8)),
        "portal",
    )
    stage.canvas.paint(field, [(0.0, Tissue.PORTAL_BLOOD)], 9)
    lower = curve(stage.organ_points([(10, 70, -64), (8, 76, -90), (14, 78, -115)]), [4.6, 3.6, 2.6])
    stage.canvas.paint(stage.claim(stage.tube_field([lower])), [(0.0, Tissue.PORTAL_BLOOD)], 0, over=(Tissue.FAT,))


def build_gallbladder(stage: Stage, liver: Liver) -> None:
    """Gallbladder with wall and bile; claims "gallbladder". The liver is moulded around it later."""
    field = stage.claim(_gallbladder(stage, liver), "gallbladder")
    stage.canvas.paint(field, [(0.0, Tissue.GALLBLADDER_WALL), (-1.7, Tissue.BILE)], 4)


def build_liver(stage: Stage, liver: Liver) -> None:
    """Liver, moulded around gallbladder, kidney, cava and colic flexure; claims "liver"."""
    corners = stage.organ_points([(-95, -75, -105), (142, 120, 135)])
    lattice, xyz = stage.lattice(corners, 8.0, stage.coarse_mm)
    yields = np.minimum(stage.on("kidney_right", lattice), stage.on("colon", lattice))
    cuts = np.maximum(0.3 - stage.taken(lattice), 1.8 - np.minimum(yields, stage.on("stomach room", lattice)))
    bounds = np.maximum(stage.on("abdomen", lattice) + 1.0, cuts)
    right, left = _lobes(stage, liver, xyz)
    rough = waves(lattice.axes_lps_mm(), liver.seed, 70.0) * np.float32(1.6)
    carved = _carved(stage, liver, xyz)

    def whole(t: float) -> Array:
        # A liver that does not fit into its niche widens it at the expense of its neighbours.
        # The left lobe varies less in thickness than the right in size.
        solid = smooth_min(right - np.float32(t), left - np.float32(0.35 * t), 24.0) + rough
        inside = smooth_max(solid, carved - np.float32(0.75 * max(t, 0.0)), 8.0)
        return np.maximum(smooth_max(inside, bounds, 4.0), bounds)

    values = keep_largest(fit_volume(whole, liver.volume_ml, lattice.step_mm, -45, 75, rounds=9))
    field = Field(lattice=lattice, values=values)
    stage.canvas.paint(field, [(0.0, Tissue.LIVER)], 5)
    stage.claim(field, "liver")
    _bile_duct(stage)
    _vessels(stage, liver, field, xyz)


def _lobes(stage: Stage, liver: Liver, xyz: Coordinates) -> tuple[Array, Array]:
    place, b = stage.organ_points, stage.frame.physique.breadth
    right = ellipsoid(xyz, place([(80, 24, 30)])[0].tolist(), (84 * b, 96, 96))
    left = ellipsoid(xyz, place([(2, 72, 62)])[0].tolist(), (80 * liver.left_reach * b, 33, 34), (0, 8, 8))
    caudate = ellipsoid(xyz, place([(14, 42, 50)])[0].tolist(), (20, 15, 28))
    return right, smooth_min(left, caudate, 8.0)


def _carved(stage: Stage, liver: Liver, xyz: Coordinates) -> Array:
    """What the neighbours take from the lobes, negative where the liver may be."""
    x, y, z = xyz
    place, b = stage.organ_points, stage.frame.physique.breadth
    # The visceral surface rises from the right flank to the hilum; stomach, pancreas and duodenum lie under it.
    hilum = place([(30, 40, 12)])[0]
    tip = place([(122, 0, -86 + liver.low_tip_mm)])[0]
    slope = float((tip[2] - hilum[2]) / (tip[0] - hilum[0]))
    under = np.minimum(
        np.float32(hilum[2]) + np.float32(slope) * (x - np.float32(hilum[0])), np.float32(place([(0, 0, 34)])[0][2])
    )
    under += np.float32(0.10) * (y - np.float32(hilum[1]))
    carved = (under - z) * np.float32(0.75)
    nook = ellipsoid(xyz, place([(2, 44, 2)])[0].tolist(), (44, 40, 36))
    stomach = ellipsoid(xyz, place([(-58, 14, 58)])[0].tolist(), (56 * b, 52, 66))
    fissure = triangle(xyz, place([(-4, 122, 66), (-6, 64, 34), (2, 96, 8)]), (1.6, 1.0, 3.0))
    ligament = triangle(xyz, place([(-6, 62, 40), (4, 44, 76), (-4, 50, 44)]), (1.2, 1.2, 1.2))
    porta = ellipsoid(xyz, place([(30, 44, 20)])[0].tolist(), (22, 8, 12), (0, -38, 0))
    # The left lobe ends in front of the spleen.
    end = np.float32(place([(-62 - 30 * (liver.left_reach - 0.8), 0, 60)])[0][0]) - x
    for cut, fillet in ((nook, 10.0), (stomach, 8.0), (fissure, 3.0), (ligament, 2.0), (porta, 5.0), (-end, 12.0)):
        carved = smooth_max(carved, -cut, fillet)
    return carved


def _gallbladder(stage: Stage, liver: Liver) -> Field:
    knots = np.array([(66, 88, -30), (58, 72, -12), (49, 56, 6), (43, 48, 16)], dtype=np.float64)
    knots += np.array([1.0, 0.9, 0.5, 0.1])[:, None] * np.array(liver.gallbladder_shift_mm)
    axis = stage.organ_points(knots)
    front = stage.frame.place((0.0, 100.0, -30.0))[1]
    axis[:, 1] = np.minimum(axis[:, 1], front - 20)
    lattice, _ = stage.lattice(axis, 30.0)
    room = np.maximum(1.0 - stage.taken(lattice), stage.on("abdomen", lattice) + 3.0)

    def pear(r: float) -> Array:
        tube = stage.sweep(lattice, curve(axis, np.array([1.0, 0.95, 0.62, 0.3]) * r))[0]
        return np.maximum(tube, room)

    return Field(lattice=lattice, values=keep_largest(fit_volume(pear, liver.gallbladder_ml, lattice.step_mm, 7, 24)))


def _bile_duct(stage: Stage) -> None:
    duct = curve(
        stage.organ_points([(43, 48, 17), (40, 46, 12), (36, 46, -2), (42, 38, -30), (47, 34, -46)]),
        [2.4, 3.0, 3.0, 2.8, 2.2],
        3.0,
    )
    ends = np.stack([duct.points[:-1], duct.points[1:]], axis=1)
    radii = np.stack([duct.radii_mm[:-1], duct.radii_mm[1:]], axis=1)
    stage.canvas.paint_capsules(stage.frame.to_world(ends), radii, Tissue.BILE, 0, over=(Tissue.FAT,))


def _vessels(stage: Stage, liver: Liver, field: Field, xyz: Coordinates) -> None:
    """Portal branches from the hilum, and three hepatic veins that end in the cava under the diaphragm."""
    place = stage.organ_points
    portal_targets = scatter(field.values, xyz, 110, 9.0, liver.seed + 1)
    trunk = place([(38, 42, 24), PORTAL_FORK, (56, 36, 38)])
    ends, radii = grow(trunk, portal_targets, 6.8, 0.9, straight=0.4)
    cava = place([(26, 30, 80)])[0]
    canvas, world = stage.canvas, stage.frame.to_world
    canvas.paint_capsules(world(ends), radii, Tissue.PORTAL_BLOOD, over=(Tissue.LIVER,))
    targets = scatter(field.values, xyz, 90, 9.0, liver.seed + 2)
    for direction, reach in (((78, 20, 40), 0), ((50, 62, 48), 1), ((-16, 72, 58), 2)):
        mine = _nearest(targets, place([(88, -6, 20), (58, 70, 30), (-30, 76, 60)]), reach)
        stem = np.stack([cava, (cava + place([direction])[0]) / 2])
        ends, radii = grow(stem, mine, 5.4, 0.9, straight=0.4)
        canvas.paint_capsules(world(ends), radii, Tissue.SYSTEMIC_VENOUS_BLOOD, over=(Tissue.LIVER,))


def _nearest(points: Points, seeds: Points, which: int) -> Points:
    distance = np.linalg.norm(points[:, None] - seeds[None], axis=2)
    return points[distance.argmin(axis=1) == which]
