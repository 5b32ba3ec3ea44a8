"""`blend`: matter meets host. The host makes room, the margin gets the scanner's point spread, the lesion gets its noise."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import ndtr

from panlesion.ct.organs import BONE_LABELS
from panlesion.ct.volume import Box, Grid, Vector3
from panlesion.measure.noise import Noise
from panlesion.synth.field import render_field
from panlesion.synth.plan import Blend, Matter, Strand
from panlesion.synth.shape.outline import unit_offsets
from panlesion.synth.shape.solid import box_of
from panlesion.synth.terrain import Terrain, distance_mm
from panlesion.synth.texture.matter import render_matter
from panlesion.synth.texture.noise import render_noise

Array = NDArray[np.float32]

# Mass effect fades to nothing at this many radii beyond the surface, at most at REACH_MM.
REACH_RADII = 1.0
REACH_MM = 25.0
# A shift of the host by less than this share of a voxel is not made: nothing of it could be seen.
FELT_VOXELS = 0.05
# A lesion's blurred edge is followed to this many SDs of its total width.
EDGE_SDS = 3.0
# Ragged and fading part of an ill-defined margin are followed together to this many of its SDs.
FADED_SDS = 4.0
# Bone does not give way, and what lies within this many mm of it only in part.
STIFF_MM = 8.0
FEWEST_CENTRED = 40
# The local mean that a strand replaces is that of a Gaussian of this sigma, and is taken on voxels of about half of it.
CALM_MM = 3.0
# The median distance from the centre of a ball's points is 0.794 of its radius.
MEDIAN_TO_RADIUS = 1.26


@dataclass(frozen=True, kw_only=True, eq=False)
class Blended:
    """HU float32 and organ labels uint8 of the terrain's box with the lesion in it."""

    hu: Array
    labels: NDArray[np.uint8]


def push_reach_mm(radius_mm: float) -> float:
    """How far beyond its surface a lesion of that radius displaces its host."""
    return min(REACH_RADII * radius_mm, REACH_MM)


def felt_mm(push: float, radius_mm: float, voxel_mm: float) -> float:
    """How far beyond its surface a lesion displaces its host by what can be seen, to a fiftieth of the reach."""
    if push <= 0:
        return 0.0
    away = np.linspace(0, push_reach_mm(radius_mm), 51)
    shift = push * (1 - away / max(away[-1], 1e-6)) ** 2 * radius_mm**3 / (3 * (radius_mm + away) ** 2)
    return float(away[max(1, int(np.count_nonzero(shift > FELT_VOXELS * voxel_mm))) - 1])


def edge_mm(margin_mm: float, psf_mm: Vector3, voxel_mm: float) -> float:
    """How far beyond its surface a lesion's own matter shows."""
    return FADED_SDS * margin_mm + EDGE_SDS * max(psf_mm) + 2 * voxel_mm


def blend(matter: Matter, level: Array, centre_xyz: Vector3, terrain: Terrain, noise: Noise, psf_mm: Vector3) -> Blended:
    """Lay a lesion's matter into its terrain; `level` is its signed distance in mm."""
    grid = terrain.grid
    host, labels = terrain.ct.hu.astype(np.float32), terrain.organs.labels
    grain = render_noise(noise, grid.shape, matter.noise_seed)
    inside = level < 0
    if np.count_nonzero(inside) >= FEWEST_CENTRED:
        # The report states a mean: noise must not shift it.
        grain -= grain[inside].mean()
    if matter.push > 0:
        host, labels = _displaced(host, labels, level, matter.push, centre_xyz, terrain, grain, noise)
    # Matter is only made where it shows.
    box = Box.of(level < edge_mm(matter.margin_mm, psf_mm, max(grid.spacing_mm))).grown(1).clipped(grid.shape)
    near, close = box.slices, terrain.cropped(box)
    painted, _ = render_matter(matter, level[near], centre_xyz, close)
    alpha, paint = mixed(
        matter, painted, level[near], host[near], centre_xyz, close.grid, psf_mm, voxel_mm=min(grid.spacing_mm)
    )
    # Two independent noises mixed by weights lose variance; this weight keeps it constant across the margin.
    host[near] = host[near] * (1 - alpha) + paint + grain[near] * np.sqrt(np.maximum(1 - (1 - alpha) ** 2, 0))
    return Blended(hu=host, labels=labels)


