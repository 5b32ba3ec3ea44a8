"""How well a number ranks cases, for any outcome that says which pairs have an order: classes, grades, survival times.

AUC, Harrell's C and the AUC at a horizon are one statistic: over pairs of which one should come first, the share where it does,
ties counting half. They differ in the pairs and their weights. Kept as a matrix, both the bootstrap and the permutation of
two methods are products with it, and a mean over repetitions costs no more than one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from panlesion.measure.resampling import Interval
from panlesion.measure.survival import watched

Pairs = NDArray[np.float64]
"""(N, N): the weight with which the row's case should have more evidence than the column's; 0 where they have no order."""

_BATCH = 500


def class_pairs(present: NDArray) -> Pairs:
    """Every case where something is present against every case where it is not: the pairs of the AUC."""
    yes = np.asarray(present, dtype=bool)
    return np.outer(yes, ~yes).astype(np.float64)


def ordered_pairs(grades: NDArray) -> Pairs:
    """Every higher grade against every lower one: of two grades the AUC's, of more the C of an ordinal outcome."""
    values = np.asarray(grades)
    return (values[:, None] > values[None, :]).astype(np.float64)


def survival_pairs(times: NDArray, events: NDArray) -> Pairs:
    """Pairs of Harrell's C (1996): who died against everybody known to have lived longer."""
    time, died = np.asarray(times, dtype=np.float64), np.asarray(events, dtype=bool)
    # Seen alive on the day of another's death is longer.
    longer = (time[None, :] > time[:, None]) | ((time[None, :] == time[:, None]) & ~died[None, :])
    return (died[:, None] & longer).astype(np.float64)


def horizon_pairs(times: NDArray, events: NDArray, horizon: float) -> Pairs:
    """Who died by the horizon against who lived beyond it: the pairs of the cumulative / dynamic AUC.

    A death weighs the inverse of the chance of not having been lost before it (Uno 2007, Hung & Chiang 2010): those lost
    before the horizon are in no pair.
    """
    time, died = np.asarray(times, dtype=np.float64), np.asarray(events, dtype=bool)
    kept = watched(time, died, time)
    case = died & (time <= horizon)
    weight = np.divide(1.0, kept, out=np.zeros_like(kept), where=case & (kept > 0))
    return np.outer(weight, (time > horizon).astype(np.float64))


def ahead(evidence: NDArray, other: NDArray | None = None) -> NDArray[np.float64]:
    """(N, N): how often the row's evidence exceeds the column's, ties half, as a mean over repetitions.

    Args:
        evidence: (N,) or (R, N), of R repetitions.
        other: The column's evidence where it is another method's.
    """
    a, b = np.atleast_2d(evidence), np.atleast_2d(evidence if other is None else other)
    total = np.zeros((a.shape[1], b.shape[1]))
    for x, y in zip(a, b, strict=True):
        total += (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    return total / len(a)


def concordance(pairs: Pairs, evidence: NDArray) -> float:
    """Weighted share of pairs in the right order, a mean over repetitions; NaN where no pair has an order.

    Args:
        pairs: (N, N).
        evidence: (N,) or (R, N), of R repetitions.
    """
    return _share(float((pairs * ahead(evidence)).sum()), float(pairs.sum()))


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else float("nan")


def _drawn(patients: Sequence[str], draws: int, seed: int) -> tuple[NDArray[np.float64], int]:
    """How often each case is in each of the bootstrap's samples of patients (draws, N), and the number of patients."""
    names, of = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    rng = np.random.default_rng(seed)
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return counts[:, of].astype(np.float64), len(names)


def _weighed(matrix: NDArray, weights: NDArray) -> NDArray[np.float64]:
    """Sum of the matrix over the pairs of each sample (draws, N)."""
    return np.concatenate([((part @ matrix) * part).sum(axis=1) for part in _batches(weights)])


def _batches(rows: NDArray) -> list[NDArray]:
    return [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]


def _interval(pairs: Pairs, right: NDArray, patients: Sequence[str], *, draws: int, seed: int, level: float) -> Interval:
    """A weighted share or difference of shares, `right` in [-1, 1] for each pair, with its interval over patients."""
    weights, n = _drawn(patients, draws, seed)
    whole = _weighed(pairs, weights)
    values = _weighed(pairs * right, weights)[whole > 0] / whole[whole > 0]
    mean = _share(float((pairs * right).sum()), float(pairs.sum()))
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2]).tolist() if len(values) else (float("nan"),) * 2
    return Interval(mean=mean, low=low, high=high, n=n)


