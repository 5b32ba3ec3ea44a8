"""The body's outline and its cavity, inferred from the organs: smooth convex sections around what the map shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.organs import HEART_LABELS, RIB_LABELS, VERTEBRA_LABELS, VESSEL_LABELS
from panlesion.phantom.from_map.filling import Filling
from panlesion.phantom.from_map.scene import Field, Mask, Scene

VISCERA_LABELS = (
    frozenset({1, 2, 3, 4, 5, 6, 10, 11, 12, 42, 43, 50, 55, 56, 57, 104})
    | HEART_LABELS
    | VESSEL_LABELS
    | frozenset(range(13, 18))
)
_LOWEST_LABELS = frozenset({6, 55, 56, 57, 104})
_DIRECTIONS = 72
# An organ cut by the border goes on behind it; how far is unknown. Ours.
_BEHIND_BORDER_MM = 24.0
_PERITONEAL_GAP_MM = 3.0
_OUTSIDE_RIBS_MM = 9.0
_LEAST_COVER_MM = 6.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """Coarse signed depths in mm (positive inside) below skin, cavity wall and rib cage, and the body's midline.

    `midline_mm` (K,): where the spine is along i, from the grid's first voxel; `front` (I, J, K): cosine of the direction
    from the cavity's centre to the front.
    """

    depth_mm: Field
    cavity_mm: Field
    ribs_mm: Field
    fat_mm: Field
    front: Field
    midline_mm: NDArray[np.float64]
    spine_mm: NDArray[np.float64]


def _angles() -> NDArray[np.float64]:
    return np.linspace(0.0, 2 * np.pi, _DIRECTIONS, endpoint=False)


def _normals() -> NDArray[np.float64]:
    """(2, directions): outward normals in the (i, j) plane; direction 0 points to the patient's left, π/2 to the back."""
    return np.stack([np.cos(_angles()), np.sin(_angles())])


def _support(scene: Scene, mask: Mask, smooth_mm: float) -> NDArray[np.float64] | None:
    """Support function (directions, K) in mm of each section's hull, smooth along k; None where nothing is."""
    pad = int(np.ceil(_BEHIND_BORDER_MM / scene.step_mm))
    padded = np.pad(mask, ((pad, pad), (pad, pad), (0, 0)), mode="edge")
    height = np.full((_DIRECTIONS, mask.shape[2]), np.nan)
    for k in range(mask.shape[2]):
        points = np.argwhere(padded[:, :, k]) - pad
        if len(points):
            height[:, k] = (points @ _normals()).max(axis=0) * scene.step_mm
    known = np.flatnonzero(~np.isnan(height[0]))
    if not known.size:
        return None
    every = np.arange(mask.shape[2])
    height = np.stack([np.interp(every, known, row[known]) for row in height])
    reach = max(1, round(smooth_mm / scene.step_mm))
    wide = ndimage.maximum_filter1d(height, 2 * reach + 1, axis=1, mode="nearest")
    wide = ndimage.gaussian_filter1d(wide, reach, axis=1, mode="nearest")
    round_ = ndimage.gaussian_filter1d(wide, _DIRECTIONS / 45, axis=0, mode="wrap")
    return np.maximum(round_, height) + 0.5 * scene.step_mm


def _depth(height: NDArray[np.float64], scene: Scene) -> Field:
    """Signed distance to a section's convex hull, (I, J, K) coarse, mm, positive inside."""
    ni, nj, nk = scene.coarse.shape
    x = (np.arange(ni) * scene.step_mm).astype(np.float32)[:, None, None]
    y = (np.arange(nj) * scene.step_mm).astype(np.float32)[None, :, None]
    depth = np.full((ni, nj, nk), np.inf, dtype=np.float32)
    for (nx, ny), row in zip(_normals().T.astype(np.float32), height.astype(np.float32), strict=True):
        np.minimum(depth, row - (x * nx + y * ny), out=depth)
    return depth


def _by_direction(front: float, side: float, back: float) -> NDArray[np.float64]:
    """(directions, 1): a thickness that changes smoothly from the front (−j) over the sides to the back (+j)."""
    s = -np.sin(_angles())
    return (side + np.where(s > 0, front - side, back - side) * np.abs(s) ** 1.5)[:, None]


def infer_outline(scene: Scene, filling: Filling) -> Outline:
    """Infer outline, cavity and rib cage of a map."""
    fat = _by_direction(filling.fat_front_mm, filling.fat_side_mm, filling.fat_back_mm) + filling.skin_mm
    muscle = _by_direction(filling.rectus_mm + 1.0, filling.oblique_mm, 6.0)
    cavity = _support(scene, scene.coarse_mask(VISCERA_LABELS), 16.0)
    ribs = _support(scene, scene.coarse_mask(RIB_LABELS), 16.0)
    frame = _support(scene, scene.coarse_mask(frozenset(range(1, 256)) - VISCERA_LABELS), 20.0)
    heights = []
    if cavity is not None:
        cavity = cavity + _PERITONEAL_GAP_MM
        heights.append(cavity + muscle + fat)
    if ribs is not None:
        heights.append(_faded(ribs, scene, RIB_LABELS, 30.0) + _OUTSIDE_RIBS_MM + fat)
    if frame is not None:
        heights.append(frame + fat)
    body = np.maximum.reduce(heights)
    body = np.maximum(ndimage.gaussian_filter1d(body, 2.0, axis=0, mode="wrap"), body - 3.0)
    nowhere = np.full(scene.coarse.shape, -1e3, dtype=np.float32)
    midline, spine = _spine_course(scene)
    depth = _depth(body, scene)
    outline = Outline(
        depth_mm=depth,
        cavity_mm=nowhere if cavity is None else _depth(_closed_below(cavity, scene), scene),
        ribs_mm=nowhere if ribs is None else np.where(_near_slices(scene, RIB_LABELS, 12.0), _depth(ribs, scene), nowhere),
        fat_mm=_nearest_direction(fat[:, 0], scene, midline, spine),
        front=_nearest_direction(-np.sin(_angles()), scene, midline, spine),
        midline_mm=midline,
        spine_mm=spine,
    )
    _dent(outline, scene)
    return outline


