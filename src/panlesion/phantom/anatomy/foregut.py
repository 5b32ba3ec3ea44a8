"""Stomach (6), duodenum (56), pancreas (10) and spleen (1)."""

from dataclasses import dataclass

import numpy as np

from panlesion.phantom.anatomy.lattice import Array, Field
from panlesion.phantom.anatomy.solids import capsule, curve, ellipsoid, fit_volume, keep_largest, smooth_max, smooth_min, waves
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.tissue import Tissue

_PYLORUS = (28.0, 72.0, -10.0)


@dataclass(frozen=True, kw_only=True)
class Foregut:
    """Volumes (with content), fillings and seeds of stomach, duodenum, pancreas, spleen and oesophagus.

    `gas_share`: share of the stomach's depth that is gas, in front. `oesophagus_gas_mm`: radius of its gas thread, 0 for none.
    """

    stomach_ml: float
    gas_share: float
    duodenum_radius_mm: float
    pancreas_ml: float
    lobulation_mm: float
    spleen_ml: float
    spleen_shift_mm: tuple[float, float, float]
    oesophagus_gas_mm: float
    seed: int


def draw_foregut(rng: np.random.Generator, female: bool, age: float, size: float) -> Foregut:
    """Draw the upper gut.

    Stomach 150 to 600 ml as scanned, fasted or after water (ICRP 89: wall 150 g, contents 250 g); pancreas 76 (SD 18) ml,
    falling after 60 (Saisho et al. 2007); spleen 215 (SD 70) ml (Prassopoulos et al. 1997: 214.6, range 107 to 315).
    """
    gas = float(rng.uniform(2.0, 4.5)) if rng.random() < 0.45 else 0.0
    return Foregut(
        stomach_ml=float(np.clip(rng.lognormal(np.log(360), 0.30) * size, 170, 650)),
        gas_share=float(rng.uniform(0.15, 0.55)),
        duodenum_radius_mm=float(rng.uniform(10.5, 13.0)),
        pancreas_ml=float(np.clip(rng.normal(72 if female else 84, 12) * (1 - 0.007 * max(age - 60, 0)) * size, 42, 125)),
        lobulation_mm=float(0.8 + 0.012 * max(age - 40, 0) + rng.uniform(0, 0.4)),
        spleen_ml=float(np.clip(rng.lognormal(np.log(165 if female else 205), 0.25) * size, 80, 380)),
        spleen_shift_mm=(float(rng.normal(0, 2)), float(rng.normal(0, 4)), float(rng.normal(0, 5))),
        oesophagus_gas_mm=gas,
        seed=int(rng.integers(2**31)),
    )


def build_duodenum(stage: Stage, foregut: Foregut) -> None:
    """Duodenum from the pylorus around the pancreatic head, in front of cava and aorta, to the jejunum; claims "duodenum"."""
    r = foregut.duodenum_radius_mm
    knots = [
        _PYLORUS,
        (45, 62, -6),
        (58, 42, -16),
        (60, 32, -46),
        (50, 34, -74),
        (26, 52, -82),
        (0, 58, -80),
        (-24, 54, -66),
        (-32, 54, -46),
    ]
    tube = curve(stage.organ_points(knots), np.array([8, 1.1 * r, r, r, r, 0.88 * r, 0.8 * r, 0.95 * r, r]))
    lattice, _ = stage.lattice(tube.points, r + 8)
    values, along = stage.sweep(lattice, tube)
    values = values + np.float32(0.8) * np.sin(along * np.float32(2 * np.pi / 11.0))
    values = keep_largest(np.maximum(values, 1.0 - stage.taken(lattice)).astype(np.float32))
    field = stage.claim(Field(lattice=lattice, values=values), "duodenum")
    stage.canvas.paint(field, [(0.0, Tissue.GUT_WALL), (-2.6, Tissue.GUT_FLUID)], 56)


def build_pancreas(stage: Stage, foregut: Foregut) -> None:
    """Pancreas with a thin duct: head in the duodenal loop, neck before the portal confluence, tail to the splenic hilum."""
    axis = stage.organ_points(
        [(38, 46, -40), (32, 52, -24), (14, 62, -12), (-12, 66, 0), (-38, 52, 9), (-62, 30, 18), (-80, 13, 26)]
    )
    tube = curve(axis, [12, 12, 8.5, 9.5, 9.5, 9.5, 8.0])
    lattice, xyz = stage.lattice(tube.points, 30.0)
    body = stage.sweep(lattice, tube, 14.0)[0]
    head = ellipsoid(xyz, stage.organ_points([(39, 46, -40)])[0].tolist(), (14, 13, 25))
    uncinate = capsule(xyz, axis[0].tolist(), stage.organ_points([(19, 42, -52)])[0].tolist(), (11, 6))
    shape = smooth_min(smooth_min(body, head, 8.0), uncinate, 6.0)
    lobules = waves(lattice.axes_lps_mm(), foregut.seed, 15.0, terms=12) * np.float32(foregut.lobulation_mm)
    shape = shape + lobules
    room = 0.4 - stage.taken(lattice)
    room = np.maximum(room, stage.on("abdomen", lattice) + 3.0)

    def whole(t: float) -> Array:
        return np.maximum(shape - np.float32(t), room)

    values = keep_largest(fit_volume(whole, foregut.pancreas_ml, lattice.step_mm, -6, 12))
    field = stage.claim(Field(lattice=lattice, values=values), "pancreas")
    stage.canvas.paint(field, [(0.0, Tissue.PANCREAS)], 10)
    duct = curve(np.concatenate([stage.organ_points([(46, 36, -46)]), axis[1:]]), [1.3, 1.3, 1.1, 1.0, 0.9, 0.8, 0.6])
    ends = np.stack([duct.points[:-1], duct.points[1:]], axis=1)
    radii = np.stack([duct.radii_mm[:-1], duct.radii_mm[1:]], axis=1)
    stage.canvas.paint_capsules(stage.frame.to_world(ends), radii, Tissue.BILE, over=(Tissue.PANCREAS,))


