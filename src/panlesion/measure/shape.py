"""Shape features of one lesion mask, in millimetres and free of the voxel grid as far as sampling allows."""

from dataclasses import asdict, dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from panlesion.ct.volume import Box, Vector3

# Smoothing of the occupancy before its surface is measured, in units of the coarsest spacing: the smallest that still
# removes most of the staircase (tests/measure/test_shape.py holds the resulting error on spheres and ellipsoids).
SMOOTHING_VOXELS = 0.7
# Above this many voxels in the lesion's box the mask is strided: a big lesion needs no fine grid.
MAX_BOX_VOXELS = 350_000


def _sphere(count: int) -> NDArray:
    """Nearly even directions (count, 3): the Fibonacci sphere."""
    k = np.arange(count) + 0.5
    z, angle = 1 - 2 * k / count, np.pi * (1 + 5**0.5) * k
    return np.stack([np.sqrt(1 - z**2) * np.cos(angle), np.sqrt(1 - z**2) * np.sin(angle), z], axis=1)


_DIRECTIONS = _sphere(400)
_gaussian = partial(gaussian_filter, mode="constant", truncate=3.5)


@dataclass(frozen=True, kw_only=True)
class ShapeFeatures:
    """What a mask's shape is, without its place.

    `diameter_mm`: largest distance between the centres of two voxels. `axes_mm`: full lengths of the ellipsoid with the same
    second moments, longest first. `extent_mm`: size of the tightest box along the array axes. `solidity`: share of the
    convex hull's voxels that are in the mask; 1 for a convex body. `roughness`: RMS distance of the surface from that
    ellipsoid, after the mean offset, as a share of the mean radius (0 where the mask is thinner than the smoothing, as on
    one slice). `elongation` and `flatness`: second and third axis over the first (names and formulas of the Image Biomarker
    Standardisation Initiative, Zwanenburg et al., Radiology 2020).
    """

    volume_ml: float
    diameter_mm: float
    axes_mm: Vector3
    extent_mm: Vector3
    area_mm2: float
    sphericity: float
    solidity: float
    roughness: float
    elongation: float
    flatness: float

    @property
    def equivalent_diameter_mm(self) -> float:
        """Diameter of the ball of the same volume."""
        return float((6000.0 * self.volume_ml / np.pi) ** (1 / 3))

    def as_dict(self) -> dict[str, float | Vector3]:
        return asdict(self)


def shape_features(mask: NDArray, spacing_mm: Vector3) -> ShapeFeatures:
    """Measure one lesion.

    Args:
        mask: bool (I, J, K); may consist of several pieces, then they are measured as one body.
        spacing_mm: voxel size along i, j, k.

    Raises:
        ValueError: the mask is empty or not 3D.
    """
    if mask.ndim != 3:
        raise ValueError(f"mask has {mask.ndim} dimensions; it must have 3")
    box = Box.of(mask)
    if box.empty:
        raise ValueError("mask is empty; shape features need at least one voxel")
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    tight = np.ascontiguousarray(mask[box.slices], dtype=bool)
    extent = np.asarray(tight.shape) * spacing
    volume_mm3 = float(np.count_nonzero(tight)) * float(np.prod(spacing))
    body, step = _strided(tight, spacing)
    vertices, solidity = _hull(body)
    diameter = float(pdist(vertices * step).max()) if len(vertices) > 1 else 0.0
    centre, covariance = _moments(body, step)
    values, directions = np.linalg.eigh(covariance)
    axes = 2 * np.sqrt(5 * values[::-1])
    area, surface = _surface(body, step, axes / 2)
    return ShapeFeatures(
        volume_ml=volume_mm3 / 1000,
        diameter_mm=diameter,
        axes_mm=_vector(axes),
        extent_mm=_vector(extent),
        area_mm2=area,
        sphericity=min(1.0, float(np.pi ** (1 / 3) * (6 * volume_mm3) ** (2 / 3) / area)),
        solidity=solidity,
        roughness=_roughness(surface - centre, directions[:, ::-1], axes / 2),
        elongation=float(axes[1] / axes[0]),
        flatness=float(axes[2] / axes[0]),
    )


def _vector(values: NDArray) -> Vector3:
    a, b, c = (float(v) for v in values)
    return (a, b, c)


def _strided(mask: NDArray, spacing: NDArray) -> tuple[NDArray, NDArray]:
    """The mask on a coarser grid where it is large: the finest axis is halved until the box is small enough."""
    stride = np.ones(3, dtype=int)
    while np.prod(np.ceil(np.asarray(mask.shape) / stride)) > MAX_BOX_VOXELS:
        stride[np.argmin(spacing * stride)] += 1
    a, b, c = stride.tolist()
    return mask[::a, ::b, ::c], spacing * stride


def _moments(mask: NDArray, spacing: NDArray) -> tuple[NDArray, NDArray]:
    """Centre (3,) and covariance (3, 3) in mm; voxels count as boxes, not as points (spacing² / 12 on the diagonal)."""
    points = np.argwhere(mask) * spacing
    centre = points.mean(axis=0)
    offset = points - centre
    return centre, offset.T @ offset / len(points) + np.diag(spacing**2 / 12)


def _ends(mask: NDArray, axis: int) -> NDArray:
    """Bool like the mask: first and last voxel of every line along an axis."""
    lines = np.moveaxis(mask, axis, -1)
    out = np.zeros_like(lines)
    a, b = np.nonzero(lines.any(axis=-1))
    inside = lines[a, b]
    out[a, b, inside.argmax(axis=-1)] = True
    out[a, b, inside.shape[-1] - 1 - inside[:, ::-1].argmax(axis=-1)] = True
    return np.moveaxis(out, -1, axis)


