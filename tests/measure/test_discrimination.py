import math

import numpy as np
import pytest
from lifelines.utils import concordance_index
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from panlesion.measure.discrimination import auc, bootstrapped, one_vs_rest_auc, ordinal_c_index, rank_correlation


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


@pytest.mark.parametrize("seed", range(4))
def test_one_versus_rest_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 4, 80)
    table = rng.dirichlet(np.ones(4), 80) + np.eye(4)[truth] * 0.2
    table /= table.sum(axis=1, keepdims=True)
    found = one_vs_rest_auc(truth.tolist(), table, [0, 1, 2, 3])
    assert np.mean(list(found.values())) == pytest.approx(roc_auc_score(truth, table, multi_class="ovr"))
    for one, area in found.items():
        assert area == pytest.approx(roc_auc_score(truth == one, table[:, one]))


def test_one_versus_rest_of_words_and_of_absent_classes():
    found = one_vs_rest_auc(["a", "a", "b"], [[0.9, 0.1, 0.0], [0.6, 0.4, 0.0], [0.7, 0.3, 0.0]], ["a", "b", "c"])
    assert (found["a"], found["b"]) == (0.5, 0.5)
    assert math.isnan(found["c"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([], np.zeros((0, 2)), [0, 1]), "at least one"),
        (([0, 1], [[0.5, 0.5]], [0, 1]), r"shape \(1, 2\) for 2 cases of 2 classes"),
        (([0, 2], [[0.5, 0.5], [0.5, 0.5]], [0, 1]), "truth holds 2; the classes are 0, 1"),
        (([0, 1], [[0.5, 0.5], [0.5, 0.5]], [1, 1]), "each may be listed once"),
        (([0, 1], [[0.5, 0.5], [np.nan, 0.5]], [0, 1]), r"probabilities\[1, 0\] is nan"),
    ],
)
def test_one_versus_rest_refuses_what_does_not_fit(arguments, says):
    with pytest.raises(ValueError, match=says):
        one_vs_rest_auc(*arguments)


@pytest.mark.parametrize("seed", range(5))
def test_ordinal_concordance_is_that_of_survival_where_nobody_is_lost(seed):
    rng = np.random.default_rng(seed)
    grades = rng.integers(1, 5, 70)
    evidence = np.round(grades + rng.normal(0, 2, 70))
    assert ordinal_c_index(grades, evidence) == pytest.approx(concordance_index(grades, evidence))
    assert ordinal_c_index(grades**3, evidence * 10) == pytest.approx(ordinal_c_index(grades, evidence))


def test_ordinal_concordance_of_two_grades_is_the_auc_and_of_one_no_number():
    rng = np.random.default_rng(0)
    grades, evidence = rng.integers(0, 2, 30), rng.normal(size=30)
    assert ordinal_c_index(grades, evidence) == pytest.approx(auc(grades == 1, evidence))
    assert math.isnan(ordinal_c_index([2, 2], [1, 3]))
    assert math.isnan(ordinal_c_index([2], [1]))
    with pytest.raises(ValueError, match="one length"):
        ordinal_c_index([1, 2], [1])