def mixed(
    matter: Matter,
    hu: Array,
    level: Array,
    host: Array,
    centre_xyz: Vector3,
    grid: Grid,
    psf_mm: Vector3,
    *,
    voxel_mm: float,
) -> tuple[Array, Array]:
    """Share of lesion in each voxel as the scanner sees it, and that share times its HU: image = host · (1 − share) + paint.

    Matter and matte are blurred together, so that no dark or bright halo appears at the margin. `voxel_mm` is the width of
    partial volume: that of the image, also where `grid` shows only some of its voxels.
    """
    sharp = matte(matter, hu, level, host, centre_xyz, grid, voxel_mm=voxel_mm)
    return blurred(sharp, grid, psf_mm), blurred(sharp * hu, grid, psf_mm)


def matte(matter: Matter, hu: Array, level: Array, host: Array, centre_xyz: Vector3, grid: Grid, *, voxel_mm: float) -> Array:
    """Share of lesion in each voxel before the scanner blurs it; arguments as for `mixed`."""
    fading = matter.margin_mm
    if matter.margin_field is not None:
        fading = matter.margin_mm * np.sqrt(0.5)
        level = level + np.float32(fading) * render_field(matter.margin_field, centre_xyz, grid)
    sharp = _matte(level, fading, voxel_mm)
    if matter.blend is Blend.VEIL:
        sharp = sharp * (1 - _denser(host, hu, grid.spacing_mm))
    return sharp


def blurred(values: Array, grid: Grid, psf_mm: Vector3) -> Array:
    """As the scanner's point spread blurs it."""
    psf = [s / v for s, v in zip(psf_mm, grid.spacing_mm, strict=True)]
    return np.asarray(ndimage.gaussian_filter(values, psf, truncate=EDGE_SDS), dtype=np.float32)


def _matte(level: Array, margin_mm: float, voxel_mm: float) -> Array:
    """Share of lesion in each voxel: an error function across an ill-defined margin, partial volume across a sharp one."""
    if margin_mm < 0.4 * voxel_mm:
        return np.clip(np.float32(0.5) - level / np.float32(voxel_mm), 0, 1)
    share = (level < 0).astype(np.float32)
    fading = np.abs(level) < np.float32(FADED_SDS * margin_mm)
    share[fading] = ndtr(-level[fading] / np.float32(margin_mm))
    return share


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
    centre = grid.to_ijk(centre_xyz)[:, None].astype(np.float32)
    squared_mm = np.square(grid.spacing_mm).astype(np.float32)
    inside = np.stack(np.nonzero(level < 0)).astype(np.float32) - centre
    if inside.shape[1] == 0:
        return host, labels
    from_centre = np.sqrt(np.einsum("a,an,an->n", squared_mm, inside, inside))
    radius, farthest = float(np.median(from_centre)) * MEDIAN_TO_RADIUS, float(from_centre.max())
    reach = np.float32(max(push_reach_mm(radius), 1e-3))
    # From just inside the surface, where a soft margin still shows some host, to where the shift is no longer felt.
    felt = felt_mm(push, radius, min(grid.spacing_mm))
    ring = np.nonzero((level > -2 * max(grid.spacing_mm)) & (level < felt))
    delta = np.stack(ring).astype(np.float32) - centre
    r = np.sqrt(np.einsum("a,an,an->n", squared_mm, delta, delta)) + np.float32(1e-3)
    # Far from a rough body its level is too small; no point is nearer than the farthest of the lesion's own allows.
    outside = np.maximum(np.maximum(level[ring], 0), r - np.float32(farthest + max(grid.spacing_mm)))
    fade = np.clip(1 - outside / reach, 0, 1) ** 2
    bone = terrain.organs.mask(BONE_LABELS)
    if bone[ring].any():
        fade = fade * np.clip(distance_mm(bone, grid.spacing_mm, STIFF_MM)[ring] / np.float32(STIFF_MM), 0, 1)
    source_r = np.cbrt(np.maximum(r**3 - np.float32(push) * fade * np.maximum(r - outside, 0) ** 3, 0))
    at = centre + delta * (source_r / r)
    out = host.copy()
    lost = np.sqrt(np.maximum(1 - _kept_variance(at - np.floor(at), noise), 0))
    # Interpolation averages noise away; what it takes is given back with the host's own grain.
    out[ring] = ndimage.map_coordinates(host, at, order=1, mode="nearest") + lost * grain[ring]
    outward = outside > 0
    shell = tuple(axis[outward] for axis in ring)
    around = labels[shell]
    if around.size == 0 or (around == around[0]).all():
        return out, labels
    out_labels = labels.copy()
    out_labels[shell] = ndimage.map_coordinates(labels, at[:, outward], order=0, mode="nearest")
    return out, out_labels


