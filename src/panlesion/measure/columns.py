"""Columns of numbers that belong together row by row, checked before anything is counted."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def numbers(**columns: ArrayLike) -> list[NDArray[np.float64]]:
    """The named columns as float arrays (N,), in their order.

    Raises:
        ValueError: No row, different lengths, or a value that is no finite number.
    """
    found = {name: np.asarray(values) for name, values in columns.items()}
    lengths = {name: values.shape for name, values in found.items()}
    if any(len(shape) != 1 for shape in lengths.values()) or len(set(lengths.values())) != 1 or (0,) in lengths.values():
        told = ", ".join(f"{name} {shape}" for name, shape in lengths.items())
        raise ValueError(f"columns have shapes {told}; they must be one-dimensional, of one length, and have a row")
    return [_finite(name, values) for name, values in found.items()]


def yes_no(name: str, values: NDArray) -> NDArray[np.bool_]:
    """A column of 0 and 1 as bool.

    Raises:
        ValueError: Another value.
    """
    odd = np.flatnonzero((values != 0) & (values != 1))
    if odd.size:
        raise ValueError(f"{name}[{odd[0]}] is {values[odd[0]]}; it must be 0 or 1")
    return values.astype(bool)


def _finite(name: str, values: NDArray) -> NDArray[np.float64]:
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} holds {values.dtype} values; they must be numbers")
    as_float = values.astype(np.float64)
    odd = np.flatnonzero(~np.isfinite(as_float))
    if odd.size:
        raise ValueError(f"{name}[{odd[0]}] is {as_float[odd[0]]}; it must be a finite number")
    return as_float
