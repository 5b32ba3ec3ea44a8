"""The noise schedule of denoising diffusion and its deterministic step; no network here."""

import math
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Field = TypeVar("Field", NDArray[np.float32], Tensor)


def alpha_sigma(t: float) -> tuple[float, float]:
    """Shares of image and of noise at time t in 0 … 1: the cosine schedule (Nichol & Dhariwal 2021)."""
    return math.cos(0.5 * math.pi * t), math.sin(0.5 * math.pi * t)


def noised(image: Field, noise: Field, t: float) -> Field:
    """What diffusion makes of an image at time t."""
    alpha, sigma = alpha_sigma(t)
    return alpha * image + sigma * noise


def velocity(image: Field, noise: Field, t: float) -> Field:
    """What the network predicts: v = α · noise − σ · image (Salimans & Ho 2022)."""
    alpha, sigma = alpha_sigma(t)
    return alpha * noise - sigma * image


def ddim_step(x: Field, v: Field, t: float, to: float) -> Field:
    """The deterministic step from time t to an earlier one (Song et al. 2021), from a predicted velocity."""
    alpha, sigma = alpha_sigma(t)
    return noised(alpha * x - sigma * v, sigma * x + alpha * v, to)


def times(strength: float, steps: int) -> list[float]:
    """From `strength` down to 0 in equal steps, both ends included."""
    if not 0 < strength <= 1 or steps < 1:
        raise ValueError(f"strength is {strength}, steps {steps}; strength lies within 0 … 1, steps are at least 1")
    return [strength * (1 - n / steps) for n in range(steps + 1)]
