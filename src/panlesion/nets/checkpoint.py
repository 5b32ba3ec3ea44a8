"""Our checkpoints: a safetensors file with one JSON header, read strictly; and a model by name or path.

The header says what must be known to use the weights (see `ModelInfo`) and carries a SHA-256 over itself and every tensor, so a
changed spacing is noticed as surely as a changed weight. It guards against damage and mistakes, not against forgers.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from panlesion.ct.atomic import replacing
from panlesion.errors import CheckpointError
from panlesion.nets.blank import without_storage
from panlesion.nets.heads import Head
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.official import OfficialForm, read_official, write_official

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

_KEY = "panlesion"
_AGAIN = "copy or download the file again"
_INFO = TypeAdapter(ModelInfo)
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
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} holds values that are not finite as {dtype}; such weights are of no use")
    header = {
        "format": FORMAT,
        "version": VERSION,
        "model": asdict(model.info),
        "heads": {name: _head_record(name, head) for name, head in model.heads.items()},
    }
    try:
        text = _canonical(header)
    except (TypeError, ValueError) as error:
        raise ValueError(f"recipe or provenance of the model is not JSON-able: {error}") from error
    header["sha256"] = _digest(text, tensors)
    content = save(tensors, metadata={_KEY: _canonical(header)})
    with replacing(path) as stream:
        stream.write(content)


def load_checkpoint(path: Path | str) -> Model:
    """The model that `save_checkpoint` wrote, float32 on the CPU.

    Raises:
        CheckpointError: Not there, truncated, changed, of another format or a newer version; the message says which.
    """
    path = Path(path)
    text, tensors = _contents(path)
    header, plain = _header(text, path)
    if header["sha256"] != _digest(plain, tensors):
        raise CheckpointError(
            f"{path}: the SHA-256 in its header is not that of its content; it was changed or damaged: {_AGAIN}"
        )
    info = _info(header["model"], path)
    # Without storage: the weights are put in as they were read, and no random number is drawn.
    with without_storage():
        model = Model(info, {name: _head(name, record, path) for name, record in header["heads"].items()})
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if differing := sorted(expected.items() ^ found.items()):
        name = differing[0][0]
        raise CheckpointError(
            f"{path}: {len({one for one, _ in differing})} tensors do not fit its own header, {name} for one "
            f"({found.get(name, 'missing')} in the file, {expected.get(name, 'none')} expected); write it anew"
        )
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


def _canonical(content: Mapping[str, Any]) -> str:
    """The one JSON text of a header, which the digest is taken of."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(header: str, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(header.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _contents(path: Path) -> tuple[str, dict[str, Tensor]]:
    """Header text and tensors of a safetensors file."""
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            text = (file.metadata() or {}).get(_KEY)
            if text is None:
                raise CheckpointError(
                    f"{path} is a safetensors file, but no checkpoint of panlesion: its metadata has no {_KEY!r} header. "
                    "Give one that panlesion wrote, or the public code's weights as .pth"
                )
            # Copied: what is mapped would change, or crash us, with the file.
            return text, {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise CheckpointError(f"{path} is truncated, damaged or no safetensors file ({error}): {_AGAIN}") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error


def _header(text: str, path: Path) -> tuple[dict[str, Any], str]:
    """The header, and the text its digest was taken of: everything but the digest itself."""
    try:
        header = json.loads(text)
        plain = _canonical(
            {name: value for name, value in header.items() if name != "sha256"} if isinstance(header, dict) else {}
        )
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its header is no JSON ({error}): {_AGAIN}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f"{path}: its header does not say format {FORMAT!r}; it is no checkpoint of panlesion")
    if header.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has format version {header.get('version')!r}, this panlesion reads {VERSION}; "
            "install the panlesion that wrote it"
        )
    wanted: dict[str, type] = {"model": dict, "heads": dict, "sha256": str}
    wrong = [name for name, kind in wanted.items() if not isinstance(header.get(name), kind)]
    wrong += [f"model.{field.name}" for field in fields(ModelInfo) if not wrong and field.name not in header["model"]]
    if wrong:
        raise CheckpointError(f"{path}: its header lacks {', '.join(wrong)}; write it anew with save_checkpoint")
    return header, plain


def _info(record: Mapping[str, Any], path: Path) -> ModelInfo:
    try:
        info = _INFO.validate_json(_canonical(record), strict=True)
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
        f"intensity {info.intensity}": len(hu) == len(info.intensity.network) >= 2 and hu == sorted(set(hu)),
    }
    return [what for what, holds in rules.items() if not holds]


def _head_record(name: str, head: nn.Module) -> dict[str, Any]:
    if not isinstance(head, Head):
        raise ValueError(f"head {name!r} is a {type(head).__name__}; a checkpoint holds heads.Head only")
    return {"type": "mlp", "features": head[0].in_features, "outputs": head[-1].out_features}


def _head(name: str, record: Any, path: Path) -> Head:
    record = record if isinstance(record, dict) else {}
    features, outputs = (size if isinstance(size := record.get(key), int) else 0 for key in ("features", "outputs"))
    if record.get("type") != "mlp" or not (4 <= features <= _MOST_CHANNELS and 1 <= outputs <= _MOST_CHANNELS):
        raise CheckpointError(
            f"{path}: head {name!r} in its header is {record}; this panlesion knows mlp with features, outputs"
        )
    return Head(features, outputs)
