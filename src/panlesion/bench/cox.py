"""Cox's proportional hazards with a ridge, by Newton's method.

lifelines fits the same model (the tests hold both together) in 65 ms or more, most of it on tables that prediction does not
need; here it takes about 2. Nested selection, repetitions and shuffled labels make thousands of fits.
"""

import numpy as np
from numpy.typing import NDArray

_STEPS = 60
_CLOSE = 1e-8


def fit_cox(x: NDArray, days: NDArray, dead: NDArray, penalty: float) -> NDArray[np.float64]:
    """Weights (F,) that maximise the partial log likelihood (Breslow's for ties) less N · penalty / 2 · |weights|².

    Args:
        x: (N, F), of mean 0 and like scales.
        days: (N,) time watched.
        dead: (N,) whether death ended it.
        penalty: Above 0: with it there is one maximum, whatever the columns.

    Raises:
        ValueError: A penalty that is not above 0.
    """
    if not penalty > 0:
        raise ValueError(f"penalty is {penalty}; it must be above 0, or the maximum may lie at infinity")
    order = np.argsort(-days, kind="stable")
    x, days, dead = x[order], days[order], dead[order].astype(bool)
    # With the longest watched first, those at risk at a time are the rows up to the last of that time.
    last = np.searchsorted(-days, -days, side="right") - 1
    ridge = len(x) * penalty
    weights = np.zeros(x.shape[1])
    value, gradient, hessian = _likelihood(x, dead, last, weights, ridge)
    for _ in range(_STEPS):
        step = np.linalg.solve(hessian, gradient)
        if float(gradient @ step) < _CLOSE:
            break
        length = 1.0
        while True:
            better = _likelihood(x, dead, last, weights + length * step, ridge)
            if better[0] >= value or length < 1e-6:
                break
            length /= 2
        weights = weights + length * step
        value, gradient, hessian = better
    return weights


def _likelihood(
    x: NDArray, dead: NDArray, last: NDArray, weights: NDArray, ridge: float
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Penalised log likelihood, its gradient, and its negative second derivative."""
    hazard = x @ weights
    top = float(hazard.max())
    share = np.exp(hazard - top)
    at = last[dead]
    total = np.cumsum(share)[at]
    mean = np.cumsum(share[:, None] * x, axis=0)[at] / total[:, None]
    value = float((hazard[dead] - top - np.log(total)).sum() - ridge / 2 * weights @ weights)
    gradient = (x[dead] - mean).sum(axis=0) - ridge * weights
    # Row n is at risk at every death whose risk set reaches it.
    reached = np.bincount(at, weights=1 / total, minlength=len(x))[::-1].cumsum()[::-1]
    hessian = (x * (share * reached)[:, None]).T @ x - mean.T @ mean + ridge * np.eye(len(weights))
    return value, gradient, hessian
