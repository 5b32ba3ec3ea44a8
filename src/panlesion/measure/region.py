"""Masks shrunk, grown and averaged quickly: what the rules of measurement share."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.volume import Index3, Vector3

PEAK_WIDTH_HU = (5.0, 10.0)


def voxels_of(radius_mm: float, spacing_mm: Vector3) -> Index3:
    """A length in whole voxels along each axis, rounded to the nearest."""
    i, j, k = (round(radius_mm / s) for s in spacing_mm)
    return (i, j, k)


def eroded(mask: NDArray[np.bool_], voxels: Index3, *, beyond: bool | None = False) -> NDArray[np.bool_]:
    """What stays when a box of ±`voxels` must fit; `beyond`: is the mask set outside the array; None: as at its border."""
    out = mask
    for axis, n in enumerate(voxels):
        if n > 0:
            lines, size, cval = out.view(np.uint8), 2 * n + 1, 1 if beyond else 0
            out = ndimage.minimum_filter1d(
                lines, size, axis=axis, mode="nearest" if beyond is None else "constant", cval=cval
            ).view(np.bool_)
    return out


def dilated(mask: NDArray[np.bool_], voxels: Index3, *, beyond: bool | None = False) -> NDArray[np.bool_]:
    """Everything within a box of ±`voxels` of the mask; `beyond` as for `eroded`."""
    return ~eroded(~mask, voxels, beyond=None if beyond is None else not beyond)


def closed(mask: NDArray[np.bool_], voxels: Index3) -> NDArray[np.bool_]:
    """The mask with every gap narrower than 2 × `voxels` filled.

    Outside the array, mask and gaps go on as they are at its border: a strip between the mask and the border is no gap, and a
    vessel that leaves the array stays one.
    """
    wide = np.pad(mask, [(n, n) for n in voxels], mode="edge")
    inner = tuple(slice(n, n + size) for n, size in zip(voxels, mask.shape, strict=True))
    return eroded(dilated(wide, voxels, beyond=None), voxels)[inner]


def robust_mean(values: NDArray, limit_sd: float = 2.5) -> float:
    """Mean of the values within `limit_sd` robust SD (1.4826 × median absolute deviation, Huber 1981) of their median."""
    centre = float(np.median(values))
    sd = 1.4826 * float(np.median(np.abs(values - centre)))
    near = np.abs(values - centre) <= limit_sd * max(sd, 0.5)
    return float(values[near].mean(dtype=np.float64))


def peak(values: NDArray, low_hu: float, high_hu: float) -> float:
    """Most frequent value in a range: top of the smoothed histogram, then the mean of what lies near.

    The histogram has bins of 1 HU and is smoothed by 0.7 robust SD, at least 5 and at most 10 HU; near is within three of that.
    """
    counts, edges = np.histogram(values, bins=np.arange(low_hu, high_hu + 1.5))
    spread = 1.4826 * float(np.median(np.abs(values - np.median(values))))
    width_hu = float(np.clip(0.7 * spread, *PEAK_WIDTH_HU))
    smooth = ndimage.gaussian_filter1d(counts.astype(np.float64), width_hu, mode="constant")
    top = float(edges[int(np.argmax(smooth))]) + 0.5
    near = values[np.abs(values - top) <= 3.0 * width_hu]
    return float(near.mean(dtype=np.float64)) if near.size else top
