"""The body of a soft-tissue mass in its host: where it is, what it is made of, and how its host gives way. Draws nothing."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.volume import Box, Grid
from panlesion.measure.noise import Noise
from panlesion.phantom.field import smooth_field
from panlesion.synth.blend import EDGE_SDS
from panlesion.synth.mass_host import MassHost
from panlesion.synth.mass_plan import Lobe, MassPlan, Stuff

Array = NDArray[np.float32]

STIFF_MM = 6.0
# Mass effect fades over this many half-thicknesses, at most over REACH_MM, and as this power: slower than about a lesion of an
# organ, since a mass raises fat and skin over it.
REACH_HALVES, REACH_MM, FADE_POWER = 1.2, 36.0, 1.3


def reach_mm(plan: MassPlan, host: MassHost) -> float:
    """How far beyond its lobes a mass may change its host."""
    edge = EDGE_SDS * float(np.hypot(max(host.psf_mm), plan.margin_mm)) + 2 * max(host.grid.spacing_mm)
    return max(edge, _push_reach_mm(plan), plan.halo_mm) + plan.rough_mm


def _push_reach_mm(plan: MassPlan) -> float:
    return min(REACH_HALVES * plan.lobes[0].half_mm[2], REACH_MM) if plan.push > 0 else 0.0


def mass_box(plan: MassPlan, host: MassHost, margin_mm: float) -> Box:
    """The voxels within `margin_mm` of the lobes, as far as the host has them."""
    low = np.full(3, np.inf)
    high = -low
    for lobe in plan.lobes:
        axis = np.asarray(lobe.axis)
        # Half-extents of an ellipsoid of revolution about `axis`, the wider of the two cross half-axes taken.
        half = np.sqrt((lobe.half_mm[0] * axis) ** 2 + lobe.half_mm[1] ** 2 * (1 - axis**2))
        ijk, reach = (
            host.grid.to_ijk(lobe.centre_xyz),
            (half + 3 * plan.rough_mm + margin_mm) / np.asarray(host.grid.spacing_mm),
        )
        low, high = np.minimum(low, ijk - reach), np.maximum(high, ijk + reach)
    start, stop = np.floor(low).astype(int).tolist(), (np.ceil(high).astype(int) + 1).tolist()
    return Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2])).clipped(host.hu.shape)


def mass_level(plan: MassPlan, host: MassHost, box: Box) -> Array:
    """Signed distance to the mass's surface in mm, about; negative inside, in one piece."""
    grid = host.grid.crop(box)
    level = np.full(box.shape, np.float32(1e3))
    soft = np.float32(0.25 * plan.lobes[0].half_mm[2])
    for lobe in plan.lobes:
        other = _ellipsoid(lobe, grid)
        blend = np.clip(soft - np.abs(level - other), 0, None)
        level = np.minimum(level, other) - blend * blend / (4 * soft)
    level += np.float32(plan.rough_mm) * np.clip(smooth_field(grid, plan.rough_scale_mm, plan.seed), -2.5, 2.5)
    if plan.confine_mm > 0:
        free = np.zeros(256, dtype=np.float32)
        free[list(plan.compartments)] = 1.0
        share = ndimage.gaussian_filter(free[host.compartments[box.slices]], 1.5, truncate=2.0, mode="nearest")
        level += np.float32(plan.confine_mm) * np.clip(np.float32(1) - np.float32(1.6) * share, 0, 1)
    level = np.maximum(level, np.float32(plan.bone_gap_mm) - host.hard_mm[box.slices])
    level = np.maximum(level, np.float32(-plan.bulge_mm) - host.skin_mm[box.slices])
    inside = level < 0
    pieces, count = ndimage.label(inside)
    if count > 1:
        largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
        # Pieces cut off by bone or fascia are no part of the mass: they must not be painted either.
        level[inside & (pieces != largest)] = np.float32(max(grid.spacing_mm))
    return level


def _ellipsoid(lobe: Lobe, grid: Grid) -> Array:
    """Distance to an ellipsoid to first order: (|p/h| − 1) · |p/h| / |p/h²|."""
    axis = np.asarray(lobe.axis)
    side = np.cross(axis, (1.0, 0.0, 0.0) if abs(axis[0]) < 0.8 else (0.0, 1.0, 0.0))
    side /= np.linalg.norm(side)
    frame = np.stack([axis, side, np.cross(axis, side)])
    matrix = (frame @ grid.affine[:3, :3]).astype(np.float32)
    shift = (frame @ (grid.affine[:3, 3] - np.asarray(lobe.centre_xyz))).astype(np.float32)
    i, j, k = (np.arange(n, dtype=np.float32) for n in grid.shape)
    one, two = np.zeros(grid.shape, dtype=np.float32), np.zeros(grid.shape, dtype=np.float32)
    for row, offset, half in zip(matrix, shift, lobe.half_mm, strict=True):
        p = (row[0] * i + offset)[:, None, None] + (row[1] * j)[:, None] + row[2] * k
        p *= np.float32(1 / half)
        p *= p
        one += p
        two += p * np.float32(1 / half**2)
    norm = np.sqrt(one)
    # At the middle both vanish; there the distance is the shortest half-axis.
    small = np.float32(1e-4)
    return (norm - 1) * np.sqrt((one + small) / (two + small / np.float32(min(lobe.half_mm) ** 2)))


