"""Muon for convolution kernels: every kernel's momentum is made orthogonal before it is taken as a step.

Jordan et al. 2024 (https://kellerjordan.github.io/posts/muon), with the step's size of Liu et al. 2025 (arXiv 2502.16982), so
that AdamW's rates and weight decay serve both. torch has it for matrices only; a kernel is one of (channels out, the rest).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW

_NEWTON_SCHULZ = (3.4445, -4.775, 2.0315)
_ROUNDS = 5
_RMS = 0.2
"""Root mean square of a step over its rate: about what AdamW's steps have (Liu et al. 2025)."""


class Muon(AdamW):
    """Muon for kernels, AdamW for all else: biases, norms, 1³ heads and kernels of a single input channel."""

    def __init__(self, params: Any, lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay)
        self.momentum = momentum

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None and is_kernel(p):
                    self._step_kernel(p, p.grad, group["lr"], group["weight_decay"])
                    p.grad = None  # AdamW passes over it
        super().step()
        return loss

    def _step_kernel(self, p: nn.Parameter, gradient: Tensor, rate: float, weight_decay: float) -> None:
        state = self.state[p]
        if not state:
            # AdamW wants to find a step count wherever there is a state.
            state["step"], state["momentum"] = torch.tensor(0.0), torch.zeros_like(p)
        state["step"] += 1
        state["momentum"].lerp_(gradient, 1 - self.momentum)
        matrix = gradient.lerp(state["momentum"], self.momentum).flatten(1)
        size = rate * _RMS * max(matrix.shape) ** 0.5
        p.mul_(1 - rate * weight_decay).sub_(orthogonal(matrix).view_as(p), alpha=size)


def is_kernel(p: Tensor) -> bool:
    """Whether a parameter is stepped by Muon: a convolution's kernel of several voxels and several input channels."""
    return p.dim() == 5 and p.shape[1] > 1 and p[0, 0].numel() > 1


def orthogonal(matrix: Tensor) -> Tensor:
    """About U Vᵀ of a matrix U S Vᵀ: its singular values brought near 1 by Newton-Schulz iterations."""
    a, b, c = _NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_ROUNDS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x.T if tall else x
