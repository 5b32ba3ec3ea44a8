"""Polygons on a grid: which grid points contours enclose, and which lie on their lines."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

_ROUNDING = 1e-9


def even_odd(contours: Iterable[NDArray[np.float64]], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Bool (I, J): the grid points that an odd number of turns of the contours encloses.

    A point is inside or outside as a whole; there are no parts. A point on a line belongs to the area with the larger index,
    so two areas that share a line never share a point and lose none. Winding and starting point do not matter, a contour
    inside another cuts a hole, and a line that is walked forth and back (a keyhole's channel) counts for nothing.

    Args:
        contours: (N, 2) each, in index units; the last point is joined to the first.
        shape: Of the grid.
    """
    turns = np.zeros((shape[0] + 1, shape[1]), dtype=np.int32)
    for contour in contours:
        i, j = _crossings(contour, shape[1])
        np.add.at(turns, (np.clip(np.ceil(i - _ROUNDING), 0, shape[0]).astype(np.int64), j), 1)
    return np.asarray(np.cumsum(turns[:-1], axis=0) & 1, dtype=np.bool_)


def _crossings(contour: NDArray[np.float64], columns: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Where the lines of constant whole j cut the contour: i and j of each cut, within the grid's j."""
    start, end = contour, np.roll(contour, -1, axis=0)
    # One direction for every line: the same line walked back then cuts at the very same place.
    back = (start[:, 1] > end[:, 1])[:, None]
    low, high = np.where(back, end, start), np.where(back, start, end)
    first, stop = (np.clip(np.ceil(ends[:, 1] - _ROUNDING), 0, columns).astype(np.int64) for ends in (low, high))
    count = stop - first
    line = np.repeat(np.arange(len(contour)), count)
    j = first[line] + np.arange(len(line)) - (np.cumsum(count) - count)[line]
    share = (j - low[line, 1]) / (high[line, 1] - low[line, 1])
    return low[line, 0] + share * (high[line, 0] - low[line, 0]), j


def points_on(contour: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """The grid points (N, 2) on the lines of a closed contour of whole numbers, its own points included."""
    start = np.asarray(contour, dtype=np.int64)
    step = np.roll(start, -1, axis=0) - start
    parts = np.gcd(np.abs(step[:, 0]), np.abs(step[:, 1]))
    line = np.repeat(np.arange(len(start)), np.maximum(parts, 1))
    along = np.arange(len(line)) - (np.cumsum(np.maximum(parts, 1)) - np.maximum(parts, 1))[line]
    return np.asarray(start[line] + along[:, None] * (step // np.maximum(parts, 1)[:, None])[line], dtype=np.int64)
