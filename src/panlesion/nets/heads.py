"""Heads on the feature vector: report attributes, detection, staging, hazard."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from panlesion.lesion.vocabulary import Density, Heterogeneity, Invasion, Shape, Surface
from panlesion.nets.blocks import NEGATIVE_SLOPE
from panlesion.nets.preset import Preset

ATTRIBUTES: Mapping[str, int] = MappingProxyType(
    {
        "shape": len(Shape),
        "density": len(Density),
        "heterogeneity": len(Heterogeneity),
        "surface": len(Surface),
        "invasion": len(Invasion),
    }
)
"""Attribute → number of classes, in the order of the logits; class indices are positions in `lesion.vocabulary`."""


class Head(nn.Sequential):
    """F → F/2 → F/4 → outputs with LeakyReLU, the shape of the published 1024 → 512 → 256 → n."""

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__(
            nn.Linear(features, features // 2),
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Linear(features // 2, features // 4),
            nn.LeakyReLU(NEGATIVE_SLOPE),
            nn.Linear(features // 4, outputs),
        )


def attribute_head(preset: Preset) -> Head:
    """Logits of all report attributes side by side, see `ATTRIBUTES`."""
    return Head(preset.feature_size, sum(ATTRIBUTES.values()))


def detection_head(preset: Preset) -> Head:
    """One logit: is there a lesion."""
    return Head(preset.feature_size, 1)


def staging_head(preset: Preset, stages: int) -> Head:
    """One logit per stage."""
    return Head(preset.feature_size, stages)


def hazard_head(preset: Preset) -> Head:
    """One log hazard ratio, for a Cox partial likelihood."""
    return Head(preset.feature_size, 1)


def split_attributes(logits: Tensor) -> dict[str, Tensor]:
    """Logits (B, 13) → one (B, classes) tensor per attribute."""
    parts = torch.split(logits, list(ATTRIBUTES.values()), dim=1)
    return dict(zip(ATTRIBUTES, parts, strict=True))
