"""`render_noise`: noise with the host's own standard deviation and autocorrelation."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from panlesion.ct.volume import Index3
from panlesion.measure.noise import Noise

TILE_VOXELS = 80
TILE_SEED = 20_240_507
# Tiles kept: those of a few organs of the hosts at hand, 2 MB each.
TILES = 8


def render_noise(noise: Noise, shape: Index3, seed: int) -> NDArray[np.float32]:
    """Float32 `shape`: Gaussian noise in HU with `noise`'s SD and autocorrelation, the same for the same seed.

    Boxes that one fits into are windows of one periodic tile per organ of a host; the seed says where the window lies and
    which of its axes are mirrored (an autocorrelation is even in every lag, but not in each axis alone: all or none are).
    Larger boxes get noise of their own.
    """
    lag = noise.reach_voxels
    if max(shape) + lag > TILE_VOXELS:
        i, j, k = (int(fft.next_fast_len(n + lag, real=True)) for n in shape)
        return _periodic(noise, (i, j, k), seed)[tuple(slice(0, n) for n in shape)]
    rng = np.random.Generator(np.random.SFC64(seed))
    window = [
        np.arange(first, first + n) % TILE_VOXELS for first, n in zip(rng.integers(0, TILE_VOXELS, 3), shape, strict=True)
    ]
    mirrored, negated = rng.integers(0, 2, 2)
    grain = _tile(noise)[np.ix_(*window)]
    grain = grain[::-1, ::-1, ::-1] if mirrored else grain
    return -grain if negated else np.ascontiguousarray(grain)


@lru_cache(maxsize=TILES)
def _tile(noise: Noise) -> NDArray[np.float32]:
    tile = _periodic(noise, (TILE_VOXELS,) * 3, TILE_SEED)
    tile.flags.writeable = False
    return tile


def _periodic(noise: Noise, shape: Index3, seed: int) -> NDArray[np.float32]:
    """Float32 `shape`: noise that goes on at its opposite faces.

    White noise is shaped in frequency space by the square root of the power spectrum (the transform of the
    autocorrelation, Wiener–Khinchin); negative power, an artefact of the finite lag window, is set to nothing.
    """
    lag = noise.reach_voxels
    kernel = np.zeros(shape, dtype=np.float32)
    kernel[tuple(slice(0, n) for n in noise.acf.shape)] = noise.acf[tuple(slice(0, n) for n in shape)]
    kernel = np.roll(kernel, (-lag,) * 3, axis=(0, 1, 2))
    amplitude = np.sqrt(np.maximum(fft.rfftn(kernel).real, 0))
    white = np.random.Generator(np.random.SFC64(seed)).standard_normal(shape, dtype=np.float32)
    shaped = fft.irfftn(fft.rfftn(white) * amplitude, s=shape)
    # Clipping negative power changed the total a little; the variance at lag 0 is the mean power.
    power = fft.irfftn(amplitude**2, s=shape)[0, 0, 0]
    return np.asarray(shaped * (noise.sd_hu / np.sqrt(max(float(power), 1e-6))), dtype=np.float32)
