"""Patches of healthy CTs, noised by a drawn time: what the refiner is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.errors import TrainingError
from panlesion.nets.diffusion import noised, velocity
from panlesion.nets.refiner import RefinerInfo, centre_of, to_refiner
from panlesion.train.loop import Sample

SOFT_HU = (-160.0, 300.0)
LUNG_HU = (-930.0, -500.0)
SOFT_SHARE = 0.85
"""Patches are centred on soft tissue, the rest on lung, where there is any: where lesions and their margins are (ours)."""
CENTRE_SD_HU = 40.0
"""The map's centre is shifted by this: a lesion is not what lies around it (ours)."""
SHORTEST_T = 0.01
COARSE = 4
FEWEST_CENTRES = 50


@dataclass(frozen=True, kw_only=True, eq=False)
class HealthyCT:
    """A CT at the refiner's spacing on disk: HU int16 (I, J, K) in an `.npy` file that is read in parts."""

    id: str
    path: Path

    @cached_property
    def hu(self) -> NDArray[np.int16]:
        """The voxels, mapped into memory.

        Raises:
            TrainingError: The file is missing or damaged.
        """
        try:
            return np.asanyarray(np.load(self.path, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError, EOFError) as error:
            raise TrainingError(f"{self.path} cannot be read ({error}); remove it and run again") from error

    @cached_property
    def centres(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Voxels (N, 3) patches are cut around: of soft tissue, and of lung (or of soft tissue again)."""
        coarse = ndimage.uniform_filter(self.hu[::COARSE, ::COARSE, ::COARSE].astype(np.float32), 3)
        soft, lung = (COARSE * np.argwhere((coarse > low) & (coarse < high)) for low, high in (SOFT_HU, LUNG_HU))
        if len(soft) < FEWEST_CENTRES:
            raise TrainingError(
                f"{self.id} holds hardly any soft tissue ({len(soft)} blocks of {COARSE}³ voxels); "
                "a host shows a body: leave it out"
            )
        return soft, lung if len(lung) >= FEWEST_CENTRES else soft


@dataclass(frozen=True, kw_only=True, eq=False)
class HealthySource:
    """Noised patches of healthy CTs; which one a (step, slot) gets depends on the seed alone. Every CT comes equally often."""

    cts: Sequence[HealthyCT]
    info: RefinerInfo
    seed: int
    batch: int

    def at_step(self, step: int) -> None:
        """Nothing to do: the CTs stay."""

    def sample(self, step: int, slot: int) -> Sample:
        rng = np.random.default_rng([self.seed, step * self.batch + slot, 0x64656E6F])
        ct = self.cts[int(rng.integers(len(self.cts)))]
        size = self.info.patch_voxels
        centres = ct.centres[0 if rng.random() < SOFT_SHARE else 1]
        spread = size // 4
        middle = centres[int(rng.integers(len(centres)))] + rng.integers(-spread, spread + 1, 3)
        hu = turned(cut(ct.hu, middle, size), rng)
        # Seen from the tissue in the middle of the patch, as a lesion is seen from its own.
        half, near = size // 2, size // 8
        core = hu[half - near : half + near, half - near : half + near, half - near : half + near]
        centre_hu = centre_of(float(np.median(core)) + float(rng.normal(0, CENTRE_SD_HU)))
        image = to_refiner(hu, centre_hu, self.info.scale_hu)
        t = float(rng.uniform(SHORTEST_T, self.info.longest_t))
        noise = rng.standard_normal(image.shape, dtype=np.float32)
        x = noised(image, noise, t).astype(np.float32)
        both = np.stack([x, np.full_like(x, t)])
        return Sample(arrays={"image": both, "velocity": velocity(image, noise, t).astype(np.float32)[None]}, id=ct.id)


def cut(hu: NDArray[np.int16], middle: NDArray, size: int) -> NDArray[np.int16]:
    """A cube of `size` voxels around a voxel, moved inside; CTs smaller than it go on as they are at their border."""
    first = [int(np.clip(m - size // 2, 0, max(n - size, 0))) for m, n in zip(middle, hu.shape, strict=True)]
    part = hu[tuple(slice(a, a + size) for a in first)]
    return np.pad(part, [(0, size - n) for n in part.shape], mode="edge")


def turned(hu: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.int16]:
    """Mirrored along each axis and with its in-plane axes exchanged, each in half of all draws: noise looks the same then."""
    flips = rng.random(4) < 0.5
    for axis in range(3):
        hu = np.flip(hu, axis) if flips[axis] else hu
    return np.swapaxes(hu, 0, 1) if flips[3] else hu
