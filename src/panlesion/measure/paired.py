"""Whether a paired difference is more than chance, and what is left of it when many are asked about."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from panlesion.measure.columns import numbers

EXACT_CLUSTERS = 14
"""Up to so many patients all sign patterns are counted, 16,384 at most; beyond, `DRAWS` of them are drawn."""
DRAWS = 20_000


def permutation_test(differences: Sequence[float], clusters: Sequence[str], seed: int = 0) -> float:
    """Two-sided p of the hypothesis that the mean difference is 0, by flipping signs of patients (Fisher 1935).

    Differences of one patient are averaged first: they are no independent evidence, and flip together. A drawn p counts the
    pattern that was observed as one of the draws, so it is never 0 (Phipson & Smyth 2010).

    Raises:
        ValueError: No difference, one that is no finite number, or not one cluster for each.
    """
    (values,) = numbers(differences=differences)
    if len(clusters) != len(values):
        raise ValueError(f"{len(values)} differences with {len(clusters)} clusters; there must be one for each")
    _, of = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    means = np.bincount(of, weights=values) / np.bincount(of)
    observed = abs(means.sum())
    least = observed - 1e-12 * max(1.0, float(np.abs(means).sum()))  # sums of the same numbers differ by rounding
    if len(means) <= EXACT_CLUSTERS:
        return float(np.mean(np.abs(_all_signs(len(means)) @ means) >= least))
    rng = np.random.default_rng(seed)
    beyond = 0
    for _ in range(0, DRAWS, 1000):
        signs = rng.integers(0, 2, size=(1000, len(means)), dtype=np.int8) * 2 - 1
        beyond += int(np.count_nonzero(np.abs(signs @ means) >= least))
    return (beyond + 1) / (DRAWS + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p of several tests, in their order: the chance of any false alarm stays below the level (Holm 1979).

    Raises:
        ValueError: No p, or one outside 0 to 1.
    """
    (values,) = numbers(p_values=p_values)
    outside = np.flatnonzero((values < 0) | (values > 1))
    if outside.size:
        raise ValueError(f"p_values[{outside[0]}] is {values[outside[0]]}; it must lie in 0 to 1")
    order = np.argsort(values, kind="stable")
    adjusted = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)).clip(max=1.0)
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return [float(value) for value in result]


def _all_signs(count: int) -> NDArray[np.int8]:
    """Every pattern of signs, (2^count, count)."""
    bits = np.arange(2**count)[:, None] >> np.arange(count)
    return ((bits & 1) * 2 - 1).astype(np.int8)
