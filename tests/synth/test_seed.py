"""Randomness depends on the cohort's seed and the case's key alone."""

import numpy as np

from panlesion.synth.seed import draw_seed, drawn


def test_drawn_numbers_lie_in_their_range_and_are_rounded_as_stored() -> None:
    rng = np.random.default_rng(0)
    values = [drawn(rng, (2.0, 5.0)) for _ in range(200)]
    assert all(2.0 <= value <= 5.0 and value == round(value, 2) for value in values)
    assert np.ptp(values) > 2.5


def test_seeds_are_plain_integers_that_fit_31_bits() -> None:
    rng = np.random.default_rng(1)
    seeds = [draw_seed(rng) for _ in range(200)]
    assert all(type(seed) is int and 0 <= seed < 2**31 for seed in seeds)
    assert len(set(seeds)) == 200
