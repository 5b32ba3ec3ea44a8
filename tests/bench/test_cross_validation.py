import json
from dataclasses import replace

import numpy as np
import pytest

from panlesion.bench.cross_validation import (
    Folds,
    Sample,
    choose_strength,
    draw_folds,
    out_of_fold,
    repeated_folds,
    stored_folds,
)  # fmt: skip
from panlesion.bench.fits import RidgeCox, RidgeOrdinal
from panlesion.errors import StoreError

PATIENTS = [f"p{n // 2}" for n in range(80)]  # two lesions each
STRATA = [int(n // 2 % 4 == 0) for n in range(80)]


class Mean:
    """Predicts the mean outcome of its training cases times a strength: transparent to what it has seen."""

    strengths = (2.0, 1.0, 0.5)

    def fitted(self, _features, outcome, strength):
        mean = outcome.mean() * strength
        return lambda more: np.full((len(more), 1), mean)

    def quality(self, outcome, predicted):
        return -float(((outcome - predicted) ** 2).mean())

    def evidence(self, predicted):
        return predicted[:, 0]


def sample(seed=0, n=80):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4))
    yes = (features[:, 0] + rng.normal(0, 1, n) > 0.5).astype(float)
    features[rng.random((n, 4)) < 0.1] = np.nan
    patients = tuple(f"p{k // 2}" for k in range(n))
    return Sample(features=features, outcome=yes[:, None], strata=yes.astype(np.int64), patients=patients)


def test_every_patient_is_tested_once_and_never_in_two_folds():
    for one in repeated_folds(PATIENTS, STRATA, repetitions=4):
        assert sorted(name for test in one.tests for name in test) == sorted(set(PATIENTS))
        fold = one.of(PATIENTS)
        assert all(len({int(fold[n]) for n in range(80) if PATIENTS[n] == name}) == 1 for name in set(PATIENTS))


@pytest.mark.parametrize("seed", range(5))
def test_folds_have_even_sizes_and_even_shares_of_every_stratum(seed):
    one = draw_folds(PATIENTS, STRATA, seed=(seed,))
    sizes = [len(test) for test in one.tests]
    high = [sum(STRATA[PATIENTS.index(name)] for name in test) for test in one.tests]
    assert max(sizes) - min(sizes) <= 1
    assert max(high) - min(high) <= 1


def test_folds_depend_on_the_seed_and_not_on_the_order_of_cases():
    one, two = repeated_folds(PATIENTS, STRATA, repetitions=2)
    assert one.tests != two.tests
    assert draw_folds(PATIENTS[::-1], STRATA[::-1], seed=(0, 0x666F6C64)).tests == one.tests


def test_folds_are_kept_in_their_file(tmp_path):
    path = tmp_path / "folds.json"
    drawn = stored_folds(path, PATIENTS, STRATA, repetitions=3)
    # other strata would draw others: the file decides
    assert stored_folds(path, PATIENTS, [0] * 80, repetitions=3) == drawn
    assert stored_folds(path, PATIENTS, STRATA, repetitions=2) == drawn[:2]
    with pytest.raises(StoreError, match="holds 3 repetitions, 4 are asked for"):
        stored_folds(path, PATIENTS, STRATA, repetitions=4)


def shared(rows):
    rows[0]["tests"][1].append(rows[0]["tests"][0][0])


def lost(rows):
    rows[0]["tests"][0].pop()


def foreign(rows):
    rows[0]["tests"][0].append("stranger")


def hollow(rows):
    rows[0]["tests"].append([])


@pytest.mark.parametrize("spoil", [shared, lost, foreign, hollow])
def test_a_file_in_which_a_patient_is_nowhere_or_twice_is_refused(tmp_path, spoil):
    path = tmp_path / "folds.json"
    stored_folds(path, PATIENTS, STRATA, repetitions=1)
    rows = json.loads(path.read_text())
    spoil(rows)
    path.write_text(json.dumps(rows))
    with pytest.raises(StoreError, match=r"folds\.json, seed 0: every patient"):
        stored_folds(path, PATIENTS, STRATA, repetitions=1)


@pytest.mark.parametrize("text", ["", "[", "{}", "[1]", '[{"seed": 0}]', '[{"seed": "x", "tests": [["a"]]}]', "null"])
def test_a_damaged_file_is_named(tmp_path, text):
    path = tmp_path / "folds.json"
    path.write_text(text)
    with pytest.raises(StoreError, match=r"folds\.json"):
        stored_folds(path, PATIENTS, STRATA, repetitions=1)


