import json
import math
from dataclasses import asdict

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.statistics import logrank_test
from lifelines.utils import concordance_index
from sklearn.metrics import brier_score_loss, roc_auc_score

from panlesion.measure.resampling import bootstrap
from panlesion.measure.survival import auc_at, brier_at, c_index, kaplan_meier, log_rank

# lifelines' log of a survival of 0 is its own business
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")


def watched(seed, n=60, ties=True, censored=0.4):
    rng = np.random.default_rng(seed)
    risk = rng.normal(size=n)
    times = rng.exponential(10 * np.exp(-0.8 * risk)) + 0.1
    events = rng.random(n) > censored
    return (np.ceil(times), events, np.round(risk, 1)) if ties else (times, events, risk)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_c_index_is_that_of_lifelines(seed, ties):
    times, events, risk = watched(seed, ties=ties)
    assert c_index(times, events, risk) == pytest.approx(concordance_index(times, -risk, events))


def test_c_index_turns_round_with_the_risk_and_keeps_to_ranks():
    times, events, risk = watched(1)
    value = c_index(times, events, risk)
    assert value > 0.6
    assert c_index(times, events, -risk) == pytest.approx(1 - value)
    assert c_index(times**2, events, np.exp(risk)) == pytest.approx(value)
    assert c_index(times, events, np.zeros(60)) == 0.5


def test_c_index_without_a_pair_is_no_number():
    for columns in (([3.0], [1], [0.2]), ([1, 2, 3], [0, 0, 0], [1, 2, 3]), ([2, 2], [1, 1], [0, 1])):
        assert math.isnan(c_index(*columns))
    # an event and an end of watching at one time are a pair
    assert c_index([2, 2], [1, 0], [1.0, 0.0]) == 1.0


def brute_auc(times, events, risk, horizon):
    """Uno 2007 / Hung & Chiang 2010 pair by pair; the chance of being watched by its own definition, a product over time."""

    def watched_until(t):
        chance = 1.0
        for s in sorted(set(times)):
            if s < t:
                lost = sum(1 for a, e in zip(times, events, strict=True) if a == s and not e)
                could = sum(1 for a, e in zip(times, events, strict=True) if a > s or (a == s and not e))
                chance *= 1 - lost / could if could else 1.0
        return chance

    above = total = 0.0
    for ti, ei, ri in zip(times, events, risk, strict=True):
        if not (ei and ti <= horizon):
            continue
        for tj, rj in zip(times, risk, strict=True):
            if tj > horizon:
                weight = 1 / (watched_until(ti) * watched_until(np.nextafter(horizon, np.inf)))
                total += weight
                above += weight * ((ri > rj) + 0.5 * (ri == rj))
    return above / total


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_auc_at_is_the_published_sum_over_pairs(seed, ties):
    times, events, risk = watched(seed, n=35, ties=ties)
    for horizon in np.quantile(times, [0.2, 0.5, 0.8]):
        assert auc_at(times, events, risk, horizon) == pytest.approx(brute_auc(times, events, risk, horizon))


def test_auc_at_is_the_plain_auc_where_nobody_is_lost():
    times, _, risk = watched(2, censored=0)
    for horizon in (3, 8, 15):
        expected = roc_auc_score(times <= horizon, risk)
        assert auc_at(times, np.ones(60), risk, horizon) == pytest.approx(expected)


def test_weights_make_good_for_those_lost_at_random():
    """Over many patients, with and without losses that have nothing to do with risk, the answer is the same."""
    rng = np.random.default_rng(0)
    risk = rng.normal(size=6000)
    times = rng.exponential(np.exp(-risk))
    lost = rng.exponential(1.5, 6000)
    seen = np.minimum(times, lost)
    whole = auc_at(times, np.ones(6000), risk, 1.0)
    assert auc_at(seen, times <= lost, risk, 1.0) == pytest.approx(whole, abs=0.02)
    probability = 1 - np.exp(-np.exp(risk))
    truth = brier_score_loss(times <= 1.0, probability)
    assert brier_at(seen, times <= lost, probability, 1.0) == pytest.approx(truth, abs=0.01)


def test_auc_at_without_one_of_the_kinds_is_no_number():
    times, events, risk = watched(3)
    assert math.isnan(auc_at(times, np.zeros(60), risk, 5))
    assert math.isnan(auc_at(times, events, risk, times.max()))
    assert math.isnan(auc_at(times, events, risk, times.min() / 2))
    assert math.isnan(auc_at([4], [1], [0.5], 3))


def test_auc_at_where_all_left_are_lost_before_the_horizon():
    # the last one watched is lost at 4: nobody is free at 5, and no weight is infinite
    assert math.isnan(auc_at([1, 2, 4], [1, 1, 0], [3, 2, 1], 5))
    assert auc_at([1, 2, 4], [1, 1, 0], [3, 2, 1], 3) == 1.0
    assert brier_at([1, 2, 4], [1, 1, 0], [1, 1, 1], 5) == 0.0


def test_brier_at_is_the_published_sum():
    times, events, _ = watched(5, n=30)
    probability = np.random.default_rng(5).random(30)
    fitted = KaplanMeierFitter().fit(times, ~events)
    # lifelines has those with an event at risk of being lost at the same time; without such times both agree
    apart = times + np.where(events, 0.0, 0.25)
    fitted = KaplanMeierFitter().fit(apart, ~events)
    horizon, total = 6.1, 0.0
    for time, event, stated in zip(apart, events, probability, strict=True):
        if event and time <= horizon:
            total += (1 - stated) ** 2 / fitted.predict(time - 1e-9)
        elif time > horizon:
            total += stated**2 / fitted.predict(horizon)
    assert brier_at(apart, events, probability, horizon) == pytest.approx(total / 30)


