"""Weights of LWHYC/PASTA's public code: their names, read and written.

The published files occur as a flat state dict, as `{"network_weights": …}` and as `{"state_dict": …}`, with any mixture of the
prefixes that data parallelism and compilation leave behind. Which name of theirs is which of ours is a rule (`official_name`).
"""

import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from panlesion.ct.atomic import replacing
from panlesion.errors import CheckpointError
from panlesion.nets.blank import without_storage
from panlesion.nets.classes import Classes, ClassGroup, pan_tumour_classes
from panlesion.nets.heads import Head
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.preset import Preset, preset_of

CLASSIFIER = "classifier"
"""What the published classifier's `head` is called among a model's heads."""
SPACING_MM, PATCH_VOXELS = 1.0, 96
"""PASTA-Gen's voxel size; the crop of the published classifiers (the segmentation patch was not published)."""

_FIRST_CONV = "conv_blocks_context.0.blocks.0.conv.weight"
_SEGMENTATION, _HEAD = "seg_outputs", "head"
_PREFIX = re.compile(r"^(?:module\.|_orig_mod\.)+")
_SHOWN = 6


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
    found, form = _weights(_unpickled(path), path)
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


def _unpickled(path: Path) -> Any:
    """What a file of `torch.save` holds, tensors and plain containers only."""
    numpy_scalars = [
        # nnU-Net keeps its loss curves beside the weights, as NumPy scalars: data, no code.
        np._core.multiarray.scalar,  # type: ignore[attr-defined]
        (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
        np.dtype,
        *(type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "u1", "?")),
    ]
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == b"PK"
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    damaged = f"{path} is truncated or damaged, or was not written by torch.save; download or export it again"
    if packed and not zipfile.is_zipfile(path):
        raise CheckpointError(damaged)
    try:
        with torch.serialization.safe_globals(numpy_scalars):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # The name of a function, where there is one, tells a hostile file from a damaged one.
        if (culprit := re.search(r"[Uu]nsupported (?:global|class)[^\n]*|GLOBAL [\w.]+", str(error))) is None:
            raise CheckpointError(f"{damaged} ({str(error).splitlines()[0]})") from error
        raise CheckpointError(
            f"{path} would run code when it is read ({culprit[0].strip()}); weights hold tensors and plain containers only. "
            "Do not open it with anything else; get the file from its publisher"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, IndexError, AttributeError, TypeError, OSError) as error:
        raise CheckpointError(f"{damaged} ({str(error).splitlines()[0] if str(error) else type(error).__name__})") from error


def _weights(content: Any, path: Path) -> tuple[dict[str, Tensor], OfficialForm]:
    """The tensors of any published form by their names without prefixes."""
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}; it must hold a state dict, bare or wrapped")
    wrappers = [form for form in (OfficialForm.NETWORK_WEIGHTS, OfficialForm.STATE_DICT) if form.value in content]
    if len(wrappers) > 1:
        raise CheckpointError(f"{path} holds both {' and '.join(wrappers)}; it must hold one of them. Save that one alone")
    form = wrappers[0] if wrappers else OfficialForm.FLAT
    inner = content[form.value] if wrappers else content
    if not isinstance(inner, Mapping) or not inner:
        raise CheckpointError(f"{path}: {form.value} is no state dict, or an empty one")
    odd = [str(name) for name, value in inner.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if odd:
        raise CheckpointError(f"{path}: {_listed(odd)} in {form.value} are no tensors; it must hold nothing else")
    found: dict[str, Tensor] = {}
    for name, tensor in inner.items():
        bare = _PREFIX.sub("", name)
        if bare in found:
            raise CheckpointError(f"{path}: {bare} is there twice, with and without a prefix; keep one of them")
        found[bare] = tensor
    return found, form


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
    _compare({name: tuple(tensor.shape) for name, (_, tensor) in wanted.items()}, weights, path)
    for name, tensor in weights.items():
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{path}: {name} holds numbers that are not finite or not real; the file is damaged")
    ready = _owned({ours: weights[name] for name, (ours, _) in wanted.items()})
    if len(wanted) < len(expected):
        model = Model(info, _heads(info, outputs))
        ready = {**model.state_dict(), **ready}
    model.load_state_dict(ready, strict=True, assign=True)
    return model


def _owned(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As float32, each with memory of its own: training must not change two parameters where a file stored one twice."""
    owned, seen = {}, set()
    for name, tensor in weights.items():
        single = tensor.detach().to(torch.float32).contiguous()
        alone = single.untyped_storage().nbytes() == single.nbytes and single.data_ptr() not in seen
        owned[name] = single if alone else single.clone()
        seen.add(single.data_ptr())
    return owned


def _heads(info: ModelInfo, outputs: int | None) -> dict[str, nn.Module]:
    return {} if outputs is None else {CLASSIFIER: Head(info.preset.feature_size, outputs)}


def _compare(expected: Mapping[str, tuple[int, ...]], weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse what differs, all of it in one message."""
    missing = [name for name in expected if name not in weights]
    unexpected = [name for name in weights if name not in expected]
    shapes = [
        f"{name} is {tuple(weights[name].shape)}, not {shape}"
        for name, shape in expected.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    said = [
        f"{len(names)} {what}: {_listed(names)}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if names
    ]
    if said:
        raise CheckpointError(
            f"{path} does not fit the network: {'; '.join(said)}. Choose another preset, or say with lose=(…) what may be lost"
        )


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
