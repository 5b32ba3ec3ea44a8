"""Noise of known SD and autocorrelation is found again, through masks, vessels and slow anatomy."""

import numpy as np
import pytest
from lesions_made import acf_of, noise_field

from panlesion.measure.noise import (
    FEWEST_VOXELS,
    Noise,
    densest_box,
    measure_noise,
    reach_voxels,
    smoothed,
    smoothed_variance,
    thinned,
    unlike,
)


def ball(shape, spacing_mm, radius_mm):
    axes = [(np.arange(n) - n / 2) * s for n, s in zip(shape, spacing_mm, strict=True)]
    return axes[0][:, None, None] ** 2 + axes[1][:, None] ** 2 + axes[2] ** 2 < radius_mm**2


CASES = [
    ((1.0, 1.0, 1.0), 0.0),
    ((1.0, 1.0, 1.0), 0.8),
    ((1.0, 1.0, 1.0), 1.5),
    ((0.8, 0.8, 0.8), 1.0),
    ((1.0, 1.0, 3.0), (0.8, 0.8, 0.3)),
    ((3.0, 3.0, 3.0), 0.5),
]


@pytest.mark.parametrize(("spacing_mm", "sigma"), CASES)
def test_known_noise_is_found_within_5_per_cent_and_its_autocorrelation_within_005(spacing_mm, sigma):
    shape = tuple(int(72 / s) for s in spacing_mm)
    mask = ball(shape, spacing_mm, 32.0)
    found = [
        measure_noise(50 + noise_field(shape, 25, sigma, np.random.default_rng(seed)), mask, spacing_mm) for seed in range(4)
    ]
    reach = found[0].reach_voxels
    assert all(one.sd_hu == pytest.approx(25, rel=0.05) for one in found)
    assert all(one.acf.dtype == np.float32 and one.acf[reach, reach, reach] == pytest.approx(1.0) for one in found)
    assert all(unlike(one, Noise(sd_hu=25.0, acf=acf_of(sigma, reach))) < 0.04 for one in found)
    assert np.abs(np.mean([one.acf for one in found], axis=0) - acf_of(sigma, reach)).max() < 0.05


def test_slow_anatomy_and_vessels_are_not_noise():
    rng = np.random.default_rng(2)
    shape = (60, 60, 60)
    hu = 100 + noise_field(shape, 12, 0.7, rng) + np.linspace(-30, 30, 60)[:, None, None]
    vessels = ball(shape, (1, 1, 0.01), 2.0) | ball(shape, (0.01, 1, 1), 1.5)
    hu[vessels] += 90
    found = measure_noise(hu, ball(shape, (1, 1, 1), 26.0), (1.0, 1.0, 1.0))
    assert found.sd_hu == pytest.approx(12, rel=0.06)


def test_noise_scales_with_the_image_and_does_not_see_an_offset():
    rng = np.random.default_rng(3)
    field, mask = noise_field((40, 40, 40), 10, 0.8, rng), ball((40, 40, 40), (1, 1, 1), 16.0)
    one = measure_noise(field, mask, (1.0, 1.0, 1.0))
    two = measure_noise(500 + 3 * field, mask, (1.0, 1.0, 1.0))
    assert two.sd_hu == pytest.approx(3 * one.sd_hu, rel=1e-3)
    assert np.allclose(one.acf, two.acf, atol=2e-3)


def test_flipping_the_image_flips_the_autocorrelation_which_is_symmetric():
    rng = np.random.default_rng(4)
    field, mask = noise_field((40, 36, 44), 10, (1.2, 0.5, 0.8), rng), ball((40, 36, 44), (1, 1, 1), 15.0)
    one = measure_noise(field, mask, (1.0, 1.0, 1.0))
    two = measure_noise(field[::-1], mask[::-1], (1.0, 1.0, 1.0))
    assert np.allclose(one.acf[::-1], two.acf, atol=1e-3)
    assert np.allclose(one.acf, one.acf[::-1, ::-1, ::-1], atol=1e-3)


def test_a_small_lesion_shows_the_noise_around_it():
    errors, differences = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        field = noise_field((60, 60, 60), 20, 0.8, rng)
        small = measure_noise(field, ball((60, 60, 60), (1, 1, 1), 9.0), (1.0, 1.0, 1.0))
        large = measure_noise(field, ball((60, 60, 60), (1, 1, 1), 28.0), (1.0, 1.0, 1.0))
        errors.append(small.sd_hu / large.sd_hu - 1)
        differences.append(unlike(small, large))
    assert abs(np.mean(errors)) < 0.05
    assert max(differences) < 0.15


def test_white_and_smooth_noise_are_unlike():
    white, smooth = (Noise(sd_hu=10.0, acf=acf_of(sigma, 4)) for sigma in (0.0, 1.0))
    assert unlike(white, white) == 0.0
    assert unlike(white, smooth) > 0.3


@pytest.mark.parametrize("sigma", [0.0, 0.8, 1.3])
def test_the_variance_that_smoothing_leaves_is_foretold(sigma):
    mask = ball((26, 26, 26), (1, 1, 1), 10.0)
    weight = mask.astype(np.float32)
    expected, spread = smoothed_variance(Noise(sd_hu=30.0, acf=acf_of(sigma, 6)), weight, (1.5, 1.5, 1.5))
    rng = np.random.default_rng(5)
    seen = []
    for _ in range(60):
        field = noise_field((48, 48, 48), 30, sigma, rng)[:26, :26, :26]
        seen.append(smoothed(field * weight, weight, (1.5, 1.5, 1.5))[mask].var())
    assert np.mean(seen) == pytest.approx(expected, rel=0.12)
    assert np.std(seen) == pytest.approx(spread, rel=0.35)


def test_lags_reach_about_5_mm_within_2_to_6_voxels():
    assert [reach_voxels((s, s, s)) for s in (0.5, 1.0, 1.5, 3.0, 5.0)] == [6, 5, 3, 2, 2]


def test_thinning_keeps_every_second_lag():
    noise = Noise(sd_hu=10.0, acf=acf_of(1.5, 5))
    thin = thinned(noise, 2)
    assert thin.acf.shape == (5, 5, 5)
    assert thin.acf[2, 2, 3] == noise.acf[5, 5, 7]
    assert thinned(noise, 1) is noise


def test_a_large_mask_is_measured_where_it_is_densest():
    mask = np.zeros((200, 20, 20), dtype=bool)
    mask[10:30] = True
    mask[100:190] = True
    box = densest_box(mask, side=50)
    assert box.shape == (50, 20, 20)
    assert mask[box.slices].all()


def test_too_few_voxels_are_refused():
    mask = np.zeros((20, 20, 20), dtype=bool)
    mask[:3, :3, :3] = True
    with pytest.raises(ValueError, match=f"27 voxels; noise needs at least {FEWEST_VOXELS}"):
        measure_noise(np.zeros((20, 20, 20)), mask, (1.0, 1.0, 1.0))
