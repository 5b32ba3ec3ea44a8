"""Numbers and seeds as records store them."""

import numpy as np


def drawn(rng: np.random.Generator, between: tuple[float, float], digits: int = 2) -> float:
    """A uniform number from a range, rounded as it is stored."""
    return round(float(rng.uniform(*between)), digits)


def draw_seed(rng: np.random.Generator) -> int:
    """An integer to store in a record, from which a noise-like field is rendered."""
    return int(rng.integers(0, 2**31))
