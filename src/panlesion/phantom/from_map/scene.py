"""`Scene`: an organ map, the tissues painted onto it so far, and a coarse copy for everything that is smooth."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.volume import Box, Index3, LabelMap
from panlesion.phantom.tissue import Tissue

COARSE_MM = 4.0
Mask = NDArray[np.bool_]
Field = NDArray[np.float32]


class Scene:
    """The map being painted. `tissues` is written in place; what has no label may be overwritten by later layers."""

    def __init__(self, organs: LabelMap) -> None:
        self.labels = organs.labels
        self.grid = organs.grid
        self.spacing_mm = organs.grid.spacing_mm[0]
        self.tissues: NDArray[np.uint8] = np.zeros(self.labels.shape, dtype=np.uint8)
        self.free: Mask = self.labels == 0
        self.factor = max(1, round(COARSE_MM / self.spacing_mm))
        self.step_mm = self.factor * self.spacing_mm
        f = self.factor
        self.coarse: NDArray[np.uint8] = np.ascontiguousarray(self.labels[::f, ::f, ::f])
        self.boxes: dict[int, Box] = {
            label: Box(start=_index(s.start for s in found), stop=_index(s.stop for s in found))
            for label, found in enumerate(ndimage.find_objects(self.labels), start=1)
            if found is not None
        }

    def has(self, labels: Iterable[int]) -> bool:
        return any(label in self.boxes for label in labels)

    def coarse_mask(self, labels: Iterable[int]) -> Mask:
        return member(self.coarse, labels)

    def box(self, labels: Iterable[int], margin_mm: float) -> Box:
        """The box around those labels, grown, inside the grid; the labels must be in the map."""
        found = [self.boxes[label] for label in labels if label in self.boxes]
        start = _index(min(box.start[axis] for box in found) for axis in range(3))
        stop = _index(max(box.stop[axis] for box in found) for axis in range(3))
        grow = int(np.ceil(margin_mm / self.spacing_mm))
        return Box(start=start, stop=stop).grown(grow).clipped(self.grid.shape)

    def paint_free(self, where: Mask, tissue: Tissue, box: Box | None = None) -> None:
        """Paint unlabelled voxels of `where` that lie inside the skin."""
        part = (slice(None),) * 3 if box is None else box.slices
        view = self.tissues[part]
        view[where & self.free[part] & (view != Tissue.AIR) & (view != Tissue.SKIN)] = tissue

    def fine(self, coarse: Field) -> Field:
        """A coarse field on the full grid, trilinear."""
        return upsampled(coarse, self.factor, self.labels.shape)

    def distance_mm(self, labels: Iterable[int]) -> Field:
        """Coarse distance to labels, in mm; far away where none is in the map."""
        mask = self.coarse_mask(labels)
        if not mask.any():
            return np.full(mask.shape, 1e3, dtype=np.float32)
        return ndimage.distance_transform_edt(~mask, sampling=self.step_mm).astype(np.float32)


def _index(values: Iterable[int]) -> Index3:
    i, j, k = (int(v) for v in values)
    return (i, j, k)


def member(labels: NDArray[np.uint8], wanted: Iterable[int]) -> Mask:
    """Bool: where the array has one of the labels."""
    table = np.zeros(256, dtype=bool)
    table[list(wanted)] = True
    return table[labels]


def upsampled(coarse: Field, factor: int, shape: tuple[int, ...]) -> Field:
    """Trilinear interpolation of samples taken at every `factor`-th voxel; constant beyond the last."""
    out = coarse
    for axis in (2, 1, 0):
        position = np.arange(shape[axis]) / factor
        low = np.minimum(position.astype(np.intp), coarse.shape[axis] - 1)
        high = np.minimum(low + 1, coarse.shape[axis] - 1)
        weight = (position - low).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
        lower = out.take(low, axis=axis)
        step = out.take(high, axis=axis)
        step -= lower
        step *= np.minimum(weight, 1.0)
        lower += step
        out = lower
    return out


def surface(mask: Mask) -> Mask:
    """Voxels of a mask that touch its outside by a face; the grid's border is no outside."""
    inner = mask.copy()
    for axis in range(3):
        a = [slice(None)] * 3
        b = [slice(None)] * 3
        a[axis], b[axis] = slice(1, None), slice(None, -1)
        inner[tuple(a)] &= mask[tuple(b)]
        inner[tuple(b)] &= mask[tuple(a)]
    return mask & ~inner


def layers(mask: Mask, thickness_mm: float, spacing_mm: float) -> Mask:
    """The outer layer of a mask, in whole voxels and at least one."""
    shell = np.zeros_like(mask)
    left = mask
    for _ in range(max(1, round(thickness_mm / spacing_mm))):
        outer = surface(left)
        shell |= outer
        left = left & ~outer
    return shell
