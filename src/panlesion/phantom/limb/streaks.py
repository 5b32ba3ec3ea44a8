"""Streaks: thin lines of photon starvation and broad dark bands of beam hardening, as low-dose scans of limbs show them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from panlesion.ct.volume import Grid


@dataclass(frozen=True, kw_only=True)
class Band:
    """A broad straight band: direction in the axial plane, distance from the middle of the grid, half-width, HU."""

    angle_rad: float
    offset_mm: float
    half_width_mm: float
    hu: float


@dataclass(frozen=True, kw_only=True)
class Streaks:
    """Lines of SD `sd_hu` along one direction within `spread_rad`, and bands; drawn by us to look like real scans."""

    sd_hu: float
    angle_rad: float
    spread_rad: float
    wavelength_mm: float
    bands: tuple[Band, ...]
    seed: int


def draw_streaks(rng: np.random.Generator, *, noise_hu: float) -> Streaks:
    """Streaks are a part of the noise, of SD `noise_hu` in all: both come from few photons."""
    strong = rng.random() < 0.65
    share = float(rng.uniform(0.35, 0.85)) if strong else float(rng.uniform(0.0, 0.3))
    bands = tuple(
        Band(
            angle_rad=float(rng.normal(0.0, 0.25)),
            offset_mm=float(rng.uniform(-70.0, 70.0)),
            half_width_mm=float(rng.uniform(4.0, 16.0)),
            hu=float(rng.uniform(-22.0, 9.0)),
        )
        for _ in range(int(rng.choice(4, p=(0.55, 0.22, 0.15, 0.08))))
    )
    return Streaks(
        sd_hu=share * noise_hu,
        angle_rad=float(rng.normal(0.0, 0.2)),
        spread_rad=float(rng.uniform(0.05, 0.16)),
        wavelength_mm=float(rng.uniform(6.0, 11.0)),
        bands=bands,
        seed=int(rng.integers(2**31)),
    )


def render_streaks(streaks: Streaks, grid: Grid, body: NDArray[np.bool_]) -> NDArray[np.float32]:
    """HU to add, float32 (I, J, K); the lines everywhere, the bands in the body only."""
    ni, nj, nk = grid.shape
    spacing_mm = grid.spacing_mm[0]
    out = np.zeros(grid.shape, dtype=np.float32)
    if streaks.sd_hu > 0.1:
        out = _lines(streaks, (ni, nj, nk), spacing_mm)
    x = ((np.arange(ni) - (ni - 1) / 2) * spacing_mm)[:, None]
    y = ((np.arange(nj) - (nj - 1) / 2) * spacing_mm)[None, :]
    for band in streaks.bands:
        across = y * np.cos(band.angle_rad) - x * np.sin(band.angle_rad) - band.offset_mm
        profile = (band.hu * np.exp(-0.5 * (across / band.half_width_mm) ** 2)).astype(np.float32)
        out += profile[:, :, None] * body
    return out


def _lines(streaks: Streaks, shape: tuple[int, int, int], spacing_mm: float) -> NDArray[np.float32]:
    """White noise kept where its wave vector lies across the streaks' direction; neighbouring slices share a part of it."""
    ni, nj, nk = shape
    # Padded by a quarter, or opposite edges would carry the same streaks.
    size = (fft.next_fast_len(ni + ni // 4), fft.next_fast_len(nj + nj // 4, real=True))
    fi = fft.fftfreq(size[0], spacing_mm)[:, None]
    fj = fft.rfftfreq(size[1], spacing_mm)[None, :]
    f = np.hypot(fi, fj)
    # A streak along (cos a, sin a) varies along (−sin a, cos a); the sign of a wave vector is free.
    off = np.angle(np.exp(2j * (np.arctan2(fj, fi) - streaks.angle_rad - np.pi / 2))) / 2
    power = np.exp(-0.5 * (off / streaks.spread_rad) ** 2) * f * np.exp(-((f * streaks.wavelength_mm) ** 2))
    amplitude = np.sqrt(power).astype(np.float32)
    white = np.random.default_rng(streaks.seed).standard_normal((nk + 1, *size), dtype=np.float32)
    lines = fft.irfft2(fft.rfft2(white) * amplitude, s=size)[:, :ni, :nj]
    lines = lines[1:] + np.float32(0.5) * lines[:-1]
    lines *= np.float32(streaks.sd_hu) / max(float(lines.std()), 1e-6)
    return np.ascontiguousarray(np.moveaxis(lines, 0, -1), dtype=np.float32)
