"""How well a number ranks cases by when something happens to them, some of them lost to sight before."""

import numpy as np
from numpy.typing import NDArray


def concordance(time: NDArray, event: NDArray, risk: NDArray, strata: NDArray | None = None) -> float:
    """Harrell's C: of the pairs whose order is known, the share where the one with more risk came first; ties count half.

    A pair is known where the earlier of the two had its event; of two at the same time, where one had it and one was lost.
    With the class index as time and events throughout it is the concordance of an ordinal score (for two classes, the area
    under the curve).

    Args:
        time: (N,).
        event: bool (N,).
        risk: (N,), higher where it comes earlier.
        strata: (N,); only pairs within one count: risks of models trained apart have no common scale.

    Returns:
        NaN where no pair is known.
    """
    at, happened, score = np.asarray(time, dtype=np.float64), np.asarray(event, dtype=bool), np.asarray(risk, dtype=np.float64)
    first = happened[:, None] & ((at[:, None] < at) | ((at[:, None] == at) & ~happened))
    if strata is not None:
        first &= np.asarray(strata)[:, None] == np.asarray(strata)
    pairs = int(np.count_nonzero(first))
    if not pairs:
        return float("nan")
    right = np.count_nonzero(first & (score[:, None] > score)) + 0.5 * np.count_nonzero(first & (score[:, None] == score))
    return float(right / pairs)
