"""Distances between the surfaces of two masks, in mm at any spacing: NSD, HD95 and the mean surface distance.

The surface is that of Nikolov et al. 2018 (arXiv 1809.04430): it lies in the cells between voxel centres whose eight corners
are not all alike, and each such cell weighs as much as the piece of surface in it. Masks that reach the end of their array
end there. With one mask empty there is no distance: NSD is 0 and the distances are infinite. With both empty nothing is
wrong: NSD is 1 and the distances are 0.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from panlesion.ct.volume import Box, Vector3

HAUSDORFF_SHARE = 0.95
_ROUNDING_MM = 1e-6  # distances that equal the tolerance count as within, whatever the spacing's last digits
_FACE_AREA = {0: 0.0, 1: 0.125, 2: 0.5, 3: 0.875, 4: 1.0}
_DIAGONAL = 0.25


@dataclass(frozen=True, kw_only=True, eq=False)
class SurfaceDistances:
    """How far each piece of either surface lies from the other one, (N,) in mm, and its area in mm².

    Distances are infinite where the other mask is empty.
    """

    from_predicted_mm: NDArray[np.float64]
    predicted_area: NDArray[np.float64]
    from_truth_mm: NDArray[np.float64]
    truth_area: NDArray[np.float64]

    def nsd(self, tolerance_mm: float) -> float:
        """Share of both surfaces within the tolerance of the other one."""
        if not (math.isfinite(tolerance_mm) and tolerance_mm >= 0):
            raise ValueError(f"tolerance_mm is {tolerance_mm}; it must be a finite number of mm, 0 or more")
        near = total = 0.0
        for distance, area in self._sides():
            near += float(area[distance <= tolerance_mm + _ROUNDING_MM].sum())
            total += float(area.sum())
        return near / total if total else 1.0

    @property
    def hd95_mm(self) -> float:
        """The larger of the two distances that 95 % of a surface's area keep to."""
        if not self.predicted_area.size or not self.truth_area.size:
            return math.inf if self.predicted_area.size or self.truth_area.size else 0.0
        return max(_quantile(distance, area) for distance, area in self._sides())

    @property
    def mean_mm(self) -> float:
        """Mean distance over the area of both surfaces together."""
        total = sum(float(area.sum()) for _, area in self._sides())
        return sum(float(distance @ area) for distance, area in self._sides()) / total if total else 0.0

    def _sides(self) -> tuple[tuple[NDArray, NDArray], tuple[NDArray, NDArray]]:
        return (self.from_predicted_mm, self.predicted_area), (self.from_truth_mm, self.truth_area)


def surface_distances(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_mm: Vector3) -> SurfaceDistances:
    """Distances both ways, from the surfaces alone: memory follows their area, not the box around them.

    Raises:
        ValueError: The masks are not three-dimensional and of one shape, or the spacing is not three positive numbers.
    """
    if predicted.ndim != 3 or predicted.shape != truth.shape:
        raise ValueError(f"the prediction has shape {predicted.shape}, the truth {truth.shape}; they must be equal and 3D")
    spacing = (float(spacing_mm[0]), float(spacing_mm[1]), float(spacing_mm[2]))
    if not all(math.isfinite(s) and s > 0 for s in spacing):
        raise ValueError(f"spacing_mm is {spacing_mm}; it must be three positive numbers")
    points, areas = zip(*(_surface(mask != 0, spacing) for mask in (predicted, truth)), strict=True)
    return SurfaceDistances(
        from_predicted_mm=_nearest(points[0], points[1]),
        predicted_area=areas[0],
        from_truth_mm=_nearest(points[1], points[0]),
        truth_area=areas[1],
    )


def nsd(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_mm: Vector3, tolerance_mm: float) -> float:
    """Normalised surface Dice: share of both surfaces within `tolerance_mm` of the other one; 1 where both are empty."""
    return surface_distances(predicted, truth, spacing_mm).nsd(tolerance_mm)


def hd95(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_mm: Vector3) -> float:
    """95 % Hausdorff distance in mm; 0 where both are empty, infinite where one is."""
    return surface_distances(predicted, truth, spacing_mm).hd95_mm


def mean_surface_distance(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_mm: Vector3) -> float:
    """Mean symmetric surface distance in mm; 0 where both are empty, infinite where one is."""
    return surface_distances(predicted, truth, spacing_mm).mean_mm


def _surface(mask: NDArray[np.bool_], spacing: Vector3) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Middles (N, 3) in mm of the cells that the surface passes through, and the area in each."""
    box = Box.of(mask)
    if box.empty:
        return np.zeros((0, 3)), np.zeros(0)
    padded = np.pad(mask[box.slices], 1).astype(np.uint8)
    code = np.zeros([n - 1 for n in padded.shape], dtype=np.uint8)
    for bit, (i, j, k) in enumerate(np.ndindex(2, 2, 2)):
        code |= padded[i : i + code.shape[0], j : j + code.shape[1], k : k + code.shape[2]] << bit
    cells = np.argwhere((code > 0) & (code < 255))
    middles: NDArray[np.float64] = (cells + box.start - 0.5) * np.asarray(spacing)
    return middles, _areas(spacing)[code[tuple(cells.T)]]


def _areas(spacing: Vector3) -> NDArray[np.float64]:
    """Area in mm² of the surface in a cell, (256,), for every pattern of its corners."""
    i, j, k = spacing
    return np.asarray(np.linalg.norm(_area_vectors() * np.array([j * k, i * k, i * j]), axis=2).sum(axis=1))


@cache
def _area_vectors() -> NDArray[np.float64]:
    """Area vectors of the up to four sheets in a cell, (256, 4, 3), in faces of the cell.

    The surface cuts edges in their middles. Each group of corners that hang together along edges is cut off by one sheet. By
    Gauss's theorem a sheet's area vector is what the group's share of opposite faces differs by; that bent sheets count by
    their vector keeps the sum near the true area of a smooth body.
    """
    vectors = np.zeros((256, 4, 3))
    for code in range(1, 255):
        corners = np.array([code >> bit & 1 for bit in range(8)], dtype=bool).reshape(2, 2, 2)
        groups, count = ndimage.label(corners if corners.sum() <= 4 else ~corners)
        for group in range(count):
            vectors[code, group] = _faces_differ(groups == group + 1)
    vectors.flags.writeable = False
    return vectors


def _faces_differ(corners: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How much more of the far face than of the near one belongs to a group of corners (2, 2, 2), for each axis."""
    faces = [np.moveaxis(corners, axis, 0) for axis in range(3)]
    return np.array([_face(far) - _face(near) for near, far in faces])


def _face(corners: NDArray[np.bool_]) -> float:
    count = int(corners.sum())
    return _DIAGONAL if count == 2 and corners[0, 0] == corners[1, 1] else _FACE_AREA[count]


def _nearest(points: NDArray, others: NDArray) -> NDArray[np.float64]:
    if not len(others) or not len(points):
        return np.full(len(points), np.inf)
    return np.asarray(cKDTree(others).query(points)[0], dtype=np.float64)


def _quantile(distance: NDArray, area: NDArray) -> float:
    order = np.argsort(distance, kind="stable")
    reached = np.cumsum(area[order])
    at = int(np.searchsorted(reached, HAUSDORFF_SHARE * reached[-1]))
    return float(distance[order][min(at, len(order) - 1)])
