"""`render_level`: a lesion's whole geometry on its terrain, as one level function."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.volume import Box, Grid, Vector3
from panlesion.synth.field import render_field
from panlesion.synth.plan import Confine, Geometry, Part, Spicule, WallPatch
from panlesion.synth.shape.outline import render_outline, unit_offsets
from panlesion.synth.terrain import FAR_MM, Terrain, distance_mm

# Roughness makes levels steeper than distances here and there.
LEVEL_SLACK_MM = 3.0


def render_level(geometry: Geometry, terrain: Terrain, reach_mm: float = FAR_MM) -> NDArray[np.float32]:
    """Float32 (I, J, K): distance to the lesion's surface in mm to first order, negative inside.

    Farther out than `reach_mm`, what confines the lesion need not show in it.
    """
    reach_mm = max(reach_mm, geometry.keep_gap_mm + LEVEL_SLACK_MM)
    level = np.full(terrain.grid.shape, FAR_MM, dtype=np.float32)
    for part in geometry.parts:
        around = box_of(part_bounds(part, geometry.smooth_union_mm), terrain.grid, reach_mm).clipped(terrain.grid.shape)
        if around.empty:
            continue
        body = render_outline(part.outline, part.centre_xyz, terrain.grid.crop(around))
        level[around.slices] = smooth_min(level[around.slices], body, geometry.smooth_union_mm)
    for spicule in geometry.spicules:
        _add_spicule(level, spicule, terrain.grid)
    if geometry.wall is not None:
        level = smooth_min(level, _wall_level(geometry.wall, terrain, reach_mm), geometry.smooth_union_mm)
    for crater in geometry.craters:
        around = box_of(part_bounds(crater, 0.0), terrain.grid, reach_mm).clipped(terrain.grid.shape)
        if not around.empty:
            cut = -render_outline(crater.outline, crater.centre_xyz, terrain.grid.crop(around))
            level[around.slices] = np.maximum(level[around.slices], cut)
    if reach_mm >= FAR_MM:
        return _confined(level, geometry, terrain)
    near = Box.of(level < reach_mm)
    if not near.empty:
        level[near.slices] = _confined(level[near.slices], geometry, terrain.cropped(near))
    return level


def smooth_min(a: NDArray[np.float32], b: NDArray[np.float32], width_mm: float) -> NDArray[np.float32]:
    """Union of two level functions whose crease is rounded over `width_mm` (polynomial smooth minimum, Quilez 2013)."""
    if width_mm <= 0:
        return np.minimum(a, b)
    overlap = np.maximum(width_mm - np.abs(a - b), 0) / np.float32(width_mm)
    return np.minimum(a, b) - overlap * overlap * np.float32(width_mm / 4)


def _add_spicule(level: NDArray[np.float32], spicule: Spicule, grid: Grid) -> None:
    """Lower `level` in place to a cone that tapers from base to tip; only the cone's own box is touched."""
    ends = grid.to_ijk(np.array([spicule.base_xyz, spicule.tip_xyz]))
    reach = 2 * spicule.base_radius_mm + 2 * max(grid.spacing_mm)
    grow = np.ceil(reach / np.asarray(grid.spacing_mm)).astype(int)
    start = np.floor(ends.min(axis=0)).astype(int) - grow
    stop = np.ceil(ends.max(axis=0)).astype(int) + grow + 1
    box = Box(start=tuple(start.tolist()), stop=tuple(stop.tolist())).clipped(grid.shape)
    if box.empty:
        return
    part = grid.crop(box)
    offset = part.to_xyz(np.moveaxis(np.indices(box.shape), 0, -1)) - np.asarray(spicule.base_xyz)
    axis = np.asarray(spicule.tip_xyz) - np.asarray(spicule.base_xyz)
    length = float(np.linalg.norm(axis))
    along = np.clip(offset @ axis / length**2, 0, 1)
    distance = np.linalg.norm(offset - along[..., None] * axis, axis=-1)
    cone = distance - spicule.base_radius_mm * (1 - 0.8 * along)
    level[box.slices] = np.minimum(level[box.slices], cone.astype(np.float32))


