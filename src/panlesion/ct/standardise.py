"""Any CT → axes L,P,S at one isotropic spacing, and label maps there and back.

Axes are permuted and flipped to the nearest world directions; an oblique scan keeps its rotation in the affine and is never
sheared. Resampling is separable: linear where the grid gets finer; where it gets coarser, each new voxel is the mean over the
old ones it covers, as a scanner's thicker slice is, so it is its own anti-alias filter. All weights are positive: the result
never leaves the range of its input. A cubic kernel would keep edges a little sharper, but rings by up to a tenth of the step
beside bone, metal and air, in a scan whose HU are then measured.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.ndimage import find_objects

from panlesion.ct.nifti_header import MAX_COSINE
from panlesion.ct.volume import STANDARD_AXES, Box, Grid, Index3, LabelMap, Volume
from panlesion.errors import GeometryError

_OPPOSITE = {"L": "R", "R": "L", "P": "A", "A": "P", "S": "I", "I": "S"}

_SAME_MM = 1e-3
"""Closer than this two grids are the same: a header's float32 origin is no better at 1 m from the isocentre."""
_MOST_ABOVE_AIR = 32767 + Volume.AIR_HU


def standard_target(grid: Grid, spacing_mm: float = 1.0) -> Grid:
    """The L,P,S grid of isotropic spacing that `standardise` puts a CT of that grid on.

    The outer faces of the first voxels (L, P and S lowest) coincide; the extent is the old one to half a new voxel.

    Raises:
        ValueError: The spacing is not positive.
    """
    if not spacing_mm > 0:
        raise ValueError(f"spacing_mm is {spacing_mm}; it must be positive")
    turned = _turned(grid)
    old_mm = np.array(turned.spacing_mm)
    i, j, k = np.maximum(1, np.rint(np.array(turned.shape) * old_mm / spacing_mm)).astype(int).tolist()
    directions = turned.affine[:3, :3] / old_mm
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing_mm
    affine[:3, 3] = turned.affine[:3, 3] + directions @ ((spacing_mm - old_mm) / 2)
    return Grid(shape=(i, j, k), affine=affine)


def standardise(volume: Volume, spacing_mm: float = 1.0) -> Volume:
    """The CT on axes L,P,S at isotropic spacing; see `standard_target` for where its voxels lie."""
    target = standard_target(volume.grid, spacing_mm)
    return Volume(hu=_resampled(volume.hu, _Axes.between(volume.grid, target)), grid=target)


def standardise_labels(labelmap: LabelMap, spacing_mm: float = 1.0) -> LabelMap:
    """The label map on the grid that `standardise` gives a CT of the same grid."""
    return restore(labelmap, standard_target(labelmap.grid, spacing_mm))


def restore(labelmap: LabelMap, grid: Grid) -> LabelMap:
    """The label map on any grid whose axes are parallel to its own: back to the scanner's, or onto a crop.

    Each voxel gets the label that covers most of it (linear interpolation of every label's mask, background included).

    Raises:
        GeometryError: The axes are not parallel.
    """
    return LabelMap(labels=_voted(labelmap.labels, _Axes.between(labelmap.grid, grid)), grid=grid)


def resampled_to(volume: Volume, grid: Grid) -> Volume:
    """The CT on any grid whose axes are parallel to its own; outside of it lies air.

    Raises:
        GeometryError: The axes are not parallel.
    """
    near = _near(volume.grid, grid)
    part = volume.crop(near)
    # Counted from air, so that where no weight is there is air; what only int16 could hold is no HU.
    above = part.hu.astype(np.int32) - Volume.AIR_HU
    planes = _planes_between(above.clip(0, _MOST_ABOVE_AIR), part.grid, grid)
    return Volume(hu=(np.rint(planes) + Volume.AIR_HU).astype(np.int16), grid=grid)


def share_on(mask: NDArray[np.bool_], source: Grid, grid: Grid) -> NDArray[np.float32]:
    """How much of each voxel of a grid a mask on another one covers, 0 … 1.

    Raises:
        GeometryError: The axes are not parallel.
    """
    near = _near(source, grid)
    return _planes_between(mask[near.slices], source.crop(near), grid)


