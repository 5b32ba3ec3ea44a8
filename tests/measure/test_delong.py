import math

import numpy as np
import pytest
from MLstatkit import Delong_test
from sklearn.metrics import roc_auc_score

from panlesion.measure.delong import delong_interval, delong_test


def cases(seed, n=80, ties=False):
    """Truth and two readings that are correlated; rounded ones tie often."""
    rng = np.random.default_rng(seed)
    present = rng.random(n) < rng.uniform(0.2, 0.8)
    present[:4] = True, True, False, False
    shared = rng.normal(size=n)
    a = present * rng.uniform(0, 1.5) + shared + rng.normal(size=n)
    b = present * rng.uniform(0, 1.5) + shared + rng.normal(size=n)
    return present, *((np.round(column) if ties else column) for column in (a, b))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_interval_and_test_are_those_of_the_oracle(seed, ties):
    present, a, b = cases(seed, ties=ties)
    _, p, ci_a, ci_b, auc_a, auc_b, info = Delong_test(present, a, b)
    assert info["method"] == "delong"
    assert delong_test(present, a, b) == pytest.approx(p, abs=1e-12)
    for reading, ci, area in ((a, ci_a, auc_a), (b, ci_b, auc_b)):
        mine = delong_interval(present, reading)
        assert (mine.low, mine.high) == pytest.approx(ci, abs=1e-12)
        assert mine.mean == pytest.approx(area) == pytest.approx(roc_auc_score(present, reading))
        assert mine.n == 80


def test_variance_is_that_of_the_placements():
    """DeLong's own definition, pair by pair, without ranks."""
    present, a, _ = cases(3, n=30, ties=True)
    above = (a[present][:, None] > a[~present]) + 0.5 * (a[present][:, None] == a[~present])
    variance = above.mean(axis=1).var(ddof=1) / present.sum() + above.mean(axis=0).var(ddof=1) / (~present).sum()
    mine = delong_interval(present, a)
    assert mine.high - mine.mean == pytest.approx(1.959963984540054 * math.sqrt(variance))


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    area = 0.760249938906523  # of normals one SD apart: Φ(1/√2)
    present = np.repeat([True, False], 40)
    found = [delong_interval(present, present + rng.normal(size=80)) for _ in range(600)]
    assert 0.92 <= np.mean([one.low <= area <= one.high for one in found]) <= 0.98


def test_a_test_of_equals_is_uniform():
    rng = np.random.default_rng(1)
    present = np.repeat([True, False], 40)
    p = [delong_test(present, present + rng.normal(size=80), present + rng.normal(size=80)) for _ in range(600)]
    assert 0.025 <= np.mean(np.array(p) < 0.05) <= 0.08


def test_order_and_scale_of_a_reading_do_not_matter():
    present, a, b = cases(5)
    p = delong_test(present, a, b)
    assert delong_test(present, b, a) == pytest.approx(p)
    assert delong_test(present, np.exp(a), 3 * b - 7) == pytest.approx(p)


def test_a_wider_level_is_wider():
    present, a, _ = cases(6)
    narrow, wide = delong_interval(present, a, level=0.8), delong_interval(present, a, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_what_is_not_defined_is_no_number():
    only = delong_interval([1, 1, 1], [0.1, 0.2, 0.3])
    assert math.isnan(only.mean) and math.isnan(only.low) and only.n == 3
    assert math.isnan(delong_interval([1], [0.5]).mean)
    assert math.isnan(delong_test([0, 0], [1, 2], [2, 1]))
    # one of a kind: the area is known, its spread is not
    lone = delong_interval([1, 0, 0, 0], [0.6, 0.5, 0.7, 0.1])
    assert (lone.mean, lone.low, lone.high) == (pytest.approx(2 / 3), 0.0, 1.0)
    assert math.isnan(delong_test([1, 0, 0], [3, 1, 2], [1, 2, 3]))


def test_readings_without_variance():
    present = [1, 1, 0, 0]
    perfect = delong_interval(present, [4, 3, 2, 1])
    assert (perfect.low, perfect.mean, perfect.high) == (1.0, 1.0, 1.0)
    assert delong_test(present, [4, 3, 2, 1], [40, 30, 20, 10]) == 1.0
    assert delong_test(present, [1, 1, 1, 1], [2, 2, 2, 2]) == 1.0
    assert math.isnan(delong_test(present, [4, 3, 2, 1], [1, 2, 3, 4]))
    noisy = cases(2)
    assert delong_test(noisy[0], noisy[1], noisy[1] * 2) == 1.0


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (([1, 0], [0.5], [1, 2]), "one length"),
        (([], [], []), "have a row"),
        (([1, 2], [0, 1], [0, 1]), r"present\[1\] is 2"),
        (([1, 0], [0, np.nan], [0, 1]), r"a\[1\] is nan"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, says):
    with pytest.raises(ValueError, match=says):
        delong_test(*columns)
