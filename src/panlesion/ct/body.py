"""Where the body is, so that a network need not look at the air around it."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.volume import Volume

TISSUE_HU = -500
"""Half way between air and tissue; ours."""
MARGIN_MM = 10.0


def body_mask(ct: Volume, margin_mm: float = MARGIN_MM) -> NDArray[np.bool_]:
    """Bool (I, J, K): tissue, the air it encloses in an axial plane, and `margin_mm` around both.

    Air is enclosed where tissue lies ahead, behind, left and right of it. Lungs, airways and bowel gas are, whether or not
    the tissue closes around them; so is more than the body, such as the air between it and the table: a mask too large
    costs time, one too small would cost a lesion. Where tissue touches a face of the volume in an axial plane, that face
    counts as tissue, so lungs that the field of view cuts are enclosed too.
    """
    tissue = ct.hu > TISSUE_HU
    axial = next(axis for axis, code in enumerate(ct.grid.axes) if code in "SI")
    across = [axis for axis in range(3) if axis != axial]
    inside = tissue | (_between(tissue, across[0], across[1]) & _between(tissue, across[1], across[0]))
    for axis, spacing_mm in enumerate(ct.grid.spacing_mm):
        reach = int(np.ceil(margin_mm / spacing_mm))
        if reach:
            inside = ndimage.maximum_filter1d(inside.view(np.uint8), 2 * reach + 1, axis=axis, mode="constant").view(bool)
    return inside


def _between(tissue: NDArray[np.bool_], axis: int, other: int) -> NDArray[np.bool_]:
    """Where tissue, or a face it touches, lies on both sides along `axis`; `other` is the axial plane's second axis."""
    sides = []
    for one in (tissue, np.flip(tissue, axis)):
        face = one.take([0], axis).any(axis=other, keepdims=True)
        sides.append(np.logical_or.accumulate(one, axis=axis) | face)
    return sides[0] & np.flip(sides[1], axis)
