"""What all questions about whole cases share: the pooled encoder, one head, and which of them moves."""

import torch
from torch import Tensor, nn

from panlesion.nets.heads import Head
from panlesion.nets.model import Model


class Answering(nn.Module):
    """A model whose forward gives one head's outputs; unless `moving`, nothing reaches the U-Net's gradients."""

    def __init__(self, model: Model, head: str, *, moving: bool) -> None:
        super().__init__()
        self.model, self.head, self.moving = model, head, moving

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (B, n) of crops (B, C + 1, I, J, K), see `Look.vector`, or of vectors (B, F) that were gathered before."""
        head = self.model.heads[self.head]
        assert isinstance(head, Head)
        if x.dim() > 2:
            with torch.set_grad_enabled(self.moving and torch.is_grad_enabled()):
                # A head without a look reads the mean of a deep level.
                x = head.look.vector(self.model.unet, x) if head.look else self.model.features(x[:, :-1])
        out: Tensor = head(x)
        return out
