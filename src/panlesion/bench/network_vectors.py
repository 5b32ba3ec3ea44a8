"""What a frozen network makes of one lesion: the mean over a crop around it, and what its attribute head reads at it."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from panlesion.ct.volume import LabelMap, Volume
from panlesion.nets.attributes import lesion_crop, look_of
from panlesion.nets.model import Model
from panlesion.nets.sliding import network_input
from panlesion.nets.vectors import lesion_vectors

CROP, LOOK = "crop", "look"


def network_vectors(model: Model, ct: Volume, lesion: LabelMap, *, crop_voxels: int | None = None) -> dict[str, list[float]]:
    """Both vectors of the mask's largest part (crop) and of the whole mask (look), as JSON keeps them.

    Raises:
        CheckpointError: The model has no attribute head.
        OrganMapError: The mask is empty or not on the CT's grid.
    """
    look = look_of(model)
    crop = lesion_vectors(model, ct, lesion, crop_voxels=crop_voxels)[0].vector
    hu, mask = lesion_crop(ct, lesion.labels > 0, look)
    x = torch.from_numpy(np.stack([network_input(hu, model.intensity), mask])[None])
    with torch.inference_mode():
        at = look.vector(model.unet, x.to(next(model.parameters()).device))[0].float().cpu().numpy()
    return {CROP: [float(f"{value:.7g}") for value in crop], LOOK: [float(f"{value:.7g}") for value in at]}


def vector_columns(vectors: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, NDArray[np.float64]]:
    """A column (N,) for each number of the vectors, named `crop 0`, `look 0` and so on."""
    found = {}
    for kind in (CROP, LOOK):
        table = np.array([one[kind] for one in vectors], dtype=np.float64)
        found.update({f"{kind} {n}": table[:, n] for n in range(table.shape[1])})
    return found


def named(columns: Mapping[str, NDArray], kind: str) -> tuple[str, ...]:
    """Names of the columns of one kind, in their order."""
    return tuple(name for name in columns if name.startswith(f"{kind} "))
