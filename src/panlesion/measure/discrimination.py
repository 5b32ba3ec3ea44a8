"""How well a number ranks cases: area under the ROC curve and rank correlation, with intervals that resample patients."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from panlesion.measure.columns import numbers
from panlesion.measure.resampling import Interval, bootstrap

Statistic = Callable[[NDArray, NDArray], float]


def auc(present: NDArray, evidence: NDArray) -> float:
    """Probability that a case where it is present has more evidence than one where it is not, ties counting half.

    Mann-Whitney's U as a share (Hanley & McNeil 1982); NaN where only one of the two kinds occurs.
    """
    yes = np.asarray(present, dtype=bool)
    n, m = int(yes.sum()), int((~yes).sum())
    if not n or not m:
        return float("nan")
    return float((rankdata(evidence)[yes].sum() - n * (n + 1) / 2) / (n * m))


def rank_correlation(a: NDArray, b: NDArray) -> float:
    """Spearman's rho, mid-ranks for ties; NaN where one of them is constant."""
    x, y = (rankdata(values) - (len(values) + 1) / 2 for values in (a, b))
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / spread if spread > 0 else float("nan")


def bootstrapped(
    statistic: Statistic, a: Sequence[float], b: Sequence[float], clusters: Sequence[str], *,
    level: float = 0.95, draws: int = 1000, seed: int = 0,
) -> Interval:  # fmt: skip
    """`resampling.bootstrap` of two columns of numbers.

    Raises:
        ValueError: The columns have no value or different lengths.
    """
    columns = [np.asarray(column, dtype=np.float64) for column in (a, b)]
    return bootstrap(statistic, columns, clusters, level=level, draws=draws, seed=seed)


def one_vs_rest_auc(
    truth: Sequence[int | str], probabilities: ArrayLike, classes: Sequence[int | str]
) -> dict[int | str, float]:
    """AUC of each class against all others, by its column of `probabilities` (N, len(classes)).

    NaN for a class that no case has, or all have: leave it out of a mean.

    Raises:
        ValueError: Shapes that do not fit, a probability that is no finite number, a class twice, a truth that is no class.
    """
    table = np.asarray(probabilities, dtype=np.float64)
    if not len(truth) or table.shape != (len(truth), len(classes)):
        raise ValueError(
            f"probabilities have shape {table.shape} for {len(truth)} cases of {len(classes)} classes; they need a row for "
            "each case (at least one) and a column for each class"
        )
    listed = ", ".join(map(str, classes))
    if len(set(classes)) != len(classes):
        raise ValueError(f"classes are {listed}; each may be listed once")
    if unknown := [case for case in truth if case not in set(classes)]:
        raise ValueError(f"truth holds {unknown[0]!r}; the classes are {listed}")
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0].tolist()
        raise ValueError(f"probabilities[{row}, {column}] is {table[row, column]}; it must be a finite number")
    return {one: auc(np.array([case == one for case in truth]), table[:, n]) for n, one in enumerate(classes)}


def ordinal_c_index(grades: ArrayLike, evidence: ArrayLike) -> float:
    """Share of pairs of cases with different grades in which the higher grade has more evidence, ties of that half.

    With two grades it is the AUC; NaN where all grades are equal.

    Raises:
        ValueError: Columns that do not fit, are empty or hold what is no number.
    """
    grade, value = numbers(grades=grades, evidence=evidence)
    levels = np.unique(grade)
    right = pairs = 0.0
    for n, high in enumerate(levels[1:].tolist(), 1):
        for low in levels[:n].tolist():
            both = (grade == low) | (grade == high)
            count = float((grade == low).sum()) * float((grade == high).sum())
            right += count * auc(grade[both] == high, value[both])
            pairs += count
    return right / pairs if pairs else float("nan")
