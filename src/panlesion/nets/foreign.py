"""Networks that others pretrained, in the place of ours: their layers by their names, their intensity map, their file.

Each is our own definition of a published layout, so that a published state dict fits it name by name. The head always starts
anew: what it was trained to name is not what it is asked for.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from panlesion.errors import CheckpointError
from panlesion.nets.classes import Classes
from panlesion.nets.model import Intensity, Model, ModelInfo
from panlesion.nets.official import read_official
from panlesion.nets.preset import PRESETS, Preset
from panlesion.nets.state_file import check_fit, check_numbers, owned, tensors_in, unpickled

PATCH_VOXELS = 48
UNIT = (0.0, 1.0)

_PREFIX = re.compile(r"^(?:module\.|_orig_mod\.|backbone\.)+")
_WRAPPERS = ("net", "state_dict", "network_weights", "model")
_OFFICIAL = "conv_blocks_context.0.blocks.0.conv.weight"


class BatchNorm(nn.BatchNorm3d):
    """Normalises with the batch's own mean and variance, in use as in training: what both published codes do."""

    def forward(self, x: Tensor) -> Tensor:
        kept = (self.running_mean, self.running_var) if self.training else (None, None)
        return functional.batch_norm(
            x, *kept, self.weight, self.bias, training=True, momentum=self.momentum or 0.0, eps=self.eps
        )


class _Unit(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(before, after, 3, padding=1)
        self.bn1 = BatchNorm(after)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn1(self.conv1(x)))


