import numpy as np
import pytest

from panlesion.measure.concordance import (
    ahead,
    class_pairs,
    compare,
    concordance,
    concordance_interval,
    horizon_pairs,
    ordered_pairs,
    survival_pairs,
)  # fmt: skip
from panlesion.measure.discrimination import auc, ordinal_c_index
from panlesion.measure.survival import auc_at, c_index

N = 60
PATIENTS = [str(n) for n in range(N)]


def drawn(seed):
    """Classes, grades, times, events, and evidence with ties that knows a little of each."""
    rng = np.random.default_rng(seed)
    grades = rng.integers(0, 4, N)
    times, events = rng.integers(1, 30, N).astype(float), rng.random(N) < 0.4
    evidence = np.round(grades + rng.normal(0, 2, N) - times / 10)
    return grades, times, events, evidence


@pytest.mark.parametrize("seed", range(6))
def test_the_pairs_give_auc_ordinal_c_harrells_c_and_the_auc_at_a_horizon(seed):
    grades, times, events, evidence = drawn(seed)
    assert concordance(class_pairs(grades > 1), evidence) == pytest.approx(auc(grades > 1, evidence))
    assert concordance(ordered_pairs(grades), evidence) == pytest.approx(ordinal_c_index(grades, evidence))
    assert concordance(survival_pairs(times, events), evidence) == pytest.approx(c_index(times, events, evidence))
    assert concordance(horizon_pairs(times, events, 12.5), evidence) == pytest.approx(auc_at(times, events, evidence, 12.5))


def test_several_repetitions_give_the_mean_of_each():
    grades, _, _, evidence = drawn(0)
    more = np.stack([evidence, np.random.default_rng(1).normal(size=N)])
    each = [concordance(class_pairs(grades > 1), one) for one in more]
    assert concordance(class_pairs(grades > 1), more) == pytest.approx(np.mean(each))


def test_evidence_turned_round_has_the_complement():
    grades, _, _, evidence = drawn(2)
    pairs = ordered_pairs(grades)
    assert concordance(pairs, evidence) + concordance(pairs, -evidence) == pytest.approx(1)
    assert np.allclose(ahead(evidence) + ahead(evidence).T, 1)


def test_without_a_pair_there_is_no_number():
    assert np.isnan(concordance(class_pairs(np.ones(4)), np.arange(4.0)))


def resampled(pairs, evidence, draws, seed):
    """The bootstrap as it is written in books: draw cases, then measure."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        rows = rng.integers(N, size=N)
        # a case against its own copy is no pair
        found.append(concordance(pairs[np.ix_(rows, rows)], evidence[rows]))
    return np.quantile(found, [0.025, 0.975])


def test_the_interval_is_that_of_drawing_cases_one_by_one():
    grades, _, _, evidence = drawn(3)
    pairs = class_pairs(grades > 1)
    found = concordance_interval(pairs, evidence, PATIENTS, draws=3000)
    assert (found.low, found.high) == pytest.approx(resampled(pairs, evidence, 800, 5), abs=0.025)
    assert found.n == N
    assert found.mean == pytest.approx(auc(grades > 1, evidence))


def test_cases_of_one_patient_are_drawn_together_so_copies_are_no_evidence():
    grades, _, _, evidence = drawn(4)
    once = concordance_interval(class_pairs(grades > 1), evidence, PATIENTS)
    thrice = concordance_interval(class_pairs(np.tile(grades, 3) > 1), np.tile(evidence, 3), PATIENTS * 3)
    assert (thrice.mean, thrice.low, thrice.high, thrice.n) == pytest.approx((once.mean, once.low, once.high, once.n))


def swapped_by_hand(pairs, a, b, draws, seed):
    """p of the permutation as it is written in papers: swap, rank, measure both again."""
    rng = np.random.default_rng(seed)
    seen = abs(concordance(pairs, a) - concordance(pairs, b))
    far = 0
    for _ in range(draws):
        stay = rng.integers(2, size=N).astype(bool)
        one, two = np.where(stay, a, b), np.where(stay, b, a)
        far += abs(concordance(pairs, one) - concordance(pairs, two)) >= seen - 1e-12
    return (far + 1) / (draws + 1)


@pytest.mark.parametrize(("noise", "seed"), [(0.3, 0), (1.0, 1), (2.0, 2)])
def test_p_is_that_of_swapping_patients_one_by_one(noise, seed):
    rng = np.random.default_rng(seed)
    grades = rng.integers(0, 2, N)
    # both are permutations of the ranks, so that ranking them changes nothing
    a, b = (np.argsort(np.argsort(grades + rng.normal(0, sd, N))).astype(float) for sd in (0.7, 0.7 + noise))
    pairs = class_pairs(grades)
    found = compare(pairs, a, b, PATIENTS, draws=4000)
    assert found.p == pytest.approx(swapped_by_hand(pairs, a, b, 1500, 9), abs=0.04)
    assert found.difference.mean == pytest.approx(auc(grades, a) - auc(grades, b))


def test_a_method_does_not_differ_from_itself_or_from_a_monotone_image_of_itself():
    grades, _, _, evidence = drawn(5)
    found = compare(ordered_pairs(grades), evidence, np.exp(evidence / 10), PATIENTS)
    assert (found.difference.mean, found.difference.low, found.difference.high, found.p) == (0, 0, 0, 1)


def test_exchanging_the_methods_changes_the_sign_alone():
    grades, _, _, evidence = drawn(6)
    other = np.random.default_rng(0).normal(size=N)
    one, two = (compare(ordered_pairs(grades), *pair, PATIENTS) for pair in ((evidence, other), (other, evidence)))
    assert one.p == pytest.approx(two.p)
    assert one.difference.mean == pytest.approx(-two.difference.mean)
    assert (one.difference.low, one.difference.high) == pytest.approx((-two.difference.high, -two.difference.low))


def test_p_is_uniform_where_both_methods_are_noise():
    rng = np.random.default_rng(11)
    grades = np.arange(N) % 2
    p = [compare(class_pairs(grades), *rng.normal(size=(2, N)), PATIENTS, draws=200).p for _ in range(120)]
    assert 0.38 < np.mean(p) < 0.62
    assert np.mean(np.array(p) < 0.1) < 0.2


@pytest.mark.parametrize(
    ("evidence", "patients", "says"),
    [(np.zeros(3), ["a"] * 4, "same cases"), (np.array([0, 1, np.nan, 2]), ["a"] * 4, "NaN or infinity")],
)
def test_columns_that_do_not_fit_are_refused(evidence, patients, says):
    with pytest.raises(ValueError, match=says):
        concordance_interval(class_pairs(np.array([0, 1, 0, 1])), evidence, patients)
