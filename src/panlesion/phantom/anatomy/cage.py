"""The thoracic cage and shoulder girdle: ribs with their cartilages, sternum, clavicles, scapulae."""

from itertools import pairwise

import numpy as np

from panlesion.phantom.anatomy.lattice import Array, Field, Points
from panlesion.phantom.anatomy.physique import SPINE_Z_MM
from panlesion.phantom.anatomy.solids import Curve, curve, smooth_min, triangle
from panlesion.phantom.anatomy.spine import cortex_mm
from panlesion.phantom.anatomy.stage import Stage
from panlesion.phantom.anatomy.trunk import Contour, cavity_contour
from panlesion.phantom.tissue import Tissue

# Drop from the vertebra to where the rib would meet the midline (reference mm), and the angle around the chest wall where bone
# ends (180 degrees: straight in front), ribs 1 to 12. Ours, from oblique CT reconstructions.
_DROP_MM = (44, 72, 92, 106, 116, 124, 130, 136, 134, 122, 92, 62)
_END_DEGREES = (152, 153, 152, 151, 150, 147, 143, 136, 127, 116, 90, 62)
# Height at which each of the upper seven cartilages reaches the sternum.
_STERNAL_Z = (252, 222, 202, 184, 166, 149, 132)
_RIB_OFFSET_MM = 5.0


def build_cage(stage: Stage) -> None:
    """Ribs, cartilages, sternum, clavicles and scapulae."""
    shell = min(cortex_mm(stage), 1.3)
    contour = cavity_contour(stage.frame)
    for side in (1.0, -1.0):
        ends = []
        for n in range(12):
            rib = _rib(stage, contour, n, side)
            field = stage.claim(stage.tube_field([rib], 5.0))
            stage.canvas.paint(field, [(0.0, Tissue.CORTICAL_BONE), (-shell, Tissue.MARROW)], (70 if side > 0 else 58) + n)
            ends.append(rib.points[-1])
        _cartilages(stage, contour, np.array(ends), side)
        _clavicle(stage, contour, side, shell)
        _scapula(stage, side, shell)
    _sternum(stage, contour, shell)


def _on_wall(contour: Contour, angle: Points, z: Points, side: float, offset_mm: float) -> Points:
    points = contour.point(angle, z)
    middle = contour.point(angle + np.pi, z)
    outward = points - middle
    outward[:, 2] = 0
    points = points + outward / np.linalg.norm(outward, axis=1, keepdims=True) * offset_mm
    return points * (side, 1, 1)


def _rib(stage: Stage, contour: Contour, n: int, side: float) -> Curve:
    frame = stage.frame
    z0 = SPINE_Z_MM[n] + 6.0
    spine = float(frame.spine_y(z0))
    head = np.array([side * 20 * frame.bone, spine - 12 * frame.bone, z0 * frame.physique.length])
    neck = np.array([side * 34 * frame.bone, spine - 32 * frame.bone, (z0 - 4) * frame.physique.length])
    first, last = np.radians(36.0), np.radians(_END_DEGREES[n])
    angle = np.linspace(first, last, 10 if n < 10 else 6)
    share = (angle - first) / (np.pi - first)
    z = (z0 - 6 - _DROP_MM[n] * share**1.05) * frame.physique.length
    wall = _on_wall(contour, angle, z, side, _RIB_OFFSET_MM)
    knots = np.concatenate([head[None], neck[None], wall])
    radius = 5.0 * frame.bone * (0.92 if n in (0, 10, 11) else 1.0)
    return curve(knots, np.r_[radius * 0.9, radius * 0.85, np.full(len(wall) - 1, radius), radius * 1.1], 8.0)


