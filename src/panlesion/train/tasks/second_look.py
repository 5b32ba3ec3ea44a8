"""Whether a part that the network marked is a lesion: the network is frozen, one head learns from gathered vectors (ours)."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from panlesion.nets.heads import DETECTION_HEAD
from panlesion.nets.model import Model


class _Looking(nn.Module):
    """A model whose forward gives the logits (B,) of vectors (B, F)."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.model.heads[DETECTION_HEAD](x)[:, 0]
        return out


@dataclass(frozen=True, kw_only=True)
class SecondLook:
    """Batches hold `image`, vectors (B, F), and `lesion` float32 (B,), 1 where it is one."""

    def network(self, model: Model) -> nn.Module:
        return _Looking(model)

    def loss(self, output: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        return functional.binary_cross_entropy_with_logits(output.float(), batch["lesion"])
