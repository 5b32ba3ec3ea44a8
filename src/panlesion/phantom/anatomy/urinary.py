"""Kidneys (2, 3), ureters and renal vessels, adrenals (11, 12), bladder (104), prostate or uterus."""

from dataclasses import dataclass

import numpy as np

from panlesion.phantom.anatomy.lattice import Array, Field, Lattice, Points
from panlesion.phantom.anatomy.solids import (
    Coordinates,
    capsule,
    curve,
    ellipsoid,
    fit_volume,
    keep_largest,
    smooth_max,
    smooth_min,
    triangle,
    volume_ml,
    waves,
)
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.tissue import Tissue


@dataclass(frozen=True, kw_only=True)
class Urinary:
    """Volumes, positions and shape seeds of the urinary organs; pairs are (left, right)."""

    kidney_ml: tuple[float, float]
    kidney_shift_mm: tuple[tuple[float, float, float], tuple[float, float, float]]
    kidney_turn_degrees: tuple[tuple[float, float, float], tuple[float, float, float]]
    bladder_ml: float
    genital_ml: float
    seed: int


def draw_urinary(rng: np.random.Generator, female: bool, age: float, size: float) -> Urinary:
    """Draw the urinary organs.

    Kidney 150 (SD 27) ml in women, 185 (32) in men, falling by 0.6 % a year after 55 (between Geraghty et al. 2004, CT, 156 and
    193 ml, and J Clin Med 2024;13:769, MR, medians 138 and 174; the fall is ours);
    bladder 40 to 420 ml at the moment of a scan; prostate 20 to 60 ml, growing with age; uterus 40 to 110 ml.
    """
    mean, sd = (150, 20) if female else (182, 24)
    base = rng.normal(mean, sd) * size * (1 - 0.006 * max(age - 55, 0))
    sides = np.clip(base * rng.normal(1, 0.05, 2) * (1.02, 0.98), 95, 270)
    shifts = rng.normal(0, (2.5, 3.0, 7.0), (2, 3))
    turns = rng.normal(0, 4.0, (2, 3))
    return Urinary(
        kidney_ml=(float(sides[0]), float(sides[1])),
        kidney_shift_mm=(tuple(shifts[0].tolist()), tuple(shifts[1].tolist())),
        kidney_turn_degrees=(tuple(turns[0].tolist()), tuple(turns[1].tolist())),
        bladder_ml=float(np.clip(rng.lognormal(np.log(160), 0.55), 45, 420)),
        genital_ml=float(
            rng.uniform(45, 95) * (0.6 if age > 60 else 1.0)
            if female
            else np.clip(rng.normal(25 + 0.4 * max(age - 40, 0), 5), 18, 60)
        ),
        seed=int(rng.integers(2**31)),
    )


def build_kidneys(stage: Stage, urinary: Urinary) -> None:
    """Both kidneys with cortex, pyramids, sinus, collecting system, renal vessels and ureters."""
    for index, side in ((0, -1.0), (1, 1.0)):
        reference = np.array([side * 69.0, 0.0, -38.0 if side > 0 else -24.0]) + urinary.kidney_shift_mm[index]
        centre = stage.organ_points(reference[None])[0]
        turn = urinary.kidney_turn_degrees[index]
        lattice, xyz = stage.lattice(centre, 78.0)
        axes = _kidney_axes(xyz, centre, side, turn)
        _kidney(stage, urinary, index, lattice, axes)


def _kidney_axes(xyz: Coordinates, centre: Points, side: float, turn: tuple[float, float, float]) -> Coordinates:
    """Local axes: u towards the hilum, which looks forwards and inwards, v across it, w towards the upper pole."""
    angle = np.radians(38.0 + turn[2])
    lean = np.radians(15.0 + turn[1])
    back = np.radians(10.0 + turn[0])
    along = np.array([-side * np.sin(lean), -np.sin(back), np.cos(lean)])
    along /= np.linalg.norm(along)
    hilum = np.array([-side * np.cos(angle), np.sin(angle), 0.0])
    hilum -= along * (hilum @ along)
    hilum /= np.linalg.norm(hilum)
    across = np.cross(along, hilum)
    x, y, z = (c - np.float32(o) for c, o in zip(xyz, centre, strict=True))
    u, v, w = (np.float32(a[0]) * x + np.float32(a[1]) * y + np.float32(a[2]) * z for a in (hilum, across, along))
    return u, v, w


