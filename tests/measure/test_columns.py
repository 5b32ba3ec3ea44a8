import numpy as np
import pytest

from panlesion.measure.columns import numbers, yes_no


def test_columns_come_back_as_floats_in_their_order():
    a, b = numbers(a=[1, 2], b=np.array([True, False]))
    assert a.dtype == b.dtype == np.float64
    assert (a.tolist(), b.tolist()) == ([1.0, 2.0], [1.0, 0.0])


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"a": [], "b": []}, r"a \(0,\), b \(0,\)"),
        ({"a": [1, 2], "b": [1]}, r"a \(2,\), b \(1,\)"),
        ({"a": [[1, 2]]}, r"a \(1, 2\)"),
        ({"a": 3}, r"a \(\)"),
        ({"risk": [0, np.nan]}, r"risk\[1\] is nan"),
        ({"risk": [-np.inf]}, r"risk\[0\] is -inf"),
        ({"risk": ["high"]}, "must be numbers"),
        ({"risk": [1, None]}, "must be numbers"),
    ],
)
def test_columns_that_cannot_be_counted_are_named(columns, says):
    with pytest.raises(ValueError, match=says):
        numbers(**columns)


def test_yes_and_no_are_one_and_zero_alone():
    assert yes_no("event", np.array([1.0, 0.0])).tolist() == [True, False]
    with pytest.raises(ValueError, match=r"event\[1\] is 2"):
        yes_no("event", np.array([1, 2]))
