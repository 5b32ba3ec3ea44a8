"""Outlines of masks: one pixel wide, antialiased, in colours that stay apart for the colour-blind."""

import numpy as np
from numpy.typing import NDArray

from panlesion.picture.planes import Turned, View, cut

_PIXELS_PER_VOXEL = 4

Colour = tuple[int, int, int]

# The palette of M. Okabe & K. Ito, Color Universal Design (2008).
LESION_COLOUR: Colour = (240, 150, 0)
ORGAN_COLOUR: Colour = (86, 180, 233)


def outline(mask: Turned, view: View, px_per_mm: float, width_px: float = 1.2) -> NDArray[np.float32]:
    """Opacity 0 to 1 (rows, columns) of the line around a mask, as `cut` would show it.

    The line lies where the mask, interpolated between voxel centres, crosses one half. The distance to it is taken to
    first order, |inside - 1/2| / |gradient|, so it keeps its width whatever the voxel size; where a voxel has few pixels
    that is done on a finer raster, or thin lines would fall between the pixels.
    """
    finer = int(np.clip(np.ceil(_PIXELS_PER_VOXEL / (px_per_mm * min(mask.spacing_mm))), 1, 8))
    inside = cut(mask, view, px_per_mm, fill=0, smooth=False, oversample=finer)
    rows, columns = np.gradient(inside)
    distance = np.abs(inside - 0.5) / np.maximum(np.hypot(rows, columns), 1e-6)
    line = np.clip(width_px * finer / 2 + 0.5 - distance, 0.0, 1.0)
    height, width = (n // finer for n in line.shape)
    return line.reshape(height, finer, width, finer).mean(axis=(1, 3), dtype=np.float32)


def over(rgb: NDArray[np.uint8], opacity: NDArray[np.float32], colour: Colour) -> NDArray[np.uint8]:
    """An image (rows, columns, 3) with `colour` laid over it."""
    alpha = opacity[..., None]
    mixed = rgb.astype(np.float32) * (1 - alpha) + np.asarray(colour, dtype=np.float32) * alpha
    return np.rint(mixed).astype(np.uint8)
