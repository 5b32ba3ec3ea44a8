import numpy as np
import pytest

from panlesion.train.chance import Chance
from panlesion.train.tone import ToneChange, ToneRange, draw_tone_change, render_tone_change


def patch(seed=0, n=20):
    return np.random.default_rng(seed).random((n, n, n), dtype=np.float32) * np.float32(0.5) + np.float32(0.25)


def test_no_change_is_the_same_patch():
    assert np.array_equal(render_tone_change(ToneChange(), patch()), patch())


def test_each_step_is_as_frequent_as_its_chance():
    rng, ranges, n = np.random.default_rng(0), ToneRange(), 1500
    drawn = [draw_tone_change(ranges, rng) for _ in range(n)]
    for name in ("noise", "blur_voxels", "brightness", "contrast", "zoom", "inverted_gamma", "gamma"):
        chance, values = getattr(ranges, name), [getattr(one, name) for one in drawn]
        happened = [value for value in values if value is not None]
        assert abs(len(happened) / n - chance.p) < 4 * np.sqrt(chance.p * (1 - chance.p) / n), name
        assert chance.low <= min(happened) and max(happened) <= chance.high, name


def test_each_step_does_what_it_is_called():
    x = patch()
    assert np.isclose(render_tone_change(ToneChange(brightness=0.8), x).mean(), 0.8 * x.mean(), rtol=1e-4)
    softer = render_tone_change(ToneChange(contrast=0.75), x)
    assert np.isclose(softer.std(), 0.75 * x.std(), rtol=1e-3) and np.isclose(softer.mean(), x.mean(), rtol=1e-3)
    harder = render_tone_change(ToneChange(contrast=1.25), x)
    assert harder.min() == x.min() and harder.max() == x.max()
    noise = render_tone_change(ToneChange(noise=0.1, noise_seed=3), x) - x
    assert np.isclose(noise.std(), 0.1 * x.std(), rtol=0.05)
    for change in (ToneChange(blur_voxels=1.0), ToneChange(zoom=0.5)):
        assert render_tone_change(change, x).std() < 0.6 * x.std()


@pytest.mark.parametrize("name", ["gamma", "inverted_gamma"])
def test_gamma_keeps_mean_and_deviation_and_the_order_of_values(name):
    x = patch()
    for value in (0.7, 1.5):
        out = render_tone_change(ToneChange(**{name: value}), x)
        assert np.isclose(out.mean(), x.mean(), atol=5e-3) and np.isclose(out.std(), x.std(), rtol=0.05)
        order = np.argsort(x.ravel())
        assert (np.diff(out.ravel()[order]) >= -1e-6).all() and not np.allclose(out, x, atol=1e-3)


def test_gamma_and_inverted_gamma_bend_opposite_ways():
    x = patch()
    middle = np.abs(x - 0.5) < 0.02
    low, high = (render_tone_change(ToneChange(**{name: 1.5}), x)[middle].mean() for name in ("gamma", "inverted_gamma"))
    assert low < 0.5 < high


def test_everything_at_once_on_anything_stays_within_the_range():
    every = ToneRange(**{name: Chance(p=1, low=c.low, high=c.high) for name, c in ToneRange().__dict__.items()})
    for seed, x in enumerate((np.zeros((9, 9, 9), np.float32), np.ones((9, 9, 9), np.float32), patch(n=9), patch(n=9).round())):
        for n in range(20):
            out = render_tone_change(draw_tone_change(every, np.random.default_rng([seed, n])), x)
            assert out.dtype == np.float32 and np.isfinite(out).all() and out.min() >= 0 and out.max() <= 1
