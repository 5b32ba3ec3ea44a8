"""How sharp a lesion's margin is: the width of its edge profile beyond what the scanner blurs."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from panlesion.ct.volume import Vector3
from panlesion.lesion.taxonomy import TYPES
from panlesion.measure.region import eroded, voxels_of
from panlesion.measure.scene import Scene

INNER_MM = 5.0
OUTER_MM = 6.0
"""The profile reaches from 5 mm inside to 6 mm outside. Ours: three sigmas of a sharp edge on a thick-slice CT, and short of
most necrotic cores."""
LEAST_INNER_VOXELS = 2.5
LEAST_OUTER_VOXELS = 3.0
"""On coarse grids the profile reaches at least so far, to have enough shells to fit. Ours."""
ILL_DEFINED_SIGMA_MM = 1.0
"""10-90 % edge width of 2.56 mm beyond the scanner's. Ours, from lung nodules scored by radiologists: 95 % of the margins
scored sharp (3.5-5 of 5) lie below, half of those scored poor (up to 2.5) above; docs/why/measure.md."""
ILL_DEFINED_VOXELS = 0.6
"""On coarse grids a margin must also be wider than this many voxels to be told from the grid. Ours."""
VISIBLE_CONTRAST_HU = 8.0
"""Below this contrast there is no edge to see: ill-defined by definition. Ours: just above the 6 HU rods of the ACR CT
phantom's low-contrast module."""
CLEAR_SIGMAS = 1.5
LEAST_SHARE = 0.12
"""A neighbouring tissue must make up this share of the lesion's surroundings to be what its margin is judged against. Ours."""
FEWEST_PER_SHELL = 3
OVERSHOOT = 1.4
"""A fitted step may exceed the step between the profile's ends by this factor. Ours: of sigma 4 mm they show 85 %."""

_SIGMAS_MM = np.geomspace(0.2, 8.0, 38)
_SHIFTS_MM = np.linspace(-1.5, 1.5, 13)
STAIRCASE_VOXELS = 0.24
"""Width in voxels that the staircase of a digitised mask adds to a fitted edge; found on balls (0.17-0.24)."""


def ill_defined_from_mm(spacing_mm: Vector3) -> float:
    """Width beyond the point spread above which a margin counts as ill-defined on a grid."""
    return max(ILL_DEFINED_SIGMA_MM, ILL_DEFINED_VOXELS * float(np.mean(spacing_mm)))


@dataclass(frozen=True, kw_only=True)
class Margin:
    """Edge of a lesion.

    `contrast_hu` is the step, lesion minus surroundings; `edge_sigma_mm` the fitted width; `sigma_mm` the width left after
    taking out the point spread and the mask's staircase; `limit_mm` the width above which it is ill-defined. Both widths are
    None where no edge can be seen (`visible` false) or where the lesion has too few voxels for a profile; the latter counts
    as well defined, since nothing speaks against it.
    """

    contrast_hu: float
    edge_sigma_mm: float | None
    sigma_mm: float | None
    limit_mm: float
    visible: bool

    @property
    def well_defined(self) -> bool:
        return self.visible and (self.sigma_mm is None or self.sigma_mm <= self.limit_mm)


