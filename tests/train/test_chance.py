import numpy as np
import pytest

from panlesion.train.chance import Chance


def draws(method, chance, n=4000):
    rng = np.random.default_rng(0)
    return [getattr(chance, method)(rng) for _ in range(n)]


@pytest.mark.parametrize("method", ["draw", "draw_ratio", "draw_log"])
def test_a_chance_happens_as_often_as_it_says_and_within_its_range(method):
    values = draws(method, Chance(p=0.25, low=0.7, high=1.5))
    happened = [value for value in values if value is not None]
    assert abs(len(happened) / len(values) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(values))
    assert 0.7 <= min(happened) < 0.75 and 1.4 < max(happened) <= 1.5


def test_factors_below_and_above_one_are_equally_likely():
    values = np.array(draws("draw_ratio", Chance(p=1.0, low=0.7, high=1.4)))
    assert abs((values < 1).mean() - 0.5) < 4 * 0.5 / np.sqrt(len(values))


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_a_stream_goes_on_the_same_whatever_the_probability(p):
    rng = np.random.default_rng(1)
    Chance(p=p, low=1.0, high=2.0).draw(rng)
    other = np.random.default_rng(1)
    other.random(2)
    assert rng.random() == other.random()


@pytest.mark.parametrize("wrong", [{"p": 1.2}, {"p": -0.1}, {"p": 0.5, "low": 2.0, "high": 1.0}])
def test_impossible_chances_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must not exceed|lies within"):
        Chance(**wrong)
