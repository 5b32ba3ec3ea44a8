"""Whether probabilities mean what they say: Brier score, calibration error and the reliability curve."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from panlesion.measure.columns import numbers, yes_no
from panlesion.measure.resampling import Interval
from panlesion.measure.share import wilson


class Binning(StrEnum):
    """How probabilities are put together: in steps of equal width from 0 to 1, or with about as many cases in each."""

    EQUAL_WIDTH = "equal width"
    EQUAL_MASS = "equal mass"


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Cases whose probability lies above `low` and up to `high`; `observed` is the share that has it (Wilson), n its cases."""

    low: float
    high: float
    mean_probability: float
    observed: Interval


def brier(truth: ArrayLike, probability: ArrayLike) -> float:
    """Mean squared difference of probability and truth (Brier 1950, for two outcomes): 0 is best, always 0.5 has 0.25.

    Raises:
        ValueError: Columns that do not fit, a truth that is not 0 or 1, a probability outside 0 to 1.
    """
    yes, stated = _checked(truth, probability)
    return float(np.mean((stated - yes) ** 2))


def ece(truth: ArrayLike, probability: ArrayLike, bins: int = 10, *, binning: Binning = Binning.EQUAL_WIDTH) -> float:
    """Expected calibration error: mean over cases of |mean probability − observed share| of their bin (Guo et al. 2017).

    Raises:
        ValueError: As `brier`; no bin.
    """
    found = reliability(truth, probability, bins, binning=binning)
    cases = sum(one.observed.n for one in found)
    return sum(one.observed.n * abs(one.mean_probability - one.observed.mean) for one in found) / cases


def reliability(
    truth: ArrayLike, probability: ArrayLike, bins: int = 10, *, binning: Binning = Binning.EQUAL_WIDTH
) -> tuple[ReliabilityBin, ...]:
    """The reliability curve, lowest probabilities first. Bins without a case are left out; equal probabilities share a bin.

    Raises:
        ValueError: As `brier`; no bin.
    """
    yes, stated = _checked(truth, probability)
    if bins < 1:
        raise ValueError(f"bins is {bins}; there must be at least one")
    steps = np.linspace(0.0, 1.0, bins + 1)
    edges = steps if binning is Binning.EQUAL_WIDTH else np.quantile(stated, steps)
    which = np.searchsorted(edges[1:-1], stated)  # (low, high]; the first bin has its lower end too
    found = []
    for n in np.unique(which).tolist():
        here = which == n
        found.append(
            ReliabilityBin(
                low=float(edges[n]),
                high=float(edges[n + 1]),
                mean_probability=float(stated[here].mean()),
                observed=wilson(int(yes[here].sum()), int(here.sum())),
            )
        )
    return tuple(found)


def _checked(truth: ArrayLike, probability: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    said, stated = numbers(truth=truth, probability=probability)
    outside = np.flatnonzero((stated < 0) | (stated > 1))
    if outside.size:
        raise ValueError(f"probability[{outside[0]}] is {stated[outside[0]]}; it must lie in 0 to 1")
    return yes_no("truth", said), stated