def _profile(scene: Scene, region: NDArray[np.bool_]) -> tuple[NDArray, NDArray, NDArray]:
    """Distance in mm (negative inside), median HU and count of shells around the boundary, within a region."""
    inside = region & scene.lesion
    depth = scene.to_boundary_mm(scene.depth_mm[inside])
    inner_mm = max(INNER_MM, LEAST_INNER_VOXELS * scene.voxel_mm)
    outer_mm = max(OUTER_MM, LEAST_OUTER_VOXELS * scene.voxel_mm)
    outside = region & ~scene.lesion & (scene.away_mm < outer_mm + scene.voxel_mm)
    distance = np.concatenate([-depth, scene.to_boundary_mm(scene.away_mm[outside])])
    values = np.concatenate([scene.hu[inside], scene.hu[outside]])
    near = (distance > -inner_mm) & (distance < outer_mm)
    distance, values = distance[near], values[near]
    shell = np.floor(distance / (0.5 * scene.voxel_mm)).astype(int)
    order = np.lexsort((values, shell))
    shell, values, distance = shell[order], values[order], distance[order]
    starts = np.flatnonzero(np.concatenate([[True], np.diff(shell) > 0])) if shell.size else np.empty(0, dtype=int)
    count = np.diff(starts, append=shell.size)
    sums = np.add.reduceat(distance, starts) if starts.size else np.empty(0)
    middle = (values[starts + (count - 1) // 2] + values[starts + count // 2]) / 2.0
    enough = count >= FEWEST_PER_SHELL
    return (sums / np.maximum(count, 1))[enough], middle[enough], count[enough]


def _step_seen(distance_mm: NDArray, hu: NDArray, count: NDArray) -> float:
    """Mean HU of the inner third of a profile's inside minus that of the outer third of its outside."""
    inner = distance_mm <= min(distance_mm.min() * 2.0 / 3.0, distance_mm[distance_mm < 0].max())
    outer = distance_mm >= min(distance_mm.max() * 2.0 / 3.0, distance_mm.max())
    return float(np.average(hu[inner], weights=count[inner]) - np.average(hu[outer], weights=count[outer]))


def fit_edge(distance_mm: NDArray, hu: NDArray, count: NDArray) -> tuple[float, float]:
    """Least-squares error function through a profile: (sigma in mm, step in HU, inside minus outside).

    Sigma and position are searched on a grid, the two plateaus are solved in closed form; sigma is refined by a parabola. Steps
    that exceed what the profile's ends show, or point the other way, are not considered.
    """
    weight = np.minimum(count, np.median(count)).astype(np.float64)
    weight /= weight.sum()
    z = (distance_mm - _SHIFTS_MM[:, None]) / (math.sqrt(2.0) * _SIGMAS_MM[:, None, None])
    basis = 0.5 * special.erfc(z)
    centred = basis - (basis @ weight)[..., None]
    target = hu - float(hu @ weight)
    power = (centred**2) @ weight
    slope = (centred @ (weight * target)) / np.maximum(power, 1e-12)
    seen = _step_seen(distance_mm, hu, count)
    ends = np.sort([0.0, OVERSHOOT * seen])
    slope = np.clip(slope, ends[0], ends[1])
    error = np.square(target - slope[..., None] * centred) @ weight
    row, column = np.unravel_index(int(np.argmin(error)), error.shape)
    best = error.min(axis=1)
    log_sigma = math.log(_SIGMAS_MM[row])
    if 0 < row < len(_SIGMAS_MM) - 1:
        bend = best[row - 1] - 2.0 * best[row] + best[row + 1]
        if bend > 0:
            log_sigma += 0.5 * float((best[row - 1] - best[row + 1]) / bend) * math.log(_SIGMAS_MM[1] / _SIGMAS_MM[0])
    return math.exp(log_sigma), float(slope[row, column])


def _surroundings(scene: Scene) -> list[NDArray[np.bool_]]:
    """Tissues its margin may be judged against: the organ (of a hollow one: lumen and wall), unlabelled, others."""
    organ = scene.own & ~scene.lesion
    unlabelled = (scene.labels == 0) & ~scene.own & ~scene.lesion
    return [organ, unlabelled, ~scene.own & ~scene.lesion & ~unlabelled]


def _judged_against(scene: Scene, psf_mm: Vector3) -> NDArray[np.bool_]:
    """The one tissue that the lesion's margin is judged against.

    A solid organ itself, wherever it is large enough; else, and for hollow organs always, the tissue of the strongest contrast.
    """
    near = ~scene.lesion & (scene.away_mm < OUTER_MM)
    beyond = near & (scene.away_mm > CLEAR_SIGMAS * max(psf_mm) + scene.voxel_mm)
    total = int(np.count_nonzero(near))
    inner = float(np.median(scene.hu[scene.lesion]))
    tissues = [one for one in _surroundings(scene) if np.count_nonzero(one & near) >= max(1, LEAST_SHARE * total)]
    if not tissues:
        return ~scene.lesion
    if not TYPES[scene.type].hollow and np.count_nonzero(scene.own & near) >= LEAST_SHARE * total:
        return tissues[0]
    steps = [abs(float(np.median(scene.hu[one & beyond])) - inner) if (one & beyond).any() else 0.0 for one in tissues]
    return tissues[int(np.argmax(steps))]


def measure_margin(scene: Scene, psf_mm: Vector3) -> Margin:
    """Fit the lesion's edge profile against its surroundings, see docs/why/measure.md."""
    tissue = _judged_against(scene, psf_mm)
    limit_mm = ill_defined_from_mm(scene.spacing_mm)
    for share in (1.0, 0.5, 0.0):
        clear = voxels_of(share * CLEAR_SIGMAS * max(psf_mm), scene.spacing_mm)
        distance, hu, count = _profile(scene, eroded(tissue | scene.lesion, clear, beyond=True))
        if np.count_nonzero(distance < 0) >= 2 and np.count_nonzero(distance > 0) >= 3:
            break
    else:
        contrast = _plain_contrast(scene, tissue)
        visible = abs(contrast) >= VISIBLE_CONTRAST_HU
        return Margin(contrast_hu=contrast, edge_sigma_mm=None, sigma_mm=None, limit_mm=limit_mm, visible=visible)
    sigma, contrast = fit_edge(distance, hu, count)
    if abs(contrast) < VISIBLE_CONTRAST_HU:
        return Margin(contrast_hu=contrast, edge_sigma_mm=None, sigma_mm=None, limit_mm=limit_mm, visible=False)
    blur = float(np.mean(np.square(psf_mm))) + (STAIRCASE_VOXELS * scene.voxel_mm) ** 2
    left = math.sqrt(max(0.0, sigma**2 - blur))
    return Margin(contrast_hu=contrast, edge_sigma_mm=sigma, sigma_mm=left, limit_mm=limit_mm, visible=True)


def _plain_contrast(scene: Scene, tissue: NDArray[np.bool_]) -> float:
    """Median of the lesion minus median of the tissue around it, for lesions too small to have a profile."""
    around = tissue & (scene.away_mm < OUTER_MM)
    if not around.any():
        return 0.0
    return float(np.median(scene.hu[scene.lesion]) - np.median(scene.hu[around]))