def concordance_interval(
    pairs: Pairs, evidence: NDArray, patients: Sequence[str], *, draws: int = 2000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Concordance with its percentile bootstrap interval, patients drawn whole (Efron & Tibshirani 1993)."""
    _check(pairs, patients, evidence)
    return _interval(pairs, ahead(evidence), patients, draws=draws, seed=seed, level=level)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Concordance of one method less that of another, on the same cases, and how often chance alone is as far from 0."""

    difference: Interval
    p: float


def compare(
    pairs: Pairs, evidence: NDArray, other: NDArray, patients: Sequence[str], *, draws: int = 2000, seed: int = 0
) -> Comparison:
    """Difference with its interval over patients, and the two-sided p of a permutation.

    Under the null hypothesis a patient's two values could have come from either method, so they are swapped patient by
    patient once both are ranks (Venkatraman & Begg 1996; Bandos, Rockette & Gur 2005).

    Args:
        pairs: (N, N).
        evidence: (N,) or (R, N); ranks are taken within a repetition.
        other: The other method's, of the same shape.
        patients: Of each case; all cases of one are drawn and swapped together.
        draws: Of the bootstrap and of the permutation.
        seed: Of both.
    """
    _check(pairs, patients, evidence, other)
    a, b = _ranks(evidence), _ranks(other)
    left, right = ahead(a), ahead(b)
    difference = _interval(pairs, left - right, patients, draws=draws, seed=seed, level=0.95)
    names, of = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    rng = np.random.default_rng([seed, 0x73776170])
    stay = rng.integers(2, size=(draws, len(names)))[:, of].astype(np.float64)
    # A method's share is a sum over (one stays, other stays), (stays, swapped), (swapped, stays) and (swapped, swapped); the
    # other method's has stays and swapped exchanged. What is left of their difference are these four products.
    within, across = pairs * (left - right), pairs * (ahead(a, b) - ahead(b, a))
    swapped = 1 - stay
    moved = (
        _weighed(within, stay) - _weighed(within, swapped) + _between(across, stay, swapped) - _between(across, swapped, stay)
    )
    seen = float(within.sum())
    tolerance = 1e-9 * max(1.0, float(pairs.sum()))
    as_far = int(np.count_nonzero(np.abs(moved) >= abs(seen) - tolerance))
    return Comparison(difference=difference, p=(as_far + 1) / (draws + 1))


def _between(matrix: NDArray, rows: NDArray, columns: NDArray) -> NDArray[np.float64]:
    return np.concatenate([((a @ matrix) * b).sum(axis=1) for a, b in zip(_batches(rows), _batches(columns), strict=True)])


def _ranks(evidence: NDArray) -> NDArray[np.float64]:
    return np.asarray(rankdata(np.atleast_2d(evidence), axis=1))


def _check(pairs: Pairs, patients: Sequence[str], *evidence: NDArray) -> None:
    shapes = {np.atleast_2d(one).shape for one in evidence}
    if len(shapes) > 1 or pairs.shape != (len(patients),) * 2 or next(iter(shapes))[1] != len(patients):
        raise ValueError(
            f"pairs have shape {pairs.shape}, evidence {sorted(shapes)}, and there are {len(patients)} patients; "
            "they must be of the same cases"
        )
    if not all(np.isfinite(one).all() for one in evidence):
        raise ValueError("evidence holds NaN or infinity; every case must have a number to be ranked by")
