"""Report attributes of lesions: stage II, where the U-Net is frozen and one head learns, and real lesions."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from panlesion.nets.heads import ATTRIBUTE_HEAD, ATTRIBUTES, split_attributes
from panlesion.nets.model import Model
from panlesion.train.tasks._answering import Answering

UNKNOWN = -1
"""Label of an attribute that a lesion does not have or nobody knows; it counts in no loss and no score."""


@dataclass(frozen=True, kw_only=True)
class Describe:
    """Batches hold `image`, see `Answering`, and `attributes` int64 (B, 5), class indices or `UNKNOWN`.

    `weights` are those of the classes of every attribute; None gives all the same, as published.
    """

    weights: tuple[tuple[float, ...], ...] | None = None
    moving: bool = False

    def network(self, model: Model) -> nn.Module:
        return Answering(model, ATTRIBUTE_HEAD, moving=self.moving)

    def loss(self, output: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """The mean of the softmax cross-entropies of the five attributes, each over the lesions it is known of."""
        labels = batch["attributes"]
        losses = []
        for n, part in enumerate(split_attributes(output.float()).values()):
            known = labels[:, n] != UNKNOWN
            index = labels[:, n].clamp(min=0)
            weight = part.new_ones(part.shape[1]) if self.weights is None else part.new_tensor(self.weights[n])
            share = weight[index] * known
            each = functional.cross_entropy(part, index, reduction="none")
            losses.append((each * share).sum() / share.sum().clamp(min=1e-6))
        return torch.stack(losses).mean()


def only_head(model: Model) -> list[dict[str, object]]:
    """The parameter group of stage II; everything else stands still."""
    model.requires_grad_(False)
    head = model.heads[ATTRIBUTE_HEAD].requires_grad_(True)
    return [{"params": list(head.parameters())}]


def class_weights(labels: Tensor, power: float) -> tuple[tuple[float, ...], ...]:
    """Weights of the classes of every attribute from labels (N, 5): frequency to the −`power`, their mean over lesions 1.

    Power 0 leaves classes as frequent as they are, 1 lets each count the same; a class that does not occur gets 0.
    """
    found = []
    for n, count in enumerate(ATTRIBUTES.values()):
        known = labels[:, n][labels[:, n] != UNKNOWN]
        seen = torch.bincount(known, minlength=count).double()
        weight = torch.where(seen > 0, seen.clamp(min=1) ** -power, 0.0)
        mean = float((weight * seen).sum() / seen.sum().clamp(min=1))
        found.append(tuple((weight / max(mean, 1e-12)).tolist()))
    return tuple(found)
