"""Agreement of named classes with the truth: balanced accuracy, macro F1, and weighted kappa for grades."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from panlesion.measure.columns import numbers


def balanced_accuracy(truth: Sequence[int | str], said: Sequence[int | str]) -> float:
    """Mean recall over the classes that occur in the truth.

    Raises:
        ValueError: No case, or not one true and one named class for each.
    """
    counts = _confusion(truth, said)
    occurs = counts.sum(axis=1) > 0
    return float((np.diagonal(counts)[occurs] / counts.sum(axis=1)[occurs]).mean())


def macro_f1(truth: Sequence[int | str], said: Sequence[int | str]) -> float:
    """Mean F1 over the classes that occur in the truth or were named; a class never named rightly has 0.

    Raises:
        ValueError: As `balanced_accuracy`.
    """
    counts = _confusion(truth, said)
    return float((2 * np.diagonal(counts) / (counts.sum(axis=0) + counts.sum(axis=1))).mean())


def quadratic_kappa(truth: Sequence[int], said: Sequence[int]) -> float:
    """Cohen's kappa of grades with squared distances as weights (Cohen 1968): 1 is agreement, 0 what chance gives.

    The distance of two grades is that of their numbers, so a grade that does not occur keeps its place. NaN where truth and
    prediction are one and the same grade throughout.

    Raises:
        ValueError: Columns that do not fit, are empty or hold what is no number.
    """
    true, named = numbers(truth=truth, said=said)
    apart = float(np.mean((true - named) ** 2))
    by_chance = float(true.var() + named.var() + (true.mean() - named.mean()) ** 2)
    return 1 - apart / by_chance if by_chance > 0 else math.nan


def _confusion(truth: Sequence[int | str], said: Sequence[int | str]) -> NDArray[np.float64]:
    """Cases (K, K) by true class and named class."""
    if not len(truth) or len(truth) != len(said):
        raise ValueError(f"{len(truth)} true classes and {len(said)} named ones; as many of each, at least one")
    true, named = np.asarray(truth), np.asarray(said)
    kinds = {"words" if column.dtype.kind in "US" else "numbers" for column in (true, named)}
    if len(kinds) > 1 or not {true.dtype.kind, named.dtype.kind} <= set("USiub"):
        raise ValueError(f"true classes are {true.dtype}, named ones {named.dtype}; both must be whole numbers, or both words")
    both = np.concatenate([true, named])
    names, of = np.unique(both, return_inverse=True)
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, (of[: len(truth)], of[len(truth) :]), 1)
    return counts
