"""Smooth random fields as sums of cosines: every random number is in the record, and any grid can be rendered from it.

A sum of M plane waves is separable on a regular grid, so rendering is I matrix products (J, 2M) @ (2M, K) instead of I·J·K·M
cosines. One product of (I·J, 2M) would be no faster, and so large that BLAS wakes its threads for a millisecond's work, which
costs more than it saves.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.volume import Grid, Vector3

# OpenBLAS multiplies matrices of up to 4 × 65536 products on the calling thread (its interface/gemm.c).
ALONE_PRODUCTS = 200_000


@dataclass(frozen=True, kw_only=True)
class Field:
    """A zero-mean, unit-variance smooth field on world space; wave vectors in rad/mm, relative to its centre."""

    wave_vectors: tuple[Vector3, ...]
    phases_rad: tuple[float, ...]
    amplitudes: tuple[float, ...]


def draw_field(rng: np.random.Generator, *, wavelength_mm: tuple[float, float], slope: float = 1.0, waves: int = 40) -> Field:
    """An isotropic field with wavelengths log-uniform in a range and amplitude ∝ wavelength**slope."""
    low, high = wavelength_mm
    if not 0 < low <= high:
        raise ValueError(f"wavelength_mm is {wavelength_mm}; it must be 0 < low <= high")
    length = np.exp(rng.uniform(np.log(low), np.log(high), waves))
    direction = rng.standard_normal((waves, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    amplitude = length**slope
    amplitude *= np.sqrt(2.0 / np.sum(amplitude**2))
    vectors = direction * (2 * np.pi / length)[:, None]
    return Field(
        wave_vectors=tuple((float(a), float(b), float(c)) for a, b, c in vectors.round(6)),
        phases_rad=tuple(rng.uniform(0, 2 * np.pi, waves).round(6).tolist()),
        amplitudes=tuple(amplitude.round(6).tolist()),
    )


def render_field(field: Field, centre_xyz: Vector3, grid: Grid) -> NDArray[np.float32]:
    """Float32 (I, J, K): the field's value at every voxel centre."""
    k = np.asarray(field.wave_vectors)
    phase = k @ (grid.affine[:3, 3] - np.asarray(centre_xyz)) + np.asarray(field.phases_rad)
    step = k @ grid.affine[:3, :3]
    along_i, along_j, along_k = (
        np.exp(1j * np.arange(n)[:, None] * step[None, :, axis]).astype(np.complex64) for axis, n in enumerate(grid.shape)
    )
    along_i = along_i * (np.asarray(field.amplitudes) * np.exp(1j * phase)).astype(np.complex64)
    plane = along_i[:, None, :] * along_j[None, :, :]
    left = np.concatenate([plane.real, -plane.imag], axis=2)
    right = np.concatenate([along_k.real, along_k.imag], axis=1)
    out = np.empty(grid.shape, dtype=np.float32)
    rows = max(1, ALONE_PRODUCTS // right.size)
    for first in range(0, grid.shape[1], rows):
        part = slice(first, first + rows)
        np.matmul(left[:, part], right.T, out=out[:, part])
    return out
