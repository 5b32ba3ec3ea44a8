"""Makers of small blocks, importable by the processes that make them."""

import os
import signal
from dataclasses import dataclass

import numpy as np

from panlesion.data.patches import Block


@dataclass(frozen=True)
class NumberBlocks:
    """Blocks whose voxels are their number; number `bad` fails, number `deadly` kills its process."""

    bad: int = -1
    deadly: int = -1

    def __call__(self, index: int) -> Block:
        if index == self.bad:
            raise ValueError("no such body")
        if index == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return Block(
            hu=np.full((3, 8, 8, 8), index, dtype=np.int16),
            targets=np.zeros((3, 1, 8, 8, 8), dtype=np.uint8),
            rows=[{"n": n} for n in range(3)],
        )


@dataclass(frozen=True)
class NoiseBlocks:
    def __call__(self, index: int) -> Block:
        rng = np.random.default_rng(index)
        return Block(
            hu=rng.integers(-100, 200, (4, 24, 24, 24)).astype(np.int16),
            targets=rng.integers(0, 3, (4, 2, 24, 24, 24)).astype(np.uint8),
            rows=[{"type": f"t{n}", "host": f"h{index}"} for n in range(4)],
        )
