"""`Lattice` and `Field`: signed-distance fields on world-anchored lattices, coarser than the grids they are painted on.

A lattice's points are integer multiples of its step, so a field does not depend on the grid it is later painted on: painting
a crop gives the crop of the painting.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Index3

OUTSIDE_MM = 60.0  # what a field says beyond its lattice: far outside

Points = NDArray[np.float64]
Array = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """Points `(start + index) * step_mm` in L,P,S millimetres (−x, −y, z of RAS+)."""

    start: Index3
    shape: Index3
    step_mm: float

    @classmethod
    def covering(cls, points_xyz: Points, margin_mm: float, step_mm: float) -> "Lattice":
        """The smallest lattice that holds all points (N, 3; RAS+ mm) and a margin around them."""
        lps = np.asarray(points_xyz, dtype=np.float64).reshape(-1, 3) * (-1.0, -1.0, 1.0)
        low = np.floor((lps.min(0) - margin_mm) / step_mm).astype(int)
        high = np.ceil((lps.max(0) + margin_mm) / step_mm).astype(int)
        n = (high - low + 1).tolist()
        a = low.tolist()
        return cls(start=(a[0], a[1], a[2]), shape=(n[0], n[1], n[2]), step_mm=step_mm)

    @property
    def voxel_ml(self) -> float:
        return self.step_mm**3 / 1000.0

    def axes_lps_mm(self) -> tuple[Points, Points, Points]:
        """Coordinates along the three axes, in L,P,S mm."""
        i, j, k = ((a + np.arange(n, dtype=np.float64)) * self.step_mm for a, n in zip(self.start, self.shape, strict=True))
        return i, j, k

    def window(self, points_xyz: Points, margin_mm: float) -> tuple[slice, slice, slice]:
        """Index window of this lattice around points (N, 3; RAS+ mm); empty slices where they lie outside."""
        lps = np.asarray(points_xyz, dtype=np.float64).reshape(-1, 3) * (-1.0, -1.0, 1.0)
        low = np.floor((lps.min(0) - margin_mm) / self.step_mm).astype(int) - self.start
        high = np.ceil((lps.max(0) + margin_mm) / self.step_mm).astype(int) - self.start + 1
        low, high = np.clip(low, 0, self.shape), np.clip(high, 0, self.shape)
        i, j, k = (slice(int(a), int(max(a, b))) for a, b in zip(low, high, strict=True))
        return i, j, k


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """A signed distance in mm on a lattice, negative inside."""

    lattice: Lattice
    values: Array

    def on(self, lattice: Lattice) -> Array:
        """Trilinear values on another lattice; `OUTSIDE_MM` where this field's own lattice ends."""
        if lattice == self.lattice:
            return self.values
        if lattice.step_mm == self.lattice.step_mm:
            return self._shifted(lattice)
        out = np.full(lattice.shape, OUTSIDE_MM, dtype=np.float32)
        steps = [steps_along(self.lattice, axis, x) for axis, x in enumerate(lattice.axes_lps_mm())]
        if all(s.size for s in steps):
            columns = Columns(self, steps[0], steps[1], steps[2])
            block = np.stack([columns.plane(n) for n in range(steps[0].size)])
            out[steps[0].inside, steps[1].inside, steps[2].inside] = block
        return out

    def _shifted(self, lattice: Lattice) -> Array:
        out = np.full(lattice.shape, OUTSIDE_MM, dtype=np.float32)
        to, source = [], []
        for axis in range(3):
            a, n = self.lattice.start[axis], self.lattice.shape[axis]
            b, m = lattice.start[axis], lattice.shape[axis]
            low, high = max(a, b), min(a + n, b + m)
            if high <= low:
                return out
            to.append(slice(low - b, high - b))
            source.append(slice(low - a, high - a))
        out[to[0], to[1], to[2]] = self.values[source[0], source[1], source[2]]
        return out


@dataclass(frozen=True, kw_only=True, eq=False)
class Steps:
    """Where target coordinates fall on one lattice axis: lower neighbour, weight of the upper one, and which targets."""

    low: NDArray[np.intp]
    weight: Array
    inside: slice

    @property
    def size(self) -> int:
        return int(self.low.size)


def steps_along(lattice: Lattice, axis: int, coordinates_lps_mm: Points) -> Steps:
    """Interpolation steps of increasing L,P,S coordinates on one axis of a lattice."""
    t = coordinates_lps_mm / lattice.step_mm - lattice.start[axis]
    hit = np.flatnonzero((t >= 0) & (t <= lattice.shape[axis] - 1))
    if not hit.size:
        return Steps(low=np.zeros(0, np.intp), weight=np.zeros(0, np.float32), inside=slice(0, 0))
    inside = slice(int(hit[0]), int(hit[-1]) + 1)
    low = np.minimum(t[inside].astype(np.intp), lattice.shape[axis] - 2)
    return Steps(low=low, weight=(t[inside] - low).astype(np.float32), inside=inside)


class Columns:
    """Planes of a field across its first axis, interpolated; `limit` says below which values anybody cares."""

    def __init__(self, field: Field, planes: Steps, rows: Steps, columns: Steps, limit: float = np.inf) -> None:
        self._values = field.values
        self._planes, self._rows, self._columns = planes, rows, columns
        self._limit = limit

    def bounds(self) -> NDArray[np.intp]:
        """First and last + 1 row and column (N, 4) outside of which each plane has no value below the limit."""
        below = self._values < self._limit
        edges = [_reached(np.asarray(below.any(axis=axis)), steps) for axis, steps in ((2, self._rows), (1, self._columns))]
        return np.concatenate(edges, axis=1)[self._planes.low]

    def plane(self, n: int, rows: slice = slice(None), columns: slice = slice(None)) -> Array:
        """Plane `n`, or a part of it that is not empty."""
        j, k = self._rows.low[rows], self._columns.low[columns]
        j0, k0 = int(j[0]), int(k[0])
        window = slice(j0, int(j[-1]) + 2), slice(k0, int(k[-1]) + 2)
        low = int(self._planes.low[n])
        nearer = self._values[low][window]
        across = self._values[low + 1][window] - nearer
        across *= self._planes.weight[n]
        across += nearer
        k = k - k0
        along = across.take(k, axis=1)
        beyond = across.take(k + 1, axis=1)
        beyond -= along
        beyond *= self._columns.weight[columns]
        along += beyond
        j = j - j0
        out: Array = along.take(j, axis=0)
        below = along.take(j + 1, axis=0)
        below -= out
        below *= self._rows.weight[rows, None]
        out += below
        return out


def _reached(hit: NDArray[np.bool_], steps: Steps) -> NDArray[np.intp]:
    """Targets (planes − 1, 2: first, last + 1) beside lattice points that two neighbouring planes hit."""
    hit = hit[:-1] | hit[1:]
    first, last = hit.argmax(axis=1), hit.shape[1] - 1 - hit[:, ::-1].argmax(axis=1)
    edges = np.stack([np.searchsorted(steps.low, first - 1), np.searchsorted(steps.low, last + 1)], axis=1)
    edges[~hit.any(axis=1)] = 0
    return edges
