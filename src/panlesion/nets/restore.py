"""From logits on the network's grid to classes on the scanner's, a few planes at a time.

Classes are those of the linearly interpolated logits, as if all of them had been resampled and compared: 10 GB for 33 classes
of 512×512×300 voxels. Most of that is not needed: where the eight voxels around a point agree on their class, the
interpolated logits do, since each of the eight puts that class first and their weights are positive. So logits are
interpolated only where classes meet (ours; the result is exact).
"""

from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage, sparse
from torch import Tensor
from torch.nn import functional

from panlesion.ct.standardise import parallel_axes
from panlesion.ct.volume import Grid
from panlesion.nets.classes import LESIONS, Classes

_MIXED = 255
_BEYOND = 1.0
"""Source voxels past the last centre to which ends are replicated: half of one beyond its face, as far as `standard_target`'s
rounding of an extent reaches."""

SMALL_PART = 20
"""Source voxels, a ball 8.5 mm wide at 2.5 mm, below which interpolation shrinks a part more than it smooths its border (ours,
benchmarks/bench_restore.py)."""


class Restorer:
    """Class maps on a target grid, filled as `add` gets finished planes of logits on the source grid.

    `maps` has the class of every target voxel by group, uint8 (I, J, K); `probability` float16 (I, J, K) that of any lesion,
    from its linearly interpolated logit, or None if it is not wanted: at least one half wherever a lesion class comes first.
    All are 0 until their planes came, and outside the source grid, which should therefore reach into the air.

    Args:
        classes: Of the network.
        source: Where the planes lie: the grid of the CT that is predicted.
        target: Any grid with axes parallel to the source's: permuted, flipped, finer, coarser. The standard grid of an
            oblique CT is parallel to the CT's own.
        probability: Whether to make it.

    Raises:
        GeometryError: The axes are not parallel.
        ValueError: A group with more classes than a map of uint8 holds.
    """

    def __init__(self, classes: Classes, source: Grid, target: Grid, *, probability: bool = True) -> None:
        for group in classes.groups:
            if len(group.classes) > _MIXED:
                raise ValueError(f"group {group.name!r} has {len(group.classes)} classes; a map holds at most {_MIXED}")
        self._classes, self._source = classes, source
        along = parallel_axes(source, target)
        # Target axes in the order of the source's: from here on, planes have the source's axes.
        self._order = [next(axis for axis, (of, _, _) in enumerate(along) if of == n) for n in range(3)]
        self._taps = [_Taps(along[axis][1], source.shape[n]) for n, axis in enumerate(self._order)]
        self._maps = {group.name: np.zeros(target.shape, dtype=np.uint8) for group in classes.groups}
        self.maps: Mapping[str, NDArray[np.uint8]] = MappingProxyType(self._maps)
        wanted = probability and LESIONS in self._maps
        self.probability: NDArray[np.float16] | None = np.zeros(target.shape, dtype=np.float16) if wanted else None
        self._below: _Plane | None = None
        self._came = 0

    def add(self, first: int, planes: Tensor) -> None:
        """Take finished logits (C, planes, J, K) from plane `first` on; in order and without gaps.

        Raises:
            ValueError: Planes out of order, or of another shape than the source's.
        """
        _, j, k = self._source.shape
        if first != self._came or (planes.shape[0], *planes.shape[2:]) != (len(self._classes), j, k):
            raise ValueError(
                f"planes are {tuple(planes.shape)} from {first} on; they must be ({len(self._classes)}, n, {j}, {k}) "
                f"from {self._came} on"
            )
        for n in range(planes.shape[1]):
            above = _Plane(planes[:, n], self._classes)
            if self._came or self._source.shape[0] == 1:
                self._fill(max(0, self._came - 1), self._below or above, above)
            self._below = above
            self._came += 1

    def _fill(self, index: int, below: "_Plane", above: "_Plane") -> None:
        """The target planes between source plane `index` and the next."""
        here, rest = self._taps[0].from_plane(index)
        if not len(rest):
            return
        for group in self._classes.groups:
            self._put(self._maps[group.name], here, self._winners(group.name, rest, below, above))
        if self.probability is not None:
            self._put(self.probability, here, self._lesion(rest, below, above))

    def _put(self, whole: NDArray, here: slice, values: NDArray) -> None:
        whole.transpose(self._order)[here, self._taps[1].inside, self._taps[2].inside] = values

    def _winners(self, group: str, rest: NDArray[np.float32], below: "_Plane", above: "_Plane") -> NDArray[np.uint8]:
        _, rows, columns = self._taps
        codes = _cells(below.winner[group], above.winner[group])[rows.floor][:, columns.floor]
        out = np.repeat(codes[None], len(rest), axis=0)
        j, k = np.nonzero(codes == _MIXED)
        if len(j):
            around, share = _corners(rows, columns, j, k)
            low, high = (functional.embedding_bag(around, one.logits[group], **share) for one in (below, above))
            for n, r in enumerate(rest.tolist()):
                # `max` finds the index several times faster than `argmax`.
                out[n, j, k] = torch.lerp(low, high, r).max(dim=1).indices.to(torch.uint8).numpy()
        return out

    def _lesion(self, rest: NDArray[np.float32], below: "_Plane", above: "_Plane") -> NDArray[np.float16]:
        _, rows, columns = self._taps
        low, high = (torch.from_numpy((columns.matrix @ (rows.matrix @ one.lesion).T).T) for one in (below, above))
        planes = [torch.lerp(low, high, r).sigmoid().to(torch.float16) for r in rest.tolist()]
        return torch.stack(planes).numpy()


