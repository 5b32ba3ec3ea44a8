"""A share of independent trials with its interval."""

from panlesion.measure.resampling import Interval

_Z = 1.959963984540054


def wilson(successes: int, n: int) -> Interval:
    """Share with its 95 % Wilson score interval (Wilson 1927), which stays honest where all or none of few succeed.

    A bootstrap of four hits in four says 1 to 1.

    Raises:
        ValueError: No trial, or more successes than trials.
    """
    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes in {n} trials; there must be at least one trial, and no more successes")
    p = successes / n
    middle = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * (p * (1 - p) / n + _Z**2 / (4 * n**2)) ** 0.5
    # At 0 and n an end is exact; rounding must not put the share outside its interval.
    return Interval(mean=p, low=min(p, middle - half), high=max(p, middle + half), n=n)
