import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panlesion.measure.resampling import bootstrap_mean


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_interval_holds_the_mean(values):
    interval = bootstrap_mean(values, draws=200)
    assert interval.low - 1e-9 <= interval.mean <= interval.high + 1e-9
    assert interval.n == len(values)


def test_it_agrees_with_the_normal_interval_of_many_values():
    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    interval = bootstrap_mean(values.tolist())
    half = 1.96 * values.std() / 20
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)


def test_repeating_a_patient_adds_no_evidence():
    values, names = [0.2, 0.4, 0.9], ["a", "b", "c"]
    once, thrice = bootstrap_mean(values, names), bootstrap_mean(values * 3, names * 3)
    assert (once.mean, once.low, once.high, once.n) == pytest.approx((thrice.mean, thrice.low, thrice.high, thrice.n))


def test_nothing_has_no_mean():
    with pytest.raises(ValueError, match="0 values"):
        bootstrap_mean([])
