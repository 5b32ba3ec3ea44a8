import numpy as np
import pytest

from panlesion.measure.naming import naming


def test_balanced_accuracy_is_not_fooled_by_the_commonest_class():
    truth = [0] * 90 + [1] * 10
    found = naming(truth, [0] * 100, [str(n) for n in range(100)])
    assert found.lesions == 100
    assert found.accuracy.mean == pytest.approx(0.9)
    assert found.balanced.mean == pytest.approx(0.5)
    assert found.balanced.low == found.balanced.high == pytest.approx(0.5)


def test_the_interval_resamples_patients_not_lesions():
    rng = np.random.default_rng(0)
    right = np.repeat(rng.integers(0, 2, 20), 30)  # all lesions of a patient right, or all wrong
    truth = np.zeros(600, dtype=int)
    said = 1 - right
    wide = naming(truth, said, [str(n // 30) for n in range(600)]).accuracy
    narrow = naming(truth, said, [str(n) for n in range(600)]).accuracy
    assert wide.n == 20
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)
    assert wide.low <= wide.mean <= wide.high


def test_a_class_that_is_named_but_never_true_costs_accuracy_alone():
    found = naming([0, 0, 1, 1], [0, 2, 1, 1], list("abcd"))
    assert found.accuracy.mean == pytest.approx(0.75)
    assert found.balanced.mean == pytest.approx(0.75)


@pytest.mark.parametrize("lists", [([], [], []), ([0], [0, 1], ["a"]), ([0], [0], [])])
def test_what_does_not_fit_is_refused(lists):
    with pytest.raises(ValueError, match="as many of each"):
        naming(*lists)
