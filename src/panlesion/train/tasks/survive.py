"""How long until the event, where of some cases only is known how long it did not happen."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from panlesion.lesion.case_task import CaseTask, Likelihood
from panlesion.nets.model import Model
from panlesion.train.tasks._answering import Answering


@dataclass(frozen=True, kw_only=True)
class Survive:
    """Batches hold `image`, see `Answering`, `time` float (B,) and `event` float (B,), 0 where the case was lost to sight.

    `edges` bound the intervals of `Likelihood.HAZARD`, the first of them 0.
    """

    likelihood: Likelihood
    edges: tuple[float, ...] = ()
    moving: bool = False

    def network(self, model: Model) -> nn.Module:
        return Answering(model, CaseTask.SURVIVE, moving=self.moving)

    def loss(self, output: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        time, event = batch["time"].double(), batch["event"].bool()
        if self.likelihood is Likelihood.COX:
            return cox_loss(output[:, 0].float(), time, event)
        return hazard_loss(output.float(), time, event, self.edges)


def hazard_loss(logits: Tensor, time: Tensor, event: Tensor, edges: tuple[float, ...]) -> Tensor:
    """Minus the mean log likelihood of discrete hazards (Gensheimer & Narasimhan 2019; Singer & Willett 1993).

    Interval j is (edge j, edge j + 1]. Each case contributes the intervals it was known to pass, and the one of its event. A
    case that was lost within an interval says nothing of it; one whose event comes after the last edge passes them all.

    Args:
        logits: (B, J).
        time: (B,).
        event: bool (B,).
        edges: J + 1 of them.
    """
    ends = torch.tensor(edges[1:], dtype=time.dtype, device=time.device)
    starts = torch.tensor(edges[:-1], dtype=time.dtype, device=time.device)
    at, happened = time[:, None], event[:, None]
    passed = torch.where(happened, ends < at, ends <= at)
    here = happened & (starts < at) & (at <= ends)
    # log(1 - h) = -softplus(z) and log h = -softplus(-z) of the hazard's logit z
    minus = passed * functional.softplus(logits) + here * functional.softplus(-logits)
    return minus.sum(dim=1).mean()


def cox_loss(risk: Tensor, time: Tensor, event: Tensor) -> Tensor:
    """Minus Cox's log partial likelihood an event, ties by Efron (1977); 0 where there is no event.

    The cases at risk are those of the batch.

    Args:
        risk: log hazard ratios (B,).
        time: (B,).
        event: bool (B,).
    """
    if not bool(event.any()):
        return risk.sum() * 0.0
    shift = risk.detach().max()
    weight = (risk - shift).exp()
    at_risk = (time[None, :] >= time[:, None]).to(weight.dtype) @ weight
    tied = event[None, :] & event[:, None] & (time[None, :] == time[:, None])
    together = tied.to(weight.dtype) @ weight
    before = torch.tril(tied, diagonal=-1).sum(dim=1) / tied.sum(dim=1).clamp(min=1)
    one = risk - shift - (at_risk - before * together).clamp(min=1e-30).log()
    return -(one * event).sum() / event.sum()
