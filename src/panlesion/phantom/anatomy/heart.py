"""The heart: myocardium (44) around the left ventricle, its four chambers (45 to 48) and pericardial fat."""

from dataclasses import dataclass

import numpy as np

from panlesion.phantom.anatomy.lattice import Array, Field
from panlesion.phantom.anatomy.solids import (
    Coordinates,
    capsule,
    curve,
    ellipsoid,
    keep_largest,
    smooth_max,
    smooth_min,
    volume_ml,
)
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.tissue import Tissue

_CENTRE = (-16.0, 38.0, 136.0)


@dataclass(frozen=True, kw_only=True)
class Heart:
    """Outer volume of myocardium and chambers; wall of the left ventricle."""

    volume_ml: float
    wall_mm: float
    seed: int


def draw_heart(rng: np.random.Generator, female: bool, size: float) -> Heart:
    """Draw a heart.

    Volume with blood: 540 (SD 60) ml in women, 690 (75) in men (ICRP 89: heart with blood 620 and 840 g, of which the great
    vessels' stumps are no part here). Left ventricular wall: 7.5 to 11 mm (ours: CT without a trigger sees the
    mean of a beat; Kawel et al. 2012, MR at the end of diastole: mean 5.3 and 6.3, thickest 7 and 9 mm).
    """
    mean, sd = (540, 60) if female else (690, 75)
    return Heart(
        volume_ml=float(np.clip(rng.normal(mean, sd) * size, 400, 900)),
        wall_mm=float(rng.uniform(7.5, 11.0)),
        seed=int(rng.integers(2**31)),
    )


def build_heart(stage: Stage, heart: Heart) -> Field:
    """Paint the heart; claims and returns "heart", the union of its parts."""
    centre = stage.body_points([_CENTRE])[0] + (0, 0, 0.5 * stage.frame.diaphragm_shift_mm - 6.0)
    lattice, xyz = stage.lattice(centre, 108.0, stage.coarse_mm)
    clear = np.minimum(stage.on("aorta", lattice), stage.on("pulmonary", lattice))
    bounds = np.maximum(
        np.maximum(stage.on("diaphragm", lattice) * -1 + 5.0, stage.on("cavity", lattice) + 7.0),
        2.0 - stage.on("oesophagus", lattice),
    )
    bounds = np.maximum(bounds, 1.5 - clear).astype(np.float32)

    # The scale is searched on every second lattice point.
    thin = (slice(None, None, 2),) * 3
    low, high = 0.7, 1.5
    for _ in range(8):
        scale = (low + high) / 2
        trial = smooth_max(
            _parts((xyz[0][thin], xyz[1][thin], xyz[2][thin]), centre, scale, heart.wall_mm)["all"], bounds[thin], 4.0
        )
        low, high = (scale, high) if volume_ml(trial, 2 * lattice.step_mm) < heart.volume_ml else (low, scale)
    parts = _parts(xyz, centre, scale, heart.wall_mm)
    outer = keep_largest(smooth_max(parts["all"], bounds, 4.0))
    field = stage.claim(Field(lattice=lattice, values=outer), "heart")
    inner = outer + np.float32(1.7)
    canvas = stage.canvas
    canvas.paint(field, [(0.0, Tissue.MYOCARDIUM)], 0)

    def cut(values: Array, *others: Array) -> Field:
        for other in others:
            values = np.maximum(values, -other)
        return Field(lattice=lattice, values=np.maximum(values, inner).astype(np.float32))

    lv = parts["lv"]
    canvas.paint(cut(parts["la"], lv - 0.8), [(0.0, Tissue.HEART_BLOOD)], 45)
    canvas.paint(cut(parts["ra"], lv - 0.8, parts["la"] - 1.2), [(0.0, Tissue.HEART_BLOOD)], 47)
    canvas.paint(cut(parts["rv"], lv - 0.5, parts["ra"] - 1.2), [(0.0, Tissue.HEART_BLOOD)], 48)
    canvas.paint(Field(lattice=lattice, values=np.maximum(lv, outer + 0.0).astype(np.float32)), [(0.0, Tissue.MYOCARDIUM)], 44)
    canvas.paint(
        Field(lattice=lattice, values=np.maximum(parts["lumen"], inner).astype(np.float32)), [(0.0, Tissue.HEART_BLOOD)], 46
    )
    return field


def build_pulmonary_veins(stage: Stage) -> None:
    """Four pulmonary veins between the left atrium and the hila."""
    lift = 0.5 * stage.frame.diaphragm_shift_mm - 6.0
    tubes = []
    for side in (1.0, -1.0):
        for height, away in ((166.0, 176.0), (154.0, 150.0)):
            points = stage.body_points(
                [(side * 18 - 6, 8, height), (side * 34, -2, (height + away) / 2), (side * 50, -8, away)]
            )
            tubes.append(curve(points + np.array((0, 0, lift)), [7.5, 6.5, 5.0]))
    field = stage.tube_field(tubes)
    field = stage.claim(Field(lattice=field.lattice, values=np.maximum(field.values, 0.6 - stage.taken(field.lattice))))
    stage.canvas.paint(field, [(0.0, Tissue.PULMONARY_BLOOD)], 0, over=(Tissue.FAT,))


def _parts(xyz: Coordinates, centre: np.ndarray, s: float, wall_mm: float) -> dict[str, Array]:
    def at(x: float, y: float, z: float) -> list[float]:
        return (centre + (np.array([x, y, z]) - _CENTRE) * s).tolist()

    lv = capsule(xyz, at(-34, 31, 136), at(-70, 54, 110), (31 * s, 20 * s))
    lumen = capsule(xyz, at(-33, 30, 137), at(-64, 50, 114), (31 * s - wall_mm, 20 * s - wall_mm - 2))
    rv = smooth_min(
        capsule(xyz, at(14, 54, 136), at(-54, 70, 108), (26 * s, 14 * s)),
        capsule(xyz, at(-4, 62, 142), at(-18, 60, 162), (21 * s, 13 * s)),
        10.0,
    )
    ra = ellipsoid(xyz, at(30, 36, 138), (21 * s, 25 * s, 30 * s), (0, 0, 20))
    la = ellipsoid(xyz, at(-6, 10, 157), (36 * s, 21 * s, 25 * s), (0, 0, -8))
    septal = np.minimum(np.minimum(lv, rv - np.float32(2.0)), np.minimum(ra, la))
    joined = smooth_min(smooth_min(lv, rv - np.float32(2.0), 8.0), smooth_min(ra, la, 10.0), 10.0)
    return {"lv": lv, "lumen": lumen, "rv": rv, "ra": ra, "la": la, "all": np.minimum(joined, septal)}
