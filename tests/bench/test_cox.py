import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from statsmodels.duration.hazard_regression import PHReg

from panlesion.bench.cox import fit_cox


def followed(n=200, columns=4, seed=0, *, whole_days=False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, columns))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    death, lost = rng.exponential(100, n) / np.exp(x @ np.linspace(0.9, -0.6, columns)), rng.exponential(120, n)
    days = np.minimum(death, lost)
    return x, np.ceil(days) if whole_days else days, death <= lost


@pytest.mark.parametrize("penalty", [0.01, 0.1, 1.0])
def test_weights_are_those_of_lifelines(penalty):
    x, days, dead = followed()
    table = pd.DataFrame(x, columns=list("abcd")).assign(days=days, dead=dead)
    theirs = CoxPHFitter(penalizer=penalty).fit(table, "days", "dead").params_.to_numpy()
    # lifelines weighs its penalty by the sample's variance, which divides by n - 1
    assert fit_cox(x, days, dead, penalty * 200 / 199) == pytest.approx(theirs, abs=1e-4)


def test_ties_are_breslows():
    x, days, dead = followed(whole_days=True)
    assert len(np.unique(days[dead])) < dead.sum() / 1.2
    theirs = PHReg(days, x, status=dead.astype(int), ties="breslow").fit().params
    assert fit_cox(x, days, dead, 1e-9) == pytest.approx(theirs, abs=1e-4)


def test_the_order_of_cases_does_not_matter():
    x, days, dead = followed(whole_days=True)
    order = np.random.default_rng(1).permutation(len(days))
    assert fit_cox(x[order], days[order], dead[order], 0.1) == pytest.approx(fit_cox(x, days, dead, 0.1), abs=1e-7)


def test_a_column_that_tells_everything_stays_finite_and_more_columns_than_cases_are_no_harm():
    _, days, _ = followed(40)
    everything = -days[:, None] / days.std()
    weights = fit_cox(everything - everything.mean(), days, np.ones(40), 0.01)
    assert np.isfinite(weights).all()
    assert weights[0] > 0
    wide = np.random.default_rng(0).normal(size=(40, 90))
    assert np.isfinite(fit_cox(wide, days, np.ones(40), 0.01)).all()


def test_without_a_death_nothing_is_learned():
    x, days, _ = followed()
    assert np.array_equal(fit_cox(x, days, np.zeros(len(days)), 0.1), np.zeros(4))


@pytest.mark.parametrize("penalty", [0.0, -1.0, float("nan")])
def test_a_penalty_must_be_above_0(penalty):
    x, days, dead = followed(20)
    with pytest.raises(ValueError, match="must be above 0"):
        fit_cox(x, days, dead, penalty)
