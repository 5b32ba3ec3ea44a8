import lifelines.utils
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panlesion.measure.discrimination import auc
from panlesion.measure.survival import concordance


@given(st.integers(0, 10_000))
def test_it_is_harrells_c(seed):
    rng = np.random.default_rng(seed)
    time, event = rng.integers(1, 8, 20), rng.random(20) < 0.6
    risk = rng.integers(0, 5, 20).astype(float)
    event[0] = True
    time[0], time[1] = 1, 7
    assert concordance(time, event, risk) == pytest.approx(lifelines.utils.concordance_index(time, -risk, event))


def test_of_two_classes_it_is_the_area_under_the_curve():
    rng = np.random.default_rng(0)
    present, score = rng.random(30) < 0.4, rng.integers(0, 9, 30)
    assert concordance(present, np.ones(30), -score) == pytest.approx(auc(present, score))


def test_only_pairs_of_one_stratum_count():
    rng = np.random.default_rng(1)
    time, risk, fold = rng.random(40), rng.random(40), np.repeat([0, 1], 20)
    event = np.ones(40, dtype=bool)
    within = concordance(time, event, risk, fold)
    # what is added to the risks of one fold says nothing
    assert concordance(time, event, risk + 100 * fold, fold) == within
    halves = [concordance(time[fold == n], event[fold == n], risk[fold == n]) for n in (0, 1)]
    assert within == pytest.approx(np.mean(halves))


def test_without_a_known_pair_there_is_no_number():
    assert np.isnan(concordance(np.array([1, 2]), np.array([False, True]), np.array([0, 1])))