class _Plane:
    """One source plane as it is looked up: logits (J * K, C) and winners (J, K) of each group, logit (J, K) of any lesion."""

    def __init__(self, plane: Tensor, classes: Classes) -> None:
        self.logits: dict[str, Tensor] = {}
        self.winner: dict[str, NDArray[np.uint8]] = {}
        self.lesion = np.zeros(0, dtype=np.float32)
        plane = plane.float().cpu()
        for group in classes.groups:
            mine = plane[classes.channels(group.name)]
            self.logits[group.name] = mine.flatten(1).T.contiguous()
            self.winner[group.name] = mine.max(dim=0).indices.to(torch.uint8).numpy()
            if group.name == LESIONS:
                self.lesion = (mine[1:].logsumexp(0) - mine[0]).numpy()


class _Taps:
    """How one target axis samples a source axis: the `inside` part of it, and for that the voxel before and how far past it."""

    def __init__(self, position: NDArray[np.float64], size: int) -> None:
        hit = np.flatnonzero((position >= -_BEYOND) & (position <= size - 1 + _BEYOND))
        # Positions are evenly spaced, so what is inside has no gaps.
        self.inside = slice(int(hit[0]), int(hit[-1]) + 1) if len(hit) else slice(0, 0)
        held = position[self.inside].clip(0, size - 1)
        self.size = size
        self.floor = np.minimum(np.floor(held).astype(np.int64), max(0, size - 2))
        self.rest = (held - self.floor).astype(np.float32)

    def from_plane(self, index: int) -> tuple[slice, NDArray[np.float32]]:
        """Which target voxels have this voxel before them, and how far past it they are."""
        hit = np.flatnonzero(self.floor == index)
        start = self.inside.start + (int(hit[0]) if len(hit) else 0)
        return slice(start, start + len(hit)), self.rest[hit]

    @cached_property
    def matrix(self) -> sparse.csr_array:
        """Linear interpolation as a matrix (target, source)."""
        rows = np.arange(len(self.floor))
        after = np.minimum(self.floor + 1, self.size - 1)
        entries = np.concatenate([1 - self.rest, self.rest])
        where = np.concatenate([rows, rows]), np.concatenate([self.floor, after])
        return sparse.csr_array(sparse.coo_array((entries, where), shape=(len(rows), self.size)))


