"""The vertebral column: vertebrae T1 to L5, discs, spinal canal, sacrum and coccyx."""

import numpy as np

from panlesion.phantom.anatomy.lattice import Array, Field
from panlesion.phantom.anatomy.physique import LEVELS, SACRUM_Y_MM, SACRUM_Z_MM, SPINE_Z_MM
from panlesion.phantom.anatomy.solids import Coordinates, brick, capsule, curve, local, smooth_max, smooth_min, triangle
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.tissue import Tissue

# Half width, half depth and half height of the vertebral bodies at T1, T6, T12, L3 and L5, mm (Panjabi et al. 1991, 1992).
_KNOTS = (0, 5, 11, 14, 16)
_HALF_WIDTH = (15.0, 14.8, 21.0, 24.0, 26.5)
_HALF_DEPTH = (8.8, 13.5, 16.2, 18.2, 18.2)
_HALF_HEIGHT = (8.3, 10.0, 12.6, 14.0, 13.6)

_SACRUM = 92


def cortex_mm(stage: Stage) -> float:
    """Thickness of cortical shells, thinner with age and in women."""
    p = stage.frame.physique
    return float(np.clip(1.5 - 0.007 * (p.age - 40) - (0.1 if p.female else 0.0), 1.0, 1.7))


def build_spine(stage: Stage) -> None:
    """Vertebrae, discs, canal and sacrum; claims "spine"."""
    frame = stage.frame
    z = np.array(SPINE_Z_MM)
    centres = np.stack([np.zeros(17), frame.spine_y(z), z * frame.physique.length], axis=1)
    _discs(stage, centres)
    shell = cortex_mm(stage)
    for n, level in enumerate(LEVELS):
        tangent = centres[max(n - 1, 0)] - centres[min(n + 1, 16)]
        tilt = float(np.degrees(np.arctan2(-tangent[1], tangent[2])))
        reach = np.array([[-48, -78, -42], [48, 24, 32]]) * frame.bone
        lattice, xyz = stage.lattice(centres[n] + reach, 2.0)
        values = _vertebra(local(xyz, centres[n].tolist(), (tilt, 0, 0)), n, frame.bone)
        field = stage.claim(Field(lattice=lattice, values=values))
        label = 34 - n
        assert 18 <= label <= 34, level
        stage.canvas.paint(field, [(0.0, Tissue.CORTICAL_BONE), (-shell, Tissue.MARROW)], label)
    _sacrum(stage, shell)
    _canal(stage, centres)


def _sizes(n: float, bone: float) -> tuple[float, float, float]:
    w, d, h = (float(np.interp(n, _KNOTS, v)) * bone for v in (_HALF_WIDTH, _HALF_DEPTH, _HALF_HEIGHT))
    return w, d, h


def _drum(xyz: Coordinates, w: float, d: float, h: float, waist: float) -> Array:
    x, y, z = xyz
    narrow = np.float32(1.0) - np.float32(waist) * np.maximum(1 - (z / np.float32(h)) ** 2, 0)
    u, v = x / (np.float32(w) * narrow), y / (np.float32(d) * narrow)
    q = np.sqrt(u * u + v * v)
    side = np.sqrt(x * x + y * y) * (1 - 1 / np.maximum(q, 0.05))
    # The back of the body is flat to hollow, where the canal lies.
    side = smooth_max(side, -(y + np.float32(0.86 * d)), 3.0)
    return smooth_max(side, np.abs(z) - np.float32(h), 2.5)


