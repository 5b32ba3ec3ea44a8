"""Which of several ordered stages: cumulative logits that cannot cross."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from panlesion.lesion.case_task import CaseTask
from panlesion.nets.case_use import cumulative
from panlesion.nets.model import Model
from panlesion.train.tasks._answering import Answering


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Batches hold `image`, see `Answering`, and `stage` int64 (B,), counted from 0."""

    moving: bool = False

    def network(self, model: Model) -> nn.Module:
        return Answering(model, CaseTask.STAGE, moving=self.moving)

    def loss(self, output: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """The mean binary cross-entropy of "is it above stage k" over all k but the last (CORAL, Cao et al. 2020)."""
        above = cumulative(output.float())
        levels = torch.arange(above.shape[1], device=above.device)
        return functional.binary_cross_entropy_with_logits(above, (batch["stage"][:, None] > levels).float())
