"""Segmentation of organs and lesions with deep supervision."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from panlesion.nets.classes import Classes
from panlesion.nets.model import Model
from panlesion.train.losses import AS_PUBLISHED, Balance, segmentation_loss


class DeepSupervised(nn.Module):
    """A model whose forward gives the logits of every decoder level, each with the model's offsets: what is trained is used."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.model.moved(logits) for logits in self.model.unet.deep_logits(x)]


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Batches hold `image` (B, 1, I, J, K) and `targets` uint8 (B, G, I, J, K); `balance` as in `losses.segmentation_loss`."""

    classes: Classes
    balance: Balance = field(default_factory=lambda: AS_PUBLISHED)

    def network(self, model: Model) -> nn.Module:
        return DeepSupervised(model)

    def loss(self, output: list[Tensor], batch: Mapping[str, Tensor]) -> Tensor:
        return segmentation_loss(output, batch["targets"], self.classes, self.balance)