def _vertebra(xyz: Coordinates, n: int, bone: float) -> Array:
    w, d, h = _sizes(n, bone)
    lumbar = float(np.clip((n - 10) / 2.0, 0, 1))
    field = _drum(xyz, w, d, h, 0.11)
    x, y, z = xyz
    mirrored = (np.abs(x), y, z)
    b = bone
    pedicle = capsule(
        mirrored, (0.6 * w, -0.7 * d, 0.3 * h), (11.5 * b, -d - 8 * b, 0.3 * h), (4.2 + 0.8 * lumbar, 4.2 + lumbar)
    )
    lamina = capsule(mirrored, (12.0 * b, -d - 9 * b, -1.0), (1.5 * b, -d - 21 * b, -0.35 * h), (3.6, 3.4))
    arch = smooth_min(pedicle, lamina, 3.0)
    upper = capsule(mirrored, (12.5 * b, -d - 9 * b, 0.2 * h), (13.5 * b, -d - 9 * b, h + 3), (4.6, 3.6))
    lower = capsule(mirrored, (11.5 * b, -d - 13 * b, 0.0), (11.0 * b, -d - 15 * b, -h - 4), (4.4, 3.8))
    arch = smooth_min(arch, np.minimum(upper, lower), 2.5)
    reach = (29 + 11 * lumbar) * b
    back = (-20 + 11 * lumbar) * b
    transverse = capsule(
        mirrored, (13.0 * b, -d - 9 * b, 0.2 * h), (reach, -d + back - 0.0, 0.25 * h), (4.6, 3.6 - 0.4 * lumbar)
    )
    arch = smooth_min(arch, transverse, 3.0)
    # Thoracic spinous processes slope down, lumbar ones are upright plates.
    tip = -d - (39 + 2 * lumbar) * b
    slope = -(1.7 - 1.2 * lumbar) * h if n > 1 else -0.8 * h
    spinous = capsule(mirrored, (0, -d - 20 * b, -0.2 * h), (0, tip, slope), (3.4, 3.2))
    if lumbar > 0:
        plate = brick(xyz, (0, -d - 32 * b, -0.45 * h), (3.3 * b, 11.5 * b, 8.5 * b * lumbar + 2), 2.5)
        spinous = smooth_min(spinous, plate, 2.0)
    return smooth_min(smooth_min(field, arch, 2.0), spinous, 3.0)


def _discs(stage: Stage, centres: np.ndarray) -> None:
    bone = stage.frame.bone
    for n in range(17):
        below = centres[n + 1] if n < 16 else stage.body_points([(0.0, SACRUM_Y_MM[0], SACRUM_Z_MM[0] - 2)])[0]
        middle, along = (centres[n] + below) / 2, centres[n] - below
        tilt = float(np.degrees(np.arctan2(-along[1], along[2])))
        w, d, _ = _sizes(min(n + 0.5, 16), bone)
        lattice, xyz = stage.lattice(np.stack([middle - np.array((w, d, 10)), middle + np.array((w, d, 10))]), 4.0)
        values = _drum(
            local(xyz, middle.tolist(), (tilt, 0, 0)), w * 0.98, d * 0.98, float(np.linalg.norm(along)) / 2 - 2.0, 0.0
        )
        stage.canvas.paint(stage.claim(Field(lattice=lattice, values=values)), [(0.0, Tissue.DISC)])


def _sacrum(stage: Stage, shell: float) -> None:
    bone = stage.frame.bone
    z, y = np.array(SACRUM_Z_MM), np.array(SACRUM_Y_MM)
    axis = stage.body_points(np.stack([np.zeros(6), y, z], axis=1))
    corners = stage.body_points(
        [(12, -14, -168), (52, -24, -170), (16, -46, -228), (50, -38, -200), (0, -32, -172), (0, -72, -215)]
    )
    lattice, xyz = stage.lattice(np.concatenate([axis, corners * (-1, 1, 1), corners]), 18.0)
    mirrored = (np.abs(xyz[0]), xyz[1], xyz[2])
    column, _ = stage.sweep(lattice, curve(axis, np.array([16, 13, 10, 8, 6, 4]) * bone))
    top = axis[0] + np.array((0, 0, 0))
    column = smooth_min(column, _drum(local(xyz, top.tolist(), (-32, 0, 0)), 25 * bone, 17 * bone, 12 * bone, 0.1), 6.0)
    wing = smooth_min(
        triangle(mirrored, corners[[0, 1, 3]], (13, 12, 9)), triangle(mirrored, corners[[0, 3, 2]], (13, 9, 6)), 5.0
    )
    crest = triangle(mirrored, corners[[4, 5, 2]], (4, 4, 5))
    values = smooth_min(smooth_min(column, wing, 8.0), crest, 6.0)
    field = stage.claim(Field(lattice=lattice, values=values), "sacrum")
    stage.canvas.paint(field, [(0.0, Tissue.CORTICAL_BONE), (-shell, Tissue.MARROW)], _SACRUM)


def _canal(stage: Stage, centres: np.ndarray) -> None:
    bone = stage.frame.bone
    sizes = np.array([_sizes(n, bone) for n in range(17)])
    path = centres - np.stack([np.zeros(17), sizes[:, 1] + 8.5 * bone, np.zeros(17)], axis=1)
    sacral = stage.body_points([(0, -38, -178), (0, -55, -205), (0, -66, -232)])
    radii = np.r_[np.full(12, 7.6), np.full(5, 8.6), 7.0, 5.0, 2.5] * bone
    top = path[0] + np.array((0, 6, 22))
    tube = curve(np.concatenate([top[None], path, sacral]), [radii[0], *radii])
    field = stage.claim(stage.tube_field([tube], 6.0))
    stage.canvas.paint(field, [(0.0, Tissue.SPINAL_CANAL)], 0)
