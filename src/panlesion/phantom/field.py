"""Smooth random fields of a given scale: the raw material of textures, vessels' paths and wall thickness."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Grid, Index3


def _axis_weights(n: int, spacing_mm: float, lattice_mm: float) -> tuple[NDArray[np.intp], NDArray[np.float32], int]:
    """First lattice node (n,), the four cubic B-spline weights (4, n) of unit energy, and the number of nodes."""
    position = np.arange(n) * (spacing_mm / lattice_mm)
    first = np.floor(position).astype(np.intp)
    u = position - first
    weights = np.stack([(1 - u) ** 3, 3 * u**3 - 6 * u**2 + 4, -3 * u**3 + 3 * u**2 + 3 * u + 1, u**3])
    weights /= np.sqrt((weights**2).sum(axis=0))
    return first, weights.astype(np.float32), int(first[-1]) + 4


def field_slabs(shape: Index3, spacing_mm: float, scale_mm: float, seed: int) -> Iterator[NDArray[np.float32]]:
    """Zero-mean, unit-variance Gaussian field, one (J, K) slab per i.

    White noise on a cubic lattice, joined by B-splines whose standard deviation is `scale_mm` (the lattice step is
    √3 times that). Evaluated tap by tap without BLAS, so the bits do not depend on the number of threads.
    """
    lattice_mm = scale_mm * np.sqrt(3.0)
    (fi, wi, ni), (fj, wj, nj), (fk, wk, nk) = (_axis_weights(n, spacing_mm, lattice_mm) for n in shape)
    nodes = np.random.default_rng(seed).standard_normal((ni, nj, nk), dtype=np.float32)
    along_k = np.zeros((ni, nj, shape[2]), dtype=np.float32)
    for tap in range(4):
        along_k += nodes[:, :, fk + tap] * wk[tap]
    window: dict[int, NDArray[np.float32]] = {}
    slab = np.empty((shape[1], shape[2]), dtype=np.float32)
    scratch = np.empty_like(slab)
    for i in range(shape[0]):
        for node in range(fi[i], fi[i] + 4):
            if node not in window:
                window.pop(node - 4, None)
                window[node] = _along_j(along_k[node], fj, wj)
        np.multiply(window[fi[i]], wi[0, i], out=slab)
        for tap in range(1, 4):
            np.multiply(window[fi[i] + tap], wi[tap, i], out=scratch)
            slab += scratch
        yield slab


def _along_j(plane: NDArray[np.float32], first: NDArray[np.intp], weights: NDArray[np.float32]) -> NDArray[np.float32]:
    out = plane[first] * weights[0][:, None]
    for tap in range(1, 4):
        out += plane[first + tap] * weights[tap][:, None]
    return out


def smooth_field(grid: Grid, scale_mm: float, seed: int) -> NDArray[np.float32]:
    """The whole field on an isotropic grid, (I, J, K); see `field_slabs`."""
    out = np.empty(grid.shape, dtype=np.float32)
    for i, slab in enumerate(field_slabs(grid.shape, grid.spacing_mm[0], scale_mm, seed)):
        out[i] = slab
    return out