def test_too_few_patients_are_refused():
    with pytest.raises(ValueError, match="3 patients cannot be dealt to 5 folds"):
        draw_folds(["a", "b", "c"], [0, 0, 1], seed=(0,))


def cox(one):
    rng = np.random.default_rng(1)
    days = rng.exponential(500, len(one.patients)) / np.exp(np.nan_to_num(one.features[:, 0]))
    dead = rng.random(len(one.patients)) < 0.7
    return replace(one, outcome=np.column_stack([days, dead]).astype(float), strata=dead.astype(np.int64))


@pytest.mark.parametrize(
    ("fit", "made"), [(RidgeOrdinal(strengths=(10.0, 1.0)), sample()), (RidgeCox(strengths=(1.0, 0.1)), cox(sample()))]
)
def test_labels_of_a_test_fold_cannot_move_its_predictions(fit, made):
    folds = draw_folds(made.patients, made.strata.tolist(), seed=(3,), folds=3)
    honest = out_of_fold(fit, made, folds)
    number = folds.of(made.patients)
    for fold in range(2):
        test = number == fold
        outcome, strata = made.outcome.copy(), made.strata.copy()
        outcome[test, -1] = 1 - outcome[test, -1]
        strata[test] = 1 - strata[test]
        lied = out_of_fold(fit, replace(made, outcome=outcome, strata=strata), folds)
        assert np.array_equal(lied.predicted[test], honest.predicted[test])
        assert lied.strengths[fold] == honest.strengths[fold]
        # the lie does reach the others, so the test can fail
        assert not np.array_equal(lied.predicted[~test], honest.predicted[~test])


def test_features_of_a_test_fold_cannot_move_other_folds_by_imputation_or_scale():
    made = sample()
    folds = draw_folds(made.patients, made.strata.tolist(), seed=(3,))
    test = folds.of(made.patients) == 2
    features = made.features.copy()
    features[test] = 1e6
    honest, wild = (
        out_of_fold(RidgeOrdinal(strengths=(10.0, 1.0)), one, folds) for one in (made, replace(made, features=features))
    )
    assert wild.strengths[2] == honest.strengths[2]
    untouched = folds.of(made.patients) == 2
    # models of the other folds train on the wild cases; the model of fold 2 does not
    fitted = RidgeOrdinal().fitted(made.features[~test], made.outcome[~test], honest.strengths[2])
    assert np.allclose(fitted(made.features[untouched]), honest.predicted[untouched])
    assert np.allclose(fitted(features[untouched]), wild.predicted[untouched])


def test_every_prediction_is_that_of_the_model_of_the_other_folds():
    made = sample()
    folds = draw_folds(made.patients, made.strata.tolist(), seed=(0,))
    found = out_of_fold(Mean(), made, folds)
    number = folds.of(made.patients)
    for fold in range(5):
        mine = found.predicted[number == fold]
        assert np.allclose(mine, made.outcome[number != fold].mean() * found.strengths[fold])


def test_the_strength_that_predicts_best_is_chosen_and_of_equals_the_strongest():
    made = sample()
    assert choose_strength(Mean(), made, seed=(0,)) == 1.0
    flat = replace(made, outcome=np.zeros_like(made.outcome))
    assert choose_strength(Mean(), flat, seed=(0,)) == 2.0


def test_a_single_column_takes_the_weakest_penalty():
    made = sample()
    assert choose_strength(Mean(), replace(made, features=made.features[:, :1]), seed=(0,)) == 0.5


def test_shuffled_labels_are_the_same_labels_elsewhere():
    made = cox(sample())
    one, two = made.shuffled(0), made.shuffled(1)
    assert np.array_equal(np.sort(one.outcome[:, 0]), np.sort(made.outcome[:, 0]))
    assert not np.array_equal(one.outcome, two.outcome)
    assert np.array_equal(one.outcome[:, 1].astype(int), one.strata)
    assert np.array_equal(one.features, made.features, equal_nan=True)


def test_a_table_with_other_numbers_of_cases_is_refused():
    with pytest.raises(ValueError, match="tables of the same cases"):
        replace(sample(), patients=("a",))


def test_folds_know_their_patients_only():
    with pytest.raises(KeyError):
        Folds(seed=0, tests=(("a",), ("b",))).of(["c"])
