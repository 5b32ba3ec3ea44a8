"""Overlap of a prediction with the truth."""

import numpy as np
from numpy.typing import NDArray


def dice(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Dice of two masks of one shape; 1 when both are empty (nothing was there and nothing was found)."""
    total = int(np.count_nonzero(predicted)) + int(np.count_nonzero(truth))
    return 2 * int(np.count_nonzero(predicted & truth)) / total if total else 1.0
