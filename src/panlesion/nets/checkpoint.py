"""Our checkpoints: a safetensors file with one JSON header, read strictly; and a model by name or path.

The header says what must be known to use the weights (see `ModelInfo`) and carries a SHA-256 over itself and every tensor, so a
changed spacing is noticed as surely as a changed weight. It guards against damage and mistakes, not against forgers.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn

from panlesion.errors import CheckpointError
from panlesion.nets.blank import without_storage
from panlesion.nets.heads import Head
from panlesion.nets.look import Look
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.official import OfficialForm, read_official, write_official
from panlesion.nets.sealed import canonical, check_shapes, seal, unseal

__all__ = [
    "OfficialForm",
    "load_checkpoint",
    "load_model",
    "read_official",
    "save_checkpoint",
    "shipped_models",
    "write_official",
]

SUFFIX = ".safetensors"
FORMAT, VERSION = "panlesion-model", 1
OFFICIAL_SUFFIXES = frozenset({".pth", ".pt", ".tar", ".model"})
WEIGHTS_FOLDER = Path(__file__).parent / "weights"
"""Where shipped models lie, each named `<name>.safetensors`."""

_INFO, _LOOK = TypeAdapter(ModelInfo), TypeAdapter(Look)
# Fields newer than some files; those without them mean the default.
_LATER = frozenset({"offsets", "modality"})
# A damaged or hostile header must not make us build a monster; ours, far above every preset.
_MOST_LEVELS, _MOST_CHANNELS, _MOST_CLASSES = 9, 8192, 4096


def save_checkpoint(path: Path | str, model: Model, *, dtype: torch.dtype = torch.float32) -> None:
    """Write a model whole or not at all; equal models give equal bytes.

    Args:
        path: By convention `*.safetensors`.
        model: Its heads must be `heads.Head`s.
        dtype: How weights are stored, float32 or float16; they are read back as float32.

    Raises:
        ValueError: Another dtype, a head of another kind, a recipe that is not JSON-able, weights that are not finite.
    """
    if dtype not in (torch.float32, torch.float16):
        raise ValueError(f"dtype is {dtype}; weights are stored as float32 or float16")
    if broken := _broken(model.info):
        raise ValueError(f"{'; '.join(broken)} of the model cannot be; correct its info")
    tensors = {name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in model.state_dict().items()}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "model": asdict(model.info),
        "heads": {name: _head_record(name, head) for name, head in model.heads.items()},
    }
    seal(path, header, tensors)


def load_checkpoint(path: Path | str) -> Model:
    """The model that `save_checkpoint` wrote, float32 on the CPU.

    Raises:
        CheckpointError: Not there, truncated, changed, of another format or a newer version; the message says which.
    """
    path = Path(path)
    header, tensors = unseal(path, format=FORMAT, version=VERSION, lacking=_lacking)
    info = _info(header["model"], path)
    # Without storage: the weights are put in as they were read, and no random number is drawn.
    with without_storage():
        model = Model(info, {name: _head(name, record, info, path) for name, record in header["heads"].items()})
    check_shapes(path, model.state_dict(), tensors)
    model.load_state_dict({name: tensor.to(torch.float32) for name, tensor in tensors.items()}, strict=True, assign=True)
    return model


def shipped_models() -> tuple[str, ...]:
    """Short names of the models inside the package."""
    return tuple(sorted(file.name.removesuffix(SUFFIX) for file in WEIGHTS_FOLDER.glob(f"*{SUFFIX}")))


def load_model(name_or_path: Path | str) -> Model:
    """A model ready to use, float32 on the CPU: `net(x)`, `net.features(x)`, `net.preset`, `net.classes`, `net.intensity`.

    Args:
        name_or_path: A shipped short name, a checkpoint of ours, or a file of the public code's weights (.pth, .pt, .tar),
            which is read as `read_official` reads it with nothing lost.

    Raises:
        CheckpointError: No such name or file, or one that cannot be read as what it should be.
    """
    path = Path(name_or_path)
    if str(name_or_path) in shipped_models():
        path = WEIGHTS_FOLDER / f"{name_or_path}{SUFFIX}"
    elif not path.exists():
        names = ", ".join(shipped_models()) or "none"
        raise CheckpointError(f"{name_or_path}: neither a file nor a shipped model (there are: {names}); give one of them")
    model = read_official(path) if path.suffix in OFFICIAL_SUFFIXES else load_checkpoint(path)
    return model.eval()


def _lacking(header: Mapping[str, Any]) -> list[str]:
    """What a header of ours must have and this one lacks."""
    wrong = [name for name in ("model", "heads") if not isinstance(header.get(name), dict)]
    must = [field.name for field in fields(ModelInfo) if field.name not in _LATER]
    return wrong + [f"model.{name}" for name in must if not wrong and name not in header["model"]]


def _info(record: Mapping[str, Any], path: Path) -> ModelInfo:
    try:
        info = _INFO.validate_json(canonical(record), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(f"{path}: model.{where} in its header: {first['msg']}; write it anew") from error
    if broken := _broken(info):
        raise CheckpointError(f"{path}: {'; '.join(broken)} in its header cannot be; write it anew")
    return info


def _broken(info: ModelInfo) -> list[str]:
    """What no network of ours can have."""
    channels, hu = info.preset.channels, list(info.intensity.hu)
    rules = {
        f"preset.channels {channels}": 2 <= len(channels) <= _MOST_LEVELS and all(1 <= c <= _MOST_CHANNELS for c in channels),
        f"preset.decoder_convs {info.preset.decoder_convs}": 1 <= info.preset.decoder_convs <= _MOST_LEVELS,
        f"in_channels {info.in_channels}": 1 <= info.in_channels <= _MOST_CHANNELS,
        f"{len(info.classes)} classes": 1 <= len(info.classes) <= _MOST_CLASSES,
        f"spacing_mm {info.spacing_mm}": info.spacing_mm > 0,
        f"patch_voxels {info.patch_voxels} at stride {info.preset.stride}": info.patch_voxels > 0
        and info.patch_voxels % info.preset.stride == 0,
        f"{len(info.offsets)} offsets for {len(info.classes)} classes": len(info.offsets) in (0, len(info.classes)),
        f"offsets {info.offsets}": all(isfinite(one) for one in info.offsets),
        f"intensity {info.intensity}": len(hu) == len(info.intensity.network) >= 2 and hu == sorted(set(hu)),
    }
    return [what for what, holds in rules.items() if not holds]


def _head_record(name: str, head: nn.Module) -> dict[str, Any]:
    if not isinstance(head, Head):
        raise ValueError(f"head {name!r} is a {type(head).__name__}; a checkpoint holds heads.Head only")
    record = {"type": "mlp", "features": head[0].in_features, "outputs": head[-1].out_features}
    return record if head.look is None else record | {"look": asdict(head.look)}


def _head(name: str, record: Any, info: ModelInfo, path: Path) -> Head:
    record = record if isinstance(record, dict) else {}
    features, outputs = (size if isinstance(size := record.get(key), int) else 0 for key in ("features", "outputs"))
    if record.get("type") != "mlp" or not (4 <= features <= _MOST_CHANNELS and 1 <= outputs <= _MOST_CHANNELS):
        raise CheckpointError(
            f"{path}: head {name!r} in its header is {record}; this panlesion knows mlp with features, outputs"
        )
    return Head(features, outputs, _look(name, record["look"], features, info, path) if "look" in record else None)


def _look(name: str, record: Any, features: int, info: ModelInfo, path: Path) -> Look:
    try:
        look = _LOOK.validate_json(canonical(record), strict=True)
        look.check(info.preset)
    except (ValidationError, ValueError) as error:
        raise CheckpointError(f"{path}: the look of head {name!r} in its header: {error}; write it anew") from error
    if look.size(info.preset) != features:
        raise CheckpointError(
            f"{path}: head {name!r} reads {features} features, its look gives {look.size(info.preset)}; write it anew"
        )
    return look
