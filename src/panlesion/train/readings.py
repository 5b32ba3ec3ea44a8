"""Samples for stage II: crops of lesions with what their reports say, or the vectors a frozen encoder makes of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.data.patches import OpenBlock
from panlesion.nets.attributes import look_of
from panlesion.nets.heads import ATTRIBUTES
from panlesion.nets.look import Look
from panlesion.nets.model import Model
from panlesion.train.augment import Augment, draw_augmentation, render_augmentation
from panlesion.train.chance import Chance
from panlesion.train.loop import Sample
from panlesion.train.pool import Rotating
from panlesion.train.randomise import HostRange
from panlesion.train.tasks.describe import UNKNOWN
from panlesion.train.tone import ToneRange
from panlesion.train.warp import WarpRange

SHIFT_VOXELS = 3
FEWEST_VOXELS = 8
MASK_ERROR = 0.5
"""Share of views whose mask is one voxel too large or too small: nobody's mask of a real lesion is the true one. Ours."""

_NEVER = Chance(p=0.0)


def reading_augment() -> Augment:
    """Changes that leave every reading true: turns, mirrors, calibration and a little noise. Ours.

    Softer kernels, thick slices and scale change what a margin, a texture or a size is; the scanners that hosts are drawn with
    vary them, before the voxels are measured.
    """
    host = dict.fromkeys(HostRange.__dataclass_fields__, _NEVER) | {
        "offset_hu": Chance(p=0.3, low=-12.0, high=12.0),
        "noise_hu": Chance(p=0.2, low=2.0, high=6.0),
    }
    return Augment(
        warp=WarpRange(rotation_deg=Chance(p=0.3, low=-30.0, high=30.0), scale=_NEVER),
        host=HostRange(**host),
        tone=ToneRange(**dict.fromkeys(ToneRange.__dataclass_fields__, _NEVER)),
    )


def labels_of(row: dict[str, Any]) -> NDArray[np.int64]:
    """Class indices (5,) of a row of `synth.lesion_crops`, or `UNKNOWN`."""
    said = row["attributes"]
    return np.array([UNKNOWN if said[name] is None else said[name] for name in ATTRIBUTES], dtype=np.int64)


def plain_view(hu: NDArray[np.int16], mask: NDArray[np.uint8], look: Look) -> NDArray[np.float32]:
    """The middle of a stored cube as the head gets it, (2, S, S, S)."""
    return _view(hu, mask, look, Augment.none(), None)


def drawn_view(
    hu: NDArray[np.int16], mask: NDArray[np.uint8], look: Look, augment: Augment, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A stored cube augmented, a little off its middle and with the mask of a less careful reader, (2, S, S, S)."""
    return _view(hu, mask, look, augment, rng)


def _view(
    hu: NDArray[np.int16], mask: NDArray[np.uint8], look: Look, augment: Augment, rng: np.random.Generator | None
) -> NDArray[np.float32]:
    drawing = rng if rng is not None else np.random.default_rng(0)
    size = look.crop_voxels
    room = np.minimum(SHIFT_VOXELS if rng is not None else 0, (np.asarray(hu.shape) - size) // 2)
    i, j, k = (np.asarray(hu.shape) // 2 + drawing.integers(-room, room + 1)).tolist()
    drawn = draw_augmentation(augment, drawing)
    image, cut = render_augmentation(drawn, hu, mask[None], size=size, centre_ijk=(i, j, k))
    lesion = cut[0] == 1
    if rng is not None and rng.random() < MASK_ERROR:
        lesion = misdrawn(lesion, larger=bool(rng.random() < 0.5))
    return np.stack([image, lesion.astype(np.float32)])


def misdrawn(lesion: NDArray[np.bool_], *, larger: bool) -> NDArray[np.bool_]:
    """The mask one voxel larger or smaller; as it is where it would all but vanish."""
    if larger:
        return ndimage.binary_dilation(lesion)
    smaller = ndimage.binary_erosion(lesion)
    return smaller if np.count_nonzero(smaller) >= FEWEST_VOXELS else lesion


@dataclass(frozen=True, kw_only=True, eq=False)
class CropSource(Rotating):
    """Fresh crops from a rotating pool of `synth.lesion_crops`, for GPUs: the encoder sees each one anew."""

    look: Look
    augment: Augment = field(default_factory=reading_augment)

    def sample(self, step: int, slot: int) -> Sample:
        opened, patch, rng, id = self.patch(step, slot)
        hu, targets = opened.read(patch)
        view, row = drawn_view(hu, targets[0], self.look, self.augment, rng), opened.rows[patch]
        return Sample(arrays={"image": view, "attributes": labels_of(row)}, id=f"{id} {row['host']} {row['type']}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Vectors:
    """What a frozen encoder makes of lesions: `vectors` float32 (N, V, F), V views of each, and `labels` int64 (N, 5)."""

    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: Sequence["Vectors"]) -> "Vectors":
        """One after another."""
        return cls(
            vectors=np.concatenate([part.vectors for part in parts]), labels=np.concatenate([part.labels for part in parts])
        )


def gather(
    model: Model, block: OpenBlock, *, views: int = 1, augment: Augment | None = None, seed: Sequence[int] = (0,)
) -> Vectors:
    """The vectors of a block's lesions; the first view of each is plain, the others are drawn from (seed, lesion, view)."""
    look, augment = look_of(model), augment or reading_augment()
    device = next(model.parameters()).device
    found, labels = [], []
    for n, row in enumerate(block.rows):
        hu, targets = block.read(n)
        drawn = [
            drawn_view(hu, targets[0], look, augment, np.random.default_rng([*seed, n, view, 0x76696577]))
            for view in range(1, views)
        ]
        x = torch.from_numpy(np.stack([plain_view(hu, targets[0], look), *drawn])).to(device)
        with torch.inference_mode():
            found.append(look.vector(model.unet, x).float().cpu().numpy())
        labels.append(labels_of(row))
    return Vectors(vectors=np.stack(found), labels=np.stack(labels))


@dataclass(frozen=True, kw_only=True, eq=False)
class VectorSource:
    """Samples of gathered vectors: which lesion and view a (step, slot) gets depends on the seed alone."""

    data: Vectors
    seed: int
    batch: int

    def at_step(self, step: int) -> None:
        """Nothing to do: the vectors are in memory."""

    def sample(self, step: int, slot: int) -> Sample:
        rng = np.random.default_rng([self.seed, step * self.batch + slot, 0x766563])
        n, view = (int(rng.integers(size)) for size in self.data.vectors.shape[:2])
        return Sample(
            arrays={"image": self.data.vectors[n, view], "attributes": self.data.labels[n]}, id=f"lesion {n} view {view}"
        )
