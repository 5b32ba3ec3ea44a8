"""Skin, fat and the muscles no organ map names: abdominal wall, chest wall, diaphragm, hip and pelvic floor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.organs import LUNG_LABELS, RIB_LABELS, VERTEBRA_LABELS
from panlesion.phantom.field import smooth_field
from panlesion.phantom.from_map.filling import Filling
from panlesion.phantom.from_map.outline import VISCERA_LABELS, Outline
from panlesion.phantom.from_map.scene import Field, Mask, Scene, upsampled
from panlesion.phantom.tissue import Tissue

_RECTUS_HALF_WIDTH_MM = 66.0
_LINEA_ALBA_MM = 5.0
_HIP_LABELS = frozenset({88, 89, 90, 91, 92})
_UPPER_ABDOMEN_LABELS = frozenset({1, 5, 6})
_UPPER_RIB_LABELS = frozenset({*range(58, 63), *range(70, 75)})
_SHOULDER_LABELS = frozenset(range(82, 88))
# Share of the lateral wall's thickness at which one muscle ends and the next begins: transversus, internal, external
# oblique as 1 : 2 : 1.6 (Rankin et al. 2006, Muscle Nerve 34:320).
_FAT_PLANES = (0.22, 0.65)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Near:
    """Values at the free voxels of a band; `index` are their flat indices."""

    index: NDArray[np.intp]
    cavity_mm: Field
    fat_mm: Field
    depth_mm: Field
    front: Field
    aside_mm: Field
    rib_mm: Field
    k: NDArray[np.intp]


def paint_walls(scene: Scene, outline: Outline, filling: Filling) -> None:
    """Paint everything between the skin and the organs."""
    depth = scene.fine(outline.depth_mm)
    inside = depth > 0
    inside |= ~scene.free
    scene.tissues[inside] = Tissue.FAT
    scene.tissues[inside & scene.free & (depth < filling.skin_mm)] = Tissue.SKIN
    cavity = scene.fine(outline.cavity_mm)
    deep = scene.free & (depth > filling.skin_mm)
    ribs = scene.fine(outline.ribs_mm)
    _paint_belly(scene, _near(scene, outline, deep & (cavity < 0) & (cavity > -30), cavity, depth), ribs, filling)
    _paint_chest(scene, outline, deep & (ribs > -16) & (ribs < 14), ribs)
    _paint_sternum(scene, outline, ribs, deep)
    _paint_shoulder(scene, outline, deep)
    _paint_diaphragm(scene)
    _paint_hips(scene, outline, deep, cavity, filling)
    _paint_back(scene, deep, cavity)


def _near(scene: Scene, outline: Outline, where: Mask, cavity: Field, depth: Field) -> _Near:
    index = np.flatnonzero(where)
    i, j, k = np.unravel_index(index, scene.labels.shape)
    at = (i // scene.factor, j // scene.factor, k // scene.factor)
    midline = np.interp(np.arange(scene.labels.shape[2]), np.arange(len(outline.midline_mm)) * scene.factor, outline.midline_mm)
    return _Near(
        index=index,
        cavity_mm=cavity.ravel()[index],
        fat_mm=outline.fat_mm[at],
        depth_mm=depth.ravel()[index],
        front=outline.front[at],
        aside_mm=np.abs(i * scene.spacing_mm - midline[k]).astype(np.float32),
        rib_mm=scene.distance_mm(RIB_LABELS)[at],
        k=k,
    )


def _wall_thickness(near: _Near, filling: Filling) -> tuple[Field, Mask]:
    """Thickness in mm of the abdominal wall's muscle, and where it is the rectus (one muscle, no planes)."""
    flank = np.clip((near.aside_mm - _RECTUS_HALF_WIDTH_MM - 1.0) / 24.0, 0.0, 1.0)
    flank = np.where(near.front > 0.25, flank, 1.0)
    behind = np.clip(-near.front / 0.6, 0.0, 1.0)
    lateral = 2.5 + (filling.oblique_mm * (1 - 0.45 * behind) - 2.5) * np.sqrt(flank)
    middle = (_RECTUS_HALF_WIDTH_MM + _LINEA_ALBA_MM) / 2
    belly = np.clip(1 - (np.abs(near.aside_mm - middle) / (_RECTUS_HALF_WIDTH_MM - middle)) ** 6, 0.0, 1.0)
    rectus = (near.front > 0.25) & (near.aside_mm < _RECTUS_HALF_WIDTH_MM)
    return np.where(rectus, np.maximum(2.5, filling.rectus_mm * np.sqrt(belly)), lateral).astype(np.float32), rectus


