"""Image noise of a homogeneous tissue: its standard deviation and its 3D autocorrelation."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from panlesion.ct.volume import Box, Vector3

LOCAL_MEAN_SIGMA_MM = 4.0
"""Scale above which HU changes are anatomy, below which noise. Ours: CT noise decorrelates in 2-3 mm, organs vary over cm."""
OUTLIER_SD = 2.5
"""Residuals beyond this many robust SD are vessels or edges. Ours; a normal residual loses 1.2 % of its voxels, corrected."""
LAG_MM = 5.0
LAG_VOXELS = (2, 6)
"""The autocorrelation reaches about `LAG_MM`, but at least 2 and at most 6 voxels. Ours."""
LARGEST_SIDE = 72
"""Voxels per axis of the subvolume used: 72³ gives an SD within 1 % and keeps the FFT at tens of milliseconds. Ours."""
FEWEST_VOXELS = 60
FEWEST_PAIRS = 30
"""Fewer voxels are no measurement; a lag seen by fewer pairs of voxels counts as uncorrelated. Ours."""
UNMIX_ROUNDS = 12
RIM_POWER = 0.4
"""How the rim's share of smoothed variance falls as noise is correlated; fitted to made noise, tests/measure/test_noise.py."""

_MAD_TO_SD = 1.482602
_INSIDE = math.erf(OUTLIER_SD / math.sqrt(2.0))
TRUNCATED_VARIANCE = 1.0 - 2.0 * OUTLIER_SD * math.exp(-(OUTLIER_SD**2) / 2.0) / math.sqrt(2.0 * math.pi) / _INSIDE
"""Variance of a standard normal cut at ±`OUTLIER_SD`; what is measured is divided by it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Noise:
    """SD in HU and autocorrelation float32 (2R+1, 2R+1, 2R+1) over lags in voxels; 1 at its centre."""

    sd_hu: float
    acf: NDArray[np.float32]

    @property
    def reach_voxels(self) -> int:
        return self.acf.shape[0] // 2


def thinned(noise: Noise, stride: int) -> Noise:
    """The noise of every `stride`-th voxel."""
    first = noise.reach_voxels % stride
    return noise if stride == 1 else Noise(sd_hu=noise.sd_hu, acf=noise.acf[first::stride, first::stride, first::stride])


def reach_voxels(spacing_mm: Vector3) -> int:
    """Lags R that an autocorrelation on that grid spans."""
    return int(np.clip(round(LAG_MM / min(spacing_mm)), *LAG_VOXELS))


def smoothed(values: NDArray[np.float32], weight: NDArray[np.float32], sigma_voxels: Vector3) -> NDArray[np.float32]:
    """Gaussian mean of the voxels that have weight (normalised convolution, Knutsson & Westin 1993)."""
    top = ndimage.gaussian_filter(values * weight, sigma_voxels, mode="constant", truncate=3.0)
    below = ndimage.gaussian_filter(weight, sigma_voxels, mode="constant", truncate=3.0)
    return np.asarray(top / np.maximum(below, 1e-6), dtype=np.float32)


def densest_box(mask: NDArray[np.bool_], side: int = LARGEST_SIDE) -> Box:
    """Box of at most `side` voxels an axis, placed axis by axis where it holds most of the mask."""
    box = Box.of(mask)
    for axis in range(3):
        if box.shape[axis] <= side:
            continue
        profile = mask[box.slices].sum(axis=tuple(a for a in range(3) if a != axis))
        total = np.concatenate([[0], np.cumsum(profile)])
        first = box.start[axis] + int(np.argmax(total[side:] - total[:-side]))
        start, stop = list(box.start), list(box.stop)
        start[axis], stop[axis] = first, first + side
        box = Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))
    return box


def _correlations(fields: list[NDArray[np.float32]], pairs: list[tuple[int, int]], reach: int) -> list[NDArray[np.float32]]:
    """Sum over x of a(x) b(x + lag) for lags -reach..reach, for each asked pair of fields."""
    size = [fft.next_fast_len(n + reach, real=True) for n in fields[0].shape]
    spectra = [fft.rfftn(field, size) for field in fields]
    lags = np.arange(-reach, reach + 1)
    window = np.ix_(*[lags % n for n in size])
    return [np.asarray(fft.irfftn(np.conj(spectra[a]) * spectra[b], size)[window], dtype=np.float32) for a, b in pairs]


def _kernel(sigma_voxels: Vector3, reach: int) -> NDArray[np.float32]:
    """The sampled 3D Gaussian that `smoothed` uses, at lags -reach..reach."""
    axes = []
    for sigma in sigma_voxels:
        lags = np.arange(-reach, reach + 1)
        radius = int(3.0 * sigma + 0.5)
        full = np.arange(-radius, radius + 1)
        norm = np.exp(-0.5 * (full / sigma) ** 2).sum()
        axes.append(np.where(np.abs(lags) <= radius, np.exp(-0.5 * (lags / sigma) ** 2) / norm, 0.0))
    return np.asarray(axes[0][:, None, None] * axes[1][:, None] * axes[2], dtype=np.float32)


def _convolved(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Convolution of two odd-sided kernels, through FFT, cut to the size of the first."""
    size = [fft.next_fast_len(n + m - 1, real=True) for n, m in zip(a.shape, b.shape, strict=True)]
    full = fft.irfftn(fft.rfftn(a, size) * fft.rfftn(b, size), size)
    keep = tuple(slice(m // 2, m // 2 + n) for n, m in zip(a.shape, b.shape, strict=True))
    return np.asarray(full[keep], dtype=np.float32)


def smoothing_weight(weight: NDArray[np.float32], sigma_voxels: Vector3, reach: int) -> NDArray[np.float32]:
    """Mean weight that `smoothed` gives a voxel at each lag -reach..reach, averaged over the mask it is centred on."""
    below = ndimage.gaussian_filter(weight, sigma_voxels, mode="constant", truncate=3.0)
    inverse = np.where(weight > 0, 1.0 / np.maximum(below, 1e-6), 0.0).astype(np.float32)
    (seen,) = _correlations([inverse, weight], [(0, 1)], reach)
    return seen * _kernel(sigma_voxels, reach) / np.float32(weight.sum())


def _restored(covariance: NDArray[np.float32], weight: NDArray[np.float32], sigma_voxels: Vector3) -> NDArray[np.float32]:
    """Give back the slow part of the noise that subtracting the local mean took away.

    The residual of noise with covariance C has covariance C − 2 g∗C + g∗g∗C, g being the local mean's weights. Solved for C by
    fixed-point rounds (Van Cittert 1931), with C = 0 beyond the lags measured.
    """
    reach = covariance.shape[0] // 2
    g = smoothing_weight(weight, sigma_voxels, 2 * reach)
    taken = 2.0 * g - _convolved(g, g)
    estimate = covariance
    for _ in range(UNMIX_ROUNDS):
        estimate = covariance + _convolved(estimate, taken)
    return estimate


def inliers(values: NDArray, limit_sd: float = OUTLIER_SD) -> NDArray[np.bool_]:
    """Which values lie within `limit_sd` robust SD (from the median absolute deviation) of their median."""
    centre = np.median(values)
    sd = _MAD_TO_SD * float(np.median(np.abs(values - centre)))
    return np.asarray(np.abs(values - centre) <= limit_sd * max(sd, 0.5))


def measure_noise(hu: NDArray, mask: NDArray[np.bool_], spacing_mm: Vector3) -> Noise:
    """Noise of one homogeneous tissue; `mask` should keep clear of the tissue's edges by the point spread.

    Residuals from the masked local mean, outliers left out; SD and autocorrelation (masked, through FFT) are corrected for the
    cut of the outliers and for the slow noise that the local mean takes away. Large masks are measured in their densest part.

    Raises:
        ValueError: the mask holds fewer than `FEWEST_VOXELS` voxels.
    """
    count = int(np.count_nonzero(mask))
    if count < FEWEST_VOXELS:
        raise ValueError(f"mask has {count} voxels; noise needs at least {FEWEST_VOXELS}: give a larger or less eroded mask")
    box = densest_box(mask)
    inside = mask[box.slices]
    values = np.where(inside, hu[box.slices], 0).astype(np.float32)
    sigma: Vector3 = tuple(LOCAL_MEAN_SIGMA_MM / s for s in spacing_mm)  # type: ignore[assignment]
    kept = inside.copy()
    kept[inside] = inliers(values[inside], 2.0 * OUTLIER_SD)
    for _ in range(2):
        weight = kept.astype(np.float32)
        residual = values - smoothed(values, weight, sigma)
        kept[inside] = inliers(residual[inside])
    weight = kept.astype(np.float32)
    residual = (values - smoothed(values, weight, sigma)) * weight
    residual -= weight * (residual.sum() / weight.sum())
    reach = reach_voxels(spacing_mm)
    products, pairs = _correlations([residual, weight], [(0, 0), (1, 1)], reach)
    covariance = np.where(pairs >= FEWEST_PAIRS, products / np.maximum(pairs, 1.0), 0.0).astype(np.float32)
    covariance = _restored(covariance, weight, sigma)
    variance = max(float(covariance[reach, reach, reach]), 1e-12)
    acf = np.clip(covariance / np.float32(variance), -1.0, 1.0).astype(np.float32)
    return Noise(sd_hu=math.sqrt(variance / TRUNCATED_VARIANCE), acf=acf)


def unlike(a: Noise, b: Noise) -> float:
    """Mean absolute difference of two autocorrelations at the lags of 1 and 2 voxels along the axes.

    Only these: farther lags are near 0 for CT noise, and a lesion of a few thousand voxels cannot tell them from 0.
    """

    def near(noise: Noise) -> NDArray[np.float32]:
        c = noise.reach_voxels
        return np.stack([noise.acf[c + 1 : c + 3, c, c], noise.acf[c, c + 1 : c + 3, c], noise.acf[c, c, c + 1 : c + 3]])

    return float(np.abs(near(a) - near(b)).mean())


def _rim_factor(weight: NDArray[np.float32], sigma_voxels: Vector3, g: NDArray[np.float32]) -> float:
    """How much more variance white noise keeps in a mask than the mask's mean weights `g` tell; exact.

    At the rim fewer voxels are averaged, and the mean of the squared weights exceeds the square of their mean.
    """
    squares = weight
    for axis, sigma in enumerate(sigma_voxels):
        lags = np.arange(-int(3.0 * sigma + 0.5), int(3.0 * sigma + 0.5) + 1)
        line = np.exp(-0.5 * (lags / sigma) ** 2)
        squares = ndimage.correlate1d(squares, np.square(line / line.sum()), axis=axis, mode="constant")
    below = ndimage.gaussian_filter(weight, sigma_voxels, mode="constant", truncate=3.0)
    inside = weight > 0
    exact = float(np.mean(squares[inside] / np.square(below[inside]), dtype=np.float64))
    return exact / float(np.sum(np.square(g), dtype=np.float64))


def smoothed_variance(noise: Noise, weight: NDArray[np.float32], sigma_voxels: Vector3) -> tuple[float, float]:
    """Variance in HU² that this noise shows over a mask after `smoothed`, about its mean, and that variance's SD.

    Noise of covariance C is smoothed to S = C∗g∗g. About the mask's own mean, the expected variance is S(0) less the variance
    of that mean; its own SD is √(2 Σ n(l) S(l)²) / N, n(l) counting the voxel pairs at lag l (the variance of a quadratic form
    of normal variables).
    """
    reach = 2 * noise.reach_voxels
    g = smoothing_weight(weight, sigma_voxels, reach)
    twice = _convolved(g, g)
    covariance = noise.sd_hu**2 * _convolved(twice, noise.acf).astype(np.float64)
    white = noise.sd_hu**2 * float(twice[reach, reach, reach]) / max(float(covariance[reach, reach, reach]), 1e-12)
    covariance *= 1.0 + (_rim_factor(weight, sigma_voxels, g) - 1.0) * min(1.0, white) ** RIM_POWER
    (pairs,) = _correlations([weight], [(0, 0)], reach)
    share = np.maximum(pairs, 0.0).astype(np.float64) / weight.sum(dtype=np.float64) ** 2
    variance = float(covariance[reach, reach, reach]) - float(np.sum(share * covariance))
    return max(0.0, variance), float(np.sqrt(2.0 * np.sum(share * covariance**2)))