def test_brier_at_where_nobody_is_lost_is_the_plain_one_and_unweighted_it_leaves_out():
    times, events, _ = watched(6)
    probability = np.random.default_rng(6).random(60)
    plain = brier_score_loss(times <= 7, probability)
    assert brier_at(times, np.ones(60), probability, 7) == pytest.approx(plain)
    known = events | (times > 7)
    left = brier_score_loss((times <= 7)[known], probability[known])
    assert brier_at(times, events, probability, 7, weighted=False) == pytest.approx(left)
    assert math.isnan(brier_at([1, 2], [0, 0], [0.5, 0.5], 3))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_curve_is_that_of_lifelines(seed, ties):
    times, events, _ = watched(seed, ties=ties)
    mine = kaplan_meier(times, events)
    fitted = KaplanMeierFitter().fit(times, events)
    table = fitted.event_table.iloc[1:]
    assert list(mine.times) == table.index.tolist()
    assert list(mine.at_risk) == table["at_risk"].tolist()
    assert list(mine.events) == table["observed"].tolist()
    assert list(mine.censored) == table["censored"].tolist()
    assert mine.survival == pytest.approx(fitted.survival_function_.iloc[1:, 0].tolist())
    interval = fitted.confidence_interval_.iloc[1:]
    alive = [n for n, share in enumerate(mine.survival) if share > 0]
    assert [mine.low[n] for n in alive] == pytest.approx(interval.iloc[alive, 0].tolist())
    assert [mine.high[n] for n in alive] == pytest.approx(interval.iloc[alive, 1].tolist())
    for time in (0, 1, 2.5, 100):
        assert mine.at(time) == pytest.approx(float(fitted.predict(time)))
    median = fitted.median_survival_time_
    assert mine.median == (None if math.isinf(median) else median)


def test_edges_of_the_curve():
    nobody = kaplan_meier([3, 5, 5], [0, 0, 0])
    assert nobody.survival == nobody.low == nobody.high == (1.0, 1.0)
    assert nobody.median is None and nobody.at(9) == 1.0
    one = kaplan_meier([2], [1])
    assert (one.n, one.survival, one.low, one.high, one.median) == (1, (0.0,), (0.0,), (1.0,), 2.0)
    ending = kaplan_meier([1, 2, 3], [1, 1, 1])
    assert (ending.survival[-1], ending.low[-1], ending.high[-1]) == (pytest.approx(0), 0.0, ending.high[-2])
    assert kaplan_meier([1, 2, 3, 4], [1, 1, 0, 0]).median == 2


def test_the_interval_holds_the_curve_and_widens():
    times, events, _ = watched(4)
    narrow, wide = kaplan_meier(times, events, level=0.8), kaplan_meier(times, events, level=0.99)
    for n, share in enumerate(narrow.survival):
        assert 0 <= wide.low[n] <= narrow.low[n] <= share <= narrow.high[n] <= wide.high[n] <= 1
    assert json.loads(json.dumps(asdict(narrow)))["times"] == list(narrow.times)


@pytest.mark.parametrize("seed", range(8))
def test_log_rank_is_that_of_lifelines(seed):
    a, b = watched(seed, n=40), watched(seed + 50, n=25)
    times_b = np.ceil(b[0] * 1.7)
    expected = logrank_test(a[0], times_b, a[1], b[1]).p_value
    assert log_rank(a[0], a[1], times_b, b[1]) == pytest.approx(expected)
    assert log_rank(times_b, b[1], a[0], a[1]) == pytest.approx(expected)


def test_log_rank_without_anything_to_compare_is_one():
    assert log_rank([1, 2], [0, 0], [3], [0]) == 1.0
    assert log_rank([5], [1], [1], [0]) == 1.0  # the other is gone when the event comes
    times, events, _ = watched(1)
    assert log_rank(times, events, times, events) == pytest.approx(1.0)


def test_survival_statistics_can_be_resampled_by_patient():
    times, events, risk = watched(7)
    found = bootstrap(c_index, (times, events, risk), [str(n // 2) for n in range(60)], draws=200)
    assert found.low < found.mean == c_index(times, events, risk) < found.high
    assert found.n == 30


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: c_index([1, -1], [1, 0], [0, 1]), r"times\[1\] is -1"),
        (lambda: c_index([1, 2], [1, 2], [0, 1]), r"events\[1\] is 2"),
        (lambda: c_index([1, 2], [1, 1], [0, np.nan]), r"risk\[1\] is nan"),
        (lambda: c_index([1, 2], [1], [0, 1]), "one length"),
        (lambda: c_index([], [], []), "have a row"),
        (lambda: auc_at([1], [1], [1], 0), "horizon is 0"),
        (lambda: auc_at([1], [1], [1], math.nan), "horizon is nan"),
        (lambda: brier_at([1], [1], [2], 1), r"probability\[0\] is 2"),
        (lambda: kaplan_meier([], []), "have a row"),
        (lambda: log_rank([1], [1], [], []), "have a row"),
        (lambda: kaplan_meier(["2020-01-01"], [1]), "must be numbers"),
    ],
)
def test_columns_that_make_no_sense_are_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