def _paint_belly(scene: Scene, near: _Near, ribs: Field, filling: Filling) -> None:
    viscera = np.flatnonzero(scene.coarse_mask(VISCERA_LABELS).any(axis=(0, 1)))
    if not viscera.size:
        return
    thickness, rectus = _wall_thickness(near, filling)
    ripple = smooth_field(scene.grid, 20.0, filling.seed + 12).reshape(-1)[near.index]
    thickness *= 1.0 + 0.12 * ripple
    thickness *= np.clip(1.0 - (viscera[0] * scene.factor - near.k) * scene.spacing_mm / 15.0, 0.0, 1.0)
    outside = -near.cavity_mm
    # Between and under ribs the wall does not reach out beyond them.
    wall = (outside < thickness) & (near.depth_mm > 0.8 * near.fat_mm)
    wall &= (near.rib_mm > 12.0) | (ribs.ravel()[near.index] > -1)
    plane = np.zeros_like(wall)
    for share, sign in zip(_FAT_PLANES, (1.0, -1.0), strict=True):
        plane |= np.abs(outside - share * thickness) < 0.3 + 0.3 * sign * ripple
    plane &= ~rectus & (thickness > 8.0)
    flat = scene.tissues.reshape(-1)
    flat[near.index[wall & ~plane]] = Tissue.MUSCLE
    flat[near.index[wall & (thickness < 3.5)]] = Tissue.CONNECTIVE


def _paint_chest(scene: Scene, outline: Outline, band: Mask, ribs: Field) -> None:
    if not scene.has(RIB_LABELS):
        return
    to_rib = scene.fine(scene.distance_mm(RIB_LABELS))
    to_lung = scene.fine(scene.distance_mm(LUNG_LABELS))
    side = upsampled(np.clip(1.0 - np.clip(outline.front, 0, 1), 0, 1), scene.factor, scene.labels.shape)
    muscle = (ribs > -1) & (ribs < 7) & (to_rib < 17)
    muscle |= (to_lung < 5.5) & (ribs > -1)
    muscle |= (ribs < -2.2) & (ribs > -4.0 - 7.0 * side) & (to_rib < 40)
    scene.paint_free(band & muscle, Tissue.MUSCLE)


def _paint_sternum(scene: Scene, outline: Outline, ribs: Field, deep: Mask) -> None:
    """A sternum in the front of the rib cage, down to the level of the fifth ribs; v1 has no label for it."""
    upper = _UPPER_RIB_LABELS & frozenset(scene.boxes)
    if len(upper) < 4:
        return
    box = scene.box(upper, 0.0)
    k = np.arange(scene.labels.shape[2])
    midline = np.interp(k, np.arange(len(outline.midline_mm)) * scene.factor, outline.midline_mm)
    aside = np.abs(np.arange(scene.labels.shape[0])[:, None] * scene.spacing_mm - midline)[:, None, :]
    front = scene.fine(outline.front) > 0.6
    height = (k >= box.start[2]) & (k < box.stop[2])
    bone = deep & front & height & (aside < 17.0) & (ribs > -2) & (ribs < 9)
    scene.paint_free(bone, Tissue.THIN_CORTEX)
    scene.paint_free(bone & (aside < 15.5) & (ribs > -0.8) & (ribs < 7.8), Tissue.MARROW)


def _paint_shoulder(scene: Scene, outline: Outline, deep: Mask) -> None:
    present = _SHOULDER_LABELS & frozenset(scene.boxes)
    if not present:
        return
    near = scene.distance_mm(present) < 17.0
    near &= outline.depth_mm > 0.8 * outline.fat_mm
    muscle = scene.fine(near.astype(np.float32)) > 0.5
    scene.paint_free(deep & muscle, Tissue.MUSCLE)


def _paint_diaphragm(scene: Scene) -> None:
    if not scene.has(LUNG_LABELS):
        return
    labels = LUNG_LABELS | _UPPER_ABDOMEN_LABELS
    box = scene.box(labels & frozenset(scene.boxes), 6.0)
    to_lung = scene.fine(scene.distance_mm(LUNG_LABELS))[box.slices]
    to_organ = scene.fine(scene.distance_mm(_UPPER_ABDOMEN_LABELS))[box.slices]
    scene.paint_free((to_lung < 4.5) & (to_organ < 6.5), Tissue.MUSCLE, box)


def _paint_hips(scene: Scene, outline: Outline, deep: Mask, cavity: Field, filling: Filling) -> None:
    present = _HIP_LABELS & frozenset(scene.boxes)
    if not present:
        return
    femurs = [scene.boxes[label].stop[2] for label in (88, 89) if label in scene.boxes]
    hips = scene.box(present, 0.0)
    top = max(femurs) if femurs else hips.start[2] + (hips.stop[2] - hips.start[2]) // 3
    to_bone = scene.fine(scene.distance_mm(_HIP_LABELS))
    depth = scene.fine(outline.depth_mm - 0.9 * outline.fat_mm)
    planes = np.abs(smooth_field(scene.grid, 15.0, filling.seed + 11)) < 0.06
    low = np.arange(scene.labels.shape[2]) < top
    muscle = (to_bone < 30) & (cavity < -1) & low
    muscle |= (to_bone < 9) & (cavity >= -1)
    scene.paint_free(deep & (depth > 0) & muscle & ~planes, Tissue.MUSCLE)


def _paint_back(scene: Scene, deep: Mask, cavity: Field) -> None:
    """What lies between the vertebrae's processes and the long back muscles."""
    if not scene.has(VERTEBRA_LABELS):
        return
    to_bone = scene.fine(scene.distance_mm(VERTEBRA_LABELS))
    scene.paint_free(deep & (to_bone < 9) & (cavity < 14), Tissue.MUSCLE)
