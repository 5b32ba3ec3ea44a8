import numpy as np
import pytest

from panlesion.ct.volume import standard_grid
from panlesion.phantom.field import SmoothField, smooth_field


def test_field_has_zero_mean_and_unit_variance():
    field = smooth_field(standard_grid((90, 90, 90), 1.0), 1.5, 7)
    assert abs(field.mean()) < 0.05
    assert field.std() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("spacing_mm", [1.0, 2.0])
def test_scale_is_in_mm_not_in_voxels(spacing_mm):
    field = smooth_field(standard_grid((80, 80, 80), spacing_mm), 6.0, 1)
    step = round(6.0 * np.sqrt(2) / spacing_mm)
    correlation = np.mean(field[:-step] * field[step:]) / field.var()
    # Two B-splines of sigma s overlap as a Gaussian of sigma s√2: exp(-1/2) at that distance.
    assert correlation == pytest.approx(np.exp(-0.5), abs=0.12)


def test_same_seed_same_bits_and_slabs_are_the_field():
    grid = standard_grid((9, 11, 13), 1.5)
    field = smooth_field(grid, 3.0, 5)
    assert np.array_equal(field, smooth_field(grid, 3.0, 5))
    slabs = SmoothField(grid.shape, 1.5, 3.0, 5)
    assert all(np.array_equal(slabs.slab(i), field[i]) for i in range(9))
    assert not np.array_equal(field, smooth_field(grid, 3.0, 6))


def test_slabs_and_rows_may_be_asked_for_in_any_order():
    grid = standard_grid((20, 11, 13), 1.5)
    field = smooth_field(grid, 1.1, 5)
    slabs = SmoothField(grid.shape, 1.5, 1.1, 5)
    for i in (7, 2, 19):
        assert np.array_equal(slabs.slab(i, slice(3, 8)), field[i, 3:8])


@pytest.mark.parametrize("scale_mm", [0.6, 0.8])
def test_a_scale_below_the_voxel_still_says_how_alike_neighbours_are(scale_mm):
    field = smooth_field(standard_grid((70, 70, 70), 1.5), scale_mm, 2)
    assert field.std() == pytest.approx(1.0, abs=0.03)
    for axis in range(3):
        ahead = np.moveaxis(field, axis, 0)
        assert np.mean(ahead[:-1] * ahead[1:]) == pytest.approx(np.exp(-((1.5 / (2 * scale_mm)) ** 2)), abs=0.02)
