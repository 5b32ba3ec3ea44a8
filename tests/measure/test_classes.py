import math
import warnings

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, f1_score

from panlesion.measure.classes import balanced_accuracy, macro_f1, quadratic_kappa
from panlesion.measure.naming import naming


def named(seed, classes=4, n=60):
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    return truth, np.where(rng.random(n) < 0.6, truth, rng.integers(0, classes + 1, n))  # one class the truth has not


@pytest.mark.parametrize("seed", range(8))
def test_scores_are_scikit_learns(seed):
    truth, said = named(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of the class that the truth has not
        assert balanced_accuracy(truth, said) == pytest.approx(balanced_accuracy_score(truth, said))
    assert macro_f1(truth, said) == pytest.approx(f1_score(truth, said, average="macro", zero_division=0))
    assert quadratic_kappa(truth, said) == pytest.approx(cohen_kappa_score(truth, said, weights="quadratic"))


def test_balanced_accuracy_is_that_of_naming():
    truth, said = named(9)
    assert balanced_accuracy(truth, said) == pytest.approx(naming(truth, said, [str(n) for n in range(60)]).balanced.mean)


def test_words_are_classes_too():
    truth, said = ["cyst", "tumour", "tumour"], ["cyst", "cyst", "tumour"]
    assert balanced_accuracy(truth, said) == pytest.approx(0.75)
    assert macro_f1(truth, said) == pytest.approx(2 / 3)


def test_one_class_and_one_case():
    assert balanced_accuracy([3], [3]) == macro_f1([3], [3]) == 1.0
    assert balanced_accuracy([3], [4]) == macro_f1([3], [4]) == 0.0
    assert balanced_accuracy([1, 1, 1], [1, 1, 2]) == pytest.approx(2 / 3)


def test_a_grade_that_does_not_occur_keeps_its_place():
    truth, said = [1, 1, 4, 4, 2], [1, 2, 4, 4, 1]
    expected = cohen_kappa_score(truth, said, weights="quadratic", labels=[1, 2, 3, 4])
    assert quadratic_kappa(truth, said) == pytest.approx(expected)
    assert quadratic_kappa([n + 7 for n in truth], [n + 7 for n in said]) == pytest.approx(expected)


def test_kappa_of_what_is_known():
    assert quadratic_kappa([0, 1, 2], [0, 1, 2]) == 1.0
    assert quadratic_kappa([0, 1, 2], [1, 1, 1]) == 0.0
    assert quadratic_kappa([0, 2], [2, 0]) == -1.0
    assert math.isnan(quadratic_kappa([1, 1], [1, 1]))
    assert quadratic_kappa([1], [2]) == 0.0


@pytest.mark.parametrize("score", [balanced_accuracy, macro_f1])
@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (([], []), "at least one"),
        (([1], [1, 2]), "1 true classes and 2 named"),
        (([1, 2], ["1", "2"]), "both must be"),
        (([1.0, math.nan], [1.0, 2.0]), "both must be"),
    ],
)
def test_columns_that_do_not_fit_are_refused(score, columns, says):
    with pytest.raises(ValueError, match=says):
        score(*columns)


def test_grades_are_numbers():
    with pytest.raises(ValueError, match="must be numbers"):
        quadratic_kappa(["a"], ["b"])
