import numpy as np
import pytest

from panlesion.nets.diffusion import alpha_sigma, ddim_step, noised, times, velocity


@pytest.fixture
def image_and_noise():
    rng = np.random.default_rng(0)
    return rng.normal(0, 1, (4, 4, 4)), rng.normal(0, 1, (4, 4, 4))


@pytest.mark.parametrize("t", [0.0, 0.1, 0.5, 1.0])
def test_variance_is_preserved(t):
    alpha, sigma = alpha_sigma(t)
    assert alpha**2 + sigma**2 == pytest.approx(1)


def test_with_the_true_velocity_one_step_gives_back_the_image(image_and_noise):
    image, noise = image_and_noise
    x = noised(image, noise, 0.3)
    np.testing.assert_allclose(ddim_step(x, velocity(image, noise, 0.3), 0.3, 0.0), image, atol=1e-12)


def test_a_step_leads_to_where_less_noise_would_have_led(image_and_noise):
    image, noise = image_and_noise
    there = ddim_step(noised(image, noise, 0.4), velocity(image, noise, 0.4), 0.4, 0.1)
    np.testing.assert_allclose(there, noised(image, noise, 0.1), atol=1e-12)


def test_times_lead_from_the_strength_to_nothing():
    assert times(0.2, 4) == pytest.approx([0.2, 0.15, 0.1, 0.05, 0.0])
    with pytest.raises(ValueError, match="strength is 0"):
        times(0, 4)
