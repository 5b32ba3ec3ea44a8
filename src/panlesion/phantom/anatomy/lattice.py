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
            planes = Columns(self, steps[1], steps[2])
            block = np.empty((steps[0].size, steps[1].size, steps[2].size), dtype=np.float32)
            for n, (i, w) in enumerate(zip(steps[0].low, steps[0].weight, strict=True)):
                block[n] = planes.plane(int(i), w)
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
    """Planes of a field's first axis, interpolated along the other two; only the two planes last asked for are kept."""

    def __init__(self, field: Field, rows: Steps, columns: Steps) -> None:
        self._first = int(rows.low[0])
        k0, k1 = int(columns.low[0]), int(columns.low[-1]) + 2
        self._values = field.values[:, self._first : int(rows.low[-1]) + 2, k0:k1]
        self._k, self._wk = columns.low - k0, columns.weight
        self._j, self._wj = rows.low - self._first, rows.weight[:, None]
        self._kept: dict[int, Array] = {}
        self._minima: Array = self._values.min(axis=(1, 2))

    def _coarse(self, n: int) -> Array:
        if n not in self._kept:
            while len(self._kept) > 1:
                del self._kept[min(self._kept)]
            values = self._values[n]
            along = values[:, self._k]
            along += (values[:, self._k + 1] - along) * self._wk
            plane = along[self._j]
            plane += (along[self._j + 1] - plane) * self._wj
            self._kept[n] = plane
        return self._kept[n]

    def plane(self, low: int, weight: np.float32 | float) -> Array:
        """The plane between lattice planes `low` and `low + 1`."""
        a, b = self._coarse(low), self._coarse(low + 1)
        out: Array = b - a
        out *= np.float32(weight)
        out += a
        return out

    def below(self, low: int, limit: float) -> bool:
        """Whether any value of the two neighbouring planes is below a limit."""
        return bool(self._minima[low] < limit or self._minima[low + 1] < limit)