def _kidney(stage: Stage, urinary: Urinary, index: int, lattice: Lattice, uvw: Coordinates) -> None:
    u, v, w = uvw
    bent = u - np.float32(0.0042) * w * w + np.float32(3.0)
    rough = waves(lattice.axes_lps_mm(), urinary.seed + index, 32.0) * np.float32(0.7)
    room = np.maximum(2.0 - stage.taken(lattice), stage.on("abdomen", lattice) + 2.0)

    def solids(s: float, thin: slice) -> tuple[Array, Array]:
        b, q, r, h = (c[thin, thin, thin] for c in (bent, v, w, u))
        outer = smooth_max(
            ellipsoid((b, q, r), (0, 0, 0), (27 * s, 22.5 * s, 55 * s)) + rough[thin, thin, thin], room[thin, thin, thin], 3.0
        )
        return outer, smooth_max(outer, -_sinus((h, q, r), s), 3.0)

    # The scale is searched on every second lattice point.
    low, high = 0.65, 1.5
    for _ in range(8):
        s = (low + high) / 2
        volume = volume_ml(solids(s, slice(None, None, 2))[1], 2 * lattice.step_mm)
        low, high = (s, high) if volume < urinary.kidney_ml[index] else (low, s)
    hull, body = solids(s, slice(None))
    body = keep_largest(body)
    label, name = ((3, "left"), (2, "right"))[index]
    field = Field(lattice=lattice, values=body)
    stage.claim(Field(lattice=lattice, values=hull), f"kidney_{name}")
    stage.canvas.paint(field, [(0.0, Tissue.KIDNEY_CORTEX)], label)
    # Pyramids: a ring of cones between sinus and cortex, kept apart by the columns.
    rng = np.random.default_rng(urinary.seed + 10 + index)
    pyramids = np.full(lattice.shape, 50.0, dtype=np.float32)
    for level, count in ((-30, 2), (-18, 3), (-3, 3), (13, 3), (28, 2)):
        for k in range(count):
            around = np.pi + (k - (count - 1) / 2) * 1.25 + rng.normal(0, 0.1)
            at = (np.float32(8 * s) + np.cos(around) * 15 * s, np.sin(around) * 12.5 * s, (level + rng.normal(0, 1.5)) * s)
            at = (at[0] - 3 + 0.0042 * at[2] ** 2 - (6 if abs(level) > 20 else 0), at[1], at[2])
            pyramids = np.minimum(pyramids, ellipsoid(uvw, at, (6.8 * s, 5.6 * s, 6.2 * s)))
    pyramids = np.maximum(pyramids, hull + np.float32(6.0 * s)).astype(np.float32)
    stage.canvas.paint(Field(lattice=lattice, values=np.maximum(pyramids, body)), [(0.0, Tissue.KIDNEY_MEDULLA)], label)
    collecting = np.maximum(_collecting(uvw, s), hull - np.float32(1.0)).astype(np.float32)
    stage.canvas.paint(Field(lattice=lattice, values=collecting), [(0.0, Tissue.RENAL_PELVIS)], label)


def _sinus(uvw: Coordinates, s: float) -> Array:
    return smooth_min(
        ellipsoid(uvw, (12 * s, 0, 0), (17 * s, 9 * s, 23 * s)), ellipsoid(uvw, (30 * s, 0, 0), (18 * s, 10 * s, 16 * s)), 6.0
    )


def _collecting(uvw: Coordinates, s: float) -> Array:
    field = capsule(uvw, (5 * s, 0, 0), (30 * s, -2, -6 * s), (4.5 * s, 4.0 * s))
    for end, r in (((0, 0, 26), 3.2), ((2, 5, 14), 2.6), ((-1, -5, 2), 2.6), ((2, 4, -12), 2.6), ((0, 0, -25), 3.2)):
        target = tuple(c * s for c in end)
        field = smooth_min(field, capsule(uvw, (8 * s, 0, target[2] * 0.35), target, (2.0, r * s)), 2.0)
    return field


def build_ureters(stage: Stage, urinary: Urinary) -> None:
    """Renal arteries and veins between aorta, cava and hila, and the ureters down to the bladder."""
    for index, side in ((0, -1.0), (1, 1.0)):
        shift = np.array(urinary.kidney_shift_mm[index])
        hilum = np.array([side * 50.0, 16.0, -38.0 if side > 0 else -24.0]) + shift
        height = hilum[2] + 10
        up, ahead = np.array((0.0, 0.0, 4.0)), np.array((0.0, 4.0, 0.0))
        if side > 0:
            start = [(0, 26, height + 6), (30, 14, height)]
            course, calibre = [(24, 34, height - 4), (36, 28, height - 5)], [5.0, 5.0, 4.2]
        else:
            start = [(-12, 26, height + 6), (-30, 14, height)]
            course, calibre = [(16, 36, height - 3), (-6, 41, height - 2), (-24, 34, height - 4)], [4.4, 4.0, 5.0, 4.2]
        artery = curve(stage.organ_points([*start, hilum + up]), [3.2, 3.0, 2.6])
        vein = curve(stage.organ_points([*course, hilum + ahead]), calibre)
        for tube, tissue in ((artery, Tissue.ARTERIAL_BLOOD), (vein, Tissue.SYSTEMIC_VENOUS_BLOOD)):
            field = stage.claim(stage.tube_field([tube], 6.0))
            stage.canvas.paint(field, [(0.0, tissue)], 0, over=(Tissue.FAT,))
        knots = [
            hilum + np.array((-side * 2, 0, -8)),
            (side * 40, 17, -75),
            (side * 42, 28, -112),
            (side * 46, 20, -160),
            (side * 48, 0, -200),
            (side * 32, 8, -234),
            (side * 12, 18, -248),
        ]
        ureter = curve(stage.organ_points(knots), [2.6, 2.4, 2.3, 2.3, 2.3, 2.3, 2.3])
        field = stage.tube_field([ureter], 5.0)
        stage.claim(field)
        stage.canvas.paint(field, [(0.0, Tissue.CONNECTIVE), (-1.1, Tissue.RENAL_PELVIS)], 0, over=(Tissue.FAT,))


