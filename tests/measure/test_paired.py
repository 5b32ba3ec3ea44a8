import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from panlesion.measure.paired import DRAWS, EXACT_CLUSTERS, holm, permutation_test


def names(n):
    return [str(k) for k in range(n)]


@pytest.mark.parametrize("n", [1, 2, 5, 9, 12])
def test_few_patients_are_counted_exactly_as_scipy_counts_them(n):
    values = np.random.default_rng(n).normal(0.4, 1, n).round(1)  # rounding makes ties
    expected = 1.0
    if n > 1:
        counted = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
        expected = counted.pvalue
    assert permutation_test(values, names(n)) == pytest.approx(expected)


def test_many_patients_are_drawn_and_come_near_the_t_test():
    for seed, shift in enumerate((0.0, 0.15, 0.3)):
        values = np.random.default_rng(seed).normal(shift, 1, 80)
        assert permutation_test(values, names(80)) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.02)


def test_both_ways_agree_where_they_meet():
    values = np.random.default_rng(4).normal(0.3, 1, EXACT_CLUSTERS + 1)
    counted = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert permutation_test(values, names(len(values))) == pytest.approx(counted.pvalue, abs=0.015)


def test_a_drawn_p_is_never_zero_and_repeats_itself():
    values = np.full(40, 2.0)
    assert permutation_test(values, names(40)) == 1 / (DRAWS + 1)
    noisy = np.random.default_rng(0).normal(0.1, 1, 40)
    assert permutation_test(noisy, names(40), seed=3) == permutation_test(noisy, names(40), seed=3)


def test_repetitions_of_one_patient_are_one_piece_of_evidence():
    per_patient = np.random.default_rng(5).normal(0.7, 1, 8)
    once = permutation_test(per_patient, names(8))
    assert permutation_test(np.repeat(per_patient, 6), np.repeat(names(8), 6)) == pytest.approx(once)
    assert permutation_test(np.repeat(per_patient, 6), names(48)) < once


def test_sign_order_and_scale_do_not_matter():
    values = np.random.default_rng(6).normal(0.5, 1, 10)
    p = permutation_test(values, names(10))
    assert permutation_test(-values, names(10)) == permutation_test(values[::-1], names(10)) == p
    assert permutation_test(values * 1e-6, names(10)) == p


def test_no_difference_is_no_evidence():
    assert permutation_test([0.0] * 5, names(5)) == 1.0
    assert permutation_test([0.0] * 50, names(50)) == 1.0
    assert permutation_test([3.0], ["a"]) == 1.0


def test_false_alarms_come_as_often_as_the_level_says():
    rng = np.random.default_rng(7)
    p = np.array([permutation_test(rng.normal(size=10), names(10)) for _ in range(800)])
    assert 0.03 <= np.mean(p <= 0.05) <= 0.07


@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_holm_is_that_of_statsmodels(n):
    rng = np.random.default_rng(n)
    for values in (rng.random(n), rng.random(n) ** 4, np.round(rng.random(n), 1)):
        assert holm(values) == pytest.approx(multipletests(values, method="holm")[1].tolist())


def test_holm_keeps_order_and_ends():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.0, 1.0]) == [0.0, 1.0]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: permutation_test([], []), "have a row"),
        (lambda: permutation_test([1.0], ["a", "b"]), "1 differences with 2 clusters"),
        (lambda: permutation_test([np.nan], ["a"]), r"differences\[0\] is nan"),
        (lambda: holm([]), "have a row"),
        (lambda: holm([0.5, 1.5]), r"p_values\[1\] is 1.5"),
        (lambda: holm([-0.1]), r"p_values\[0\] is -0.1"),
    ],
)
def test_what_cannot_be_tested_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