def build_spleen(stage: Stage, foregut: Foregut) -> None:
    """Spleen under the left dome along the tenth rib, hollowed by stomach and kidney; claims "spleen"."""
    centre = stage.organ_points(np.array([[-112.0, -22.0, 42.0]]) + foregut.spleen_shift_mm)[0]
    lattice, xyz = stage.lattice(centre, 95.0, stage.coarse_mm)
    bounds = np.maximum(
        stage.on("abdomen", lattice) + 1.0, 1.5 - np.minimum(stage.taken(lattice), stage.on("stomach room", lattice))
    )
    hollow = ellipsoid(xyz, stage.organ_points([(-54, 22, 56)])[0].tolist(), (40, 44, 62))
    shape = ellipsoid(xyz, centre.tolist(), (34, 46, 62), (-28, 8, 0)) + waves(
        lattice.axes_lps_mm(), foregut.seed + 1, 45.0
    ) * np.float32(1.2)
    shape = smooth_max(shape, -hollow, 8.0)

    def whole(t: float) -> Array:
        return np.maximum(smooth_max(shape - np.float32(t), bounds, 4.0), bounds)

    values = keep_largest(fit_volume(whole, foregut.spleen_ml, lattice.step_mm, -30, 60), 2.0)
    field = stage.claim(Field(lattice=lattice, values=values), "spleen")
    stage.canvas.paint(field, [(0.0, Tissue.SPLEEN)], 1)


def reserve_stomach(stage: Stage) -> None:
    """Keep room for the stomach: "stomach core", its way from oesophagus to pylorus; "stomach room", with the fundus."""
    points = [(-27, 30, 71), (-52, 22, 66), (-74, 28, 46), (-70, 48, 18), (-44, 72, -12), (-8, 84, -20), _PYLORUS]
    tube = curve(stage.organ_points(points), [6, 9, 12, 12, 10, 9, 6])
    core = stage.tube_field([tube])
    b = stage.frame.physique.breadth**1.5
    stage.fields["stomach core"] = core
    lattice, xyz = stage.lattice(tube.points, 60.0, stage.coarse_mm)
    fundus = ellipsoid(xyz, stage.organ_points([(-67, 17, 48)])[0].tolist(), (30 * b, 35 * b, 46 * b))
    stage.fields["stomach room"] = Field(lattice=lattice, values=np.minimum(core.on(lattice), fundus))


def build_stomach(stage: Stage, foregut: Foregut) -> None:
    """Stomach with wall, fluid and gas in front; the supine patient's level is horizontal in the world, not in the body."""
    knots = [(-72, -2, 84), (-76, 22, 52), (-70, 48, 18), (-44, 72, -12), (-8, 84, -20), _PYLORUS]
    axis = stage.organ_points(knots)
    entry = stage.organ_points([(-27, 30, 71), (-56, 18, 68)])
    lattice, xyz = stage.lattice(np.concatenate([axis, entry]), 60.0, stage.coarse_mm)
    bounds = np.maximum(stage.on("abdomen", lattice) + 2.0, 1.3 - stage.taken(lattice))
    cardia = capsule(xyz, entry[0].tolist(), entry[1].tolist(), (9.0, 14.0))
    shape = np.array([1.0, 1.02, 0.86, 0.66, 0.52, 0.25])

    def bag(r: float) -> Array:
        tube = stage.sweep(lattice, curve(axis, shape * r, 6.0), 8.0)[0]
        return np.maximum(smooth_max(smooth_min(tube, cardia, 12.0), bounds, 6.0), bounds)

    values = fit_volume(bag, foregut.stomach_ml, lattice.step_mm, 18, 62, rounds=6)
    # The way from the oesophagus to the pylorus stays open, however full the dome is.
    values = keep_largest(np.minimum(values, stage.on("stomach core", lattice)), 1.5)
    field = stage.claim(Field(lattice=lattice, values=values), "stomach")
    inside = values < -4.0
    j = np.broadcast_to(-lattice.axes_lps_mm()[1][:, None], lattice.shape)
    levels = j[inside]
    level = float(np.quantile(levels, 1 - foregut.gas_share)) if levels.size else 0.0
    stage.canvas.paint(field, [(0.0, Tissue.GUT_WALL), (-3.8, Tissue.GUT_FLUID)], 6)
    front = Field(lattice=lattice, values=np.ascontiguousarray((level - j).astype(np.float32)))
    stage.canvas.paint(field, [(-3.8, Tissue.GAS)], 6, within=[(front, 0.0)])
