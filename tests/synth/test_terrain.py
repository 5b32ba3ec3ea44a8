"""Distances on a terrain are the exact ones, up to the reach that was asked for."""

import numpy as np
import pytest
from scipy import ndimage
from terrain_made import KIDNEY, LIVER, SPLEEN, ball, block, blocks_host, grid_of, liver_host, terrain_of

from panlesion.ct.volume import Box, LabelMap
from panlesion.lesion.taxonomy import LesionType
from panlesion.synth.shape.outline import draw_outline, render_outline
from panlesion.synth.terrain import FAR_MM, Terrain, distance_mm, neighbour_mask, system_mask


def exact(mask, spacing_mm):
    return ndimage.distance_transform_edt(~mask, sampling=spacing_mm)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.7, 0.7, 1.2)])
@pytest.mark.parametrize("reach_mm", [4.0, 60.0])
def test_a_distance_is_exact_up_to_its_reach(seed, spacing_mm, reach_mm) -> None:
    grid = grid_of(tuple(44 * s for s in spacing_mm), spacing_mm)
    rng = np.random.default_rng(seed)
    outline = draw_outline(rng, radii_mm=(13.0, 9.0, 6.0), roughness=0.12)
    mask = render_outline(outline, tuple(rng.uniform(-6, 6, 3)), grid) < 0
    for one in (mask, ~mask):
        distance = distance_mm(one, spacing_mm, reach_mm)
        assert distance.dtype == np.float32
        assert np.allclose(distance, np.minimum(exact(one, spacing_mm), reach_mm), atol=1e-4)


def test_any_small_mask_gets_the_exact_distance() -> None:
    mask = np.zeros((30, 31, 32), dtype=bool)
    mask[3:9, 20:22, 5] = True
    assert np.allclose(distance_mm(mask, (1.0, 2.0, 0.5)), exact(mask, (1.0, 2.0, 0.5)), atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_sheet_one_voxel_thin_is_seen_in_a_large_box(axis) -> None:
    """At every place: what looks at some of the voxels only would miss it in half of them."""
    for place in (34, 35):
        mask = np.zeros((70, 60, 50), dtype=bool)
        np.moveaxis(mask, axis, 0)[place, 10:40, 10:40] = True
        assert np.allclose(distance_mm(mask, (1.0, 1.0, 1.0)), exact(mask, (1.0, 1.0, 1.0)), atol=1e-4)


def test_nothing_is_far() -> None:
    assert np.all(distance_mm(np.zeros((9, 9, 9), dtype=bool), (1.0, 1.0, 1.0)) == FAR_MM)


def test_depth_is_signed_and_zero_half_way_between_voxel_centres() -> None:
    terrain = terrain_of(liver_host())
    depth, own = terrain.depth_mm, terrain.own
    assert np.all(depth[own] > 0)
    assert np.all(depth[~own] < 0)
    middle = tuple(np.rint(terrain.grid.to_ijk((-5.0, 0.0, 0.0))).astype(int))
    assert depth[middle] == pytest.approx(28.5, abs=1.0)


def two_organs() -> LabelMap:
    grid = grid_of((60.0, 40.0, 30.0))
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[block(grid, (-25.0, -15.0, -12.0), (0.0, 15.0, 12.0))] = KIDNEY
    labels[block(grid, (6.0, -15.0, -12.0), (25.0, 15.0, 12.0))] = SPLEEN
    return LabelMap(labels=labels, grid=grid)


def test_neighbours_are_other_labelled_organs_or_nothing_for_stones() -> None:
    organs = two_organs()
    assert np.array_equal(neighbour_mask(organs, LesionType.KIDNEY_TUMOR), organs.labels == SPLEEN)
    assert not neighbour_mask(organs, LesionType.KIDNEY_STONE).any()


def test_everything_outside_a_lung_is_its_neighbour_but_not_the_vessels_within() -> None:
    grid = grid_of((70.0, 70.0, 50.0))
    labels = np.zeros(grid.shape, dtype=np.uint8)
    labels[block(grid, (-25.0, -25.0, -15.0), (25.0, 25.0, 15.0))] = 13
    labels[block(grid, (-2.0, -2.0, -15.0), (2.0, 2.0, 15.0))] = 0
    organs = LabelMap(labels=labels, grid=grid)
    neighbours = neighbour_mask(organs, LesionType.LUNG_TUMOR)
    assert not neighbours[block(grid, (-2.0, -2.0, -8.0), (2.0, 2.0, 8.0))].any()
    assert neighbours[0, 0, 0]
    assert np.array_equal(system_mask(organs, LesionType.LUNG_TUMOR), ~neighbours)


def test_a_terrain_is_the_part_of_its_box_that_lies_in_the_host() -> None:
    host = liver_host()
    terrain = Terrain.of(
        host.ct, host.organs, type=LesionType.LIVER_TUMOR, organ_label=LIVER, box=Box(start=(-5, 10, 20), stop=(30, 500, 50))
    )
    assert terrain.box == Box(start=(0, 10, 20), stop=(30, host.ct.grid.shape[1], 50))
    assert np.array_equal(terrain.ct.hu, host.ct.hu[terrain.box.slices])
    assert np.allclose(terrain.grid.to_xyz((0, 0, 0)), host.ct.grid.to_xyz((0, 10, 20)))


def test_a_thinned_terrain_keeps_every_voxel_where_it_was() -> None:
    terrain = terrain_of(liver_host())
    thin = terrain.thinned(3)
    assert np.array_equal(thin.ct.hu, terrain.ct.hu[::3, ::3, ::3])
    assert np.allclose(thin.grid.to_xyz((4, 5, 6)), terrain.grid.to_xyz((12, 15, 18)))
    assert thin.box == terrain.box


def test_a_part_of_a_terrain_keeps_its_place_and_its_organ() -> None:
    terrain = terrain_of(liver_host())
    box = Box(start=(3, 4, 5), stop=(30, 31, 32))
    for whole, step in ((terrain, 1), (terrain.thinned(2), 2)):
        part = whole.cropped(box)
        assert np.array_equal(part.own, whole.own[box.slices])
        assert np.allclose(part.grid.to_xyz((0, 0, 0)), whole.grid.to_xyz(box.start))
        assert part.box.start == tuple(a + step * b for a, b in zip(whole.box.start, box.start, strict=True))


def test_a_depth_is_exact_up_to_what_was_asked_for() -> None:
    terrain = terrain_of(liver_host())
    near = terrain.depth_up_to(4.0, 6.0)
    assert np.allclose(near, np.clip(terrain.depth_mm, -6.0, 4.0), atol=1e-4)


def test_bone_and_air_are_forbidden_to_what_does_not_live_there() -> None:
    blocks = {
        LIVER: ((-30.0, -25.0, -20.0), (0.0, 25.0, 20.0)),
        30: ((2.0, -25.0, -20.0), (8.0, 25.0, 20.0)),
        13: ((12.0, -25.0, -20.0), (30.0, 25.0, 20.0)),
    }
    terrain = terrain_of(blocks_host(blocks, tissue_hu={30: 400.0, 13: -850.0}))
    for label in (30, 13):
        assert terrain.forbidden[terrain.organs.labels == label].all()
    assert not terrain.forbidden[terrain.own].any()
    assert terrain.forbidden[0, 0, 0]
    ball_in_fat = render_outline(ball((-15.0, 30.0, 0.0), 3.0).outline, (-15.0, 30.0, 0.0), terrain.grid) < 0
    assert not terrain.forbidden[ball_in_fat].any()
