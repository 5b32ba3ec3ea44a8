"""Lungs in five lobes (13 to 17) with vessels, trachea (43) and bronchi."""

from dataclasses import dataclass

import numpy as np

from panlesion.phantom.anatomy.lattice import Array, Field, Lattice, Points
from panlesion.phantom.anatomy.solids import Coordinates, curve, keep_largest, smooth_min, waves
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.anatomy.tree import grow, scatter
from panlesion.phantom.tissue import Tissue

_UPPER_LEFT, _LOWER_LEFT, _UPPER_RIGHT, _MIDDLE_RIGHT, _LOWER_RIGHT = 13, 14, 15, 16, 17


@dataclass(frozen=True, kw_only=True)
class Lungs:
    """Heights of the fissures (reference mm) and seeds of their vessel trees."""

    oblique_mm: tuple[float, float]
    horizontal_mm: float
    branches: int
    seed: int


def draw_lungs(rng: np.random.Generator) -> Lungs:
    """Oblique fissures start behind at T4/T5; the horizontal one meets the fourth cartilage."""
    left, right = rng.normal(0, 7, 2).tolist()
    return Lungs(
        oblique_mm=(float(left), float(right)),
        horizontal_mm=float(rng.normal(172, 6)),
        branches=int(rng.integers(110, 150)),
        seed=int(rng.integers(2**31)),
    )


def build_airways(stage: Stage) -> None:
    """Trachea (43) and main bronchi with walls; claims "airways"."""
    trachea = curve(stage.body_points([(0, 29, 318), (1, 18, 266), (3, 9, 234), (4, 5, 212)]), [9.0, 9.0, 9.2, 9.5])
    right = curve(stage.body_points([(4, 5, 213), (20, 0, 194), (38, -8, 172)]), [8.0, 7.5, 6.5])
    left = curve(stage.body_points([(4, 5, 213), (-16, 0, 194), (-40, -10, 178)]), [7.5, 6.8, 6.0])
    field = stage.tube_field([trachea, right, left])
    values = np.minimum(np.maximum(field.values, 0.8 - stage.taken(field.lattice)), field.values + 4.0)
    values = keep_largest(values)
    both = stage.claim(Field(lattice=field.lattice, values=values), "airways")
    stage.canvas.paint(both, [(0.0, Tissue.AIRWAY_WALL), (-1.6, Tissue.GAS)], 43)


def build_lungs(stage: Stage, lungs: Lungs) -> None:
    """Both lungs around the mediastinum; airways and vessels fan out from the hila."""
    for side in (1.0, -1.0):
        corners = stage.body_points([(side * 2, -90, -45), (side * 142, 110, 322)])
        lattice, xyz = stage.lattice(corners, 6.0, stage.coarse_mm)
        lung = _lung(stage, lattice, xyz, side)
        stage.claim(Field(lattice=lattice, values=lung), "lung_right" if side > 0 else "lung_left")
        _paint_lobes(stage, lungs, lattice, xyz, lung, side)


def _lung(stage: Stage, lattice: Lattice, xyz: Coordinates, side: float) -> Array:
    taken = stage.taken(lattice)
    heart = stage.on("heart", lattice) - np.float32(6.0)
    middle = smooth_min(
        heart,
        np.minimum(np.minimum(stage.on("aorta", lattice), stage.on("airways", lattice)), stage.on("oesophagus", lattice))
        - np.float32(3.0),
        16.0,
    )
    middle = smooth_min(middle, stage.on("pulmonary", lattice) - np.float32(2.0), 12.0)
    # Fat in front of the upper mediastinum, thinner where the lungs meet behind the sternum.
    x, _, z = xyz
    length = stage.frame.physique.length
    width = np.interp(z[0, 0], np.array([60, 140, 205, 235, 280, 320]) * length, [10, 4, 7, 26, 30, 34]).astype(np.float32)
    wedge = np.abs(x) - width
    middle = smooth_min(middle, wedge, 14.0)
    values = np.maximum(stage.on("cavity", lattice) + 3.0, 2.2 - stage.on("diaphragm", lattice))
    values = np.maximum(np.maximum(values, -middle), 2.0 - taken)
    values = np.maximum(values, 2.0 - np.float32(side) * x).astype(np.float32)
    return keep_largest(values)