def build_adrenals(stage: Stage) -> None:
    """Adrenals: two thin limbs that meet in a ridge in front, over the kidneys' upper poles."""
    sides = {
        1.0: [(27, 27, 42), (30, 25, 10), (43, 4, 12), (40, 5, 34), (31, 2, 12), (29, 4, 34)],
        -1.0: [(-37, 28, 42), (-41, 27, 8), (-55, 4, 8), (-51, 6, 30), (-38, 3, 12), (-37, 5, 32)],
    }
    for side, reference in sides.items():
        p = stage.organ_points(reference)
        lattice, xyz = stage.lattice(p, 8.0, stage.fine_mm * 0.75)
        plates = [(0, 1, 2), (0, 2, 3), (0, 1, 4), (0, 4, 5)]
        values: Array | None = None
        for corners in plates:
            part = triangle(xyz, p[list(corners)], (2.3, 2.3, 1.8))
            values = part if values is None else smooth_min(values, part, 1.5)
        assert values is not None
        values = keep_largest(
            np.maximum(np.maximum(values, 0.8 - stage.taken(lattice)), stage.on("abdomen", lattice) + 1.0).astype(np.float32)
        )
        field = stage.claim(Field(lattice=lattice, values=values))
        stage.canvas.paint(field, [(0.0, Tissue.ADRENAL)], 11 if side > 0 else 12)


def build_bladder(stage: Stage, urinary: Urinary) -> None:
    """Bladder with wall and urine, prostate under it or uterus behind it; claims "bladder"."""
    female = stage.frame.physique.female
    base = stage.body_points([(0, 36, -262 if female else -256)])[0]
    lattice, xyz = stage.lattice(base + np.array([[-70, -60, -12], [70, 75, 120]]), 4.0, stage.coarse_mm)
    if not female:
        _genital(stage, urinary, base + np.array((0, -6, -18)), (1.25, 0.9, 1.0), 0)
    room = np.maximum(1.5 - stage.taken(lattice), stage.on("cavity", lattice) + 4.0)

    def bag(r: float) -> Array:
        flat = 0.62 + 0.16 * min(urinary.bladder_ml / 300, 1.2)
        centre = base + np.array((0, 6, r * flat))
        return smooth_max(ellipsoid(xyz, centre.tolist(), (r * 1.12, r * 0.88, r * flat)), room, 8.0)

    values = keep_largest(fit_volume(bag, urinary.bladder_ml + 20, lattice.step_mm, 18, 95))
    field = stage.claim(Field(lattice=lattice, values=values), "bladder")
    wall = float(np.clip(5.2 - urinary.bladder_ml / 120, 2.2, 5.0))
    stage.canvas.paint(field, [(0.0, Tissue.BLADDER_WALL), (-wall, Tissue.URINE)], 104)
    if female:
        _genital(stage, urinary, stage.body_points([(3, 4, -222)])[0], (1.15, 1.2, 0.8), 3)


def _genital(stage: Stage, urinary: Urinary, centre: Points, shape: tuple[float, float, float], shift: int) -> None:
    lattice, xyz = stage.lattice(centre, 52.0)
    rough = waves(lattice.axes_lps_mm(), urinary.seed + 20 + shift, 35.0) * np.float32(0.8)
    room = np.maximum(1.2 - stage.taken(lattice), stage.on("cavity", lattice) + 2.0)

    def solid(r: float) -> Array:
        return smooth_max(ellipsoid(xyz, centre.tolist(), tuple(r * s for s in shape)) + rough, room, 3.0)

    values = keep_largest(fit_volume(solid, urinary.genital_ml, lattice.step_mm, 8, 42))
    stage.canvas.paint(stage.claim(Field(lattice=lattice, values=values)), [(0.0, Tissue.PROSTATE_UTERUS)], 0)
