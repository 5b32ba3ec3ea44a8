"""Offsets of a trained network's logits, fitted on drawn bodies that training never saw.

Training weighs rare classes more, or it never finds them; the price is logits that favour them, and so too much is marked.
Theory says by how much (Menon et al. 2021, logit adjustment), for a network that has learned all there is; ours has not, and
the best offset differs by class (docs/experiments.md). So each is fitted for the Dice that it is there to serve (ours).
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from panlesion.data.patches import Block
from panlesion.nets.model import Model
from panlesion.nets.sliding import network_input
from panlesion.train.losses import IGNORE

FIRST_BLOCK, BLOCKS = 10**9, 8
"""Numbers of the blocks to fit on: far beyond what any run trains on, and how many (ours)."""

CANDIDATES = np.arange(-6.0, 1.01, 0.25)
PASSES = 3
THINNED = 2
"""Every second voxel along each axis: neighbours say much the same."""

Progress = Callable[[int, int], None]


def fit_offsets(model: Model, blocks: Iterable[Block], *, progress: Progress | None = None) -> tuple[float, ...]:
    """One offset for each channel that makes the mean Dice of the classes that occur largest; 0 for those that do not.

    Args:
        model: Its own offsets, if it has any, are left out of account.
        blocks: Patches not used in training, at least as large as the model's window.
        progress: Called with patches done and patches of the blocks so far.
    """
    groups = model.classes.groups
    logits: list[list[NDArray[np.float32]]] = [[] for _ in groups]
    targets: list[list[NDArray[np.uint8]]] = [[] for _ in groups]
    done = seen = 0
    for block in blocks:
        seen += len(block.hu)
        for hu, target in zip(block.hu, block.targets, strict=True):
            start = (len(hu) - model.info.patch_voxels) // 2
            middle = (slice(start, start + model.info.patch_voxels),) * 3
            ours = _logits(model, hu[middle])
            for n, group in enumerate(groups):
                truth = target[n][middle][::THINNED, ::THINNED, ::THINNED].ravel()
                known = truth != IGNORE
                logits[n].append(ours[model.classes.channels(group.name)][:, known])
                targets[n].append(truth[known])
            done += 1
            if progress is not None:
                progress(done, seen)
    fitted = [offsets_of(np.concatenate(y, 1), np.concatenate(t)) for y, t in zip(logits, targets, strict=True)]
    return tuple(np.concatenate(fitted).tolist())


def offsets_of(logits: NDArray[np.float32], target: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Offsets (C,) of logits (C, N) by coordinate ascent of the mean Dice of foreground classes in `target` (N,)."""
    classes = len(logits)
    voxels = np.bincount(target, minlength=classes)
    present = [c for c in range(1, classes) if voxels[c]]
    offsets = np.zeros(classes)
    for _ in range(PASSES):
        before = offsets.copy()
        for c in present:
            others = logits + offsets[:, None].astype(np.float32)
            others[c] = -np.inf
            rival = others.argmax(0).astype(np.uint8)
            ahead = logits[c] - others.max(0)
            # The offset there is comes first, so that one as good does not replace it.
            tries = np.concatenate([[offsets[c]], CANDIDATES])
            scores = [_mean_dice(np.where(ahead + one > 0, np.uint8(c), rival), target, voxels, present) for one in tries]
            offsets[c] = tries[int(np.argmax(scores))]
        if np.array_equal(before, offsets):
            break
    return offsets


def _mean_dice(found: NDArray[np.uint8], target: NDArray[np.uint8], voxels: NDArray[np.int64], present: list[int]) -> float:
    marked = np.bincount(found, minlength=len(voxels))
    overlap = np.bincount(found[found == target], minlength=len(voxels))
    return float(np.mean(2 * overlap[present] / (marked + voxels)[present]))


def _logits(model: Model, hu: NDArray[np.int16]) -> NDArray[np.float32]:
    """Thinned logits (C, N) of a window of HU (S, S, S), without the model's offsets."""
    device = next(model.parameters()).device
    x = torch.from_numpy(network_input(hu, model.intensity))[None, None].to(device)
    with torch.no_grad(), torch.autocast(device.type, dtype=torch.bfloat16):
        y = model.unet(x)[0, :, ::THINNED, ::THINNED, ::THINNED]
    out: NDArray[np.float32] = y.flatten(1).float().cpu().numpy()
    return out
