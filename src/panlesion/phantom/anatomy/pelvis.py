"""The pelvis and hips: hip bones, symphysis and proximal femurs."""

from functools import partial

import numpy as np

from panlesion.phantom.anatomy.lattice import Array, Field, Lattice
from panlesion.phantom.anatomy.solids import (
    Coordinates,
    capsule,
    curve,
    ellipsoid,
    outside_like,
    smooth_max,
    smooth_min,
    triangle,
)
from panlesion.phantom.anatomy.spine import cortex_mm
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.tissue import Tissue

# Landmarks of the right hip bone, reference mm. Ours, for an interspinous distance of 240 mm.
_ROOF, _AIIS, _ASIS = (94, 4, -214), (98, 42, -202), (121, 56, -157)
_CREST_FRONT, _CREST_TOP, _CREST_BACK = (133, 36, -130), (131, 4, -110), (98, -38, -116)
_PSIS, _PIIS, _NOTCH = (48, -68, -154), (46, -54, -190), (70, -34, -208)
_HEAD = (91.0, 11.0, -246.0)


def head_radius_mm(stage: Stage) -> float:
    """Radius of the femoral head: 24 mm in men, 21.5 in women (ours, after textbook diameters of 48 and 43 mm)."""
    return (21.5 if stage.frame.physique.female else 24.0) * stage.frame.bone**0.5


def build_pelvis(stage: Stage) -> None:
    """Hip bones with the symphysis, and femurs; claims them as "hip_right", "hip_left"."""
    shell = cortex_mm(stage) + 0.3
    for side in (1.0, -1.0):
        _hip(stage, side, shell)
        _femur(stage, side, shell)
    lattice, xyz = stage.lattice(stage.body_points([(0, 54, -264), (0, 46, -290)]), 14.0)
    ends = stage.body_points([(0, 56, -266), (0, 46, -290)])
    symphysis = np.maximum(capsule(xyz, ends[0].tolist(), ends[1].tolist(), (8.5, 7.0)), np.abs(xyz[0]) - 3.2)
    stage.canvas.paint(stage.claim(Field(lattice=lattice, values=symphysis)), [(0.0, Tissue.CARTILAGE)], 0)


def _hip(stage: Stage, side: float, shell: float) -> None:
    bone = stage.frame.bone
    names = np.array([_ROOF, _AIIS, _ASIS, _CREST_FRONT, _CREST_TOP, _CREST_BACK, _PSIS, _PIIS, _NOTCH], dtype=np.float64)
    p = stage.body_points(names) * (side, 1, 1)
    extra = stage.body_points([(62, -18, -330), (6, 58, -292), (*_HEAD,)]) * (side, 1, 1)
    lattice, xyz = stage.lattice(np.concatenate([p, extra]), 32.0)
    plates = [
        ((0, 1, 2), (11, 8, 6)), ((0, 2, 3), (9, 6, 5.5)), ((0, 3, 4), (8, 5.5, 5)), ((0, 4, 5), (8, 5, 6)),
        ((0, 5, 8), (9, 6, 8)), ((5, 6, 8), (7, 8, 9)), ((6, 7, 8), (8, 7, 8)),
    ]  # fmt: skip
    values = outside_like(xyz)
    for corners, thickness in plates:
        triple = p[list(corners)]
        half = [0.72 * t * bone for t in thickness]
        stage.join(values, lattice, xyz, triple, 14.0, partial(triangle, corners=triple, thickness_mm=half), 5.0)
    _lower_hip(stage, values, lattice, xyz, side)
    socket = stage.body_points([_HEAD])[0] * (side, 1, 1)
    radius = head_radius_mm(stage)

    def cup(q: Coordinates) -> Array:
        # The socket opens outwards, forwards and down.
        x, y, z = (c - np.float32(o) for c, o in zip(q, socket, strict=True))
        opening = x * np.float32(side * 0.76) + y * np.float32(0.30) - z * np.float32(0.55)
        return smooth_max(ellipsoid(q, socket.tolist(), (radius + 9.0,) * 3), opening - np.float32(4.0), 3.0)

    stage.join(values, lattice, xyz, socket[None], radius + 12.0, cup, 4.0)
    values = np.maximum(values, -ellipsoid(xyz, socket.tolist(), (radius + 2.2,) * 3))
    values = np.maximum(values, 2.8 - np.float32(side) * xyz[0])
    # A joint space is left at the sacrum.
    values = np.maximum(values, 1.3 - stage.on("sacrum", lattice)).astype(np.float32)
    field = stage.claim(Field(lattice=lattice, values=values), "hip_right" if side > 0 else "hip_left")
    stage.canvas.paint(field, [(0.0, Tissue.CORTICAL_BONE), (-shell, Tissue.MARROW)], 91 if side > 0 else 90)


