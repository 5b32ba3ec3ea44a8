"""What training minimises: cross-entropy and soft Dice per class group, on every decoder level."""

from collections.abc import Sequence

import torch
from torch import Tensor

from panlesion.nets.classes import LESIONS, Classes

IGNORE = 255
"""Target of voxels that no class is known of; they count in no loss."""

SMOOTH = 1.0
"""Voxels added to both sides of a Dice ratio, so that a class of few voxels does not swing it."""


def segmentation_loss(levels: Sequence[Tensor], targets: Tensor, classes: Classes) -> Tensor:
    """Dice + CE over all groups, levels weighted 1, 1/2, 1/4 … and normalised, as nnU-Net v1 and PASTA have it.

    Args:
        levels: logits (B, C, I / 2ⁿ, …) of every decoder level, finest first.
        targets: uint8 (B, G, I, J, K), one map of class indices per group, `IGNORE` where unknown.
        classes: what the C channels and G groups are.
    """
    weights = [0.5**n for n in range(len(levels))]
    total = torch.zeros((), device=targets.device)
    for n, (logits, weight) in enumerate(zip(levels, weights, strict=True)):
        step = 2**n
        total = total + weight * level_loss(logits.float(), targets[..., ::step, ::step, ::step], classes)
    return total / sum(weights)


def level_loss(logits: Tensor, targets: Tensor, classes: Classes) -> Tensor:
    """Dice + CE of one level, the mean over class groups."""
    losses = [
        group_loss(logits[:, classes.channels(group.name)], targets[:, n], any_foreground=group.name == LESIONS)
        for n, group in enumerate(classes.groups)
    ]
    return torch.stack(losses).mean()


def group_loss(logits: Tensor, target: Tensor, *, any_foreground: bool) -> Tensor:
    """CE plus one minus the mean soft Dice of the foreground classes present in the batch.

    Absent classes are left to the cross-entropy: their Dice is 0 however few voxels they get. With `any_foreground` the
    union of all foreground classes is one more Dice term, so that finding a lesion counts apart from naming it (ours).
    """
    known = target != IGNORE
    index = torch.where(known, target, torch.zeros_like(target)).long()
    # Log-probabilities of the classes that count only: a softmax over all channels would be a third of a training step.
    log_z = torch.logsumexp(logits, dim=1)
    ce = log_z - logits.gather(1, index[:, None])[:, 0]
    ce = (ce * known).sum() / known.sum().clamp(min=1)
    present = [c for c in range(1, logits.shape[1]) if bool(((index == c) & known).any())]
    dice = [soft_dice((logits[:, c] - log_z).exp() * known, (index == c) & known) for c in present]
    if any_foreground and present:
        dice.append(soft_dice((1 - (logits[:, 0] - log_z).exp()) * known, (index > 0) & known))
    return ce + (1 - torch.stack(dice).mean() if dice else ce.new_zeros(()))


def soft_dice(p: Tensor, truth: Tensor) -> Tensor:
    """Soft Dice of a probability map and a mask over the whole batch."""
    overlap = (p * truth).sum()
    return (2 * overlap + SMOOTH) / (p.sum() + truth.sum() + SMOOTH)
