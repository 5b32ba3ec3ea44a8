"""Axial, coronal and sagittal views of a volume as a radiologist expects them: the patient's right on the image's left.

Axial: seen from the feet, anterior up. Coronal: seen from the front, head up. Sagittal: head up, anterior to the left.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from panlesion.ct.volume import Grid, Index3, Vector3

_DISPLAY = "LPS"
_LETTERS = {"L": ("R", "L"), "P": ("A", "P"), "S": ("I", "S")}


class Plane(StrEnum):
    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    @property
    def axes(self) -> tuple[int, int, int]:
        """L,P,S axes (0, 1, 2) that run across the image, down the image, and through it."""
        return {Plane.AXIAL: (0, 1, 2), Plane.CORONAL: (0, 2, 1), Plane.SAGITTAL: (1, 2, 0)}[self]

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """Orientation letters at the image's left, right, top and bottom."""
        across, down, _ = self.axes
        left, right = _LETTERS[_DISPLAY[across]]
        low, high = _LETTERS[_DISPLAY[down]]
        return (left, right, high, low) if down == 2 else (left, right, low, high)


@dataclass(frozen=True, kw_only=True, eq=False)
class Turned:
    """An array whose axes run L, P, S; a flipped and transposed view, nothing is resampled or copied."""

    array: NDArray
    spacing_mm: Vector3

    @property
    def shape(self) -> Index3:
        i, j, k = self.array.shape
        return (i, j, k)

    @property
    def extent_mm(self) -> Vector3:
        i, j, k = (n * mm for n, mm in zip(self.shape, self.spacing_mm, strict=True))
        return (i, j, k)


@dataclass(frozen=True, kw_only=True)
class View:
    """Where to cut and what to show: a plane, its centre in mm from the corner of a `Turned` array, and the mm shown.

    Several arrays of one grid cut by the same view lie pixel on pixel.
    """

    plane: Plane
    centre_mm: Vector3
    width_mm: float
    height_mm: float


def _order(grid: Grid) -> list[int]:
    """The array's axis that runs along L, along P and along S, whichever way."""
    return [next(axis for axis, code in enumerate(grid.axes) if code in pair) for pair in ("LR", "PA", "SI")]


def turned_mm(ijk: Index3, grid: Grid) -> Vector3:
    """Where the centre of a voxel lies in a `Turned` array of `grid`, in mm from its corner."""
    i, j, k = (
        ((ijk[axis] if grid.axes[axis] in _DISPLAY else grid.shape[axis] - 1 - ijk[axis]) + 0.5) * grid.spacing_mm[axis]
        for axis in _order(grid)
    )
    return (i, j, k)


def turn(array: NDArray, grid: Grid) -> Turned:
    """Let the axes of an array on `grid` run L, P, S (to the nearest world axis, where the grid is oblique)."""
    order = _order(grid)
    turned = array.transpose(order)
    flips = tuple(slice(None, None, 1 if grid.axes[axis] in _DISPLAY else -1) for axis in order)
    i, j, k = (grid.spacing_mm[axis] for axis in order)
    return Turned(array=turned[flips], spacing_mm=(i, j, k))


def whole(turned: Turned, plane: Plane, centre_mm: Vector3) -> View:
    """The view that shows everything of the array in that plane."""
    across, down, through = plane.axes
    centre = [extent / 2 for extent in turned.extent_mm]
    centre[through] = centre_mm[through]
    width, height = turned.extent_mm[across], turned.extent_mm[down]
    return View(plane=plane, centre_mm=(centre[0], centre[1], centre[2]), width_mm=width, height_mm=height)


def cut(turned: Turned, view: View, px_per_mm: float, *, fill: float, smooth: bool, oversample: int = 1) -> NDArray[np.float32]:
    """The view at square pixels, float32 (rows, columns); `fill` where it leaves the array.

    `oversample` gives that many rows and columns for every one of the picture, exactly.
    `smooth` interpolates with cubic splines, as viewers do; masks take the linear way (no overshoot).
    """
    across, down, through = view.plane.axes
    index = int(np.clip(np.floor(view.centre_mm[through] / turned.spacing_mm[through]), 0, turned.shape[through] - 1))
    # rows down the image, columns across it; superior is up
    pixels = np.moveaxis(turned.array, (down, across), (0, 1))[:, :, index].astype(np.float32)
    top = view.centre_mm[down] - view.height_mm / 2
    if down == 2:
        pixels = pixels[::-1]
        top = turned.extent_mm[2] - view.centre_mm[2] - view.height_mm / 2
    left = view.centre_mm[across] - view.width_mm / 2
    box = np.array([left, top, left + view.width_mm, top + view.height_mm]) / np.tile(
        (turned.spacing_mm[across], turned.spacing_mm[down]), 2
    )
    # Pillow resamples sub-pixel boxes, but only inside the image
    pad = int(np.ceil(max(0.0, -box.min(), box[2] - pixels.shape[1], box[3] - pixels.shape[0])))
    if pad:
        pixels = np.pad(pixels, pad, mode="edge")  # the fill itself would ring along the array's edge
    width, height = (oversample * max(1, round(mm * px_per_mm)) for mm in (view.width_mm, view.height_mm))
    filter = Image.Resampling.BICUBIC if smooth else Image.Resampling.BILINEAR
    left, top, right, bottom = (box + pad).tolist()
    shown = Image.fromarray(np.ascontiguousarray(pixels)).resize((width, height), filter, box=(left, top, right, bottom))
    rows, columns = pixels.shape
    beyond_x = _beyond(left - pad, right - pad, width, columns - 2 * pad)
    beyond_y = _beyond(top - pad, bottom - pad, height, rows - 2 * pad)
    return np.where(beyond_y[:, None] | beyond_x, np.float32(fill), np.asarray(shown))


def _beyond(start: float, stop: float, pixels: int, voxels: int) -> NDArray[np.bool_]:
    """Which of `pixels` that divide [start, stop), in voxels, have their centre outside [0, voxels)."""
    centre = start + (np.arange(pixels) + 0.5) * (stop - start) / pixels
    return (centre < 0) | (centre >= voxels)
