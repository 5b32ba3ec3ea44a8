import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from panlesion.measure.discrimination import auc, bootstrapped, bootstrapped_rows, rank_correlation


def test_auc_is_the_share_of_pairs_in_the_right_order():
    rng = np.random.default_rng(0)
    present, evidence = rng.random(60) < 0.3, rng.integers(0, 8, 60)
    pairs = [(a > b) + 0.5 * (a == b) for a in evidence[present] for b in evidence[~present]]
    assert auc(present, evidence) == pytest.approx(np.mean(pairs))
    assert auc(present, -evidence) == pytest.approx(1 - np.mean(pairs))


def test_rank_correlation_is_spearmans_with_ties():
    rng = np.random.default_rng(1)
    a = rng.integers(1, 6, 80)
    b = a + rng.normal(0, 2, 80)
    assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic)


@pytest.mark.parametrize("value", [auc([True, True], [1, 2]), rank_correlation([1, 1, 1], [1, 2, 3])])
def test_what_is_not_defined_is_no_number(value):
    assert math.isnan(value)


def test_the_interval_holds_the_value_and_widens_when_cases_share_a_patient():
    rng = np.random.default_rng(2)
    truth = np.repeat(rng.random(30) < 0.4, 6)
    evidence = np.repeat(rng.normal(size=30), 6) + truth
    alone = bootstrapped(auc, truth, evidence, [str(n) for n in range(180)])
    shared = bootstrapped(auc, truth, evidence, [str(n // 6) for n in range(180)])
    assert alone.mean == shared.mean
    assert alone.low < alone.mean < alone.high
    assert shared.high - shared.low > 1.5 * (alone.high - alone.low)
    assert (alone.n, shared.n) == (180, 30)


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="as many of each"):
        bootstrapped(auc, [1, 0], [0.5], ["a", "b"])


def test_a_statistic_of_rows_has_the_interval_of_one_of_columns():
    rng = np.random.default_rng(0)
    a, b, who = (rng.random(25) < 0.5).tolist(), rng.random(25).tolist(), [str(n // 2) for n in range(25)]
    x, y = np.array(a, dtype=float), np.array(b)
    rows = bootstrapped_rows(lambda r: auc(x[r], y[r]), who, draws=50)
    assert rows == bootstrapped(auc, a, b, who, draws=50)
    assert rows.n == 13
