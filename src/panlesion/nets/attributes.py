"""The report attributes of one lesion, read by a model's attribute head."""

import numpy as np
import torch
from numpy.typing import NDArray

from panlesion.ct.standardise import standardise
from panlesion.ct.volume import Box, Volume
from panlesion.errors import CheckpointError, OrganMapError
from panlesion.nets.heads import ATTRIBUTE_HEAD, ATTRIBUTES, Head, split_attributes
from panlesion.nets.look import Look, Pooling
from panlesion.nets.model import Model
from panlesion.nets.sliding import network_input

_FULL = 1000
_AROUND_MM = 4.0


def describe_lesion(model: Model, ct: Volume, lesion: NDArray[np.bool_]) -> dict[str, NDArray[np.float32]]:
    """Probabilities of every class of every attribute, in the order of `lesion.vocabulary`.

    Args:
        model: With an attribute head, as stage II leaves it.
        ct: On any grid.
        lesion: bool (I, J, K) on the CT's grid, one lesion.

    Raises:
        CheckpointError: The model has no attribute head.
        OrganMapError: The mask is empty or of another shape than the CT.
    """
    look = look_of(model)
    hu, mask = lesion_crop(ct, lesion, look)
    x = np.stack([network_input(hu, model.intensity), mask])[None]
    device = next(model.parameters()).device
    with torch.inference_mode():
        logits = attribute_logits(model, torch.from_numpy(x).to(device))
        return {name: part.softmax(dim=1)[0].cpu().numpy() for name, part in split_attributes(logits).items()}


def attribute_logits(model: Model, x: torch.Tensor) -> torch.Tensor:
    """Logits (B, 13) of crops (B, 2, I, J, K): the CT after the intensity map, and the lesion's mask."""
    look = look_of(model)
    logits: torch.Tensor = model.heads[ATTRIBUTE_HEAD](look.vector(model.unet, x)).float()
    return logits


def look_of(model: Model) -> Look:
    """How the model's attribute head looks at a lesion; a plain head reads the mean over the model's own patch.

    Raises:
        CheckpointError: The model has no attribute head.
    """
    head = dict(model.heads.items()).get(ATTRIBUTE_HEAD)
    if not isinstance(head, Head) or head[-1].out_features != sum(ATTRIBUTES.values()):
        names = ", ".join(model.heads) or "none"
        raise CheckpointError(
            f"the model has no head {ATTRIBUTE_HEAD!r} (it has: {names}); "
            "train one with `panlesion pretrain --stage 2 --start-from CHECKPOINT RUN`"
        )
    return head.look or Look(spacing_mm=model.info.spacing_mm, crop_voxels=model.info.patch_voxels, pooling=(Pooling.CROP,))


def lesion_crop(ct: Volume, lesion: NDArray[np.bool_], look: Look) -> tuple[NDArray[np.int16], NDArray[np.float32]]:
    """HU (S, S, S) and the lesion's share of each voxel (S, S, S) around the middle of its box, at the look's spacing.

    Shares, not labels: a lesion smaller than a voxel would be voted away. Outside the CT lies air.

    Raises:
        OrganMapError: The mask is empty or of another shape than the CT.
    """
    if lesion.shape != ct.grid.shape:
        raise OrganMapError(f"the lesion's mask has shape {lesion.shape}, its CT {ct.grid.shape}; give it on the CT's grid")
    box = Box.of(lesion)
    if box.empty:
        raise OrganMapError("the lesion's mask is empty; there is nothing to describe")
    middle = [(a + b - 1) / 2 for a, b in zip(box.start, box.stop, strict=True)]
    reach_mm = look.crop_voxels * look.spacing_mm / 2 + _AROUND_MM + 2 * look.spacing_mm
    spans = [int(np.ceil(reach_mm / mm)) for mm in ct.grid.spacing_mm]
    start = [int(np.floor(m)) - n for m, n in zip(middle, spans, strict=True)]
    stop = [int(np.ceil(m)) + n + 1 for m, n in zip(middle, spans, strict=True)]
    near = Box(start=(start[0], start[1], start[2]), stop=(stop[0], stop[1], stop[2])).clipped(ct.grid.shape)
    part = ct.crop(near)
    full = Volume(hu=lesion[near.slices].astype(np.int16) * np.int16(_FULL), grid=part.grid)
    standard, share = standardise(part, look.spacing_mm), standardise(full, look.spacing_mm)
    i, j, k = np.rint(standard.grid.to_ijk(ct.grid.to_xyz(np.array(middle)))).astype(int).tolist()
    cube = Box.cube((i, j, k), look.crop_voxels)
    # `Volume.crop` pads with air, which in a share means no lesion.
    return standard.crop(cube).hu, share.crop(cube).hu.clip(0, _FULL).astype(np.float32) / np.float32(_FULL)
