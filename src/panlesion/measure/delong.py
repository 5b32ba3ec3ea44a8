"""Area under the ROC curve with DeLong's variance, and the test of two of them on the same cases.

DeLong et al. 1988 (Biometrics 44:837) by the mid-rank algorithm of Sun & Xu 2014 (IEEE Signal Process Lett 21:1389). Cases must
be independent; with several of one patient use `resampling.bootstrap`.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm, rankdata

from panlesion.measure.columns import numbers, yes_no
from panlesion.measure.resampling import Interval


def delong_interval(present: ArrayLike, evidence: ArrayLike, *, level: float = 0.95) -> Interval:
    """The AUC with its normal interval, kept within 0 and 1; n is cases.

    NaN where only one kind of case occurs. One case of a kind tells nothing of its spread: the interval is 0 to 1. Perfect
    separation has no variance: the interval is a point, and says too much of few cases.

    Raises:
        ValueError: Columns that do not fit, are empty or hold what is no number.
    """
    truth, values = numbers(present=present, evidence=evidence)
    yes = yes_no("present", truth)
    if yes.all() or not yes.any():
        return Interval(mean=math.nan, low=math.nan, high=math.nan, n=len(yes))
    areas, covariance = _areas(yes, values[None])
    mean = float(areas[0])
    if covariance is None:
        return Interval(mean=mean, low=0.0, high=1.0, n=len(yes))
    half = float(norm.ppf((1 + level) / 2)) * math.sqrt(covariance[0, 0])
    return Interval(mean=mean, low=max(0.0, mean - half), high=min(1.0, mean + half), n=len(yes))


def delong_test(present: ArrayLike, a: ArrayLike, b: ArrayLike) -> float:
    """Two-sided p of the hypothesis that two readings of the same cases have the same AUC.

    1 where the two AUC are equal and their difference does not vary; NaN where they differ and the variance of that cannot
    be told: one kind of case is missing or alone, or both readings separate perfectly, one of them the wrong way round.

    Raises:
        ValueError: As `delong_interval`.
    """
    truth, first, second = numbers(present=present, a=a, b=b)
    yes = yes_no("present", truth)
    if yes.all() or not yes.any():
        return math.nan
    areas, covariance = _areas(yes, np.stack([first, second]))
    difference = float(areas[0] - areas[1])
    if covariance is None:
        return math.nan
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if variance <= 1e-15:  # what rounding leaves of zero
        return 1.0 if abs(difference) < 1e-12 else math.nan
    return float(2 * norm.sf(abs(difference) / math.sqrt(variance)))


def _areas(yes: NDArray[np.bool_], readings: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """AUC (R,) of readings (R, N) and their covariance (R, R); None where a kind has one case alone."""
    m, n = int(yes.sum()), int((~yes).sum())
    rank = rankdata(readings, axis=1)
    above = (rank[:, yes] - rankdata(readings[:, yes], axis=1)) / n
    below = 1 - (rank[:, ~yes] - rankdata(readings[:, ~yes], axis=1)) / m
    if min(m, n) < 2:
        return above.mean(axis=1), None
    return above.mean(axis=1), np.atleast_2d(np.cov(above)) / m + np.atleast_2d(np.cov(below)) / n