def _paint_lobes(stage: Stage, lungs: Lungs, lattice: Lattice, xyz: Coordinates, lung: Array, side: float) -> None:
    length = stage.frame.physique.length
    y, z = xyz[1], xyz[2]
    start = stage.body_points([(0, -80, 224 + lungs.oblique_mm[0 if side < 0 else 1])])[0]
    end = stage.body_points([(0, 92, 62)])[0]
    slope = float((end[2] - start[2]) / (end[1] - start[1]))
    curl = waves(lattice.axes_lps_mm(), lungs.seed + int(side), 150.0, terms=4) * np.float32(3.0)
    oblique = (
        (z - np.float32(start[2]) - np.float32(slope) * (y - np.float32(start[1]))) / np.float32(np.hypot(1, slope)) + curl
    ).astype(np.float32)
    lower = Field(lattice=lattice, values=np.maximum(lung, oblique))
    upper = Field(lattice=lattice, values=keep_largest(np.maximum(lung, -oblique)))
    lobes = [(lower, _LOWER_RIGHT if side > 0 else _LOWER_LEFT)]
    if side > 0:
        horizontal = (z - np.float32(lungs.horizontal_mm * length) + curl).astype(np.float32)
        lobes.append((Field(lattice=lattice, values=np.maximum(upper.values, horizontal)), _MIDDLE_RIGHT))
        lobes.append((Field(lattice=lattice, values=np.maximum(upper.values, -horizontal)), _UPPER_RIGHT))
    else:
        lobes.append((upper, _UPPER_LEFT))
    whole = Field(lattice=lattice, values=lung)
    stage.canvas.paint(whole, [(0.0, Tissue.LUNG)], lobes[0][1])
    for field, label in lobes[1:]:
        stage.canvas.paint(field, [(0.0, Tissue.LUNG)], label)
    for n, (field, _) in enumerate(lobes):
        _branches(stage, lungs, field, xyz, side, lungs.seed + 17 * n + (5 if side > 0 else 0))


def _branches(stage: Stage, lungs: Lungs, lobe: Field, xyz: Coordinates, side: float, seed: int) -> None:
    hilum = stage.body_points([(side * 46, -6, 174)])[0]
    root = stage.body_points([(side * 38, -6, 178)])[0]
    deep = scatter(lobe.values, xyz, 7, 14.0, seed + 3)
    ends, radii = grow(np.stack([root, hilum]), deep, 4.5, 1.8)
    ends = stage.frame.to_world(ends)
    canvas = stage.canvas
    for shift, targets_seed in ((np.array([0, 4.0, 3.0]), seed), (np.array([0, -3.0, -8.0]), seed + 1)):
        targets = _even(scatter(lobe.values, xyz, lungs.branches * 3, 5.0, targets_seed), lungs.branches, targets_seed)
        vessel_ends, vessel_radii = grow(np.stack([root + shift, hilum + shift]), targets, 5.0, 0.75)
        canvas.paint_capsules(stage.frame.to_world(vessel_ends), vessel_radii, Tissue.PULMONARY_BLOOD, over=(Tissue.LUNG,))
    over = (Tissue.LUNG, Tissue.PULMONARY_BLOOD)
    canvas.paint_capsules(ends, radii + 1.0, Tissue.AIRWAY_WALL, over=over)
    canvas.paint_capsules(ends, radii, Tissue.GAS, over=(Tissue.LUNG, Tissue.PULMONARY_BLOOD, Tissue.AIRWAY_WALL))


def _even(points: Points, count: int, seed: int) -> Points:
    """Thin a cloud so that it fills its space evenly: every third candidate point is kept, the one farthest from those kept."""
    rng = np.random.default_rng(seed + 7)
    kept = [points[int(rng.integers(len(points)))]] if len(points) else []
    if not kept:
        return points
    away = np.linalg.norm(points - kept[0], axis=1)
    for _ in range(min(count, len(points)) - 1):
        n = int(away.argmax())
        kept.append(points[n])
        away = np.minimum(away, np.linalg.norm(points - points[n], axis=1))
    return np.asarray(kept)