def _wall_level(wall: WallPatch, terrain: Terrain, reach_mm: float) -> NDArray[np.float32]:
    from_centre, along = _from_patch(wall, terrain.grid)
    # Where the patch is, and where the surface may lie that its depth is from; farther along the wall it cannot be.
    near = Box.of(along < wall.half_length_mm + wall.inward_mm + wall.outward_mm)
    level = along - np.float32(wall.half_length_mm)
    level[near.slices] = _thickened(wall, terrain.cropped(near), from_centre[near.slices], along[near.slices], reach_mm)
    return level


def _from_patch(wall: WallPatch, grid: Grid) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Distance (I, J, K) from a patch's centre, and how far along it a voxel lies."""
    offset = unit_offsets(np.eye(3), wall.centre_xyz, grid)
    from_centre = np.sqrt(offset[0] ** 2 + offset[1] ** 2 + offset[2] ** 2)
    if not wall.annular:
        return from_centre, from_centre
    axis = np.asarray(wall.axis, dtype=np.float32)
    return from_centre, np.abs(axis[0] * offset[0] + axis[1] * offset[1] + axis[2] * offset[2])


def _thickened(
    wall: WallPatch, terrain: Terrain, from_centre: NDArray[np.float32], along: NDArray[np.float32], reach_mm: float
) -> NDArray[np.float32]:
    inside_mm = max(wall.half_length_mm, wall.inward_mm + wall.lumen_mm + 4 * wall.roughness_mm)
    depth = terrain.depth_up_to(inside_mm + reach_mm, wall.outward_mm + 4 * wall.roughness_mm + reach_mm)
    near = from_centre < wall.half_length_mm + (wall.inward_mm + wall.lumen_mm if wall.annular else 0)
    # The ridge is the organ's half-width where the patch sits; what lies within lumen_mm of it stays open.
    around = near & terrain.own
    ridge = float(depth[around].max()) if around.any() else 0.0
    profile = np.clip(1 - (along / np.float32(wall.half_length_mm)) ** np.float32(wall.shoulder), 0, 1) ** np.float32(0.5)
    inward = np.minimum(np.float32(wall.inward_mm) * profile, np.float32(max(0.5, ridge - wall.lumen_mm)))
    level = np.maximum(depth - inward, -depth - np.float32(wall.outward_mm) * profile)
    level = np.maximum(level, (along - np.float32(wall.half_length_mm)))
    if wall.roughness_mm > 0:
        rough = Box.of(level < reach_mm + 4 * wall.roughness_mm)
        field = render_field(wall.field, wall.centre_xyz, terrain.grid.crop(rough))
        level[rough.slices] -= np.float32(wall.roughness_mm) * field
        # Roughness must not close the lumen.
        level = np.maximum(level, depth - np.float32(max(0.5, ridge - wall.lumen_mm)))
    if wall.annular:
        level = np.maximum(level, from_centre - np.float32(wall.half_length_mm + 2 * ridge + wall.outward_mm))
    return level.astype(np.float32)


