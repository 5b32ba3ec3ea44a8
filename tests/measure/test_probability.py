import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from panlesion.measure.probability import Binning, brier, ece, reliability
from panlesion.measure.share import wilson


def stated(seed, n=300, rounded=False):
    rng = np.random.default_rng(seed)
    probability = rng.beta(0.7, 0.9, n)
    return rng.random(n) < probability**1.5, np.round(probability, 1) if rounded else probability


@pytest.mark.parametrize("seed", range(5))
def test_brier_is_scikit_learns(seed):
    truth, probability = stated(seed)
    assert brier(truth, probability) == pytest.approx(brier_score_loss(truth, probability))


def test_brier_of_what_is_known():
    assert brier([1, 0], [1.0, 0.0]) == 0.0
    assert brier([1, 0], [0.0, 1.0]) == 1.0
    assert brier([1, 0, 1], [0.5] * 3) == 0.25
    assert brier([1], [0.25]) == 0.5625


@pytest.mark.parametrize("rounded", [False, True], ids=["", "on the edges of bins"])
@pytest.mark.parametrize(("binning", "strategy"), [(Binning.EQUAL_WIDTH, "uniform"), (Binning.EQUAL_MASS, "quantile")])
@pytest.mark.parametrize("bins", [1, 4, 10, 15])
def test_the_curve_is_scikit_learns(binning, strategy, bins, rounded):
    truth, probability = stated(bins, rounded=rounded)
    observed, mean = calibration_curve(truth, probability, n_bins=bins, strategy=strategy)
    mine = reliability(truth, probability, bins, binning=binning)
    assert [one.observed.mean for one in mine] == pytest.approx(observed.tolist())
    assert [one.mean_probability for one in mine] == pytest.approx(mean.tolist())
    assert sum(one.observed.n for one in mine) == 300


def test_bins_hold_their_probabilities_and_wilsons_interval():
    truth, probability = stated(1)
    for one in reliability(truth, probability):
        here = (probability > one.low) & (probability <= one.high)
        assert one.observed == wilson(int(truth[here].sum()), int(here.sum()))
        assert one.low < one.mean_probability <= one.high


def test_equal_mass_puts_as_many_cases_in_each():
    truth, probability = stated(2)
    counts = [one.observed.n for one in reliability(truth, probability, 10, binning=Binning.EQUAL_MASS)]
    assert len(counts) == 10 and min(counts) >= 29 and max(counts) <= 31


def test_equal_probabilities_share_a_bin():
    found = reliability([1, 0, 1, 1], [0.3] * 4, 10, binning=Binning.EQUAL_MASS)
    assert len(found) == 1
    assert (found[0].mean_probability, found[0].observed.mean) == (pytest.approx(0.3), 0.75)


def test_both_ends_are_in_a_bin():
    found = reliability([0, 1], [0.0, 1.0])
    assert [(one.low, one.high) for one in found] == [(0.0, pytest.approx(0.1)), (pytest.approx(0.9), 1.0)]


@pytest.mark.parametrize("binning", list(Binning))
def test_ece_is_the_mean_gap_over_cases(binning):
    truth, probability = stated(3)
    found = reliability(truth, probability, 8, binning=binning)
    gaps = [abs(one.mean_probability - one.observed.mean) for one in found for _ in range(one.observed.n)]
    assert ece(truth, probability, 8, binning=binning) == pytest.approx(np.mean(gaps))


def test_ece_of_what_is_known():
    assert ece([1, 0], [1.0, 0.0]) == 0.0
    assert ece([0, 0], [1.0, 1.0]) == 1.0
    assert ece([1, 1, 1, 0], [0.75] * 4) == 0.0
    assert ece([1], [0.25]) == 0.75


def test_what_means_what_it_says_has_a_small_error_and_squeezing_it_a_large_one():
    rng = np.random.default_rng(4)
    probability = rng.random(20000)
    truth = rng.random(20000) < probability
    assert ece(truth, probability) < 0.02
    assert ece(truth, 0.5 + (probability - 0.5) / 3) > 0.1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([1, 0], [0.5, 1.01]), r"probability\[1\] is 1.01"),
        (([1, 0], [-0.1, 1]), r"probability\[0\] is -0.1"),
        (([1, 2], [0.1, 1]), r"truth\[1\] is 2"),
        (([1], [np.nan]), r"probability\[0\] is nan"),
        (([1], [0.1, 0.2]), "one length"),
        (([], []), "have a row"),
        (([1], [0.1], 0), "bins is 0"),
    ],
)
def test_what_is_no_probability_is_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        ece(*arguments)
