"""`render_noise`: noise with the host's own standard deviation and autocorrelation."""

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from panlesion.ct.volume import Index3
from panlesion.measure.noise import Noise


def render_noise(noise: Noise, shape: Index3, seed: int) -> NDArray[np.float32]:
    """Float32 `shape`: Gaussian noise in HU with `noise`'s SD and autocorrelation, the same for the same seed.

    White noise is shaped in frequency space by the square root of the power spectrum (the transform of the
    autocorrelation, Wiener–Khinchin); negative power, an artefact of the finite lag window, is set to nothing.
    """
    lag = noise.acf.shape[0] // 2
    padded = tuple(int(fft.next_fast_len(n + lag, real=True)) for n in shape)
    kernel = np.zeros(padded, dtype=np.float32)
    kernel[tuple(slice(0, n) for n in noise.acf.shape)] = noise.acf
    kernel = np.roll(kernel, (-lag,) * 3, axis=(0, 1, 2))
    amplitude = np.sqrt(np.maximum(fft.rfftn(kernel).real, 0))
    white = np.random.Generator(np.random.SFC64(seed)).standard_normal(padded, dtype=np.float32)
    shaped = fft.irfftn(fft.rfftn(white) * amplitude, s=padded)
    # Clipping negative power changed the total a little; the variance at lag 0 is the mean power.
    power = fft.irfftn(amplitude**2, s=padded)[0, 0, 0]
    inside = shaped[tuple(slice(0, n) for n in shape)]
    return np.asarray(inside * (noise.sd_hu / np.sqrt(max(float(power), 1e-6))), dtype=np.float32)