def _confined(level: NDArray[np.float32], geometry: Geometry, terrain: Terrain) -> NDArray[np.float32]:
    """Cut a level by what confines it. Distances are only transformed where the lesion reaches what they are from."""
    inside = level < 0
    if geometry.confine is not Confine.FREE and (inside & ~terrain.own).any():
        over = geometry.bulge_mm if geometry.confine is Confine.BULGE else 0.0
        # No voxel is cut by a surface that is farther from it than the lesion's own, whose levels slack makes too low.
        deep = float(-level.min()) + LEVEL_SLACK_MM
        level = np.maximum(level, -terrain.depth_up_to(deep, over + deep) - np.float32(over))
    if geometry.confine is not Confine.ORGAN:
        level = np.where(terrain.forbidden, np.maximum(level, np.float32(1.0)), level)
        if geometry.keep_gap_mm <= 0 and (inside & terrain.neighbours).any():
            crossed = distance_mm(~terrain.neighbours, terrain.grid.spacing_mm)
            level = np.where(terrain.neighbours, np.maximum(level, crossed - np.float32(geometry.into_neighbour_mm)), level)
    # A level grows by at most one mm per mm, so a neighbour where it is larger than the gap is farther away than the gap.
    near = level < geometry.keep_gap_mm + LEVEL_SLACK_MM
    if geometry.keep_gap_mm > 0 and (near & terrain.neighbours).any():
        deep = geometry.keep_gap_mm + float(-level.min())
        gap = distance_mm(terrain.neighbours, terrain.grid.spacing_mm, deep)
        level = np.maximum(level, np.float32(geometry.keep_gap_mm) - gap)
    return level


def lesion_mask(level: NDArray[np.float32], centre_xyz: Vector3, grid: Grid) -> NDArray[np.bool_]:
    """Bool (I, J, K): the connected piece of {level < 0} nearest to the centre; empty if there is none."""
    mask = level < 0
    box = Box.of(mask)
    pieces, count = ndimage.label(mask[box.slices])
    if count <= 1:
        return mask
    ijk = np.clip(np.rint(grid.to_ijk(centre_xyz)).astype(int), box.start, np.asarray(box.stop) - 1) - box.start
    own = int(pieces[tuple(ijk)])
    if own == 0:
        own = int(np.bincount(pieces.ravel())[1:].argmax()) + 1
    mask[box.slices] = pieces == own
    return mask


def part_bounds(part: Part, smooth_union_mm: float) -> tuple[Vector3, Vector3]:
    """World-space box (low, high) in mm that contains one body of a lesion."""
    # Smooth unions and roughness swell an outline; four SD of roughness are never exceeded in practice.
    swell = 4 * part.outline.roughness * part.outline.mean_radius_mm + smooth_union_mm / 4
    half = max(part.outline.radii_mm) + swell
    x, y, z = part.centre_xyz
    return (x - half, y - half, z - half), (x + half, y + half, z + half)


def bounds_of(geometry: Geometry) -> tuple[Vector3, Vector3]:
    """World-space box (low, high) in mm that contains every voxel of {level < 0}."""
    points: list[Vector3] = []
    reach: list[float] = []
    for part in geometry.parts:
        points += part_bounds(part, geometry.smooth_union_mm)
        reach += [0.0, 0.0]
    for spicule in geometry.spicules:
        points += [spicule.base_xyz, spicule.tip_xyz]
        reach += [spicule.base_radius_mm] * 2
    if geometry.wall is not None:
        wall = geometry.wall
        points.append(wall.centre_xyz)
        swell = wall.outward_mm + 2 * wall.roughness_mm + (wall.inward_mm + wall.lumen_mm) * (2.2 if wall.annular else 0.5)
        reach.append(wall.half_length_mm + swell)
    at, far = np.asarray(points), np.asarray(reach)[:, None]
    low, high = (at - far).min(axis=0).tolist(), (at + far).max(axis=0).tolist()
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def box_of(bounds_xyz: tuple[Vector3, Vector3], grid: Grid, margin_mm: float) -> Box:
    """Index box on `grid` that contains a world-space box grown by `margin_mm`; may leave the grid."""
    low, high = np.asarray(bounds_xyz[0]) - margin_mm, np.asarray(bounds_xyz[1]) + margin_mm
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    ijk = grid.to_ijk(corners)
    start = np.floor(ijk.min(axis=0)).astype(int).tolist()
    stop = (np.ceil(ijk.max(axis=0)).astype(int) + 1).tolist()
    return Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2]))