def _near(source: Grid, target: Grid) -> Box:
    """The part of a grid that another one can have weight from; at least one voxel."""
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in target.shape])).reshape(3, -1).T
    at = source.to_ijk(target.to_xyz(ends))
    reach = max(target.spacing_mm) / np.array(source.spacing_mm) + 2
    start = np.floor(at.min(axis=0) - reach).astype(int)
    stop = np.ceil(at.max(axis=0) + reach).astype(int) + 1
    last = np.array(source.shape) - 1
    a, b = start.clip(0, last).tolist(), np.maximum(stop.clip(1, last + 1), start.clip(0, last) + 1).tolist()
    return Box(start=(a[0], a[1], a[2]), stop=(b[0], b[1], b[2]))


def _planes_between(values: NDArray, source: Grid, target: Grid) -> NDArray[np.float32]:
    axes = _Axes.between(source, target)
    out = np.empty(target.shape, dtype=np.float32)
    for index, plane in enumerate(_planes(values.transpose(axes.order), axes.weights)):
        out[index] = plane
    return out


def parallel_axes(source: Grid, target: Grid) -> list[tuple[int, NDArray[np.float64], float]]:
    """For each target axis: the source axis it runs along, where its voxel centres lie there in source voxels, and their step.

    Raises:
        GeometryError: The axes are not parallel.
    """
    steps = np.linalg.inv(source.affine[:3, :3]) @ target.affine[:3, :3]
    cosine = np.abs(source.affine[:3, :3].T @ target.affine[:3, :3] / np.outer(source.spacing_mm, target.spacing_mm))
    axes = [int(a) for a in cosine.argmax(axis=0)]
    aside = cosine.copy()
    aside[axes, range(3)] = 0.0
    if sorted(axes) != [0, 1, 2] or aside.max() > 2 * MAX_COSINE:
        raise GeometryError(
            f"the axes of the two grids ({source.axes} and {target.axes}) are not parallel "
            f"(cosine {aside.max():.4f}, limit {2 * MAX_COSINE}); "
            "a label map can be brought only onto a grid turned by right angles"
        )
    first = source.to_ijk(target.affine[:3, 3])
    found = []
    for axis, from_axis in enumerate(axes):
        step = float(steps[from_axis, axis])
        position = first[from_axis] + step * np.arange(target.shape[axis])
        # Whole steps that land within a micrometre of voxel centres copy them: no blur from rounding in a header.
        rounded = np.rint(position)
        if np.abs(position - rounded).max() * source.spacing_mm[from_axis] < _SAME_MM and abs(abs(step) - 1) < 1e-6:
            position = rounded
        found.append((from_axis, position, step))
    return found


def _turned(grid: Grid) -> Grid:
    """The grid with its axes permuted and flipped to the nearest of L, P, S."""
    codes = grid.axes
    affine, shape = np.eye(4), []
    corner = np.zeros(3)
    for axis, wanted in enumerate(STANDARD_AXES):
        flipped = wanted not in codes
        source = codes.index(_OPPOSITE[wanted] if flipped else wanted)
        affine[:3, axis] = grid.affine[:3, source] * (-1 if flipped else 1)
        corner[source] = grid.shape[source] - 1 if flipped else 0
        shape.append(grid.shape[source])
    affine[:3, 3] = grid.to_xyz(corner)
    return Grid(shape=(shape[0], shape[1], shape[2]), affine=affine)


@dataclass(frozen=True, kw_only=True)
class _Axes:
    """How each target axis samples its source axis: which one, and the weights (target length, source length)."""

    order: Index3
    weights: tuple[sparse.csr_array, sparse.csr_array, sparse.csr_array]
    identity: bool

    @classmethod
    def between(cls, source: Grid, target: Grid) -> "_Axes":
        along = parallel_axes(source, target)
        weights, identity = [], True
        for axis, (from_axis, position, step) in enumerate(along):
            weights.append(_weights(position, max(1.0, abs(step)), source.shape[from_axis]))
            same = axis == from_axis and len(position) == source.shape[from_axis]
            identity = identity and same and bool((position == np.arange(len(position))).all())
        order = (along[0][0], along[1][0], along[2][0])
        return cls(order=order, weights=(weights[0], weights[1], weights[2]), identity=identity)


