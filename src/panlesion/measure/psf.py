"""Point spread of a CT along its array axes, read off its strong edges (skin against air, lung against soft tissue, gas)."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from panlesion.ct.volume import Vector3

EDGE_HU = 400.0
"""Least step of an edge used. Ours: above any soft-tissue contrast, below soft tissue against lung or gas (700-1000 HU)."""
STEEPEST_SIDE_SLOPE = 0.25
"""Edges tilted by more than atan(0.25) = 14° against the axis look wider than they are and are left out. Ours."""
PLATEAU_SPREAD = 0.12
"""Both sides of an edge must be flat within this share of the step (skin over fat is not). Ours."""
TAIL = 0.02
"""Samples within this share of the step from a plateau say nothing of the width but that the rise is over. Ours."""
QUANTILE = 0.25
"""Of all widths this quantile is taken: most edges are tilted, curved or doubled, none sharper than the scanner. Ours."""
FEWEST_EDGES = 40
HALF_WIDTHS_MM = (5.0, 9.0, 14.0)
"""Half widths of the profiles tried; the first that is at least `WIDTHS_NEEDED` sigmas wide is taken."""
WIDTHS_NEEDED = 3.3
SIGMA_VOXELS_LEAST = 0.3
SIGMA_MM_MOST = 4.0
UNSEEN_VOXELS = 0.6
"""Sigma in voxels assumed where no axis has edges. Ours: a voxel's own box is 0.29, kernels double it."""
MOST_LINES = 12000
"""Lines sampled per axis; keeps the whole below 0.2 s on 280³."""


def _lines(hu: NDArray, axis: int) -> tuple[NDArray, NDArray, NDArray]:
    """Every n-th line along an axis as (lines, length), and the indices of the lines along the two other axes."""
    moved = np.moveaxis(hu, axis, 2)
    stride = max(1, math.ceil(math.sqrt(moved.shape[0] * moved.shape[1] / MOST_LINES)))
    a, b = np.meshgrid(np.arange(1, moved.shape[0] - 1, stride), np.arange(1, moved.shape[1] - 1, stride), indexing="ij")
    return moved[a.ravel(), b.ravel()].astype(np.float32), a.ravel(), b.ravel()


def _steepest(lines: NDArray, half: int) -> tuple[NDArray, NDArray]:
    """Line and position of edges: |difference| over two voxels is the largest within `half`, and the step is high enough."""
    slope = np.abs(lines[:, 2:] - lines[:, :-2])
    slope = slope[:, half - 1 : slope.shape[1] - half + 1]
    if slope.shape[1] < 3:
        return np.empty(0, dtype=int), np.empty(0, dtype=int)
    peak = (slope[:, 1:-1] >= slope[:, :-2]) & (slope[:, 1:-1] > slope[:, 2:]) & (slope[:, 1:-1] > EDGE_HU / (2 * half))
    line, at = np.nonzero(peak)
    return line, at + half + 1


def _ramp(between: NDArray) -> NDArray:
    """The samples of each profile's rise: those joined to its middle without a plateau between, and one more each side."""
    half = between.shape[1] // 2
    right = np.cumprod(between[:, half + 1 :], axis=1)
    left = np.cumprod(between[:, half - 1 :: -1], axis=1)
    one = np.ones((len(between), 1), dtype=right.dtype)
    return np.hstack([np.hstack([one, left[:, :-1]])[:, ::-1], one, one, right[:, :-1]])


def _widths(profiles: NDArray, spacing_mm: float) -> NDArray:
    """Sigma in mm of each profile (edges, 2h+1), from the probit of its normalised step; of real edges only.

    A step blurred by a Gaussian is an error function, so its probit is a straight line of slope 1/sigma, wherever the edge
    lies between the samples: no correction for the finite difference is needed. Weights are those of the delta method.
    """
    half = profiles.shape[1] // 2
    ends = max(2, half // 3)
    low, high = profiles[:, :ends].mean(axis=1), profiles[:, -ends:].mean(axis=1)
    step = high - low
    spread = np.maximum(np.ptp(profiles[:, :ends], axis=1), np.ptp(profiles[:, -ends:], axis=1))
    good = (np.abs(step) > EDGE_HU) & (spread < PLATEAU_SPREAD * np.abs(step))
    share = (profiles[good] - low[good, None]) / step[good, None]
    z = special.ndtri(np.clip(share, TAIL, 1.0 - TAIL))
    weight = np.exp(-(z**2)) * _ramp((share > TAIL) & (share < 1.0 - TAIL))
    x = (np.arange(profiles.shape[1]) - half) * spacing_mm
    total = weight.sum(axis=1)
    x_mean, z_mean = (weight * x).sum(axis=1) / total, (weight * z).sum(axis=1) / total
    x_off, z_off = x - x_mean[:, None], z - z_mean[:, None]
    slope = (weight * x_off * z_off).sum(axis=1) / np.maximum((weight * z_off**2).sum(axis=1), 1e-9)
    return slope[slope > 0]


def axis_sigma_mm(hu: NDArray, spacing_mm: Vector3, axis: int) -> float | None:
    """Point-spread sigma along one array axis; None where the CT shows fewer than `FEWEST_EDGES` usable edges along it."""
    step_mm = spacing_mm[axis]
    others = [s for n, s in enumerate(spacing_mm) if n != axis]
    moved = np.moveaxis(hu, axis, 2)
    lines, a, b = _lines(hu, axis)
    sigma = None
    for half_mm in HALF_WIDTHS_MM:
        half = max(3, math.ceil(half_mm / step_mm))
        line, at = _steepest(lines, half)
        if line.size == 0:
            break
        reach = np.arange(-half, half + 1)
        p, q = a[line], b[line]
        along = np.abs(lines[line, at + 1] - lines[line, at - 1]) / step_mm
        side = np.hypot(
            (moved[p + 1, q, at].astype(np.float32) - moved[p - 1, q, at]) / others[0],
            (moved[p, q + 1, at].astype(np.float32) - moved[p, q - 1, at]) / others[1],
        )
        straight = side < STEEPEST_SIDE_SLOPE * along
        profiles = lines[line[straight, None], at[straight, None] + reach]
        widths = _widths(profiles, step_mm)
        if widths.size < FEWEST_EDGES:
            break
        sigma = float(np.quantile(widths, QUANTILE))
        if sigma * WIDTHS_NEEDED <= half * step_mm:
            break
    if sigma is None:
        return None
    return float(np.clip(sigma, SIGMA_VOXELS_LEAST * step_mm, SIGMA_MM_MOST))


def measure_psf(hu: NDArray, spacing_mm: Vector3) -> Vector3:
    """Sigma in mm of the point spread along i, j, k, from the sharpest quarter of the edges at right angles to each axis.

    An axis without edges gets the geometric mean of the others, in voxels of its own; without any, `UNSEEN_VOXELS`.
    """
    seen = [axis_sigma_mm(hu, spacing_mm, axis) for axis in range(3)]
    in_voxels = [s / d for s, d in zip(seen, spacing_mm, strict=True) if s is not None]
    default = math.exp(sum(map(math.log, in_voxels)) / len(in_voxels)) if in_voxels else UNSEEN_VOXELS
    i, j, k = (default * d if s is None else s for s, d in zip(seen, spacing_mm, strict=True))
    return (i, j, k)
