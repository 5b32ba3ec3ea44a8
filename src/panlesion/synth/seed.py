"""Seeds and generators: how randomness is handed down."""

import numpy as np


def drawn(rng: np.random.Generator, between: tuple[float, float], digits: int = 2) -> float:
    """A uniform number from a range, rounded as it is stored."""
    return round(float(rng.uniform(*between)), digits)


def draw_seed(rng: np.random.Generator) -> int:
    """An integer to store in a record, from which a noise-like field is rendered."""
    return int(rng.integers(0, 2**31))


def case_rng(cohort_seed: int, *key: int) -> np.random.Generator:
    """The generator of one case: depends on the cohort's seed and the case's own key, not on workers or order."""
    return np.random.default_rng(np.random.SeedSequence(entropy=cohort_seed, spawn_key=key))
