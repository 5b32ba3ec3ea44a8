"""Cortex and marrow of the bones, and what the spine and the joints hold between them."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.organs import BONE_LABELS, RIB_LABELS, VERTEBRA_LABELS
from panlesion.phantom.from_map.scene import Mask, Scene, layers, member
from panlesion.phantom.tissue import Tissue

_SPINE_LABELS = VERTEBRA_LABELS | {92}
# Mean thickness of the cortex: vertebra 0.4–0.6 mm (Ritzel 1997, J Bone Miner Res 12:89), rib 0.7–1.2 mm, ilium 1–2 mm,
# proximal femur 1.5–4 mm (Treece 2010, Med Image Anal 14:276). On a grid it is a whole number of voxels, at least one.
_CORTEX_MM = {**dict.fromkeys(_SPINE_LABELS, 0.8), **dict.fromkeys(RIB_LABELS, 1.0), 88: 2.2, 89: 2.2, 82: 2.2, 83: 2.2}
_OTHER_CORTEX_MM = 1.6
_THIN_MM = 1.0
_CANAL_MM = (11.0, 8.0)  # half width and half depth of the vertebral canal


def paint_bones(scene: Scene) -> None:
    """Paint every bone of the map and the canal, discs and joints between bones."""
    for label in sorted(BONE_LABELS & frozenset(scene.boxes)):
        box = scene.box({label}, 2.0)
        bone = scene.labels[box.slices] == label
        view = scene.tissues[box.slices]
        view[bone] = Tissue.MARROW
        thickness_mm = _CORTEX_MM.get(label, _OTHER_CORTEX_MM)
        tissue = Tissue.THIN_CORTEX if thickness_mm <= _THIN_MM else Tissue.CORTICAL_BONE
        view[layers(bone, thickness_mm, scene.spacing_mm)] = tissue
    if scene.has(VERTEBRA_LABELS):
        canal = _canal_course(scene)
        _paint_between_vertebrae(scene, canal)
        _paint_canal(scene, canal)
    _paint_joints(scene)


def _canal_course(scene: Scene) -> NDArray[np.float64]:
    """Centre of the vertebral canal along i and j in voxels for every k of the spine's box, (2, K)."""
    box = scene.box(_SPINE_LABELS, 0.0)
    spine = member(scene.labels[box.slices], _SPINE_LABELS)
    weight = np.count_nonzero(spine, axis=1).astype(float)
    along = np.arange(spine.shape[0])
    total = np.maximum(weight.sum(axis=0), 1e-6)
    middle = ndimage.gaussian_filter1d((weight * along[:, None]).sum(axis=0) / total, 8.0 / scene.spacing_mm, mode="nearest")
    reach = round(4.0 / scene.spacing_mm)
    window = round(14.0 / scene.spacing_mm)
    near = np.abs(along[:, None] - middle) <= reach
    profile = (spine & near[:, None, :]).any(axis=0)
    profile = ndimage.maximum_filter1d(profile.astype(np.uint8), 2 * window + 1, axis=1) > 0
    centre = np.full(spine.shape[2], np.nan)
    for k in range(spine.shape[2]):
        centre[k] = _widest_gap(profile[:, k], 6.0 / scene.spacing_mm, 32.0 / scene.spacing_mm)
    known = np.flatnonzero(~np.isnan(centre))
    if not known.size:
        body = np.argmax(profile, axis=0) + 34.0 / scene.spacing_mm
        return np.stack([middle + box.start[0], body + box.start[1]])
    filled = np.interp(np.arange(len(centre)), known, centre[known])
    filled = ndimage.median_filter(filled, round(30 / scene.spacing_mm) | 1, mode="nearest")
    filled = ndimage.gaussian_filter1d(filled, 6.0 / scene.spacing_mm, mode="nearest")
    return np.stack([middle + box.start[0], filled + box.start[1]])


def _widest_gap(column: Mask, least: float, most: float) -> float:
    """Centre of the widest run of False between two True of a column, NaN if none is of that length."""
    hit = np.flatnonzero(column)
    if hit.size < 2:
        return np.nan
    gap = np.diff(hit) - 1
    widest = int(gap.argmax())
    if not least <= gap[widest] <= most:
        return np.nan
    return hit[widest] + (gap[widest] + 1) / 2


def _paint_between_vertebrae(scene: Scene, canal: NDArray[np.float64]) -> None:
    """Discs in front of the canal, joints behind it: free voxels with bone shortly above and below."""
    box = scene.box(_SPINE_LABELS, 0.0)
    spine = member(scene.labels[box.slices], _SPINE_LABELS).view(np.uint8)
    size = 2 * round(7.0 / scene.spacing_mm) + 1
    closed = ndimage.minimum_filter1d(ndimage.maximum_filter1d(spine, size, axis=2), size, axis=2) > 0
    closed = ndimage.binary_opening(closed, iterations=1) & (spine == 0)
    j = np.arange(spine.shape[1])[:, None] + box.start[1]
    before = (j < canal[1] - 7.0 / scene.spacing_mm)[None]
    scene.paint_free(closed & before, Tissue.DISC, box)
    scene.paint_free(closed & ~before, Tissue.CONNECTIVE, box)


def _paint_canal(scene: Scene, canal: NDArray[np.float64]) -> None:
    """An ellipse of sac and cord along the canal, with epidural fat around it."""
    box = scene.box(_SPINE_LABELS, 0.0)
    sacrum = scene.boxes.get(92)
    i = (np.arange(box.shape[0])[:, None, None] + box.start[0] - canal[0]) * scene.spacing_mm
    j = (np.arange(box.shape[1])[None, :, None] + box.start[1] - canal[1]) * scene.spacing_mm
    radius = np.hypot(i / _CANAL_MM[0], j / _CANAL_MM[1])
    if sacrum is not None:
        radius = radius + (np.arange(box.shape[2]) + box.start[2] < (sacrum.start[2] + sacrum.stop[2]) / 2) * 10.0
    scene.paint_free(radius < 1.0, Tissue.FAT, box)
    scene.paint_free(radius < 0.8, Tissue.SPINAL_CANAL, box)


def _paint_joints(scene: Scene) -> None:
    """Cartilage where two bones of the pelvis nearly touch: symphysis, sacroiliac joints, hips."""
    labels = frozenset({88, 89, 90, 91, 92}) & frozenset(scene.boxes)
    if not labels:
        return
    box = scene.box(labels, 0.0)
    bone = member(scene.labels[box.slices], labels).view(np.uint8)
    size = 2 * round(3.0 / scene.spacing_mm) + 1
    closed = ndimage.minimum_filter1d(ndimage.maximum_filter1d(bone, size, axis=0), size, axis=0) > 0
    scene.paint_free(closed & (bone == 0), Tissue.CARTILAGE, box)
