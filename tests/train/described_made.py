"""Maker of small described lesions, importable by the processes that make them: balls darker, like or brighter than around."""

from dataclasses import dataclass

import numpy as np

from panlesion.data.patches import Block

OFFSETS_HU = (-120, 0, 120)
RADII_VOXELS = (6, 3)
SHAPES = (0, 3)


@dataclass(frozen=True)
class BallCrops:
    """Density follows from the ball's HU, shape from its radius; heterogeneity is always unknown, and every third relation."""

    seed: int = 0
    patches: int = 6
    size_voxels: int = 24

    def make(self, index: int) -> Block:
        rng = np.random.default_rng([self.seed, index])
        away = np.linalg.norm(np.indices((self.size_voxels,) * 3).transpose(1, 2, 3, 0) - self.size_voxels // 2, axis=-1)
        hu, masks, rows = [], [], []
        for n in range(self.patches):
            density, small = int(rng.integers(3)), int(rng.integers(2))
            mask = away < RADII_VOXELS[small]
            hu.append((40 + OFFSETS_HU[density] * mask + rng.normal(0, 10, mask.shape)).astype(np.int16))
            masks.append(mask[None].astype(np.uint8))
            said = {"shape": SHAPES[small], "density": density, "heterogeneity": None, "surface": 0}
            said["invasion"] = None if n % 3 == 0 else 1
            rows.append({"type": "liver_cyst", "host": f"h{index}", "body": index, "attributes": said})
        return Block(hu=np.stack(hu), targets=np.stack(masks), rows=rows)