class _Down(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.ops = nn.Sequential(_Unit(before, after // 2), _Unit(after // 2, after))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.ops(x)
        return y


class _Up(nn.Module):
    def __init__(self, before: int, skip: int) -> None:
        super().__init__()
        self.up_conv = nn.ConvTranspose3d(before, before, 2, stride=2)
        self.ops = nn.Sequential(_Unit(before + skip, skip), _Unit(skip, skip))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        y: Tensor = self.ops(torch.cat([self.up_conv(x), skip], dim=1))
        return y


class _Out(nn.Module):
    def __init__(self, before: int, classes: int) -> None:
        super().__init__()
        self.final_conv = nn.Conv3d(before, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.final_conv(x)
        return y


class UNet3D(nn.Module):
    """The 3D U-Net that Models Genesis and SuPreM share, 19 million parameters: four levels, batch norm, ReLU, max pooling."""

    def __init__(self, classes: int, width: int = 64) -> None:
        super().__init__()
        # Names say the published channels, 64 to 512, whatever the width.
        one, two, four, eight = width, 2 * width, 4 * width, 8 * width
        self.down_tr64, self.down_tr128 = _Down(1, one), _Down(one, two)
        self.down_tr256, self.down_tr512 = _Down(two, four), _Down(four, eight)
        self.up_tr256, self.up_tr128, self.up_tr64 = _Up(eight, four), _Up(four, two), _Up(two, one)
        self.out_tr = _Out(one, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, classes, I, J, K) of `x` (B, 1, I, J, K), whose sides are divisible by 8."""
        skips = []
        for down in (self.down_tr64, self.down_tr128, self.down_tr256):
            skips.append(down(x))
            x = functional.max_pool3d(skips[-1], 2)
        x = self.down_tr512(x)
        for up, skip in zip((self.up_tr256, self.up_tr128, self.up_tr64), skips[::-1], strict=True):
            x = up(x, skip)
        logits: Tensor = self.out_tr(x)
        return logits


def monai_unet(classes: int) -> nn.Module:
    """MONAI's U-Net as its spleen bundle has it."""
    from monai.networks.nets.unet import UNet

    return UNet(3, 1, classes, channels=(16, 32, 64, 128, 256), strides=(2, 2, 2, 2), num_res_units=2, norm="batch")


class ForeignKind(StrEnum):
    """Which layout a file has."""

    SUPREM_UNET = "suprem-unet"
    MODELS_GENESIS = "models-genesis"
    MONAI_UNET = "monai-unet"
    STATE_DICT = "state-dict"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the files of a kind are used. `lose` names parts that may be in the file and are not taken, the old head first."""

    title: str
    get: str
    lose: tuple[str, ...]
    intensity: Intensity = field(default_factory=Intensity)
    build: Callable[[int], nn.Module] | None = None
    channels: tuple[int, ...] = ()


def _window(low_hu: float, high_hu: float) -> Intensity:
    return Intensity(hu=(low_hu, high_hu), network=UNIT)


_UNIVERSAL = ("precls_conv", "GAP", "controller", "organ_embedding", "text_to_vision")

LAYOUTS: Mapping[ForeignKind, Layout] = MappingProxyType(
    {
        ForeignKind.SUPREM_UNET: Layout(
            title="SuPreM U-Net (Li et al., ICLR 2024), supervised on 2,100 CTs of AbdomenAtlas",
            get="supervised_suprem_unet_2100.pth from https://huggingface.co/MrGiovanni/SuPreM",
            lose=("out_tr", *_UNIVERSAL),
            intensity=_window(-175.0, 250.0),
            build=UNet3D,
            channels=(64, 128, 256, 512),
        ),
        ForeignKind.MODELS_GENESIS: Layout(
            title="Models Genesis (Zhou et al., MICCAI 2019), self-supervised on 623 chest CTs",
            get="Genesis_Chest_CT.pt, asked for as https://github.com/MrGiovanni/ModelsGenesis says in pytorch/README.md",
            lose=("out_tr",),
            intensity=_window(-1000.0, 1000.0),
            build=UNet3D,
            channels=(64, 128, 256, 512),
        ),
        ForeignKind.MONAI_UNET: Layout(
            title="MONAI's U-Net of the bundle spleen_ct_segmentation, supervised on 32 CTs",
            get="models/model.pt of spleen_ct_segmentation from https://github.com/Project-MONAI/model-zoo",
            lose=("model.2",),
            intensity=_window(-57.0, 164.0),
            build=monai_unet,
            channels=(16, 32, 64, 128, 256),
        ),
        ForeignKind.STATE_DICT: Layout(
            title="the U-Net of this project, names as in `UNet.state_dict()`, or those of LWHYC/PASTA's public code",
            get="PASTA_final.pth as https://github.com/LWHYC/PASTA says, or any such state dict of your own",
            lose=("heads",),
        ),
    }
)


class Foreign(Model):
    """A model whose U-Net somebody else designed. It has one output level and no feature vector."""

    def __init__(self, info: ModelInfo, network: nn.Module) -> None:
        nn.Module.__init__(self)
        self.info = info
        self.unet = _OneLevel(network)  # type: ignore[assignment]
        self.heads = nn.ModuleDict()


class _OneLevel(nn.Module):
    """What training asks of a U-Net, without deep supervision."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.network(x)
        return logits

    def deep_logits(self, x: Tensor) -> list[Tensor]:
        """The one level there is."""
        return [self(x)]


def read_foreign(path: Path | str, kind: ForeignKind, classes: Classes, *, spacing_mm: float, seed: int = 0) -> Model:
    """A model with the weights of somebody else's file and a head that knows nothing, drawn from a seed.

    Raises:
        CheckpointError: Unreadable, hostile, not finite; missing, unexpected or wrongly shaped tensors, listed.
    """
    path, layout = Path(path), LAYOUTS[kind]
    content = unpickled(path)
    found, _ = tensors_in(content, path, wrappers=_WRAPPERS, prefix=_PREFIX)
    # Without a trace in the caller's random numbers.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if layout.build is None:
            return _own(path, found, classes, spacing_mm)
        network = layout.build(len(classes))
    _fill(network, found, layout.lose, path, advice=f"{kind} is {layout.title}: get {layout.get}; or say another --rival-kind")
    return Foreign(_info(kind, layout, classes, spacing_mm), network)


def _info(kind: ForeignKind, layout: Layout, classes: Classes, spacing_mm: float) -> ModelInfo:
    return ModelInfo(
        preset=Preset(name=kind.value, channels=layout.channels, features_from=0), classes=classes, spacing_mm=spacing_mm,
        patch_voxels=PATCH_VOXELS, intensity=layout.intensity, licence="that of the publisher of the file",
    )  # fmt: skip


def _own(path: Path, found: Mapping[str, Tensor], classes: Classes, spacing_mm: float) -> Model:
    """Our own network, or the public code's."""
    if _OFFICIAL in found:
        return read_official(
            path, preset=_preset(found, "conv_blocks_context.{}.blocks.0.conv.weight", path), classes=classes,
            lose=("seg_outputs", "head"), spacing_mm=spacing_mm, patch_voxels=PATCH_VOXELS,
        )  # fmt: skip
    bare = {name.removeprefix("unet."): tensor for name, tensor in found.items()}
    preset = _preset(bare, "encoder.{}.0.conv.weight", path)
    model = Model(ModelInfo(preset=preset, classes=classes, spacing_mm=spacing_mm, patch_voxels=PATCH_VOXELS))
    lose = LAYOUTS[ForeignKind.STATE_DICT].lose
    _fill(model.unet, bare, lose, path, advice=f"Its first levels are those of the preset {preset.name!r}")
    return model


def _preset(found: Mapping[str, Tensor], name: str, path: Path) -> Preset:
    """The preset whose levels the file has; the last is not asked, since the public code names it otherwise."""
    sizes = [tuple(found[name.format(n)].shape) for n in range(len(found)) if name.format(n) in found]
    levels = [size[0] if size else 0 for size in sizes]
    for preset in PRESETS.values():
        if len(levels) >= len(preset.channels) - 1 and levels == list(preset.channels[: len(levels)]):
            return preset
    known = ", ".join(f"{preset.name} {preset.channels}" for preset in PRESETS.values())
    raise CheckpointError(
        f"{path}: {name.format(0)} and its like have {levels or 'no'} channels; the presets have {known}. "
        "Is it a network of another --rival-kind?"
    )


def _fill(network: nn.Module, found: Mapping[str, Tensor], lose: Sequence[str], path: Path, *, advice: str) -> None:
    """Give a network the file's weights but for the parts that are lost, which stay as they are."""
    before = network.state_dict()

    def named(name: str) -> bool:
        return any(name == one or name.startswith(f"{one}.") for one in lose)

    # How often a norm was trained is a whole number, and older files lack it.
    kept = {name: tensor for name, tensor in found.items() if not (named(name) or name.endswith("num_batches_tracked"))}
    wanted = [name for name in before if not (named(name) or name.endswith("num_batches_tracked"))]
    check_fit({name: tuple(before[name].shape) for name in wanted}, kept, path, advice=advice)
    check_numbers(kept, path)
    ready: dict[str, Any] = before | owned(kept)
    network.load_state_dict(ready, strict=True)
