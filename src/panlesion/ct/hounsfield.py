"""Can these numbers be HU? The rules that NIfTI and DICOM input share.

The limits are ours. Each was chosen so that a known mistake breaks it (a windowed picture, a scan without its rescale
intercept, an MR, a normalised array) while cubes of 30–50 mm cut from real CTs pass; docs/why/ct.md gives the reasons.
"""

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Volume
from panlesion.errors import NotCTError

PADDING_BELOW_HU = -1500
"""Scanners fill the corners outside the reconstruction circle with -2000, -2048, -3024 or -32768. Real air with noise, or
with the ringing of a resampling, stays above."""

_SAMPLE_VOXELS = 2_000_000


def without_padding(hu: NDArray[np.int16]) -> NDArray[np.int16]:
    """Values below `PADDING_BELOW_HU` become air (-1024 HU); the same array where there are none."""
    if hu.size == 0 or hu.min() >= PADDING_BELOW_HU:
        return hu
    return np.where(hu < PADDING_BELOW_HU, np.int16(Volume.AIR_HU), hu)


def check_hounsfield(hu: NDArray[np.int16], name: str) -> None:
    """Refuse values that cannot be HU of a body; call it on values without padding.

    Raises:
        NotCTError: Naming `name`, the values found, the rule they break and what to do.
    """
    low, high = int(hu.min()), int(hu.max())
    fault = _fault(hu, low, high)
    if fault:
        raise NotCTError(f"{name}: values from {low} to {high}: {fault}")


def _fault(hu: NDArray[np.int16], low: int, high: int) -> str | None:
    if high - low < 50:
        return (
            "a CT spans more than 50 HU (noise alone does); this is empty, a mask or a normalised array. "
            "Give the CT in HU as the scanner stored it"
        )
    if low >= 0 and high <= 255:
        return (
            "no value below 0 and none above 255: a windowed picture or a label map, not HU "
            "(air is -1000, fat -100). Export the CT again without a window"
        )
    if low >= 0:
        return (
            "no value below 0: the rescale intercept was not applied, or it is no CT (air is -1000 HU, fat -100). "
            "Add the intercept (usually -1024) or export the CT again"
        )
    sample = _sample(hu)
    first, upper = np.percentile(sample, [1, 99])
    if upper < -400:
        return (
            f"99 % of the voxels lie below {upper:.0f} HU: nothing as dense as tissue (limit -400). "
            "The intercept may have been applied twice"
        )
    # Water is 1024 in a scan without its intercept, so there 1 % of the voxels, and more, lie above 900.
    airless = -50 if upper > 900 else -10
    if low > -200 and high > 500 and first >= airless:
        return (
            f"bright structures but neither air nor fat (1st percentile {first:.0f}, limit {airless}): "
            "a CT whose rescale intercept was not applied, or an MR"
        )
    return _clipped(sample, low, high)


def _clipped(sample: NDArray[np.int16], low: int, high: int) -> str | None:
    """A pile of voxels at the lowest value, itself far above air, is what clipping to a window leaves behind."""
    share = float(np.mean(sample == low))
    if low > -500 and share >= 0.01 and sample.size >= 1000:
        return (
            f"{share:.0%} of the voxels have exactly the lowest value, {low}: values were cut at a window "
            f"({low} … {high}), or it is no CT. Export the CT again without a window"
        )
    return None


def _sample(hu: NDArray[np.int16]) -> NDArray[np.int16]:
    """At most about two million voxels on a regular lattice: percentiles of a whole scan take seconds."""
    step = max(1, round((hu.size / _SAMPLE_VOXELS) ** (1 / 3)))
    return hu[::step, ::step, ::step] if min(hu.shape) >= 2 * step else hu
