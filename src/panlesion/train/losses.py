"""What training minimises: cross-entropy and soft Dice per class group, on every decoder level."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable

from panlesion.nets.classes import LESIONS, Classes

IGNORE = 255
"""Target of voxels that no class is known of; they count in no loss."""

SMOOTH = 1.0
"""Voxels added to both sides of a Dice ratio, so that a class of few voxels does not swing it."""


Balance = Mapping[str, float]
"""Of a class group, by its name: how far rare classes weigh more in the cross-entropy; 0 where a group is not named."""

AS_PUBLISHED: Balance = MappingProxyType({})


def segmentation_loss(levels: Sequence[Tensor], targets: Tensor, classes: Classes, balance: Balance = AS_PUBLISHED) -> Tensor:
    """Dice + CE over all groups, levels weighted 1, 1/2, 1/4 … and normalised, as nnU-Net v1 and PASTA have it.

    Args:
        levels: logits (B, C, I / 2ⁿ, …) of every decoder level, finest first.
        targets: uint8 (B, G, I, J, K), one map of class indices per group, `IGNORE` where unknown.
        classes: what the C channels and G groups are.
        balance: A voxel counts in the CE by its class's share of the batch to the power of minus this: 0 as published; at
            0.5 a class of 0.25 % of the voxels has about 5 % of the weight (ours).
    """
    weights = [0.5**n for n in range(len(levels))]
    total = torch.zeros((), device=targets.device)
    for n, (logits, weight) in enumerate(zip(levels, weights, strict=True)):
        step = 2**n
        total = total + weight * level_loss(logits, targets[..., ::step, ::step, ::step], classes, balance)
    return total / sum(weights)


def level_loss(logits: Tensor, targets: Tensor, classes: Classes, balance: Balance = AS_PUBLISHED) -> Tensor:
    """Dice + CE of one level, the mean over class groups."""
    parts = torch.split(logits, [len(group.classes) for group in classes.groups], dim=1)
    losses = [
        group_loss(part, targets[:, n], any_foreground=group.name == LESIONS, balance=balance.get(group.name, 0.0))
        for n, (part, group) in enumerate(zip(parts, classes.groups, strict=True))
    ]
    return torch.stack(losses).mean()


def group_loss(logits: Tensor, target: Tensor, *, any_foreground: bool, balance: float = 0.0) -> Tensor:
    """CE plus one minus the mean soft Dice of the foreground classes present in the batch.

    Absent classes are left to the cross-entropy: their Dice is 0 however few voxels they get. With `any_foreground` the
    union of all foreground classes is one more Dice term, so that finding a lesion counts apart from naming it (ours).
    """
    with torch.autocast(logits.device.type, enabled=False):
        loss: Tensor = _GroupLoss.apply(logits, target, any_foreground, balance)  # type: ignore[no-untyped-call]
    return loss


def _add_up(sums: Tensor) -> int:
    """Add up a tensor over all training processes, in place; returns how many there are."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return 1
    distributed.all_reduce(sums)
    return distributed.get_world_size()


class _GroupLoss(torch.autograd.Function):
    """`group_loss` with its gradient written out.

    Left to autograd, the mask, product and zero-filled slice of every class's Dice were 30 % of a training step on a CPU.
    Per-class sums come from one product with the softmax, and so does the gradient: with p the softmax, t the target,
    k known voxels, O, M, N a class's overlap, probability mass and voxels, Dice D = (2 O + s) / (M + N + s), w one over the
    number of Dice terms, the loss changes with p_c by q_c = k w (D_c - 2 [t = c]) / (M_c + N_c + s), and with the logits by
    p_c (q_c - Σ_j p_j q_j) beside the cross-entropy's v (p_c - [t = c]), v the voxel's share of its weight.

    Of several processes each has a part of the batch. The sums are those of the whole batch, so that the loss does not
    depend on how many there are; its gradient is times their number, since it is averaged over them afterwards.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, target: Tensor, any_foreground: bool, balance: float) -> Tensor:
        classes = logits.shape[1]
        logp = logits.float().flatten(2).log_softmax(1)
        target = target.flatten(1)[:, None]
        known = target != IGNORE
        index = torch.where(known, target, torch.zeros_like(target)).long()
        weight = known.float()
        own = logp.gather(1, index)
        # Counted in float64: float32 adds up half a million voxels one by one to four digits only.
        flat, counts = index.flatten(), weight.flatten().double()
        voxels = torch.bincount(flat, counts, classes)
        surprise = torch.bincount(flat, -own.flatten() * counts, classes)
        p, own = logp.exp_(), own.exp_().mul_(weight)
        overlap = torch.bincount(flat, own.flatten().double(), classes)
        mass = torch.matmul(p, weight.transpose(1, 2)).sum(0)[:, 0]
        found = ((1 - p[:, :1]) * (weight * (index > 0))).sum()
        sums = torch.cat([voxels, surprise, overlap, mass.double(), found.double()[None]])
        ctx.world = _add_up(sums)
        voxels, surprise, overlap, mass = sums[:-1].float().view(4, classes).unbind()
        found, n_known = sums[-1].float(), voxels.sum()
        rarity = torch.where(voxels > 0, voxels / n_known.clamp(min=1), 1.0) ** -balance
        share_of_ce = rarity / (rarity * voxels).sum().clamp(min=1)
        ce = (share_of_ce * surprise).sum()
        share_of_ce = share_of_ce[index] * weight
        present = (voxels > 0).float()
        present[0] = 0
        bottom = mass + voxels + SMOOTH
        dice = present * (2 * overlap + SMOOTH) / bottom
        total, terms = dice.sum(), present.sum()
        everywhere, at_own = dice / bottom, -2 * present / bottom
        at_foreground = torch.zeros_like(total)
        if any_foreground:
            some = (terms > 0).float()
            bottom = n_known - mass[0] + voxels[1:].sum() + SMOOTH
            union = some * (2 * found + SMOOTH) / bottom
            total, terms = total + union, terms + some
            everywhere[0] -= union / bottom  # the union's probability is 1 - p_0, hence the other sign
            at_foreground = 2 * some / bottom
        share = 1 / terms.clamp(min=1)
        ctx.save_for_backward(p, own, index, weight, share_of_ce, share * everywhere, share * at_own, share * at_foreground)
        ctx.like = logits.shape, logits.dtype
        return ce + (terms > 0) * (1 - share * total)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        p, own, index, weight, share_of_ce, everywhere, at_own, at_foreground = ctx.saved_tensors
        shape, dtype = ctx.like
        background = at_foreground * (index > 0) * p[:, :1]
        target = at_own[index] * own
        mean = torch.matmul(everywhere, p)[:, None] + target + background  # Σ_j p_j q_j
        out = (everywhere[:, None] - mean).mul_(weight).add_(share_of_ce).mul_(p)
        out.scatter_add_(1, index, target - share_of_ce)
        out[:, :1] += background * weight
        return out.mul_(gradient * ctx.world).to(dtype).view(shape), None, None, None
