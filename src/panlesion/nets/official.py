"""Weights of LWHYC/PASTA's public code: their names, read and written.

The published files occur as a flat state dict, as `{"network_weights": …}` and as `{"state_dict": …}`, with any mixture of the
prefixes that data parallelism and compilation leave behind. Which name of theirs is which of ours is a rule (`official_name`).
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from panlesion.ct.atomic import replacing
from panlesion.errors import CheckpointError
from panlesion.nets.blank import without_storage
from panlesion.nets.classes import Classes, ClassGroup, pan_tumour_classes
from panlesion.nets.heads import Head
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.preset import Preset, preset_of
from panlesion.nets.state_file import check_fit, check_numbers, owned, tensors_in, unpickled

CLASSIFIER = "classifier"
"""What the published classifier's `head` is called among a model's heads."""
SPACING_MM, PATCH_VOXELS = 1.0, 96
"""PASTA-Gen's voxel size; the crop of the published classifiers (the segmentation patch was not published)."""

_FIRST_CONV = "conv_blocks_context.0.blocks.0.conv.weight"
_SEGMENTATION, _HEAD = "seg_outputs", "head"


class OfficialForm(StrEnum):
    """How a published file wraps its tensors."""

    FLAT = "flat"
    NETWORK_WEIGHTS = "network_weights"
    STATE_DICT = "state_dict"


def official_name(name: str, preset: Preset) -> str | None:
    """The published name of one of ours in `Model.state_dict()`; None for heads the public code has no place for."""
    part, *rest = name.split(".")
    if part == "heads":
        return ".".join([_HEAD, *rest[1:]]) if rest[0] == CLASSIFIER else None
    kind, level, *rest = rest
    if kind in ("ups", "heads"):
        return ".".join([{"ups": "tu", "heads": _SEGMENTATION}[kind], level, *rest])
    conv, layer, parameter = rest
    tail = f"{'instnorm' if layer == 'norm' else layer}.{parameter}"
    if kind == "decoder":
        return f"conv_blocks_localization.{level}.{conv}.blocks.0.{tail}"
    # nnU-Net v1 stacks the convolutions of a level in one module, but those of the bottleneck in two.
    if int(level) == len(preset.channels) - 1:
        return f"conv_blocks_context.{level}.{conv}.blocks.0.{tail}"
    return f"conv_blocks_context.{level}.blocks.{conv}.{tail}"


def official_classes(count: int) -> Classes:
    """One softmax over `count` classes whose meaning was not published; the first is the background."""
    return Classes(groups=(ClassGroup(name="official", classes=tuple(f"class_{n}" for n in range(count))),))


def read_official(
    path: Path | str,
    *,
    preset: str | Preset = "pasta",
    classes: Classes | int | None = None,
    in_channels: int | None = None,
    lose: Sequence[str] = (),
    spacing_mm: float = SPACING_MM,
    patch_voxels: int = PATCH_VOXELS,
) -> Model:
    """A model with the weights of a file of the public code, fp32; nothing is left out that the caller did not name.

    Args:
        path: Anything `torch.save` wrote; it is read with `weights_only=True`.
        preset: The network's size; the published files have "pasta".
        classes: The output channels, or how many; by default as many as the file has, unnamed. Where `seg_outputs` is
            lost they are those of the fresh heads, by default the pan-tumour classes.
        in_channels: Where it is more than the file's, the first convolution is repeated over the channels, not divided by
            their number, as the public code does it.
        lose: Names, or beginnings of names up to a dot, that may be in the file and are not taken, and that may be missing
            from it and start fresh; fine-tuning in the public code loses "seg_outputs" and "head".
        spacing_mm: Stored in the model; the files say nothing about it.
        patch_voxels: Likewise.

    Raises:
        CheckpointError: Unreadable, truncated or hostile; missing, unexpected or wrongly shaped tensors, listed; not finite.
        ValueError: There is no such preset.
    """
    path = Path(path)
    size = preset_of(preset) if isinstance(preset, str) else preset
    found, form = _weights(unpickled(path), path)
    kept = {name: tensor for name, tensor in found.items() if not _named(name, lose)}
    if in_channels is not None:
        kept = _repeated(kept, in_channels, path)
    info = ModelInfo(
        preset=size,
        classes=_classes(kept, classes, fresh=_named(_SEGMENTATION, lose)),
        spacing_mm=spacing_mm,
        patch_voxels=patch_voxels,
        in_channels=in_channels or 1,
        licence="that of the publisher of the file",
        provenance={"file": path.name, "form": form.value, "lost": sorted(lose)},
    )
    return _filled(info, kept, lose, path)