def _slices_of(scene: Scene, labels: frozenset[int]) -> NDArray[np.intp]:
    return np.flatnonzero(scene.coarse_mask(labels).any(axis=(0, 1)))


def _near_slices(scene: Scene, labels: frozenset[int], reach_mm: float) -> Mask:
    found = _slices_of(scene, labels)
    k = np.arange(scene.coarse.shape[2])
    if not found.size:
        return np.zeros(k.shape, dtype=bool)
    reach = reach_mm / scene.step_mm
    return (k >= found[0] - reach) & (k <= found[-1] + reach)


def _faded(height: NDArray[np.float64], scene: Scene, labels: frozenset[int], over_mm: float) -> NDArray[np.float64]:
    """Lower the hull of structures smoothly below and above where they end."""
    found = _slices_of(scene, labels)
    k = np.arange(height.shape[1])
    away = np.maximum(found[0] - k, k - found[-1]).clip(0) * scene.step_mm
    return height - away * (60.0 / over_mm)


def _closed_below(height: NDArray[np.float64], scene: Scene) -> NDArray[np.float64]:
    """Narrow the cavity to nothing below the lowest organ: the pelvic floor."""
    found = _slices_of(scene, _LOWEST_LABELS)
    if not found.size:
        return height
    below_mm = np.maximum(found[0] - np.arange(height.shape[1]), 0) * scene.step_mm
    middle = (height + np.roll(height, _DIRECTIONS // 2, axis=0)) / 2  # half the width in that direction
    return height - np.minimum(2.0 * below_mm, middle + 10.0)


def _spine_course(scene: Scene) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the vertebrae are along i and j (mm from the first voxel), for every coarse k."""
    mask = scene.coarse_mask(VERTEBRA_LABELS | {92})
    if not mask.any():
        mask = scene.coarse > 0
    known = np.flatnonzero(mask.any(axis=(0, 1)))
    centre = np.array([np.argwhere(mask[:, :, k]).mean(axis=0) for k in known]) * scene.step_mm
    k = np.arange(mask.shape[2])
    course = [ndimage.gaussian_filter1d(np.interp(k, known, centre[:, axis]), 4.0, mode="nearest") for axis in (0, 1)]
    return course[0], course[1]


def _nearest_direction(
    values: NDArray[np.float64], scene: Scene, midline_mm: NDArray[np.float64], spine_mm: NDArray[np.float64]
) -> Field:
    """A function of direction, spread over the section around a point 60 mm in front of the spine."""
    ni, nj, _ = scene.coarse.shape
    x = (np.arange(ni) * scene.step_mm)[:, None, None] - midline_mm
    y = (np.arange(nj) * scene.step_mm)[None, :, None] - (spine_mm - 60.0)
    turn = np.arctan2(y, x) % (2 * np.pi) / (2 * np.pi) * _DIRECTIONS
    low = turn.astype(np.intp) % _DIRECTIONS
    part = turn - np.floor(turn)
    return (values[low] * (1 - part) + values[(low + 1) % _DIRECTIONS] * part).astype(np.float32)


def _dent(outline: Outline, scene: Scene) -> None:
    """What is not convex: the furrow over the spine, the cleft below it; never closer than a cover to any organ."""
    ni, nj, nk = scene.coarse.shape
    x = (np.arange(ni) * scene.step_mm)[:, None, None] - outline.midline_mm
    y = (np.arange(nj) * scene.step_mm)[None, :, None] - outline.spine_mm
    furrow = 8.0 * np.exp(-0.5 * (x / 13.0) ** 2)
    sacrum = _slices_of(scene, frozenset({92}))
    if sacrum.size:
        below = (sacrum[0] + 0.35 * (sacrum[-1] - sacrum[0]) - np.arange(nk)) * scene.step_mm
        furrow = furrow + np.clip(0.8 * below, 0, 45.0) * np.exp(-0.5 * (x / 5.0) ** 2)
    depth = outline.depth_mm
    depth -= (furrow * np.clip(y / 30.0, 0.0, 1.0)).astype(np.float32)
    distance = scene.distance_mm(range(1, 256))
    np.maximum(depth, _LEAST_COVER_MM + 0.5 * scene.step_mm - distance, out=depth, where=distance < 2 * _LEAST_COVER_MM)
