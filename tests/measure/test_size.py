"""Sizes of digitised balls and boxes, and of a lesion whose axes are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lesions_made import SPACINGS, grid_of, signed_distance
from scipy.spatial.distance import pdist

from panlesion.ct.volume import Grid
from panlesion.measure.size import axial_axis, largest_diameter_mm, measure_size


def ball(spacing_mm, radius_mm, seed=0):
    rng = np.random.default_rng(seed)
    shape = [int(2 * radius_mm / s) + 6 for s in spacing_mm]
    centre = [(n / 2 + rng.uniform(-0.5, 0.5)) * s for n, s in zip(shape, spacing_mm, strict=True)]
    return signed_distance(shape, spacing_mm, centre, (radius_mm,) * 3) < 0


@pytest.mark.parametrize("spacing_mm", SPACINGS)
@pytest.mark.parametrize("radius_mm", [6.0, 12.5, 25.0])
def test_a_ball_measures_its_diameter_within_half_a_voxel(spacing_mm, radius_mm):
    mask = ball(spacing_mm, radius_mm)
    size = measure_size(mask, grid_of(mask.shape, spacing_mm))
    half = max(spacing_mm) / 2
    assert size.diameter_mm == pytest.approx(2 * radius_mm, abs=half)
    assert size.axial_long.length_mm == pytest.approx(2 * radius_mm, abs=2 * half)
    assert size.axial_short.length_mm <= size.axial_long.length_mm + 1e-9
    assert size.axial_short.length_mm == pytest.approx(2 * radius_mm, abs=3 * half)
    assert size.volume_ml == pytest.approx(
        4 / 3 * np.pi * radius_mm**3 / 1000, rel=0.06 + (max(spacing_mm) / radius_mm) ** 2 / 4
    )


def speckled(shape, share, seed):
    mask = np.random.default_rng(seed).random(shape) < share
    mask[shape[0] // 2, shape[1] // 2, shape[2] // 2] = True
    return mask


SPECKLES = st.builds(speckled, st.tuples(*[st.integers(1, 14)] * 3), st.floats(0.01, 0.6), st.integers(0, 2**16))
VOXELS_MM = st.tuples(*[st.floats(0.5, 5.0)] * 3)


@given(mask=SPECKLES, spacing_mm=VOXELS_MM)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_largest_diameter_is_that_of_all_pairs(mask, spacing_mm):
    expected = max(pdist(np.argwhere(mask) * spacing_mm), default=0.0)
    assert largest_diameter_mm(mask, spacing_mm) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 90), (1, 40, 40), (80, 80, 1)])
def test_points_lines_and_sheets_have_sizes(shape):
    mask = np.pad(np.ones(shape, dtype=bool), 2)
    size = measure_size(mask, grid_of(mask.shape, (1.0, 1.0, 1.0)))
    expected = np.linalg.norm(np.array(shape) - 1)
    assert size.diameter_mm == pytest.approx(max(expected, (6 / np.pi) ** (1 / 3)), abs=0.01)
    assert size.extent_voxels == shape


def test_an_axial_ellipse_has_its_two_axes_and_their_ends_lie_in_the_lesion():
    spacing, shape = (1.0, 1.0, 2.0), (60, 60, 20)
    mask = signed_distance(shape, spacing, (30.3, 30.2, 20.4), (20.0, 9.0, 12.0)) < 0
    grid = grid_of(shape, spacing)
    size = measure_size(mask, grid)
    assert size.axial_long.length_mm == pytest.approx(40, abs=1.6)
    assert size.axial_short.length_mm == pytest.approx(18, abs=1.6)
    for axis in (size.axial_long, size.axial_short):
        assert all(mask[end] for end in axis.ends_ijk)
        assert axis.ends_ijk[0][2] == axis.ends_ijk[1][2]
        assert np.allclose(grid.to_xyz(np.array(axis.ends_ijk)), axis.ends_xyz)
        assert np.linalg.norm(np.subtract(*axis.ends_xyz)) == pytest.approx(axis.length_mm, abs=1.1)
    across = np.subtract(*size.axial_long.ends_xyz) @ np.subtract(*size.axial_short.ends_xyz)
    assert abs(across) < 0.1 * 40 * 18


@given(mask=SPECKLES, spacing_mm=VOXELS_MM, flips=st.tuples(*[st.booleans()] * 3), shift=st.tuples(*[st.integers(0, 5)] * 3))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_flips_and_translations_change_no_length(mask, spacing_mm, flips, shift):
    flipped = mask[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
    moved = np.pad(flipped, [(n, 2) for n in shift])
    one, two = (measure_size(made, grid_of(made.shape, spacing_mm)) for made in (mask, moved))
    assert two.diameter_mm == pytest.approx(one.diameter_mm)
    assert two.axial_long.length_mm == pytest.approx(one.axial_long.length_mm)
    assert two.volume_ml == pytest.approx(one.volume_ml)
    assert two.extent_voxels == one.extent_voxels


def test_a_translation_moves_the_centre_by_as_much():
    mask = signed_distance((50, 44, 40), (1, 1, 1), (25, 22, 20), (18, 12, 9)) < 0
    grid = grid_of(mask.shape, (1.0, 1.0, 1.0))
    moved = measure_size(np.roll(mask, (3, -2, 4), axis=(0, 1, 2)), grid)
    assert np.allclose(np.subtract(moved.centre_xyz, measure_size(mask, grid).centre_xyz), (-3, 2, 4))


def test_doubling_the_spacing_doubles_the_lengths():
    mask = ball((1.0, 1.0, 1.0), 9.0)
    one, two = measure_size(mask, grid_of(mask.shape, (1, 1, 1))), measure_size(mask, grid_of(mask.shape, (2, 2, 2)))
    assert two.diameter_mm == pytest.approx(2 * one.diameter_mm)
    assert two.volume_ml == pytest.approx(8 * one.volume_ml)


def test_the_axial_plane_is_found_on_any_axis_order():
    affine = np.array([[0, 0, 1.0, 0], [1.0, 0, 0, 0], [0, -2.0, 0, 0], [0, 0, 0, 1]])
    grid = Grid(shape=(20, 20, 20), affine=affine)
    assert axial_axis(grid) == 1
    mask = np.zeros((20, 20, 20), dtype=bool)
    mask[2:12, 5, 3:9] = True
    mask[2, 2:18, 3] = True
    size = measure_size(mask, grid)
    assert size.axial_long.length_mm == pytest.approx(np.hypot(9, 5))
    assert size.diameter_mm > size.axial_long.length_mm


def test_indices_are_reported_from_the_first_voxel_named():
    mask = np.zeros((8, 8, 8), dtype=bool)
    mask[2:6, 3, 4] = True
    size = measure_size(mask, grid_of(mask.shape, (1, 1, 1)), (100, 200, 300))
    assert set(size.axial_long.ends_ijk) == {(102, 203, 304), (105, 203, 304)}


def test_an_empty_lesion_is_refused():
    with pytest.raises(ValueError, match="no voxel"):
        measure_size(np.zeros((5, 5, 5), dtype=bool), grid_of((5, 5, 5), (1, 1, 1)))