def _cartilages(stage: Stage, contour: Contour, ends: Points, side: float) -> None:
    length = stage.frame.physique.length
    tubes: list[Curve] = []
    joints: list[Points] = []
    for n in range(10):
        if n < 7:
            z = _STERNAL_Z[n] * length
            target = np.array([side * 17 * stage.frame.bone, contour.front(z) + 6.0, z])
        else:
            target = joints[n - 1] if n > 7 else (joints[6] + ends[6]) / 2
        middle = (ends[n] + target) / 2
        # Keep the middle on the wall, and let lower cartilages sag before they rise.
        angle = np.arctan2(abs(middle[0]), -(middle[1] - np.interp(middle[2], [-100, 300], [20, 0])))
        z_middle = np.array([middle[2] - (4.0 + 2.0 * max(n - 3, 0))])
        on_wall = _on_wall(contour, np.array([angle]), z_middle, side, _RIB_OFFSET_MM)[0]
        joints.append(on_wall)
        tubes.append(curve(np.stack([ends[n], on_wall, target]), [5.2, 5.2, 5.0], 5.0))
    field = stage.claim(stage.tube_field(tubes, 5.0))
    stage.canvas.paint(field, [(0.0, Tissue.CARTILAGE)], over=(Tissue.MUSCLE, Tissue.FAT))


def _plate_union(stage: Stage, plates: list[tuple[Points, tuple[float, float, float]]]) -> Field:
    corners = np.concatenate([p for p, _ in plates])
    lattice, xyz = stage.lattice(corners, 12.0)
    values: Array | None = None
    for p, thickness in plates:
        part = triangle(xyz, p, thickness)
        values = part if values is None else smooth_min(values, part, 3.0)
    assert values is not None
    return Field(lattice=lattice, values=values)


def _sternum(stage: Stage, contour: Contour, shell: float) -> None:
    length, bone = stage.frame.physique.length, stage.frame.bone
    rows = []
    for z, half in ((264.0, 24.0), (244.0, 27.0), (221.0, 15.0), (170.0, 15.0), (135.0, 18.0), (112.0, 9.0)):
        y = contour.front(z * length) + 7.0
        rows.append(np.array([[-half * bone, y, z * length], [half * bone, y, z * length]]))
    plates = []
    for upper, lower in pairwise(rows):
        plates.append((np.stack([upper[0], upper[1], lower[0]]), (5.0, 5.0, 5.0)))
        plates.append((np.stack([upper[1], lower[1], lower[0]]), (5.0, 5.0, 5.0)))
    field = stage.claim(_plate_union(stage, plates))
    stage.canvas.paint(field, [(0.0, Tissue.CORTICAL_BONE), (-shell, Tissue.MARROW)], 0)


def _clavicle(stage: Stage, contour: Contour, side: float, shell: float) -> None:
    length = stage.frame.physique.length
    front = contour.front(264.0 * length)
    knots = stage.body_points([(side * 60, 48, 274), (side * 98, 20, 286), (side * 124, -18, 290)])
    inner = np.array([side * 24 * stage.frame.bone, front + 12, 266 * length])
    field = stage.claim(stage.tube_field([curve(np.concatenate([inner[None], knots]), [8, 6, 5.5, 6.5])], 5.0))
    stage.canvas.paint(field, [(0.0, Tissue.CORTICAL_BONE), (-shell - 0.5, Tissue.MARROW)], 87 if side > 0 else 86)


def _scapula(stage: Stage, side: float, shell: float) -> None:
    p = stage.body_points(
        [(74, -94, 262), (128, -62, 166), (136, -44, 262), (80, -96, 235), (138, -72, 284), (132, -60, 262), (124, -20, 284)]
    ) * (side, 1, 1)
    field = _plate_union(
        stage,
        [
            (p[[0, 1, 3]], (2.5, 3.5, 2.5)),
            (p[[0, 1, 2]], (2.3, 3.5, 6.0)),
            (p[[3, 4, 5]], (2.5, 5.0, 3.0)),
            (p[[2, 6, 5]], (6.0, 4.5, 4.0)),
        ],
    )
    clear = np.maximum(field.values, 12.0 - stage.on("cavity", field.lattice))
    clear = np.maximum(clear, stage.on("hull", field.lattice) + 2.0)
    field = stage.claim(Field(lattice=field.lattice, values=clear.astype(np.float32)))
    stage.canvas.paint(field, [(0.0, Tissue.CORTICAL_BONE), (-shell, Tissue.MARROW)], 85 if side > 0 else 84)
