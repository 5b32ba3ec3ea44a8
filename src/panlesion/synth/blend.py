"""`blend`: matter meets host. The host makes room, the margin gets the scanner's point spread, the lesion gets its noise."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

from panlesion.ct.organs import BONE_LABELS
from panlesion.ct.volume import Vector3
from panlesion.measure.noise import Noise
from panlesion.synth.plan import Blend, Matter, Strand
from panlesion.synth.terrain import Terrain, distance_mm
from panlesion.synth.texture.noise import render_noise

Array = NDArray[np.float32]

# Mass effect fades to nothing at this many radii beyond the surface, at most at REACH_MM.
REACH_RADII = 1.0
REACH_MM = 25.0
# A lesion's blurred edge is followed to this many SDs of its total width.
EDGE_SDS = 3.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Blended:
    """HU float32 and organ labels uint8 of the terrain's box with the lesion in it."""

    hu: Array
    labels: NDArray[np.uint8]


def push_reach_mm(radius_mm: float) -> float:
    """How far beyond its surface a lesion of that radius displaces its host."""
    return min(REACH_RADII * radius_mm, REACH_MM)


def blend(
    matter: Matter, hu: Array, level: Array, centre_xyz: Vector3, terrain: Terrain, noise: Noise, psf_mm: Vector3
) -> Blended:
    """Lay a lesion's noise-free `hu` into its terrain; `level` is its signed distance in mm."""
    host, labels = terrain.ct.hu.astype(np.float32), terrain.organs.labels
    grain = render_noise(noise, terrain.grid.shape, matter.noise_seed)
    if matter.push > 0:
        host, labels = _displaced(host, labels, level, matter.push, centre_xyz, terrain, grain, noise)
    alpha, paint = mixed(matter, hu, level, host, terrain.grid.spacing_mm, psf_mm)
    out = host * (1 - alpha) + paint
    # Two independent noises mixed by weights lose variance; this weight keeps it constant across the margin.
    out += grain * np.sqrt(np.maximum(1 - (1 - alpha) ** 2, 0))
    return Blended(hu=out, labels=labels)


def mixed(matter: Matter, hu: Array, level: Array, host: Array, spacing_mm: Vector3, psf_mm: Vector3) -> tuple[Array, Array]:
    """Share of lesion in each voxel as the scanner sees it, and that share times its HU: image = host · (1 − share) + paint.

    Matter and matte are blurred together, so that no dark or bright halo appears at the margin.
    """
    sharp = _matte(level, matter.margin_mm, min(spacing_mm))
    if matter.blend is Blend.VEIL:
        sharp = sharp * (1 - _denser(host, hu, spacing_mm))
    psf = tuple(s / v for s, v in zip(psf_mm, spacing_mm, strict=True))
    return ndimage.gaussian_filter(sharp, psf, truncate=EDGE_SDS), ndimage.gaussian_filter(sharp * hu, psf, truncate=EDGE_SDS)


def _matte(level: Array, margin_mm: float, voxel_mm: float) -> Array:
    """Share of lesion in each voxel: an error function across an ill-defined margin, partial volume across a sharp one."""
    if margin_mm < 0.4 * voxel_mm:
        return np.clip(np.float32(0.5) - level / np.float32(voxel_mm), 0, 1)
    return ndtr(-level / np.float32(margin_mm)).astype(np.float32)


def _denser(host: Array, hu: Array, spacing_mm: Vector3) -> Array:
    """Where the host is clearly denser than the matter laid over it: vessels seen through ground glass."""
    calm = ndimage.gaussian_filter(host, [0.6 / s for s in spacing_mm], truncate=2.0)
    return np.float32(0.5) * (1 + np.tanh((calm - hu - np.float32(80)) / np.float32(50)))


