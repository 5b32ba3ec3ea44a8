"""`Grid`, `Box`, `Volume`, `LabelMap`: arrays that carry their geometry.

Arrays are indexed `[i, j, k]`; affines map voxel indices to millimetres in the RAS+ world frame, as NIfTI's do. Nothing
outside this room computes an affine by hand: crop, flip and resample return objects that carry the right one.
"""

from dataclasses import dataclass
from typing import Self

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

STANDARD_AXES = "LPS"

Vector3 = tuple[float, float, float]
Index3 = tuple[int, int, int]


def _frozen(array: NDArray) -> NDArray:
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, kw_only=True)
class Box:
    """Half-open index box `[start, stop)` on some grid."""

    start: Index3
    stop: Index3

    @property
    def shape(self) -> Index3:
        i, j, k = (max(0, b - a) for a, b in zip(self.start, self.stop, strict=True))
        return (i, j, k)

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        i, j, k = (slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return (i, j, k)

    @property
    def empty(self) -> bool:
        return 0 in self.shape

    @classmethod
    def of(cls, mask: NDArray) -> Self:
        """Tightest box around the non-zero voxels; an empty box at the origin where there are none."""
        start, stop = [], []
        for axis in range(3):
            hit = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
            start.append(int(hit[0]) if hit.size else 0)
            stop.append(int(hit[-1]) + 1 if hit.size else 0)
        return cls(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))

    def grown(self, voxels: int | Index3) -> Self:
        """Larger by `voxels` on every side; may leave the grid, see `clipped`."""
        grow = (voxels,) * 3 if isinstance(voxels, int) else voxels
        start = tuple(a - g for a, g in zip(self.start, grow, strict=True))
        stop = tuple(b + g for b, g in zip(self.stop, grow, strict=True))
        return type(self)(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))

    def clipped(self, shape: Index3) -> Self:
        """The part of the box that lies on a grid of that shape."""
        start = tuple(min(max(0, a), n) for a, n in zip(self.start, shape, strict=True))
        stop = tuple(min(max(0, b), n) for b, n in zip(self.stop, shape, strict=True))
        return type(self)(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))

    def shifted(self, by: Index3) -> Self:
        start = tuple(a + d for a, d in zip(self.start, by, strict=True))
        stop = tuple(b + d for b, d in zip(self.stop, by, strict=True))
        return type(self)(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))

    @classmethod
    def cube(cls, middle: Index3, side: int) -> Self:
        """The cube with `middle` at its own index `side // 2`; may leave the grid."""
        i, j, k = (n - side // 2 for n in middle)
        return cls(start=(i, j, k), stop=(i + side, j + side, k + side))

    def joined(self, other: "Box") -> Self:
        """The smallest box that holds both."""
        start = tuple(min(a, b) for a, b in zip(self.start, other.start, strict=True))
        stop = tuple(max(a, b) for a, b in zip(self.stop, other.stop, strict=True))
        return type(self)(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))

    def shared(self, other: "Box") -> tuple[tuple[slice, slice, slice], tuple[slice, slice, slice]]:
        """What two boxes have in common, as slices into an array of this one and into one of the other; empty if nothing."""
        start = [max(a, b) for a, b in zip(self.start, other.start, strict=True)]
        stop = [max(a, min(b, c)) for a, b, c in zip(start, self.stop, other.stop, strict=True)]
        both = type(self)(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))
        (a, b, c), (d, e, f) = self.start, other.start
        return both.shifted((-a, -b, -c)).slices, both.shifted((-d, -e, -f)).slices


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Shape and affine (4, 4) of a regular right-angled voxel grid; voxel index → RAS+ world mm."""

    shape: Index3
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4):
            raise ValueError(f"affine has shape {affine.shape}; it must be (4, 4)")
        object.__setattr__(self, "affine", _frozen(affine))
        i, j, k = (int(n) for n in self.shape)
        object.__setattr__(self, "shape", (i, j, k))

    @property
    def spacing_mm(self) -> Vector3:
        """Voxel size along i, j, k in mm."""
        i, j, k = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return (i, j, k)

    @property
    def axes(self) -> str:
        """World direction nearest to each array axis, e.g. "LPS" when i grows leftwards."""
        return "".join(nib.orientations.aff2axcodes(self.affine))

    @property
    def voxel_ml(self) -> float:
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000.0

    def to_xyz(self, ijk: NDArray | Vector3) -> NDArray[np.float64]:
        """World mm (…, 3) of voxel indices (…, 3); a voxel's centre is at its integer index."""
        return np.asarray(ijk, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_ijk(self, xyz: NDArray | Vector3) -> NDArray[np.float64]:
        """Fractional voxel indices (…, 3) of world mm (…, 3)."""
        inverse = np.linalg.inv(self.affine)
        return np.asarray(xyz, dtype=np.float64) @ inverse[:3, :3].T + inverse[:3, 3]

    def crop(self, box: Box) -> "Grid":
        """The grid of a box; the box may reach outside (then the grid does too)."""
        affine = self.affine.copy()
        affine[:3, 3] = self.to_xyz(box.start)
        return Grid(shape=box.shape, affine=affine)

    def same_as(self, other: "Grid", tolerance_mm: float = 1e-2) -> bool:
        """Whether both grids put every corner voxel at the same place, within `tolerance_mm`."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape])).reshape(3, -1).T
        return bool(np.abs(self.to_xyz(corners) - other.to_xyz(corners)).max() <= tolerance_mm)

    def apart_mm(self, other: "Grid") -> float:
        """How far the corner voxels of two grids lie apart, whichever corner is called first: 0 for a turned copy."""
        ends = [
            grid.to_xyz(np.array(np.meshgrid(*[(0, n - 1) for n in grid.shape])).reshape(3, -1).T) for grid in (self, other)
        ]  # fmt: skip
        distance = np.linalg.norm(ends[0][:, None] - ends[1], axis=-1)
        return float(max(distance.min(axis=0).max(), distance.min(axis=1).max()))


def standard_grid(shape: Index3, spacing_mm: float, origin_xyz: Vector3 = (0.0, 0.0, 0.0)) -> Grid:
    """An L,P,S grid of isotropic spacing whose voxel (0, 0, 0) lies at `origin_xyz` (RAS+ mm)."""
    affine = np.diag([-spacing_mm, -spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = origin_xyz
    return Grid(shape=shape, affine=affine)


def _cropped(array: NDArray, box: Box, fill: int) -> NDArray:
    inside = box.clipped((array.shape[0], array.shape[1], array.shape[2]))
    if inside == box:
        return array[box.slices]
    out = np.full(box.shape, fill, dtype=array.dtype)
    if not inside.empty:
        a, b, c = box.start
        out[inside.shifted((-a, -b, -c)).slices] = array[inside.slices]
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class Volume:
    """A CT: `hu` int16 (I, J, K), read-only, and its grid."""

    AIR_HU = -1024

    hu: NDArray[np.int16]
    grid: Grid

    def __post_init__(self) -> None:
        if self.hu.dtype != np.int16:
            raise ValueError(f"hu has dtype {self.hu.dtype}; it must be int16")
        if self.hu.shape != self.grid.shape:
            raise ValueError(f"hu has shape {self.hu.shape}, its grid {self.grid.shape}; they must be equal")
        object.__setattr__(self, "hu", _frozen(self.hu))

    def crop(self, box: Box) -> "Volume":
        """The voxels of a box; what lies outside is air. Inside the grid it is a view, not a copy."""
        return Volume(hu=_cropped(self.hu, box, self.AIR_HU), grid=self.grid.crop(box))


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelMap:
    """A label map: `labels` uint8 (I, J, K), read-only, 0 = background, and its grid."""

    labels: NDArray[np.uint8]
    grid: Grid

    def __post_init__(self) -> None:
        if self.labels.dtype != np.uint8:
            raise ValueError(f"labels has dtype {self.labels.dtype}; it must be uint8")
        if self.labels.shape != self.grid.shape:
            raise ValueError(f"labels has shape {self.labels.shape}, its grid {self.grid.shape}; they must be equal")
        object.__setattr__(self, "labels", _frozen(self.labels))

    def crop(self, box: Box) -> "LabelMap":
        """The voxels of a box; what lies outside is background. Inside the grid it is a view, not a copy."""
        return LabelMap(labels=_cropped(self.labels, box, 0), grid=self.grid.crop(box))

    @property
    def values(self) -> frozenset[int]:
        """Labels that occur, without background."""
        present = np.zeros(256, dtype=bool)
        for plane in self.labels:  # plane by plane: an index array of the whole would take eight bytes a voxel
            present[plane] = True
        return frozenset(np.flatnonzero(present).tolist()) - {0}

    def mask(self, labels: frozenset[int] | set[int] | tuple[int, ...]) -> NDArray[np.bool_]:
        """Bool (I, J, K): where the map has one of `labels`."""
        table = np.zeros(256, dtype=bool)
        table[list(labels)] = True
        return table[self.labels]
