"""Loops around a mask: the closed lines along the borders of its pixels."""

import numpy as np
from numpy.typing import NDArray

_Corner = tuple[int, int]
_Side = tuple[_Corner, _Corner, _Corner, _Corner]


def loops(mask: NDArray[np.bool_]) -> list[NDArray[np.float64]]:
    """Closed loops (N, 2) of pixel corners, in index units, that bound a mask (I, J); holes have loops of their own.

    By the even-odd rule they enclose the centres of the mask's pixels and no others.
    """
    return [np.array([side[0] for side in loop], dtype=np.float64) - 0.5 for loop in _traced(mask)]


def borders(mask: NDArray[np.bool_]) -> list[tuple[bool, list[_Corner]]]:
    """Chains of whole pixels around a mask (I, J): the pixels just outside it, or, around a hole, those of its rim.

    Returns:
        For each whether it is the border of the mask, not of a hole, and its pixels in order.
    """
    found = []
    for loop in _traced(mask):
        corners = np.array([side[0] for side in loop])
        turned = np.roll(corners, -1, axis=0)
        outer = float(np.sum(corners[:, 0] * turned[:, 1] - turned[:, 0] * corners[:, 1])) > 0
        pixels = [side[3] if outer else side[2] for side in loop]
        found.append((outer, [one for n, one in enumerate(pixels) if one != pixels[n - 1]] or pixels[:1]))
    return found


def _traced(mask: NDArray[np.bool_]) -> list[list[_Side]]:
    """Sides (start, end, pixel inside, pixel outside) in order, the mask on the left; a pixel's lower corner has its index."""
    padded = np.pad(mask, 1)
    from_corner: dict[_Corner, list[_Side]] = {}
    within = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    for i, j in np.argwhere(mask & ~within).tolist():
        sides = (
            ((i, j), (i + 1, j), (i, j - 1)),
            ((i + 1, j), (i + 1, j + 1), (i + 1, j)),
            ((i + 1, j + 1), (i, j + 1), (i, j + 1)),
            ((i, j + 1), (i, j), (i - 1, j)),
        )
        for start, end, other in sides:
            if not padded[other[0] + 1, other[1] + 1]:
                from_corner.setdefault(start, []).append((start, end, (i, j), other))
    traced = []
    while from_corner:
        side = next(iter(from_corner.values()))[0]
        loop: list[_Side] = []
        while True:
            # Where two pixels meet at a corner alone, stay with the same pixel: their loops then do not cross.
            ways = from_corner[side[0]] if not loop else from_corner.get(side[1], [])
            if loop:
                if not ways:
                    break
                side = next((way for way in ways if way[2] == side[2]), ways[0])
            loop.append(side)
            from_corner[side[0]].remove(side)
            if not from_corner[side[0]]:
                del from_corner[side[0]]
        traced.append(loop)
    return traced
