"""Denoising: the refiner learns to tell image from noise, at every time it will be used at."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from panlesion.nets.refiner import Refiner


class _Timed(nn.Module):
    """A refiner whose input holds the noised image and, as a second channel, the time: the loop hands over one tensor."""

    def __init__(self, refiner: Refiner) -> None:
        super().__init__()
        self.refiner = refiner

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.refiner(x[:, :1], x[:, 1, 0, 0, 0])
        return out


@dataclass(frozen=True, kw_only=True)
class Denoise:
    """Batches hold `image` (B, 2, I, J, K), noised image and time, and `velocity` (B, 1, I, J, K), see `nets.diffusion`."""

    def network(self, model: Refiner) -> nn.Module:
        return _Timed(model)

    def loss(self, output: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        return F.mse_loss(output.float(), batch["velocity"])