def _weights(position: NDArray[np.float64], width: float, n: int) -> sparse.csr_array:
    """Each source voxel's overlap with a window of `width` >= 1 voxels around each position, as parts of one.

    At width 1 that is linear interpolation; wider it is the mean over what the new voxel covers.

    Ends are replicated half a voxel, of the coarser of the two grids, beyond the outer face: as far as rounding an extent
    to whole voxels can reach. Further out there is nothing, and weights are zero.
    """
    reach = int(np.ceil((width + 1) / 2)) + 1
    taps = np.floor(position).astype(np.int64)[:, None] + np.arange(-reach + 1, reach + 1)
    weight = np.clip((width + 1) / 2 - np.abs(taps - position[:, None]), 0.0, 1.0)
    weight /= weight.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(len(position))[:, None], taps.shape)
    inside = np.abs(position - (n - 1) / 2) < (n + width) / 2 - 1e-6
    keep = (weight > 0) & inside[:, None]
    entries = (weight[keep].astype(np.float32), (rows[keep], taps.clip(0, n - 1)[keep]))
    # Building from coordinates adds up the taps that fall together at a replicated end.
    return sparse.csr_array(sparse.coo_array(entries, shape=(len(position), n)))


def _planes(source: NDArray, weights: tuple[sparse.csr_array, ...]) -> Iterator[NDArray[np.float32]]:
    """Float planes [i] of the resampled array, one at a time: the whole never exists as float."""
    along_i, along_j, along_k = weights
    dense_k = along_k.toarray().T.astype(np.float32)
    straight = dense_k.shape[0] == dense_k.shape[1] and bool((dense_k == np.eye(len(dense_k), dtype=np.float32)).all())
    for i in range(along_i.shape[0]):
        part = slice(along_i.indptr[i], along_i.indptr[i + 1])
        plane: NDArray[np.float32] = np.zeros(source.shape[1:], dtype=np.float32)
        for tap, weight in zip(along_i.indices[part], along_i.data[part], strict=True):
            plane += weight * source[tap].astype(np.float32)
        plane = along_j @ plane
        yield plane if straight else plane @ dense_k


def _resampled(hu: NDArray[np.int16], axes: _Axes) -> NDArray[np.int16]:
    if axes.identity:
        return np.ascontiguousarray(hu)
    source = hu.transpose(axes.order)
    i, j, k = (w.shape[0] for w in axes.weights)
    out = np.empty((i, j, k), dtype=np.int16)
    for index, plane in enumerate(_planes(source, axes.weights)):
        out[index] = np.rint(plane)
    return out


def _voted(labels: NDArray[np.uint8], axes: _Axes) -> NDArray[np.uint8]:
    """Linear one-hot resampling and the largest share, label by label in each label's own box."""
    if axes.identity:
        return np.ascontiguousarray(labels)
    source = np.ascontiguousarray(labels.transpose(axes.order))
    shape = tuple(w.shape[0] for w in axes.weights)
    winner = np.zeros(shape, dtype=np.uint8)
    best = np.zeros(shape, dtype=np.float32)
    covered = np.zeros(shape, dtype=np.float32)
    for label, box in _label_boxes(source):
        reach = _reached(box, axes)
        if reach.empty:
            continue
        weights = tuple(w[r, :][:, s] for w, r, s in zip(axes.weights, reach.slices, box.slices, strict=True))
        _vote(source[box.slices] == label, weights, label, (winner[reach.slices], best[reach.slices], covered[reach.slices]))
    # What the labels leave of a voxel is background, and it wins where it is more than any of them.
    winner[1.0 - covered > best] = 0
    return winner


def _label_boxes(labels: NDArray[np.uint8]) -> Iterator[tuple[int, Box]]:
    """Every label present, with the box around it."""
    found = cast(Sequence[tuple[slice, slice, slice] | None], find_objects(labels))
    for label, part in enumerate(found, start=1):
        if part is not None:
            i, j, k = part
            yield label, Box(start=(i.start, j.start, k.start), stop=(i.stop, j.stop, k.stop))


def _vote(
    mask: NDArray[np.bool_], weights: tuple[sparse.csr_array, ...], label: int, ballot: tuple[NDArray, NDArray, NDArray]
) -> None:
    winner, best, covered = ballot
    for index, share in enumerate(_planes(mask, weights)):
        covered[index] += share
        more = share > best[index]
        winner[index][more] = label
        best[index][more] = share[more]


def _reached(box: Box, axes: _Axes) -> Box:
    """Which target voxels a box of the source has any weight in."""
    start, stop = [], []
    for weights, part in zip(axes.weights, box.slices, strict=True):
        hit = np.flatnonzero(np.diff(weights[:, part].indptr))
        start.append(int(hit[0]) if hit.size else 0)
        stop.append(int(hit[-1]) + 1 if hit.size else 0)
    return Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))
