"""A field has unit variance and belongs to the world, not to a grid."""

import numpy as np
import pytest
from terrain_made import grid_of

from panlesion.ct.volume import Box, Grid, standard_grid
from panlesion.synth.field import draw_field, render_field

CENTRE = (3.0, -2.0, 5.0)


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("wavelength_mm", [(4.0, 12.0), (9.0, 9.0)])
def test_a_field_has_zero_mean_and_unit_variance_over_space(wavelength_mm, slope) -> None:
    grid = grid_of((120.0, 120.0, 120.0), (2.0, 2.0, 2.0))
    field = draw_field(np.random.default_rng(1), wavelength_mm=wavelength_mm, slope=slope)
    values = render_field(field, CENTRE, grid)
    assert values.dtype == np.float32
    assert values.shape == grid.shape
    assert abs(values.mean()) < 0.05
    assert values.std() == pytest.approx(1.0, rel=0.05)


def test_a_field_is_nearly_normal_so_that_shares_of_it_can_be_asked_for() -> None:
    grid = grid_of((120.0, 120.0, 120.0), (3.0, 3.0, 3.0))
    values = render_field(draw_field(np.random.default_rng(2), wavelength_mm=(5.0, 15.0)), CENTRE, grid)
    for level, share in ((0.0, 0.5), (1.0, 0.1587), (-1.0, 0.8413)):
        assert (values > level).mean() == pytest.approx(share, abs=0.02)


def test_a_crop_of_the_grid_renders_the_same_values() -> None:
    grid = grid_of((50.0, 44.0, 40.0), (0.8, 1.1, 2.0))
    field = draw_field(np.random.default_rng(3), wavelength_mm=(4.0, 20.0))
    box = Box(start=(7, 3, 2), stop=(40, 30, 15))
    whole = render_field(field, CENTRE, grid)
    assert np.allclose(render_field(field, CENTRE, grid.crop(box)), whole[box.slices], atol=2e-4)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("flips", [(), (0,), (1, 2)])
def test_permuted_and_flipped_grids_agree_by_world_position(order, flips) -> None:
    grid = grid_of((30.0, 26.0, 36.0), (1.0, 1.3, 1.5))
    field = draw_field(np.random.default_rng(4), wavelength_mm=(5.0, 15.0))
    affine = grid.affine.copy()
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (grid.shape[axis] - 1)
        affine[:3, axis] *= -1
    affine[:3, :3] = affine[:3, order]
    turned = Grid(shape=tuple(grid.shape[a] for a in order), affine=affine)
    expected = np.transpose(np.flip(render_field(field, CENTRE, grid), flips), order)
    assert np.allclose(render_field(field, CENTRE, turned), expected, atol=2e-4)


def test_the_same_field_on_a_finer_grid_passes_through_the_same_points() -> None:
    field = draw_field(np.random.default_rng(5), wavelength_mm=(5.0, 15.0))
    coarse = render_field(field, CENTRE, standard_grid((16, 16, 16), 2.0))
    fine = render_field(field, CENTRE, standard_grid((31, 31, 31), 1.0))
    assert np.allclose(fine[::2, ::2, ::2], coarse, atol=2e-4)


def test_wavelengths_are_those_asked_for() -> None:
    field = draw_field(np.random.default_rng(6), wavelength_mm=(4.0, 12.0), waves=200)
    lengths = 2 * np.pi / np.linalg.norm(field.wave_vectors, axis=1)
    assert lengths.min() >= 3.999
    assert lengths.max() <= 12.001


def test_equal_seeds_give_equal_fields_and_a_senseless_range_is_refused() -> None:
    first, again, other = (draw_field(np.random.default_rng(n), wavelength_mm=(4.0, 9.0)) for n in (7, 7, 8))
    assert first == again
    assert first != other
    with pytest.raises(ValueError, match="wavelength_mm"):
        draw_field(np.random.default_rng(0), wavelength_mm=(9.0, 4.0))
