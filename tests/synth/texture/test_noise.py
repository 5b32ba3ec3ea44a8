"""Rendered noise has the standard deviation and the autocorrelation it was told to have."""

import numpy as np
import pytest
from terrain_made import noise_of

from panlesion.measure.noise import Noise
from panlesion.synth.texture.noise import TILE_VOXELS, render_noise

SHAPE = (56, 52, 48)


def along(field: np.ndarray, axis: int, lag: int) -> float:
    """Empirical autocorrelation at a lag along one axis."""
    a, b = np.take(field, range(lag, field.shape[axis]), axis), np.take(field, range(field.shape[axis] - lag), axis)
    return float((a * b).mean() / field.var())


@pytest.mark.parametrize("sd_hu", [8.0, 20.0, 40.0])
@pytest.mark.parametrize("sigma_voxels", [(0.3, 0.3, 0.3), (0.8, 0.8, 0.8), (1.2, 1.2, 0.5), (1.5, 1.5, 1.5)])
def test_noise_has_its_deviation_and_its_correlation(sd_hu, sigma_voxels) -> None:
    noise = noise_of(sd_hu, sigma_voxels)
    field = render_noise(noise, SHAPE, seed=17)
    assert field.dtype == np.float32
    assert field.shape == SHAPE
    assert field.std() == pytest.approx(sd_hu, rel=0.05)
    assert abs(field.mean()) < 0.1 * sd_hu
    centre = noise.reach_voxels
    for axis in range(3):
        for lag in (1, 2):
            index = [centre] * 3
            index[axis] += lag
            assert along(field, axis, lag) == pytest.approx(float(noise.acf[tuple(index)]), abs=0.05)


def test_a_rough_estimate_of_a_correlation_still_gives_its_deviation() -> None:
    rng = np.random.default_rng(0)
    acf = noise_of(1.0).acf + 0.04 * rng.standard_normal((11, 11, 11)).astype(np.float32)
    acf = (acf + acf[::-1, ::-1, ::-1]) / 2
    acf[5, 5, 5] = 1.0
    assert render_noise(Noise(sd_hu=15.0, acf=acf), SHAPE, seed=1).std() == pytest.approx(15.0, rel=0.05)


def test_the_same_seed_gives_the_same_bits_and_another_seed_other_noise() -> None:
    first, again, other = (render_noise(noise_of(10.0), SHAPE, seed=n) for n in (4, 4, 5))
    assert first.tobytes() == again.tobytes()
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.05


def test_opposite_faces_are_not_tied_together() -> None:
    field = np.concatenate([render_noise(noise_of(10.0), (12, 40, 40), seed=n) for n in range(6)], axis=1)
    assert abs(np.corrcoef(field[0].ravel(), field[-1].ravel())[0, 1]) < 0.1


def test_a_box_larger_than_the_tile_has_noise_that_does_not_repeat() -> None:
    field = render_noise(noise_of(10.0), (TILE_VOXELS + 30, 24, 24), seed=3)
    assert field.std() == pytest.approx(10.0, rel=0.05)
    assert abs(np.corrcoef(field[:30].ravel(), field[TILE_VOXELS:].ravel())[0, 1]) < 0.1


def test_silence_is_silent() -> None:
    assert np.all(render_noise(noise_of(0.0), (8, 8, 8), seed=1) == 0)
