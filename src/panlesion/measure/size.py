"""Size of a lesion: its largest 3D diameter, the two axial RECIST axes, extent, volume and centre."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import cdist

from panlesion.ct.volume import Box, Grid, Index3, Vector3

FEW_POINTS = 60
"""Up to this many points all pairs are compared; beyond, only the vertices of their convex hull."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One caliper line: its length in mm and its two ends, voxel centres, as indices and in RAS+ world mm."""

    length_mm: float
    ends_ijk: tuple[Index3, Index3]
    ends_xyz: tuple[Vector3, Vector3]


@dataclass(frozen=True, kw_only=True)
class Size:
    """Sizes of one lesion.

    `diameter_mm` is the largest distance between two of its voxel centres, but never less than the diameter of the ball of
    its volume. Nothing is added for the voxels' own width: over all directions of a digitised ball the centres come within
    0.1-0.25 voxel of its diameter (tests/measure/test_size.py). The axial axes are those of RECIST 1.1 (Eisenhauer et al.,
    Eur J Cancer 2009): the longest line in any axial slice, and the longest perpendicular to it in that slice.
    """

    diameter_mm: float
    axial_long: Axis
    axial_short: Axis
    extent_voxels: Index3
    extent_mm: Vector3
    volume_ml: float
    centre_xyz: Vector3


def _vector(values: NDArray) -> Vector3:
    a, b, c = (float(v) for v in values)
    return (a, b, c)


def _index(values: NDArray) -> Index3:
    a, b, c = (int(v) for v in values)
    return (a, b, c)


def _farthest(points: NDArray) -> tuple[float, int, int]:
    """Largest distance between two of the points (N, D), and which two."""
    chosen: NDArray = np.arange(len(points))
    if len(points) > FEW_POINTS:
        try:
            chosen = ConvexHull(points).vertices
        except QhullError:  # all in one plane or line: joggled, they have a hull
            chosen = ConvexHull(points, qhull_options="QJ").vertices
    distance = cdist(points[chosen], points[chosen])
    a, b = np.unravel_index(int(np.argmax(distance)), distance.shape)
    return float(distance[a, b]), int(chosen[a]), int(chosen[b])


def _line_ends(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Indices (N, D) of the first and last voxel of every line along the last axis: they include all hull vertices."""
    lines = np.argwhere(mask.any(axis=-1))
    rows = mask[tuple(lines.T)]
    first = rows.argmax(axis=-1)
    last = rows.shape[-1] - 1 - rows[:, ::-1].argmax(axis=-1)
    return np.vstack([np.column_stack([lines, first]), np.column_stack([lines, last])])


def largest_diameter_mm(mask: NDArray[np.bool_], spacing_mm: Vector3) -> float:
    """Largest distance in mm between two voxel centres of a mask that is not empty."""
    return _farthest(_line_ends(mask) * np.asarray(spacing_mm))[0]


def axial_axis(grid: Grid) -> int:
    """The array axis that runs nearest to head-feet."""
    return next(n for n, letter in enumerate(grid.axes) if letter in "SI")


def _extents(lines: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Distance (M,) between the first and the last set entry of every column (N, M)."""
    return len(lines) - 1 - lines[::-1].argmax(axis=0) - lines.argmax(axis=0)


def _longest_in_slices(mask: NDArray[np.bool_], spacing: NDArray) -> tuple[int, NDArray, float]:
    """Slice (last axis), ends (2, 2) in slice indices and length in mm of the longest line within one slice."""
    present = np.flatnonzero(mask.any(axis=(0, 1)))
    extents = [_extents(np.asarray(mask.any(axis=1 - axis))[:, present]) * spacing[axis] for axis in range(2)]
    bound = np.hypot(extents[0], extents[1])
    best = (int(present[0]), np.zeros((2, 2), dtype=int), -1.0)
    for n in np.argsort(-bound, kind="stable"):
        if bound[n] <= best[2]:
            break
        k = int(present[n])
        points = _line_ends(mask[:, :, k])
        length, a, b = _farthest(points * spacing)
        if length > best[2]:
            best = (k, points[[a, b]], length)
    return best


def _perpendicular(points: NDArray, spacing: NDArray, ends: NDArray) -> tuple[NDArray, float]:
    """Longest line through the slice's points (N, 2) at right angles to the long axis: its ends (2, 2) and length in mm."""
    along = (ends[1] - ends[0]) * spacing
    norm = float(np.linalg.norm(along))
    along = along / norm if norm > 0 else np.array([1.0, 0.0])
    at = (points * spacing) @ along
    across = (points * spacing) @ np.array([-along[1], along[0]])
    row = np.floor((at - at.min()) / spacing.max()).astype(int)
    high = np.full(row.max() + 1, -np.inf)
    low = np.full(row.max() + 1, np.inf)
    np.maximum.at(high, row, across)
    np.minimum.at(low, row, across)
    widest = int(np.argmax(high - low))
    here = np.flatnonzero(row == widest)
    pair = points[[here[np.argmin(across[here])], here[np.argmax(across[here])]]]
    return pair, float(high[widest] - low[widest])


def _axis(pair: NDArray, k: int, length: float, axial: int, grid: Grid, start: Index3, first: Index3) -> Axis:
    ends = np.insert(pair, axial, k, axis=1) + np.asarray(start)
    xyz = grid.to_xyz(ends)
    ends = ends + np.asarray(first)
    return Axis(length_mm=length, ends_ijk=(_index(ends[0]), _index(ends[1])), ends_xyz=(_vector(xyz[0]), _vector(xyz[1])))


def measure_size(lesion: NDArray[np.bool_], grid: Grid, first_ijk: Index3 = (0, 0, 0)) -> Size:
    """Sizes of a lesion mask on its grid; `first_ijk` is what voxel (0, 0, 0) is called in the indices reported.

    Raises:
        ValueError: the mask is empty.
    """
    box = Box.of(lesion)
    if box.empty:
        raise ValueError("lesion has no voxel; it needs at least one to be measured")
    mask = lesion[box.slices]
    spacing = np.asarray(grid.spacing_mm)
    volume_ml = float(np.count_nonzero(mask)) * grid.voxel_ml
    axial = axial_axis(grid)
    in_plane = np.delete(spacing, axial)
    slices = np.moveaxis(mask, axial, 2)
    k, ends, long_mm = _longest_in_slices(slices, in_plane)
    across, short_mm = _perpendicular(np.argwhere(slices[:, :, k]), in_plane, ends)
    centre = np.argwhere(mask).mean(axis=0) + np.asarray(box.start)
    ball_mm = (6000.0 * volume_ml / np.pi) ** (1 / 3)
    return Size(
        diameter_mm=max(largest_diameter_mm(mask, grid.spacing_mm), float(ball_mm)),
        axial_long=_axis(ends, k, long_mm, axial, grid, box.start, first_ijk),
        axial_short=_axis(across, k, short_mm, axial, grid, box.start, first_ijk),
        extent_voxels=box.shape,
        extent_mm=_vector(np.asarray(box.shape) * spacing),
        volume_ml=volume_ml,
        centre_xyz=_vector(grid.to_xyz(centre)),
    )