def _kept_variance(fraction: Array, noise: Noise) -> Array:
    """Share (N,) of the noise's variance that linear interpolation at a fraction (3, N) of a voxel leaves."""
    lag = noise.acf.shape[0] // 2
    kept = np.ones(fraction.shape[1], dtype=np.float32)
    for axis in range(3):
        index = [lag] * 3
        index[axis] += 1
        rho = np.float32(max(float(noise.acf[tuple(index)]), 0))
        kept *= 1 - 2 * fraction[axis] * (1 - fraction[axis]) * (1 - rho)
    return kept


def lay_strand(hu: Array, strand: Strand, grid: Grid, psf_mm: Vector3) -> Array:
    """HU (I, J, K) with a tube along the strand's path, seen through the scanner's point spread."""
    distance = np.full(grid.shape, np.inf, dtype=np.float32)
    reach = strand.radius_mm + EDGE_SDS * max(psf_mm) + max(grid.spacing_mm)
    for a, b in pairwise(np.asarray(strand.path_xyz)):
        box = box_of((_lower(a, b), _lower(-a, -b, sign=-1)), grid, reach).clipped(grid.shape)
        if box.empty:
            continue
        distance[box.slices] = np.minimum(distance[box.slices], _from_line(a, b, grid.crop(box)))
    # A tube's edge, seen through point spread and partial volume (a box's SD, 1/√12), is an error function.
    blur = float(np.sqrt(np.mean(np.square(psf_mm)) + np.mean(np.square(grid.spacing_mm)) / 12))
    tube = np.nonzero(distance < strand.radius_mm + EDGE_SDS * blur)
    alpha = ndtr((np.float32(strand.radius_mm) - distance[tube]) / np.float32(blur))
    # The host's noise stays: only its local mean changes.
    step = [max(1, round(0.5 * CALM_MM / v)) for v in grid.spacing_mm]
    some = hu[:: step[0], :: step[1], :: step[2]]
    calm = ndimage.gaussian_filter(some, [CALM_MM / (n * v) for n, v in zip(step, grid.spacing_mm, strict=True)], truncate=2.0)
    at = np.stack(tube) / np.asarray(step)[:, None]
    out = hu.copy()
    out[tube] += alpha * (np.float32(strand.hu) - ndimage.map_coordinates(calm, at, order=1, mode="nearest"))
    return out


def _from_line(a: NDArray, b: NDArray, grid: Grid) -> Array:
    """Distance (I, J, K) in mm of every voxel from the line between two points."""
    x, y, z = a.tolist()
    offset, way = unit_offsets(np.eye(3), (x, y, z), grid), (b - a).astype(np.float32)
    along = (offset[0] * way[0] + offset[1] * way[1] + offset[2] * way[2]) / np.float32(max(float(way @ way), 1e-6))
    along = np.clip(along, 0, 1)
    return np.asarray(np.sqrt(sum(np.square(offset[n] - along * way[n]) for n in range(3))), dtype=np.float32)


def _lower(a: NDArray, b: NDArray, sign: int = 1) -> Vector3:
    x, y, z = (sign * np.minimum(a, b)).tolist()
    return (x, y, z)
