import numpy as np
import pytest

from panlesion.ct.volume import standard_grid
from panlesion.phantom.field import field_slabs, smooth_field


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
    assert all(np.array_equal(a, b) for a, b in zip(field_slabs(grid.shape, 1.5, 3.0, 5), field, strict=True))
    assert not np.array_equal(field, smooth_field(grid, 3.0, 6))
