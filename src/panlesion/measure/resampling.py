"""Intervals by resampling patients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with its interval and the number of patients behind it."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.low:.3f}-{self.high:.3f}, n = {self.n})"


def bootstrap_mean(
    values: Sequence[float], clusters: Sequence[str] | None = None, *, level: float = 0.95, draws: int = 4000, seed: int = 0
) -> Interval:
    """Percentile bootstrap of a mean, resampling clusters (patients) whole (Efron & Tibshirani 1993).

    Values of one patient in several repetitions are averaged first: they are no independent evidence.

    Raises:
        ValueError: There are no values, or not one cluster for each.
    """
    names = list(clusters) if clusters is not None else [str(n) for n in range(len(values))]
    if not values or len(names) != len(values):
        raise ValueError(f"{len(values)} values with {len(names)} clusters; there must be at least one, and as many of each")
    by_name: dict[str, list[float]] = {}
    for name, value in zip(names, values, strict=True):
        by_name.setdefault(name, []).append(value)
    means = np.array([np.mean(group) for group in by_name.values()])
    rng = np.random.default_rng(seed)
    resampled = means[rng.integers(len(means), size=(draws, len(means)))].mean(axis=1)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return Interval(mean=float(means.mean()), low=low, high=high, n=len(means))


def bootstrap(
    statistic: Callable[..., float], columns: Sequence[ArrayLike], clusters: Sequence[str], *,
    level: float = 0.95, draws: int = 1000, seed: int = 0,
) -> Interval:  # fmt: skip
    """A statistic of any number of columns with its percentile interval over clusters, each drawn whole; n is clusters.

    Draws in which the statistic is not defined (NaN), for want of one kind of case, are left out.

    Raises:
        ValueError: The columns have no value or different lengths.
    """
    arrays = [np.asarray(column) for column in columns]
    lengths = {len(array) for array in arrays} | {len(clusters)}
    if not arrays or len(lengths) != 1 or 0 in lengths:
        told = " and ".join(str(len(array)) for array in arrays) or "no"
        raise ValueError(f"columns have {told} values and {len(clusters)} clusters; as many of each, at least one")
    names, of = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    members = [np.flatnonzero(of == n) for n in range(len(names))]
    alone = np.concatenate(members) if len(names) == len(of) else None  # one row each: no need to put rows together
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(draws):
        drawn = rng.integers(len(names), size=len(names))
        rows = np.concatenate([members[int(n)] for n in drawn]) if alone is None else alone[drawn]
        found.append(statistic(*(array[rows] for array in arrays)))
    defined = np.array(found)[~np.isnan(found)]
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2]).tolist() if defined.size else (float("nan"),) * 2
    return Interval(mean=float(statistic(*arrays)), low=low, high=high, n=len(names))