def _cells(below: NDArray[np.uint8], above: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The class of each cell between eight voxels, or `_MIXED`; a single row or column is its own cell."""
    low, high = np.minimum(below, above), np.maximum(below, above)
    for axis in (0, 1):
        if low.shape[axis] > 1:
            ahead, behind = (slice(None),) * axis + (slice(1, None),), (slice(None),) * axis + (slice(-1),)
            low, high = np.minimum(low[ahead], low[behind]), np.maximum(high[ahead], high[behind])
    return np.where(low == high, low, _MIXED).astype(np.uint8)


def _corners(rows: _Taps, columns: _Taps, j: NDArray[np.intp], k: NDArray[np.intp]) -> tuple[Tensor, dict[str, Any]]:
    """Flat indices (N, 4) of the voxels around points of a plane, and how `embedding_bag` weighs them."""
    j0, k0, b, c = rows.floor[j], columns.floor[k], rows.rest[j], columns.rest[k]
    j1, k1 = np.minimum(j0 + 1, rows.size - 1), np.minimum(k0 + 1, columns.size - 1)
    around = np.stack([one * columns.size + two for one in (j0, j1) for two in (k0, k1)], axis=1)
    share = np.stack([one * two for one in (1 - b, b) for two in (1 - c, c)], axis=1)
    return torch.from_numpy(around), {"per_sample_weights": torch.from_numpy(share), "mode": "sum"}


def restore_parts(parts: NDArray[np.int32], source: Grid, marked: NDArray[np.bool_], target: Grid) -> NDArray[np.uint16]:
    """Numbers (I, J, K) on the target grid of parts that were found on the source grid; 0 elsewhere.

    The borders are those of `marked`, such as `Restorer.maps["lesions"] > 0`; each of its voxels gets the part of the
    nearest source voxel, or of one beside that. Parts below `SMALL_PART` also get the target voxels nearest to their own,
    and one without any, between coarse target voxels, gets those around it. Voxels of another part are never taken, so
    of two parts within one target voxel the later is lost.

    Raises:
        ValueError: More parts than uint16 can number.
    """
    sizes = np.bincount(parts.ravel(), minlength=1)
    if len(sizes) - 1 > np.iinfo(np.uint16).max:
        raise ValueError(f"there are {len(sizes) - 1} parts; at most {np.iinfo(np.uint16).max} can be numbered")
    numbers = parts.astype(np.uint16)
    near = np.where(numbers > 0, numbers, ndimage.maximum_filter(numbers, 3))
    out = np.zeros(target.shape, dtype=np.uint16)
    for i in np.flatnonzero(marked.any(axis=(1, 2))):
        j, k = np.nonzero(marked[i])
        out[i, j, k] = near[_nearest(np.stack([np.full_like(j, i), j, k], axis=1), source=target, target=source)]
    boxes = ndimage.find_objects(parts)
    for small in np.flatnonzero((sizes[1:] > 0) & (sizes[1:] < SMALL_PART)) + 1:
        _put_small(out, numbers, int(small), boxes[small - 1], source, target)
    return out


def _put_small(
    out: NDArray[np.uint16], numbers: NDArray[np.uint16], part: int, box: tuple[slice, ...], source: Grid, target: Grid
) -> None:
    """Give a part the free target voxels whose nearest source voxel is its own, or else those nearest to its own."""
    own = np.argwhere(numbers[box] == part) + [one.start for one in box]
    corners = _nearest(np.array([own.min(axis=0) - 1, own.max(axis=0) + 1]), source, target)
    around = np.stack(np.meshgrid(*(np.arange(one.min(), one.max() + 1) for one in corners), indexing="ij"), axis=-1)
    there = around.reshape(-1, 3)
    where = tuple(there[numbers[_nearest(there, source=target, target=source)] == part].T)
    if not len(where[0]):
        where = _nearest(own, source, target)
    out[where] = np.where(out[where] == 0, part, out[where])


def _nearest(ijk: NDArray[np.intp], source: Grid, target: Grid) -> tuple[NDArray[np.intp], ...]:
    """Indices of the target voxels nearest to source voxels (N, 3)."""
    near = np.rint(target.to_ijk(source.to_xyz(ijk))).astype(np.intp).clip(0, np.array(target.shape) - 1)
    return near[:, 0], near[:, 1], near[:, 2]
