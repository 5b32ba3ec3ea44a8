import builtins

import numpy as np
import pytest

from panlesion.bench.fits import RidgeCox, RidgeOrdinal, need_fits
from panlesion.errors import MissingExtraError
from panlesion.measure.discrimination import rank_correlation
from panlesion.measure.survival import c_index


def graded(n=400, columns=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, columns))
    grade = np.digitize(1.5 * x[:, 0] + rng.logistic(size=n), [-1.0, 1.0]).astype(float)
    return x, grade[:, None]


def followed(n=400, columns=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, columns))
    death, lost = rng.exponential(1000, n) / np.exp(0.8 * x[:, 0] - 0.4 * x[:, 1]), rng.exponential(1500, n)
    return x, np.column_stack([np.minimum(death, lost), death <= lost]).astype(float)


def test_cumulative_probabilities_fall_and_their_sum_is_the_expected_grade():
    x, outcome = graded()
    fit = RidgeOrdinal(cuts=(0.5, 1.5))
    predicted = fit.fitted(x, outcome, 1.0)(x)
    p = predicted[:, :2]
    assert predicted.shape == (400, 3)
    assert (np.diff(p, axis=1) <= 0).all()
    assert ((p >= 0) & (p <= 1)).all()
    assert p.sum(axis=1).mean() == pytest.approx(outcome.mean(), abs=0.05)
    assert rank_correlation(fit.evidence(predicted), p.sum(axis=1)) > 0.99


def test_evidence_does_not_know_how_common_a_class_was_in_training():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    often, seldom = (RidgeOrdinal().fitted(x, (rng.random((400, 1)) < share).astype(float), 1.0)(x) for share in (0.5, 0.1))
    assert often[:, 0].mean() > seldom[:, 0].mean() + 0.3
    assert RidgeOrdinal().evidence(often).mean() == pytest.approx(0, abs=1e-9)
    assert RidgeOrdinal().evidence(seldom).mean() == pytest.approx(0, abs=1e-9)


def test_hazards_are_found_again_and_shrink_with_the_strength():
    x, outcome = followed()
    models = [RidgeCox().fitted(x, outcome, strength) for strength in (1e-4, 3.0)]
    weak, strong = (predict(np.eye(3)) - predict(np.zeros((1, 3))) for predict in models)
    assert weak[:, 0] == pytest.approx([0.8, -0.4, 0.0], abs=0.2)
    assert np.abs(strong).max() < np.abs(weak).max() / 2


@pytest.mark.parametrize(("fit", "made"), [(RidgeOrdinal(), graded), (RidgeCox(), followed)])
def test_a_columns_unit_does_not_matter_nor_does_a_column_without_values(fit, made):
    x, outcome = made()
    outcome[:, 0] = outcome[:, 0] if isinstance(fit, RidgeCox) else outcome[:, 0] > 1
    plain = fit.fitted(x, outcome, 0.1)(x)
    assert fit.fitted(x * [1000, 1e-3, 7] + 5, outcome, 0.1)(x * [1000, 1e-3, 7] + 5) == pytest.approx(plain, abs=1e-4)
    empty = np.column_stack([x, np.full(len(x), np.nan), np.full(len(x), 3.0)])
    assert fit.fitted(empty, outcome, 0.1)(empty) == pytest.approx(plain, abs=1e-4)


def test_what_is_unknown_counts_as_the_training_median():
    x, outcome = graded()
    x[:50, 1] = np.nan
    predict = RidgeOrdinal().fitted(x, outcome, 1.0)
    unknown, median = np.array([[0.3, np.nan, 0.1]]), np.array([[0.3, np.nanmedian(x[:, 1]), 0.1]])
    assert predict(unknown) == pytest.approx(predict(median))


def test_quality_prefers_the_truth():
    x, outcome = graded()
    fit = RidgeOrdinal(cuts=(0.5, 1.5))
    truth = np.column_stack([outcome[:, 0] > cut for cut in fit.cuts]).astype(float)
    learned = fit.fitted(x, outcome, 1.0)(x)
    assert fit.quality(outcome, truth) > fit.quality(outcome, learned) > fit.quality(outcome, 1 - truth)
    x, outcome = followed()
    hazard = (0.8 * x[:, 0] - 0.4 * x[:, 1])[:, None]
    assert RidgeCox().quality(outcome, hazard) > RidgeCox().quality(outcome, 0 * hazard) > RidgeCox().quality(outcome, -hazard)
    # overconfidence costs, so it can choose a strength
    assert RidgeCox().quality(outcome, hazard) > RidgeCox().quality(outcome, 5 * hazard)


def test_quality_of_cox_is_lifelines_partial_likelihood():
    from lifelines import CoxPHFitter
    from pandas import DataFrame

    x, outcome = followed(120)
    table = DataFrame(x, columns=list("abc")).assign(days=outcome[:, 0], dead=outcome[:, 1])
    model = CoxPHFitter().fit(table, "days", "dead")
    hazard = x @ model.params_.to_numpy()
    assert RidgeCox().quality(outcome, hazard[:, None]) * outcome[:, 1].sum() == pytest.approx(model.log_likelihood_, rel=1e-6)


def test_cox_takes_more_columns_than_deaths():
    rng = np.random.default_rng(0)
    x, outcome = followed(150, 3)
    many = np.column_stack([x @ rng.normal(size=(3, 200)) + rng.normal(0, 0.1, (150, 200))])
    found = RidgeCox().fitted(many[:100], outcome[:100], 0.1)(many[100:])
    assert c_index(outcome[100:, 0], outcome[100:, 1], found[:, 0]) > 0.65


def test_a_class_that_training_lacks_is_predicted_as_its_share():
    x, outcome = graded()
    p = RidgeOrdinal(cuts=(0.5, 7.0)).fitted(x, outcome, 1.0)(x)
    assert (p[:, 1] == 0).all()
    assert p[:, 0].std() > 0


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "sklearn":
            raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"need sklearn; install it with: .*panlesion\[bench\]"):
        need_fits()