def _hull(mask: NDArray) -> tuple[NDArray, float]:
    """Hull vertices as voxel indices (N, 3) and the solidity.

    A vertex of the hull is an end of its line along every axis, so few voxels have to be looked at. Counting the voxels inside
    the hull of voxel centres, instead of its volume, gives exactly 1 for a digitised convex body.
    """
    candidates = np.argwhere(_ends(mask, 0) & _ends(mask, 1) & _ends(mask, 2))
    count = int(np.count_nonzero(mask))
    try:
        hull = ConvexHull(candidates)
    except (QhullError, ValueError):  # fewer than four voxels, or all in one plane: no body of centres
        corners = np.indices((2, 2, 2)).reshape(3, -1).T - 0.5
        solid = ConvexHull((candidates[:, None] + corners).reshape(-1, 3))
        return candidates, min(1.0, count / solid.volume)
    planes = np.unique(hull.equations.round(9), axis=0)
    return candidates[hull.vertices], min(1.0, count / _voxels_between(planes, mask.shape))


def _voxels_between(planes: NDArray, shape: tuple[int, ...]) -> int:
    """How many lattice points of the box lie inside all half-spaces n·x + d ≤ 0, planes (F, 4)."""
    i, j = np.indices(shape[:2]).reshape(2, -1)
    rest = planes[:, 0, None] * i + planes[:, 1, None] * j + planes[:, 3, None]
    slope = planes[:, 2]
    top, bottom, side = slope > 1e-9, slope < -1e-9, np.abs(slope) <= 1e-9
    high = np.floor((-rest[top] / slope[top, None]).min(axis=0) + 1e-6)
    low = np.ceil((-rest[bottom] / slope[bottom, None]).max(axis=0) - 1e-6)
    within = (rest[side] <= 1e-6).all(axis=0)
    return int(np.where(within, np.maximum(high - low + 1, 0), 0).sum())


def _surface(mask: NDArray, spacing: NDArray, radii: NDArray) -> tuple[float, NDArray]:
    """Area in mm² and points (N, 3) in mm of the surface of the smoothed occupancy.

    The area is the total variation ∫|∇(G∗mask)|, which is the mean area of the smoothed body's level sets and, unlike a
    triangulation, knows no threshold. What smoothing takes from it is added back, see `_area_lost`.
    """
    sigma_mm = SMOOTHING_VOXELS * float(spacing.max())
    sigma = sigma_mm / spacing
    pad = np.ceil(3.5 * sigma).astype(int) + 1
    smooth = _gaussian(np.pad(mask, [(int(p), int(p)) for p in pad]).astype(np.float32), sigma)
    squared = np.zeros_like(smooth)
    points = []
    for axis in range(3):
        step = np.diff(smooth, axis=axis)
        squared += _centred(step, axis) ** 2 / np.float32(spacing[axis] ** 2)
        points.append(_crossings(smooth, step, axis))
    area = float(np.sqrt(squared).sum(dtype=np.float64)) * float(np.prod(spacing))
    area += _area_lost(sigma_mm, radii)
    return area, (np.concatenate(points) - pad) * spacing


def _area_lost(sigma_mm: float, radii: NDArray) -> float:
    """Area in mm² that Gaussian smoothing takes from an ellipsoid's level sets, to second order in sigma.

    A level set moves inwards by σ²H (H mean curvature) and spreads by σ, so its area changes by −σ²∫(2H² − K)dA, which is
    exactly 4πσ² on a ball. Curvatures of an ellipsoid from its implicit equation: Goldman, Comput Aided Geom Des 2005.
    Radii below sigma count as sigma: the expansion ends there.
    """
    scaled = np.maximum(radii, sigma_mm)
    product = float(np.prod(scaled))
    points = _DIRECTIONS * scaled
    normal = np.linalg.norm(_DIRECTIONS / scaled, axis=1)
    mean = ((points**2).sum(axis=1) - (scaled**2).sum()) / (2 * product**2 * normal**3)
    gauss = 1 / (product**2 * normal**4)
    return float(4 * np.pi * sigma_mm**2 * ((2 * mean**2 - gauss) * product * normal).mean())


def _centred(step: NDArray, axis: int) -> NDArray:
    """Central differences per voxel from forward ones; 0 at both ends, where the occupancy is 0."""
    out = np.zeros([n + (a == axis) for a, n in enumerate(step.shape)], dtype=step.dtype)
    lines, target = np.moveaxis(step, axis, 0), np.moveaxis(out, axis, 0)
    target[1:-1] = (lines[1:] + lines[:-1]) / 2
    return out


def _crossings(smooth: NDArray, step: NDArray, axis: int) -> NDArray:
    """Voxel indices (N, 3), fractional along `axis`, where the occupancy passes 1/2."""
    inside = smooth > 0.5
    lower = np.moveaxis(inside, axis, 0)
    at = np.argwhere(np.moveaxis(lower[1:] != lower[:-1], 0, axis))
    index = tuple(at.T)
    points = at.astype(np.float64)
    points[:, axis] += (0.5 - smooth[index]) / step[index]
    return points


def _roughness(offset: NDArray, directions: NDArray, radii: NDArray) -> float:
    """SD of the surface points' first-order distance to the ellipsoid, over the geometric mean of its radii."""
    if len(offset) == 0:
        return 0.0
    unit = (offset @ directions) / radii
    q = np.linalg.norm(unit, axis=1)
    gradient = np.linalg.norm(unit / radii, axis=1)
    return float(((q - 1) * q / np.maximum(gradient, 1e-9)).std() / np.prod(radii) ** (1 / 3))
