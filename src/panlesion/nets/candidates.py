"""Is a part that the network marks a lesion? Every part is looked at again, by a head on what the network sees there (ours).

Segmentation answers voxel by voxel, and a scan has a million of them, so some part is always marked. A second look at whole
parts is how detectors in CT have long kept false positives down (LUNA16, Setio et al. 2017).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.volume import Box, Volume
from panlesion.nets.heads import DETECTION_HEAD, Head
from panlesion.nets.look import Look
from panlesion.nets.model import Model
from panlesion.nets.sliding import check_standard, network_input

BATCH = 8
LEAST_VOXELS = 3
"""Smaller parts are not looked at: a third of all that is marked, and no form or surroundings to speak of (ours)."""


def detection_look(model: Model) -> Look | None:
    """How the model's detection head looks at a candidate; None without such a head."""
    head = dict(model.heads.items()).get(DETECTION_HEAD)
    return head.look if isinstance(head, Head) and head[-1].out_features == 1 else None


def looked_at(labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """The numbers of those parts (I, J, K), 1 … N, that have `LEAST_VOXELS`."""
    return np.flatnonzero(np.bincount(labels[labels > 0], minlength=1) >= LEAST_VOXELS)


def candidate_vectors(model: Model, ct: Volume, labels: NDArray[np.int32], look: Look) -> NDArray[np.float32]:
    """What a head reads of the parts that are `looked_at`, (N, F); in bfloat16, as scans are predicted.

    Args:
        model: Where it is.
        ct: On the model's grid, which must be the look's.
        labels: (I, J, K) on the CT's grid, parts from 1 on.
        look: Crop and blocks of the vector.

    Raises:
        GeometryError: The CT is on another grid.
        ValueError: The look has another spacing than the model.
    """
    check_standard(ct, model.info.spacing_mm)
    if look.spacing_mm != model.info.spacing_mm:
        raise ValueError(
            f"the look is at {look.spacing_mm:g} mm, the model at {model.info.spacing_mm:g} mm; they must be equal"
        )
    device = next(model.parameters()).device
    parts, boxes = looked_at(labels).tolist(), ndimage.find_objects(labels)
    found = [np.zeros((0, look.size(model.preset)), dtype=np.float32)]
    for begin in range(0, len(parts), BATCH):
        crops = np.stack([_crop(model, ct, labels, n, boxes[n - 1], look) for n in parts[begin : begin + BATCH]])
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16):
            found.append(look.vector(model.unet, torch.from_numpy(crops).to(device)).float().cpu().numpy())
    return np.concatenate(found)


def candidate_probabilities(model: Model, ct: Volume, labels: NDArray[np.int32]) -> NDArray[np.float64] | None:
    """Probability that each numbered part is a lesion, (N,), 0 where it is too small; None without a detection head.

    Raises:
        GeometryError: The CT is on another grid than the model's.
    """
    look = detection_look(model)
    if look is None:
        return None
    found = np.zeros(int(labels.max(initial=0)))
    vectors = torch.from_numpy(candidate_vectors(model, ct, labels, look))
    with torch.inference_mode():
        logits = model.heads[DETECTION_HEAD](vectors.to(next(model.parameters()).device))[:, 0]
        found[looked_at(labels) - 1] = logits.double().sigmoid().cpu().numpy()
    return found


def _crop(
    model: Model, ct: Volume, labels: NDArray[np.int32], part: int, where: tuple[slice, ...], look: Look
) -> NDArray[np.float32]:
    """The CT after the intensity map and the part's mask (2, S, S, S) around the middle of the part's box."""
    i, j, k = ((one.start + one.stop) // 2 for one in where)
    cube = Box.cube((i, j, k), look.crop_voxels)
    mask = np.zeros(cube.shape, dtype=np.float32)
    into, of = cube.shared(Box(start=(0, 0, 0), stop=ct.grid.shape))
    mask[into] = labels[of] == part
    return np.stack([network_input(ct.crop(cube).hu, model.intensity), mask])
