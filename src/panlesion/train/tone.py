"""PASTA's published intensity augmentation, on network values 0 … 1, in the order of nnU-Net v1.

Isensee et al. 2021 and its code (batchgenerators): noise, blur, brightness, contrast, low resolution, inverted gamma, gamma.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from panlesion.train.chance import Chance
from panlesion.train.separable import along_axis, coarse, gaussian


@dataclass(frozen=True, kw_only=True)
class ToneRange:
    """How often and how far; the values are those of PASTA's public code."""

    # Part of the patch's standard deviation: nnU-Net draws 0 … 0.1 on z-scores and, despite the name, uses it as the deviation.
    noise: Chance = field(default_factory=lambda: Chance(p=0.1, low=0.0, high=0.1))
    blur_voxels: Chance = field(default_factory=lambda: Chance(p=0.2, low=0.5, high=1.0))
    brightness: Chance = field(default_factory=lambda: Chance(p=0.15, low=0.75, high=1.25))
    contrast: Chance = field(default_factory=lambda: Chance(p=0.15, low=0.75, high=1.25))
    zoom: Chance = field(default_factory=lambda: Chance(p=0.25, low=0.5, high=1.0))
    inverted_gamma: Chance = field(default_factory=lambda: Chance(p=0.1, low=0.7, high=1.5))
    gamma: Chance = field(default_factory=lambda: Chance(p=0.3, low=0.7, high=1.5))


@dataclass(frozen=True, kw_only=True)
class ToneChange:
    """One drawn change of tone; None where a step is left out. `noise_seed` matters only with noise."""

    noise: float | None = None
    noise_seed: int = 0
    blur_voxels: float | None = None
    brightness: float | None = None
    contrast: float | None = None
    zoom: float | None = None
    inverted_gamma: float | None = None
    gamma: float | None = None


def draw_tone_change(ranges: ToneRange, rng: np.random.Generator) -> ToneChange:
    """Every random number is drawn here; contrast and gamma below and above one are equally likely, as in nnU-Net."""
    return ToneChange(
        noise=ranges.noise.draw(rng),
        noise_seed=int(rng.integers(2**31)),
        blur_voxels=ranges.blur_voxels.draw(rng),
        brightness=ranges.brightness.draw(rng),
        contrast=ranges.contrast.draw_ratio(rng),
        zoom=ranges.zoom.draw(rng),
        inverted_gamma=ranges.inverted_gamma.draw_ratio(rng),
        gamma=ranges.gamma.draw_ratio(rng),
    )


def render_tone_change(change: ToneChange, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """The changed patch (n, n, n).

    Clipped to 0 … 1 at the end only, as the intensity map of a real scan would; nnU-Net, whose input has no bounds, clips
    nothing but contrast, to the range before it.
    """
    n = x.shape[0]
    if change.noise is not None:
        noise = np.random.default_rng(change.noise_seed).standard_normal(x.shape, dtype=np.float32)
        x = x + noise * np.float32(change.noise * x.std())
    if change.blur_voxels is not None:
        x = _filtered(x, gaussian(n, change.blur_voxels))
    if change.brightness is not None:
        x = x * np.float32(change.brightness)
    if change.contrast is not None:
        mean = x.mean()
        x = ((x - mean) * np.float32(change.contrast) + mean).clip(x.min(), x.max())
    if change.zoom is not None:
        x = _filtered(x, coarse(n, change.zoom))
    if change.inverted_gamma is not None:
        x = -_curved(-x, change.inverted_gamma)
    if change.gamma is not None:
        x = _curved(x, change.gamma)
    return x.clip(0.0, 1.0) if change != _UNCHANGED else x


_UNCHANGED = ToneChange()


def _filtered(x: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    for axis in range(3):
        x = along_axis(x, matrix, axis)
    return x


def _curved(x: NDArray[np.float32], gamma: float) -> NDArray[np.float32]:
    """Gamma over the patch's own range, mean and deviation kept (nnU-Net's `retain_stats`)."""
    low, mean, deviation = x.min(), x.mean(), x.std()
    reach = x.max() - low
    if reach < 1e-6:
        return x
    out = ((x - low) / reach).clip(0.0, 1.0) ** np.float32(gamma)
    return (out - out.mean()) * (deviation / max(out.std(), np.float32(1e-6))) + mean
