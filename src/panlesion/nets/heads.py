"""Heads on the feature vector: report attributes, detection, staging, hazard."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from panlesion.lesion.vocabulary import READINGS
from panlesion.nets.blocks import NEGATIVE_SLOPE
from panlesion.nets.look import Look
from panlesion.nets.preset import Preset

ATTRIBUTE_HEAD, DETECTION_HEAD = "attributes", "detection"
"""What the heads on report attributes, and on whether a candidate is a lesion, are called among a model's heads."""
_LEAST_SPREAD = 1e-3

ATTRIBUTES: Mapping[str, int] = MappingProxyType({name: len(classes) for name, classes in READINGS.items()})
"""Attribute → number of classes, in the order of the logits; class indices are positions in `lesion.vocabulary`."""


class Head(nn.Sequential):
    """F → F/2 → F/4 → outputs with LeakyReLU, the shape of the published 1024 → 512 → 256 → n.

    `look` says which crop of a lesion and which parts of the encoder it reads; without, the feature vector. What a look
    gathers differs in scale from level to level, so such a head keeps mean and spread of its inputs, see `adjust`.
    """

    middle: Tensor
    scale: Tensor

    def __init__(self, features: int, outputs: int, look: Look | None = None) -> None:
        super().__init__(
            nn.Linear(features, features // 2),
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Linear(features // 2, features // 4),
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Linear(features // 4, outputs),
        )
        self.look = look
        if look is not None:
            self.register_buffer("middle", torch.zeros(features))
            self.register_buffer("scale", torch.ones(features))

    @torch.no_grad()
    def adjust(self, vectors: Tensor) -> None:
        """Take mean and spread of the inputs from vectors (N, F)."""
        self.middle.copy_(vectors.mean(dim=0))
        self.scale.copy_(vectors.std(dim=0).clamp(min=_LEAST_SPREAD))

    @torch.no_grad()
    def rescale(self, scale: float, shift: float) -> None:
        """Let every output be `scale` times what it is, plus `shift`: calibration becomes part of the weights."""
        last = self[-1]
        assert isinstance(last, nn.Linear)
        last.weight.mul_(scale)
        last.bias.mul_(scale).add_(shift)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F) → (B, outputs)."""
        x = x if self.look is None else (x - self.middle) / self.scale
        out: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return out


def attribute_head(preset: Preset, look: Look | None = None) -> Head:
    """Logits of all report attributes side by side, see `ATTRIBUTES`.

    Raises:
        ValueError: A network of this preset cannot look so.
    """
    return _seeing(preset, look, sum(ATTRIBUTES.values()))


def detection_head(preset: Preset, look: Look | None = None) -> Head:
    """One logit: is there a lesion, or with a look, is this one.

    Raises:
        ValueError: A network of this preset cannot look so.
    """
    return _seeing(preset, look, 1)


def staging_head(preset: Preset, stages: int) -> Head:
    """One logit per stage."""
    return Head(preset.feature_size, stages)


def hazard_head(preset: Preset) -> Head:
    """One log hazard ratio, for a Cox partial likelihood."""
    return Head(preset.feature_size, 1)


def _seeing(preset: Preset, look: Look | None, outputs: int) -> Head:
    if look is None:
        return Head(preset.feature_size, outputs)
    look.check(preset)
    return Head(look.size(preset), outputs, look)


def split_attributes(logits: Tensor) -> dict[str, Tensor]:
    """Logits (B, 13) → one (B, classes) tensor per attribute."""
    parts = torch.split(logits, list(ATTRIBUTES.values()), dim=1)
    return dict(zip(ATTRIBUTES, parts, strict=True))
