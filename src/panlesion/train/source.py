"""Sources of segmentation samples: a rotating pool of fresh patches, or blocks cached from a folder of cases."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panlesion.data.patches import OpenBlock
from panlesion.train.augment import Augment, draw_augmentation, render_augmentation
from panlesion.train.loop import Sample
from panlesion.train.pool import Rotating


def segment_sample(
    hu: NDArray[np.int16], targets: NDArray[np.uint8], row: dict[str, Any], *, augment: Augment, size: int,
    rng: np.random.Generator, id: str,
) -> Sample:  # fmt: skip
    """A stored cube, augmented and cut to the training patch at a random offset that keeps it inside.

    `hu` (S, S, S), `targets` (G, S, S, S). The sample has `image` float32 (1, size, …) and `targets` uint8 (G, size, …).
    """
    spare = (np.asarray(hu.shape) - size) // 2
    centre = np.asarray(hu.shape) // 2 + rng.integers(-spare, spare + 1)
    drawn = draw_augmentation(augment, rng)
    i, j, k = centre.tolist()
    image, cut = render_augmentation(drawn, hu, targets, size=size, centre_ijk=(i, j, k))
    return Sample(arrays={"image": image[None], "targets": cut}, id=f"{id} {row.get('host', '')} {row.get('type', '')}")


@dataclass(frozen=True, kw_only=True, eq=False)
class PoolSource(Rotating):
    """Samples from a rotating pool."""

    size: int
    augment: Augment = field(default_factory=Augment)

    def sample(self, step: int, slot: int) -> Sample:
        opened, patch, rng, id = self.patch(step, slot)
        hu, targets = opened.read(patch)
        return segment_sample(hu, targets, opened.rows[patch], augment=self.augment, size=self.size, rng=rng, id=id)


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockSource:
    """Samples from blocks that are all there: a folder of cases, cached. Every block is drawn equally often."""

    blocks: Sequence[OpenBlock]
    seed: int
    batch: int
    size: int
    augment: Augment = field(default_factory=Augment)

    def at_step(self, step: int) -> None:
        """Nothing to do: the blocks stay."""

    def sample(self, step: int, slot: int) -> Sample:
        rng = np.random.default_rng([self.seed, step * self.batch + slot, 0x626C6F63])
        number = int(rng.integers(len(self.blocks)))
        opened = self.blocks[number]
        patch = int(rng.integers(len(opened)))
        hu, targets = opened.read(patch)
        return segment_sample(
            hu, targets, opened.rows[patch], augment=self.augment, size=self.size, rng=rng, id=f"block {number} patch {patch}"
        )
