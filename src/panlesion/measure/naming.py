"""How often a class was named rightly: accuracy and balanced accuracy, with intervals that resample patients."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panlesion.measure.resampling import Interval


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Share of rightly named lesions, and the mean of that share over the classes that occur; n of an interval is patients."""

    lesions: int
    accuracy: Interval
    balanced: Interval


def naming(
    truth: Sequence[int], said: Sequence[int], clusters: Sequence[str], *, level: float = 0.95, draws: int = 4000, seed: int = 0
) -> Naming:
    """Percentile bootstrap over clusters (patients, drawn bodies), each drawn whole with all its lesions.

    Raises:
        ValueError: No lesion, or not one class and cluster for each.
    """
    if not len(truth) or not len(truth) == len(said) == len(clusters):
        raise ValueError(
            f"{len(truth)} true classes, {len(said)} named, {len(clusters)} clusters; as many of each, at least one"
        )
    classes, (true, named) = _indices(truth, said)
    names, of = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    counts = np.zeros((len(names), classes, classes))
    np.add.at(counts, (of, true, named), 1)
    weights = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    drawn = np.einsum("dc,cij->dij", weights.astype(float), counts)
    tails = [(1 - level) / 2, (1 + level) / 2]
    intervals = []
    for score in (_accuracy, _balanced):
        low, high = np.quantile(score(drawn), tails).tolist()
        intervals.append(Interval(mean=float(score(counts.sum(axis=0)[None])[0]), low=low, high=high, n=len(names)))
    return Naming(lesions=len(truth), accuracy=intervals[0], balanced=intervals[1])


def _indices(truth: Sequence[int], said: Sequence[int]) -> tuple[int, tuple[NDArray[np.intp], NDArray[np.intp]]]:
    classes, flat = np.unique(np.concatenate([np.asarray(truth), np.asarray(said)]), return_inverse=True)
    return len(classes), (flat[: len(truth)], flat[len(truth) :])


def _accuracy(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of confusion matrices (D, K, K)."""
    return np.asarray(np.trace(counts, axis1=1, axis2=2) / counts.sum(axis=(1, 2)))


def _balanced(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean recall of confusion matrices (D, K, K) over the classes that occur in each."""
    occurs = counts.sum(axis=2)
    recall = np.diagonal(counts, axis1=1, axis2=2) / np.maximum(occurs, 1)
    return np.asarray(recall.sum(axis=1) / (occurs > 0).sum(axis=1))
