"""Caliper lines on a picture: thin, with a bar across each end, on a dark edge that keeps them readable on bright tissue."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from panlesion.ct.volume import Vector3
from panlesion.picture.contour import Colour, over
from panlesion.picture.planes import View

# Of Okabe & Ito's palette, as the outlines are; the colour-blind tell it from the lesion's orange and from grey.
CALIPER_COLOUR: Colour = (86, 180, 233)

_FINER = 4  # Pillow's lines have steps; drawn larger and reduced they have none
_EDGE: Colour = (0, 0, 0)


def pixel(point_mm: Vector3, view: View, px_per_mm: float) -> tuple[float, float]:
    """Where a point, in mm from the corner of a `Turned` array, lies on the picture of a view.

    Pixel edges are integers: the picture's first pixel reaches from 0 to 1.
    """
    across, down, _ = view.plane.axes
    upwards = -1.0 if down == 2 else 1.0  # superior is up
    x = point_mm[across] - view.centre_mm[across] + view.width_mm / 2
    y = upwards * (point_mm[down] - view.centre_mm[down]) + view.height_mm / 2
    return x * px_per_mm, y * px_per_mm


def draw_caliper(
    picture: Image.Image,
    view: View,
    px_per_mm: float,
    ends_mm: tuple[Vector3, Vector3],
    *,
    width_px: float = 1.5,
    bar_px: float = 10.0,
    colour: Colour = CALIPER_COLOUR,
) -> Image.Image:
    """The picture of a view with a line between two points, in mm from the corner of the `Turned` array that was cut.

    Ends that coincide have no direction and get a cross.
    """
    (ax, ay), (bx, by) = (pixel(end, view, px_per_mm) for end in ends_mm)
    length = float(np.hypot(bx - ax, by - ay))
    ux, uy = ((bx - ax) / length, (by - ay) / length) if length > 0 else (1.0, 0.0)
    half = bar_px / 2
    lines = [(ax, ay, bx, by)]
    lines += [(x - uy * half, y + ux * half, x + uy * half, y - ux * half) for x, y in ((ax, ay), (bx, by))]
    if length == 0:
        lines.append((ax - half, ay, ax + half, ay))
    rgb = np.asarray(picture)
    for colour_, width in ((_EDGE, width_px + 1.0), (colour, width_px)):
        rgb = over(rgb, _opacity(picture.size, lines, width), colour_)
    return Image.fromarray(rgb)


def _opacity(size: tuple[int, int], lines: list[tuple[float, float, float, float]], width_px: float) -> NDArray[np.float32]:
    """Opacity 0 to 1 (rows, columns) of lines of that width."""
    width, height = size
    canvas = Image.new("L", (width * _FINER, height * _FINER))
    pen = ImageDraw.Draw(canvas)
    for line in lines:
        # Pillow counts pixel centres, we count edges
        pen.line([v * _FINER - 0.5 for v in line], fill=255, width=max(1, round(width_px * _FINER)))
    fine = np.asarray(canvas, dtype=np.float32).reshape(height, _FINER, width, _FINER)
    return fine.mean(axis=(1, 3), dtype=np.float32) / np.float32(255)
