"""Smooth random fields of a given scale: the raw material of textures, vessels' paths and wall thickness."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from panlesion.ct.volume import Grid, Index3


class SmoothField:
    """Zero-mean, unit-variance Gaussian field on an isotropic grid, evaluated slab by slab.

    White noise on a cubic lattice, joined by B-splines whose standard deviation is `scale_mm` (the lattice step is √3 times
    that). Any slabs and rows may be left out; asking for slabs in rising order is fastest.
    """

    def __init__(self, shape: Index3, spacing_mm: float, scale_mm: float, seed: int) -> None:
        self._seed = seed
        self._first, self._taps, _ = _axis_weights(shape[0], spacing_mm, scale_mm)
        self._rows = _upsampling(shape[1], spacing_mm, scale_mm)
        self._columns = _upsampling(shape[2], spacing_mm, scale_mm)
        self._window: dict[int, NDArray[np.float32]] = {}

    def slab(self, i: int, rows: slice = slice(None)) -> NDArray[np.float32]:
        """The field at `i`, (J, K), or some rows of it."""
        first = int(self._first[i])
        self._window = {node: self._along_k(node) for node in range(first, first + 4)}
        plane = self._window[first] * self._taps[0, i]
        scratch = np.empty_like(plane)
        for tap in range(1, 4):
            np.multiply(self._window[first + tap], self._taps[tap, i], out=scratch)
            plane += scratch
        return np.asarray(self._rows[rows] @ plane)

    def _along_k(self, node: int) -> NDArray[np.float32]:
        if node in self._window:
            return self._window[node]
        rng = np.random.default_rng([self._seed, node])
        white = rng.standard_normal((self._columns.shape[1], self._rows.shape[1]), dtype=np.float32)
        return np.ascontiguousarray((self._columns @ white).T)


def _axis_weights(n: int, spacing_mm: float, scale_mm: float) -> tuple[NDArray[np.intp], NDArray[np.float32], int]:
    """First lattice node (n,), the four weights (4, n) of unit energy, and the number of nodes.

    Cubic B-splines; where their lattice would be finer than the grid, the grid is the lattice and the weights give
    neighbours the correlation exp(−(spacing / 2 scale)²) that two such splines have.
    """
    lattice_mm = scale_mm * np.sqrt(3.0)
    if lattice_mm < spacing_mm:
        first = np.arange(n)
        correlation = np.exp(-((spacing_mm / (2 * scale_mm)) ** 2))
        beside = (1 - np.sqrt(1 - 2 * correlation**2)) / (2 * max(correlation, 1e-9))
        weights = np.tile(np.array([[beside], [1.0], [beside], [0.0]]), (1, n))
    else:
        position = np.arange(n) * (spacing_mm / lattice_mm)
        first = np.floor(position).astype(np.intp)
        u = position - first
        weights = np.stack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3])
    weights /= np.sqrt((weights**2).sum(axis=0))
    return first, weights.astype(np.float32), int(first[-1]) + 4


def _upsampling(n: int, spacing_mm: float, scale_mm: float) -> sparse.csr_array:
    """Matrix (n, nodes) of every point's four weights.

    A sparse product adds one row after another: nothing goes through BLAS, so the bits do not depend on the number of
    threads, and the row being summed stays in the fastest cache.
    """
    first, weights, nodes = _axis_weights(n, spacing_mm, scale_mm)
    columns = (first[:, None] + np.arange(4)).ravel()
    return sparse.csr_array((weights.T.ravel(), columns, np.arange(0, 4 * n + 1, 4)), shape=(n, nodes))


def smooth_field(grid: Grid, scale_mm: float, seed: int) -> NDArray[np.float32]:
    """The whole field on an isotropic grid, (I, J, K); see `SmoothField`."""
    field = SmoothField(grid.shape, grid.spacing_mm[0], scale_mm, seed)
    out = np.empty(grid.shape, dtype=np.float32)
    for i in range(grid.shape[0]):
        out[i] = field.slab(i)
    return out