def _displaced(
    host: Array,
    labels: NDArray[np.uint8],
    level: Array,
    push: float,
    centre_xyz: Vector3,
    terrain: Terrain,
    grain: Array,
    noise: Noise,
) -> tuple[Array, NDArray[np.uint8]]:
    """The host pushed outwards from the centre, conserving volume near the surface and fading to nothing at the reach.

    A point at radius r, a distance d outside a surface of local radius R = r − d, shows what was at
    r′ = (r³ − push · fade(d) · R³)^(1/3): full push moves everything out of the lesion's space. Bone does not give way.
    """
    grid = terrain.grid
    matrix = grid.affine[:3, :3].astype(np.float32)
    ijk = np.indices(grid.shape, dtype=np.float32)
    centre = np.asarray(grid.to_ijk(centre_xyz), dtype=np.float32)
    delta = ijk - centre[:, None, None, None]
    offset = np.tensordot(matrix, delta, axes=1)
    r = np.sqrt(np.sum(offset**2, axis=0)) + np.float32(1e-3)
    outside = np.maximum(level, 0)
    local_radius = np.maximum(r - outside, 0)
    inside = level < 0
    radius = float(np.median(r[inside])) * 1.26 if inside.any() else 0.0
    reach = np.float32(max(push_reach_mm(radius), 1e-3))
    fade = np.clip(1 - outside / reach, 0, 1) ** 2
    bone = terrain.organs.mask(BONE_LABELS)
    if bone.any():
        fade = fade * np.clip(distance_mm(bone, grid.spacing_mm) / np.float32(8), 0, 1)
    source_r = np.cbrt(np.maximum(r**3 - np.float32(push) * fade * local_radius**3, 0))
    coordinates = centre[:, None, None, None] + delta * (source_r / r)
    moved = np.abs(source_r - r) > 0.02 * min(grid.spacing_mm)
    if not moved.any():
        return host, labels
    at = coordinates[:, moved]
    out, out_labels = host.copy(), labels.copy()
    # Interpolation averages noise away; what it takes is given back with the host's own grain.
    fraction = at - np.floor(at)
    lag = noise.acf.shape[0] // 2
    kept = np.ones(at.shape[1], dtype=np.float32)
    for axis in range(3):
        index = [lag] * 3
        index[axis] += 1
        rho = np.float32(max(float(noise.acf[tuple(index)]), 0))
        kept *= 1 - 2 * fraction[axis] * (1 - fraction[axis]) * (1 - rho)
    lost = np.sqrt(np.maximum(1 - kept, 0))
    out[moved] = ndimage.map_coordinates(host, at, order=1, mode="nearest") + lost * grain[moved]
    warped = ndimage.map_coordinates(labels, at, order=0, mode="nearest")
    out_labels[moved] = np.where(inside[moved], labels[moved], warped)
    return out, out_labels


def lay_strand(hu: Array, strand: Strand, terrain: Terrain, psf_mm: Vector3) -> Array:
    """HU with a tube along the strand's path, seen through the scanner's point spread."""
    grid = terrain.grid
    points = grid.to_xyz(np.stack(np.indices(grid.shape), axis=-1)).astype(np.float32)
    path = np.asarray(strand.path_xyz, dtype=np.float32)
    distance = np.full(grid.shape, np.inf, dtype=np.float32)
    for a, b in pairwise(path):
        axis = b - a
        length2 = float(axis @ axis)
        along = np.clip(((points - a) @ axis) / max(length2, 1e-6), 0, 1)
        distance = np.minimum(distance, np.linalg.norm(points - a - along[..., None] * axis, axis=-1))
    sharp = _matte(distance - np.float32(strand.radius_mm), 0.0, min(grid.spacing_mm))
    psf = [s / v for s, v in zip(psf_mm, grid.spacing_mm, strict=True)]
    alpha = ndimage.gaussian_filter(sharp, psf, truncate=EDGE_SDS)
    calm = ndimage.gaussian_filter(hu, [3.0 / v for v in grid.spacing_mm], truncate=2.0)
    # The host's noise stays: only its local mean changes.
    return hu + alpha * (np.float32(strand.hu) - calm)
