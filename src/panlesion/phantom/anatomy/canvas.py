"""`Canvas`: paints fields and capsules on a grid, in a fixed order, later over earlier."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Grid
from panlesion.phantom.anatomy.lattice import Columns, Field, Points, Steps, steps_along
from panlesion.phantom.tissue import Tissue

# World coordinates are rounded to this, so that a crop's coordinates equal the full grid's to the last bit.
_QUANTUM_MM = 1.0 / 4096.0

Layer = tuple[float, Tissue]


class Canvas:
    """Tissue and organ maps of one grid, being painted."""

    def __init__(self, grid: Grid) -> None:
        if np.abs(grid.affine[:3, :3] - np.diag(np.diag(grid.affine[:3, :3]))).max() > 1e-9 or grid.axes != "LPS":
            raise ValueError(
                f"grid has axes {grid.axes} and affine {grid.affine.tolist()}; a phantom needs unrotated L,P,S axes"
            )
        self.grid = grid
        self.tissues: NDArray[np.uint8] = np.zeros(grid.shape, dtype=np.uint8)
        self.organs: NDArray[np.uint8] = np.zeros(grid.shape, dtype=np.uint8)
        sign = (-1.0, -1.0, 1.0)
        self.axes_lps_mm: list[Points] = []
        for axis in range(3):
            xyz = grid.affine[axis, 3] + grid.affine[axis, axis] * np.arange(grid.shape[axis])
            self.axes_lps_mm.append(np.round(xyz * sign[axis] / _QUANTUM_MM) * _QUANTUM_MM)

    def paint(
        self,
        field: Field,
        layers: Sequence[Layer],
        organ: int | None = None,
        *,
        within: Sequence[tuple[Field, float]] = (),
        over: Sequence[Tissue] = (),
    ) -> None:
        """Paint the inside of a field.

        `layers`: (limit mm, tissue) with falling limits: voxels below each limit get its tissue. `organ` is written below the
        first limit, None leaves the organ map. `within`: other fields that must be below their limits too. `over`: paint only
        where one of these tissues is now.
        """
        steps = [steps_along(field.lattice, axis, x) for axis, x in enumerate(self.axes_lps_mm)]
        for other, _ in within:
            steps = [
                _shared(a, steps_along(other.lattice, axis, x))
                for axis, (a, x) in enumerate(zip(steps, self.axes_lps_mm, strict=True))
            ]
        if not all(s.size for s in steps):
            return
        inside = [s.inside for s in steps]
        limits = [layers[0][0], *(limit for _, limit in within)]
        read = [self._columns(f, inside, limit) for f, limit in zip((field, *(f for f, _ in within)), limits, strict=True)]
        bounds = np.stack([columns.bounds() for columns in read])
        first, last = bounds[:, :, ::2].max(axis=0), bounds[:, :, 1::2].min(axis=0)
        tissues, organs = (whole[inside[0], inside[1], inside[2]] for whole in (self.tissues, self.organs))
        for n in np.flatnonzero((first < last).all(axis=1)).tolist():
            part = slice(first[n, 0], last[n, 0]), slice(first[n, 1], last[n, 1])
            values = read[0].plane(n, *part)
            mask = values < limits[0]
            for columns, limit in zip(read[1:], limits[1:], strict=True):
                mask &= columns.plane(n, *part) < limit
            tissue = tissues[n][part]
            if over:
                mask &= _any_of(tissue, over)
            if organ is not None:
                np.copyto(organs[n][part], np.uint8(organ), where=mask)
            np.copyto(tissue, np.uint8(layers[0][1]), where=mask)
            for limit, inner in layers[1:]:
                np.copyto(tissue, np.uint8(inner), where=mask & (values < limit))

    def _columns(self, field: Field, inside: Sequence[slice], limit: float) -> Columns:
        i, j, k = (
            steps_along(field.lattice, axis, x[s]) for axis, (x, s) in enumerate(zip(self.axes_lps_mm, inside, strict=True))
        )
        return Columns(field, i, j, k, limit)

    def paint_capsules(
        self,
        ends_xyz: Points,
        radii_mm: Points,
        tissue: Tissue,
        organ: int | None = None,
        *,
        over: Sequence[Tissue] = (),
        within_organ: int | None = None,
    ) -> None:
        """Paint tapered capsules: ends (N, 2, 3) in RAS+ mm, radii (N, 2)."""
        lps = np.round(ends_xyz * (-1.0, -1.0, 1.0) / _QUANTUM_MM) * _QUANTUM_MM
        reach = radii_mm.max(axis=1)[:, None]
        low, high = lps.min(axis=1) - reach, lps.max(axis=1) + reach
        start = np.stack([np.searchsorted(x, low[:, a], "left") for a, x in enumerate(self.axes_lps_mm)], axis=1)
        stop = np.stack([np.searchsorted(x, high[:, a], "right") for a, x in enumerate(self.axes_lps_mm)], axis=1)
        for n in np.flatnonzero((stop > start).all(axis=1)):
            box = tuple(slice(int(a), int(b)) for a, b in zip(start[n], stop[n], strict=True))
            x, y, z = (self.axes_lps_mm[a][box[a]].astype(np.float32) for a in range(3))
            mask = _capsule(x, y, z, lps[n].astype(np.float32), radii_mm[n].astype(np.float32))
            part = self.tissues[box]
            if over:
                mask &= _any_of(part, over)
            if within_organ is not None:
                mask &= self.organs[box] == within_organ
            part[mask] = tissue
            if organ is not None:
                self.organs[box][mask] = organ


def _any_of(tissues: NDArray[np.uint8], wanted: Sequence[Tissue]) -> NDArray[np.bool_]:
    # A few comparisons of bytes are several times faster than one look-up in a table.
    found = tissues == np.uint8(wanted[0])
    for tissue in wanted[1:]:
        found |= tissues == np.uint8(tissue)
    return found


def _shared(a: Steps, b: Steps) -> Steps:
    start, stop = max(a.inside.start, b.inside.start), min(a.inside.stop, b.inside.stop)
    if stop <= start:
        return Steps(low=a.low[:0], weight=a.weight[:0], inside=slice(0, 0))
    cut = slice(start - a.inside.start, stop - a.inside.start)
    return Steps(low=a.low[cut], weight=a.weight[cut], inside=slice(start, stop))


def _capsule(x: NDArray, y: NDArray, z: NDArray, ends: NDArray, radii: NDArray) -> NDArray[np.bool_]:
    a, d = ends[0], ends[1] - ends[0]
    x, y, z = (x - a[0])[:, None, None], (y - a[1])[:, None], z - a[2]
    length2 = np.float32(max(float(d @ d), 1e-6))
    t = np.clip((x * d[0] + y * d[1] + z * d[2]) / length2, 0, 1)
    distance2 = (x - t * d[0]) ** 2 + (y - t * d[1]) ** 2 + (z - t * d[2]) ** 2
    return distance2 < (radii[0] + t * (radii[1] - radii[0])) ** 2
