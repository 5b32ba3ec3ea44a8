"""Density and heterogeneity of a lesion, read in its core and free of the scanner's noise."""

import math

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Box, Vector3
from panlesion.measure.noise import Noise, smoothed, smoothed_variance
from panlesion.measure.scene import Scene

CORE_SIGMAS = 1.5
"""The core lies this many edge sigmas (point spread and margin) inside: 7 % of the step is left there (normal distribution)."""
CORE_SHARE = 0.25
"""But it keeps about the deepest quarter of the lesion. Ours."""
SMOOTHING_MM = 1.5
"""Heterogeneity is what stays of the SD after a Gaussian of this sigma: areas of 3-4 mm and more, which a reader sees. Ours."""
SURE_SDS = 1.0
"""Variance counts from this many of its own SDs above the noise's. Ours: one even lesion in six still shows some."""


def sharpest_edge_mm(psf_mm: Vector3, spacing_mm: Vector3) -> float:
    """Width (SD) that no edge on a scan goes below: the point spread and a voxel's partial volume (a box's SD, 1/√12)."""
    return math.hypot(math.sqrt(float(np.mean(np.square(psf_mm)))), float(np.mean(spacing_mm)) / math.sqrt(12.0))


def core_of(scene: Scene, edge_sigma_mm: float) -> NDArray[np.bool_]:
    """The part of a lesion that its edge does not reach.

    Few voxels have few depths: in a lesion five voxels across, four fifths lie one voxel deep. Of the two depths around the
    deepest quarter, that counts whose share is nearer to a quarter, by ratio.
    """
    below = scene.below_mm
    quarter = float(np.quantile(below, 1.0 - CORE_SHARE))
    deeper, level = float(np.mean(below > quarter + 1e-6)), float(np.mean(below >= quarter - 1e-6))
    if deeper * level > CORE_SHARE**2:
        quarter = float(below[below > quarter + 1e-6].min())
    core = np.zeros_like(scene.lesion)
    core[scene.lesion] = below >= min(CORE_SIGMAS * edge_sigma_mm, quarter) - 1e-6
    return core


def coarse_sd_hu(hu: NDArray[np.float32], core: NDArray[np.bool_], noise: Noise, spacing_mm: Vector3) -> float:
    """SD of the smoothed HU in the core beyond what noise can explain: √max(0, Var(G∗HU) − E − S).

    E is the variance that noise of that SD and autocorrelation leaves after the same smoothing within the core, S that
    variance's own SD: with few voxels or much noise, heterogeneity must be proven.
    """
    box = Box.of(core)
    weight = core[box.slices].astype(np.float32)
    i, j, k = (SMOOTHING_MM / s for s in spacing_mm)
    values = hu[box.slices] - np.float32(hu[core].mean())
    fine = smoothed(values * weight, weight, (i, j, k))[weight > 0]
    expected, spread = smoothed_variance(noise, weight, (i, j, k))
    return math.sqrt(max(0.0, float(fine.var(dtype=np.float64)) - expected - SURE_SDS * spread))