def mass_matte(level: Array, margin_mm: float, voxel_mm: float) -> Array:
    """Share of the mass in each voxel: a ramp as wide as a voxel's partial volume and the margin together."""
    width = np.float32(np.hypot(voxel_mm, 2.5 * margin_mm))
    return np.clip(np.float32(0.5) - level / width, 0, 1)


def mass_matter(stuff: Stuff, level: Array, grid: Grid) -> Array:
    """HU of the mass everywhere in its box."""
    coarse = smooth_field(grid, stuff.coarse_mm, stuff.seed)
    fine = smooth_field(grid, stuff.fine_mm, stuff.seed + 1)
    hu = np.full(level.shape, np.float32(stuff.base_hu))
    if stuff.core_mm < 1e3:
        soft = np.float32(max(2.0, 0.4 * stuff.core_mm))
        deep = np.clip((-level - np.float32(stuff.core_mm)) / soft - np.float32(0.5) * coarse + np.float32(0.5), 0, 1)
        hu += deep * np.float32(stuff.core_hu - stuff.base_hu)
    if stuff.septum_hu != stuff.base_hu:
        sheets = np.maximum(0.0, 1.0 - np.abs(coarse + np.float32(0.15) * fine) * np.float32(4.5))
        hu += sheets * (np.float32(stuff.septum_hu) - hu)
    if stuff.island_share > 0:
        hu += _top(coarse + np.float32(0.2) * fine, stuff.island_share) * (np.float32(stuff.island_hu) - hu)
    if stuff.fleck_share > 0:
        # Flecks come in groups: the fine field's peaks where the coarse one is high.
        hu += _top(fine + np.float32(0.8) * coarse, stuff.fleck_share) * (np.float32(stuff.fleck_hu) - hu)
    hu += np.float32(stuff.texture_sd_hu) * (np.float32(0.7) * coarse + np.float32(0.7) * fine)
    return hu


def _top(field: Array, share: float) -> Array:
    """Smooth 0–1 where the field is in its highest `share`."""
    thin = field[::2, ::2, ::2]
    return np.clip((field - np.float32(np.quantile(thin, 1 - share))) * np.float32(3.0) + np.float32(0.5), 0, 1)


def displaced(plan: MassPlan, host: MassHost, box: Box, level: Array, seen: Array, fresh: Array | None) -> Array:
    """The host pushed outwards, as `blend` does it for lesions, and darkened by oedema.

    A point at radius r, d outside a surface of local radius R = r − d, shows what was at (r³ − push · fade(d) · R³)^(1/3).
    """
    out = seen.copy()
    reach = np.float32(max(_push_reach_mm(plan), 1e-3))
    if plan.push > 0:
        ring = np.nonzero((level > -2 * max(host.grid.spacing_mm)) & (level < reach))
        matrix = host.grid.affine[:3, :3].astype(np.float32)
        centre = (host.grid.to_ijk(plan.lobes[0].centre_xyz) - np.asarray(box.start)).astype(np.float32)[:, None]
        delta = np.stack(ring).astype(np.float32) - centre
        r = np.sqrt(((matrix @ delta) ** 2).sum(axis=0)) + np.float32(1e-3)
        outside = np.maximum(level[ring], 0)
        fade = np.clip(1 - outside / reach, 0, 1) ** np.float32(FADE_POWER)
        fade *= np.clip(host.hard_mm[box.slices][ring] / np.float32(STIFF_MM), 0, 1)
        source = np.cbrt(np.maximum(r**3 - np.float32(plan.push) * fade * np.maximum(r - outside, 0) ** 3, 0))
        at = centre + delta * (source / r)
        # What bone gave way to would be drawn from bone itself: the place keeps its own tissue.
        moved = ndimage.map_coordinates(seen, at, order=1, mode="nearest")
        hard = host.hard_mm[box.slices]
        clear = ndimage.map_coordinates(hard, at, order=1, mode="nearest") > min(host.grid.spacing_mm)
        if fresh is not None and host.noise is not None:
            moved += _lost(at, host.noise) * fresh[ring]
        out[ring] = np.where(clear, moved, out[ring])
    if plan.halo_hu < 0:
        near = np.clip(1 - np.maximum(level, 0) / np.float32(plan.halo_mm), 0, 1) * (np.abs(seen - 45) < 60)
        out += np.float32(plan.halo_hu) * near * np.clip(host.skin_mm[box.slices] / 6, 0, 1)
    return out


def _lost(at: Array, noise: Noise) -> Array:
    """Share of the noise's SD that linear interpolation at those places takes away (N,)."""
    lag = noise.reach_voxels
    rho = [float(noise.acf[tuple(lag + (a == axis) for a in range(3))]) for axis in range(3)]
    fraction = at - np.floor(at)
    kept = np.ones(at.shape[1], dtype=np.float32)
    for axis in range(3):
        kept *= 1 - 2 * fraction[axis] * (1 - fraction[axis]) * np.float32(1 - max(rho[axis], 0.0))
    return np.sqrt(np.maximum(1 - kept, 0))
