"""`Model`: the network with what must be known to use it: classes, spacing, intensity map, origin."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from panlesion.ct.intensity import HU_KNOTS, NETWORK_KNOTS
from panlesion.ct.modality import Modality
from panlesion.nets.classes import Classes, pan_tumour_classes
from panlesion.nets.preset import Preset, preset_of
from panlesion.nets.unet import UNet


@dataclass(frozen=True, kw_only=True)
class Intensity:
    """Piecewise-linear map HU → network input, clipped at the ends; padding is 0 after the map."""

    hu: tuple[float, ...] = HU_KNOTS
    network: tuple[float, ...] = NETWORK_KNOTS


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Everything but the weights. `recipe` and `provenance` are JSON-able and only carried along.

    `offsets`, one for each channel or none at all, are added to logits: training that weighs rare classes more learns
    logits that favour them, and these take that back (logit adjustment, Menon et al. 2021). Images of an MR `modality` are
    brought to the scale of a CT first, see `ct.mr`.
    """

    preset: Preset
    classes: Classes
    spacing_mm: float
    patch_voxels: int
    intensity: Intensity = field(default_factory=Intensity)
    in_channels: int = 1
    offsets: tuple[float, ...] = ()
    modality: Modality = Modality.CT
    licence: str = "Apache-2.0"
    recipe: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)


class Model(nn.Module):
    """U-Net and named heads. `net(x)` gives full-resolution logits, `net.features(x)` the feature vector."""

    def __init__(self, info: ModelInfo, heads: dict[str, nn.Module] | None = None) -> None:
        super().__init__()
        self.info = info
        self.unet = UNet(info.preset, len(info.classes), in_channels=info.in_channels)
        self.heads = nn.ModuleDict(heads or {})

    @property
    def preset(self) -> Preset:
        return self.info.preset

    @property
    def classes(self) -> Classes:
        return self.info.classes

    @property
    def intensity(self) -> Intensity:
        return self.info.intensity

    def forward(self, x: Tensor) -> Tensor:
        """Full-resolution logits (B, C, I, J, K) of `x` (B, 1, I, J, K) after the intensity map.

        Raises:
            ValueError: A side of `x` is not divisible by the network's stride.
        """
        return self.moved(self.unet(x))

    def moved(self, logits: Tensor) -> Tensor:
        """Logits (B, C, I, J, K) of any decoder level, moved by the offsets."""
        if not self.info.offsets:
            return logits
        return logits + logits.new_tensor(self.info.offsets)[:, None, None, None]

    def features(self, x: Tensor) -> Tensor:
        """Feature vector (B, F)."""
        return self.unet.features(x)


def new_model(preset: str, *, spacing_mm: float, patch_voxels: int, classes: Classes | None = None) -> Model:
    """An untrained model of a preset, by default with the pan-tumour classes."""
    info = ModelInfo(
        preset=preset_of(preset), classes=classes or pan_tumour_classes(), spacing_mm=spacing_mm, patch_voxels=patch_voxels
    )
    return Model(info)
