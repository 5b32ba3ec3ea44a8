"""Optimisers, learning-rate schedules and the moving average of the weights."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from panlesion.train.muon import Muon


class Method(StrEnum):
    SGD = "sgd"
    ADAM = "adam"
    ADAMW = "adamw"
    MUON = "muon"


class Schedule(StrEnum):
    POLY = "poly"
    COSINE = "cosine"
    CONSTANT = "constant"


@dataclass(frozen=True, kw_only=True)
class Optim:
    """How weights are changed; the defaults are PASTA's stage I (SGD, Nesterov 0.99, 1e-2 poly 0.9, 3e-5)."""

    method: Method = Method.SGD
    rate: float = 1e-2
    weight_decay: float = 3e-5
    momentum: float = 0.99
    schedule: Schedule = Schedule.POLY
    warmup_steps: int = 0
    clip_norm: float = 12.0
    ema_decay: float = 0.0

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate of a step out of `steps`, counted from 0."""
        warm = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        left = 1 - step / max(steps, 1)
        match self.schedule:
            case Schedule.POLY:
                shape = left**0.9
            case Schedule.COSINE:
                shape = 0.5 * (1 + math.cos(math.pi * (1 - left)))
            case Schedule.CONSTANT:
                shape = 1.0
        return self.rate * warm * shape


def make_optimizer(parameters: Iterable[nn.Parameter] | list[dict[str, object]], optim: Optim) -> Optimizer:
    """The optimiser of a configuration; parameter groups may carry a `scale` of the rate (layer-wise rates)."""
    if optim.method is Method.SGD:
        return SGD(
            parameters, lr=optim.rate, momentum=optim.momentum, nesterov=optim.momentum > 0, weight_decay=optim.weight_decay
        )
    if optim.method is Method.ADAM:
        return Adam(parameters, lr=optim.rate, weight_decay=optim.weight_decay)
    if optim.method is Method.MUON:
        return Muon(parameters, lr=optim.rate, weight_decay=optim.weight_decay)
    return AdamW(parameters, lr=optim.rate, weight_decay=optim.weight_decay)


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Set the rate of every parameter group, times the group's own `scale`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("scale", 1.0)


class Ema:
    """Exponential moving average of a module's parameters; early on it forgets faster (Tarvainen & Valpola 2017)."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.weights: dict[str, Tensor] = {name: p.detach().clone() for name, p in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Take in the parameters after a step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, p in module.named_parameters():
            self.weights[name].lerp_(p.detach(), 1 - decay)

    @torch.no_grad()
    def swap(self, module: nn.Module) -> None:
        """Exchange the averaged weights with the module's; a second call undoes the first."""
        for name, p in module.named_parameters():
            kept = p.detach().clone()
            p.copy_(self.weights[name])
            self.weights[name].copy_(kept)
