"""`Chance`: how often something is done and within which range, the unit every augmentation is configured in."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Chance:
    """Done with probability `p`, with a value between `low` and `high`."""

    p: float
    low: float = 0.0
    high: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise ValueError(f"p is {self.p}; a probability lies within 0 … 1")
        if not self.low <= self.high:
            raise ValueError(f"low is {self.low} and high is {self.high}; low must not exceed high")

    def draw(self, rng: np.random.Generator) -> float | None:
        """A value, or None when it is not done; takes two numbers from `rng` either way.

        So the rest of a stream stays as it is when one probability is changed, and runs can be compared.
        """
        hit, part = rng.random(2).tolist()
        return self.low + part * (self.high - self.low) if hit < self.p else None

    def draw_ratio(self, rng: np.random.Generator) -> float | None:
        """As `draw`, for factors: below and above one are equally likely, as in nnU-Net, if the range holds one."""
        hit, part = rng.random(2).tolist()
        if hit >= self.p:
            return None
        if not self.low < 1.0 < self.high:
            return self.low + part * (self.high - self.low)
        return self.low + 2 * part * (1.0 - self.low) if part < 0.5 else 1.0 + (2 * part - 1) * (self.high - 1.0)

    def draw_log(self, rng: np.random.Generator) -> float | None:
        """As `draw`, even in the logarithm: for what spans an order of magnitude."""
        hit, part = rng.random(2).tolist()
        return float(self.low * (self.high / self.low) ** part) if hit < self.p else None
