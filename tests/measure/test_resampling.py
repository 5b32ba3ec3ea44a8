import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from panlesion.measure.resampling import bootstrap, bootstrap_mean


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_the_interval_holds_the_mean(values):
    interval = bootstrap_mean(values, draws=200)
    assert interval.low - 1e-9 <= interval.mean <= interval.high + 1e-9
    assert interval.n == len(values)


def test_it_agrees_with_the_normal_interval_of_many_values():
    values = np.random.default_rng(0).normal(0.5, 0.1, 400)
    interval = bootstrap_mean(values.tolist())
    half = 1.96 * values.std() / 20
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.1)


def test_repeating_a_patient_adds_no_evidence():
    values, names = [0.2, 0.4, 0.9], ["a", "b", "c"]
    once, thrice = bootstrap_mean(values, names), bootstrap_mean(values * 3, names * 3)
    assert (once.mean, once.low, once.high, once.n) == pytest.approx((thrice.mean, thrice.low, thrice.high, thrice.n))


def test_nothing_has_no_mean():
    with pytest.raises(ValueError, match="0 values"):
        bootstrap_mean([])


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_any_number_of_columns_keep_their_rows_together(count):
    column = np.arange(20)
    columns = [column * 10**n for n in range(count)]

    def rows_fit(*drawn):
        assert all((one == drawn[0] * 10**n).all() for n, one in enumerate(drawn))
        return float(drawn[0].mean())

    found = bootstrap(rows_fit, columns, [str(n // 2) for n in range(20)], draws=50)
    assert found.mean == 9.5 and found.n == 10
    assert found.low < 9.5 < found.high


def test_clusters_are_drawn_whole():
    def both_or_none(a):
        assert all((a == n).sum() % 3 == 0 for n in range(30))
        return float(a.mean())

    bootstrap(both_or_none, [np.arange(30) // 3 * 3], [str(n // 3) for n in range(30)], draws=20)


def test_the_mean_of_a_column_has_the_interval_of_bootstrap_mean():
    values = np.random.default_rng(3).random(60)
    names = [str(n) for n in range(60)]
    a, b = bootstrap(np.mean, [values], names, draws=4000), bootstrap_mean(values.tolist(), names)
    assert (a.mean, a.low, a.high) == pytest.approx((b.mean, b.low, b.high), abs=0.01)


def test_draws_without_a_value_are_left_out_and_none_at_all_has_no_interval():
    def only_of_both(a):
        return float(a.mean()) if len(set(a.tolist())) > 1 else float("nan")

    few = bootstrap(only_of_both, [[0, 1, 1]], ["a", "b", "c"], draws=200)
    assert 0 < few.low <= few.high < 1
    none = bootstrap(only_of_both, [[1, 1]], ["a", "b"], draws=20)
    assert np.isnan([none.mean, none.low, none.high]).all() and none.n == 2


@pytest.mark.parametrize(
    ("columns", "clusters", "says"),
    [
        ([[1, 2], [1]], ["a", "b"], "columns have 2 and 1 values and 2 clusters"),
        ([[1, 2]], ["a"], "columns have 2 values and 1 clusters"),
        ([[]], [], "columns have 0 values"),
        ([], ["a"], "columns have no values"),
    ],
)
def test_columns_that_do_not_fit_are_refused(columns, clusters, says):
    with pytest.raises(ValueError, match=says):
        bootstrap(lambda *_: 0.0, columns, clusters)