def write_official(path: Path | str, model: Model, *, form: OfficialForm = OfficialForm.FLAT) -> None:
    """Write a model's U-Net, and its head `CLASSIFIER` if it has one, so that the public code can load it; fp32.

    The public classes have two convolutions per decoder level: `pasta` fits them as they are, `small` with
    `max_num_features=512`, `nano` fits none of them. Their classifier also wants as many segmentation classes as outputs.
    Offsets of the logits have no place in such a file and stay behind.
    """
    weights = {
        theirs: tensor.detach().to("cpu", torch.float32).contiguous()
        for ours, tensor in model.state_dict().items()
        if (theirs := official_name(ours, model.preset)) is not None
    }
    with replacing(path) as stream:
        torch.save(weights if form is OfficialForm.FLAT else {form.value: weights}, stream)


def _weights(content: Any, path: Path) -> tuple[dict[str, Tensor], OfficialForm]:
    """The tensors of any published form by their names without prefixes."""
    found, wrapper = tensors_in(content, path, wrappers=(OfficialForm.NETWORK_WEIGHTS, OfficialForm.STATE_DICT))
    return found, OfficialForm(wrapper or OfficialForm.FLAT)


def _named(name: str, lose: Sequence[str]) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in lose)


def _repeated(weights: dict[str, Tensor], in_channels: int, path: Path) -> dict[str, Tensor]:
    weight = weights.get(_FIRST_CONV)
    if weight is None or weight.dim() != 5:
        return weights
    if in_channels % weight.shape[1]:
        raise CheckpointError(
            f"{path}: {_FIRST_CONV} has {weight.shape[1]} input channels; they cannot be repeated to {in_channels}"
        )
    return {**weights, _FIRST_CONV: weight.repeat(1, in_channels // weight.shape[1], 1, 1, 1)}


def _classes(weights: Mapping[str, Tensor], wanted: Classes | int | None, *, fresh: bool) -> Classes:
    if isinstance(wanted, Classes):
        return wanted
    if wanted is None and fresh:
        return pan_tumour_classes()
    count = wanted
    if count is None:
        # A file without heads is compared as one of a single class, and the heads are listed as missing.
        head = weights.get(f"{_SEGMENTATION}.0.weight")
        count = int(head.shape[0]) if head is not None and head.dim() and head.shape[0] else 1
    return official_classes(count)


def _filled(info: ModelInfo, weights: Mapping[str, Tensor], lose: Sequence[str], path: Path) -> Model:
    """A model with these weights; what the caller lost starts fresh."""
    last = weights.get(f"{_HEAD}.4.bias")
    outputs = int(last.numel()) if last is not None and last.numel() else None
    # Without storage first: nothing is drawn and no memory taken before the shapes are known to be right.
    with without_storage():
        model = Model(info, _heads(info, outputs))
    expected = {official_name(ours, info.preset): (ours, tensor) for ours, tensor in model.state_dict().items()}
    wanted = {name: pair for name, pair in expected.items() if name is not None and not _named(name, lose)}
    shapes = {name: tuple(tensor.shape) for name, (_, tensor) in wanted.items()}
    check_fit(shapes, weights, path, advice="Choose another preset, or say with lose=(…) what may be lost")
    check_numbers(weights, path)
    ready = owned({ours: weights[name] for name, (ours, _) in wanted.items()})
    if len(wanted) < len(expected):
        model = Model(info, _heads(info, outputs))
        ready = {**model.state_dict(), **ready}
    model.load_state_dict(ready, strict=True, assign=True)
    return model


def _heads(info: ModelInfo, outputs: int | None) -> dict[str, nn.Module]:
    return {} if outputs is None else {CLASSIFIER: Head(info.preset.feature_size, outputs)}