def _lower_hip(stage: Stage, values: Array, lattice: Lattice, xyz: Coordinates, side: float) -> None:
    """Pubis and ischium, as chains of capsules."""
    bone = stage.frame.bone
    wide = 1.04 if stage.frame.physique.female else 1.0
    chains: list[tuple[list[tuple[float, float, float]], list[float]]] = [
        ([(76, 20, -230), (46, 44, -246), (15, 58, -264)], [12.5, 8.5, 9.0]),
        ([(12, 55, -268), (11, 44, -290)], [8.5, 7.5]),
        ([(12, 42, -292), (30 * wide, 20, -314), (50 * wide, -10, -326)], [6.0, 5.5, 8.5]),
        ([(80, -10, -238), (72, -26, -272), (60 * wide, -20, -314)], [15.0, 12.0, 13.5]),
        ([(72, -28, -246), (60, -40, -250)], [6.0, 3.0]),
    ]
    for points, radii in chains:
        ends = stage.body_points(points) * (side, 1, 1)
        for n in range(len(points) - 1):
            pair, r = ends[n : n + 2], (radii[n] * bone, radii[n + 1] * bone)
            stage.join(
                values, lattice, xyz, pair, max(r) + 2, partial(capsule, a=pair[0].tolist(), b=pair[1].tolist(), radii=r), 4.0
            )


def _femur(stage: Stage, side: float, shell: float) -> None:
    bone = stage.frame.bone
    p = stage.body_points([_HEAD, (130, -2, -270), (147, -12, -263), (116, -16, -312), (135, -2, -300), (128, 6, -420)]) * (
        side,
        1,
        1,
    )
    lattice, xyz = stage.lattice(np.concatenate([p[:5], p[4:5] + np.array((0, 0, -90))]), 30.0)
    radius = head_radius_mm(stage)
    head = ellipsoid(xyz, p[0].tolist(), (radius,) * 3)
    neck = capsule(xyz, p[0].tolist(), p[1].tolist(), (0.60 * radius, 0.72 * radius))
    trochanter = ellipsoid(xyz, p[2].tolist(), (13 * bone, 17 * bone, 21 * bone), (0, side * 12, 0))
    lesser = ellipsoid(xyz, p[3].tolist(), (9 * bone, 9 * bone, 13 * bone))
    shaft = stage.sweep(lattice, curve(np.stack([p[1], p[4], p[5]]), [18 * bone, 17.5 * bone, 14 * bone]), 14.0)[0]
    values = smooth_min(head, neck, 5.0)
    values = smooth_min(smooth_min(values, trochanter, 9.0), smooth_min(shaft, lesser, 8.0), 9.0)
    field = stage.claim(Field(lattice=lattice, values=values.astype(np.float32)), "femur_right" if side > 0 else "femur_left")
    label = 89 if side > 0 else 88
    stage.canvas.paint(field, [(0.0, Tissue.CORTICAL_BONE), (-shell, Tissue.MARROW)], label)
    # The shaft's cortex thickens to 5 mm below the lesser trochanter.
    thick = np.clip((np.float32(-285 * stage.frame.physique.length) - xyz[2]) * 0.07, -1.0, 4.2)
    marrow = np.maximum(values + shell + np.maximum(thick, 0), -thick).astype(np.float32)
    shell_field = Field(lattice=lattice, values=np.maximum(values, -thick).astype(np.float32))
    stage.canvas.paint(shell_field, [(0.0, Tissue.CORTICAL_BONE)], label)
    stage.canvas.paint(Field(lattice=lattice, values=marrow), [(0.0, Tissue.MARROW)], label)
