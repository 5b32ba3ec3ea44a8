"""How well a number ranks cases: area under the ROC curve and rank correlation, with intervals that resample patients."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from panlesion.measure.resampling import Interval

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
    """A statistic of two columns with its percentile interval over clusters (patients), each drawn whole; n is clusters.

    Draws in which the statistic is not defined, for want of one kind of case, are left out.

    Raises:
        ValueError: The columns have no value or different lengths.
    """
    if not len(a) or not len(a) == len(b) == len(clusters):
        raise ValueError(
            f"columns have {len(a)} and {len(b)} values and {len(clusters)} clusters; as many of each, at least one"
        )
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return bootstrapped_rows(lambda rows: statistic(first[rows], second[rows]), clusters, level=level, draws=draws, seed=seed)


def bootstrapped_rows(
    statistic: Callable[[NDArray[np.int64]], float], clusters: Sequence[str], *,
    level: float = 0.95, draws: int = 1000, seed: int = 0,
) -> Interval:  # fmt: skip
    """As `bootstrapped` for a statistic of row numbers, which may look into any number of columns."""
    names, of = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    members = [np.flatnonzero(of == n) for n in range(len(names))]
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(len(names), size=len(names)) for _ in range(draws))
    found = [statistic(np.concatenate([members[int(n)] for n in some])) for some in drawn]
    defined = np.array(found)[~np.isnan(found)]
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]).tolist() if defined.size else (float("nan"),) * 2
    return Interval(mean=statistic(np.arange(len(of))), low=low, high=high, n=len(names))
