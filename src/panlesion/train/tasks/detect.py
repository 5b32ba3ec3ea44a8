"""Is there a lesion in the organ: one logit a case."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from panlesion.lesion.case_task import CaseTask
from panlesion.nets.model import Model
from panlesion.train.tasks._answering import Answering


@dataclass(frozen=True, kw_only=True)
class Detect:
    """Batches hold `image`, see `Answering`, and `present` float32 (B,), 1 where there is a lesion.

    A case with one counts `present_weight` times: 10, as published.
    """

    present_weight: float = 10.0
    moving: bool = False

    def network(self, model: Model) -> nn.Module:
        return Answering(model, CaseTask.DETECT, moving=self.moving)

    def loss(self, output: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        weight = output.new_tensor(self.present_weight, dtype=output.float().dtype)
        return functional.binary_cross_entropy_with_logits(output.float()[:, 0], batch["present"].float(), pos_weight=weight)
