"""A sealed file: safetensors with one JSON header, whose SHA-256 covers the header too. All our weights are stored so.

The digest guards against damage and mistakes, not against forgers: a changed spacing is noticed as surely as a changed weight.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from panlesion.ct.atomic import replacing
from panlesion.errors import CheckpointError

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "panlesion-model": "a network (panlesion pretrain, finetune; read by load_model and --checkpoint)",
        "panlesion-refiner": "a refiner (panlesion train-refiner; used by panlesion synth --refine)",
    }
)
"""What each format holds, so that the wrong kind of file is told by its name."""

AGAIN = "copy or download the file again"
_KEY = "panlesion"


def seal(path: Path | str, header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write header and tensors whole or not at all; equal content gives equal bytes.

    Raises:
        ValueError: The header is not JSON-able, or a tensor holds values that are not finite.
    """
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} holds values that are not finite as {tensor.dtype}; such weights are of no use")
    try:
        text = canonical(header)
    except (TypeError, ValueError) as error:
        raise ValueError(f"recipe or provenance of the model is not JSON-able: {error}") from error
    content = save(dict(tensors), metadata={_KEY: canonical({**header, "sha256": digest(text, tensors)})})
    with replacing(path) as stream:
        stream.write(content)


def unseal(
    path: Path, *, format: str, version: int, lacking: Callable[[Mapping[str, Any]], list[str]]
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Header and tensors of a file; `lacking` names what a header of this format must have and does not.

    Raises:
        CheckpointError: Not there, truncated, changed, of another format or a newer version; the message says which.
    """
    text, tensors = _contents(path)
    header, plain = _header(text, path)
    if header.get("format") != format:
        if header.get("format") in list(KINDS):
            raise CheckpointError(f"{path} is {KINDS[header['format']]}, but {KINDS[format]} is wanted here; give one of those")
        raise CheckpointError(f"{path}: its header does not say format {format!r}; it is no checkpoint of panlesion")
    if header.get("version") != version:
        raise CheckpointError(
            f"{path} has format version {header.get('version')!r}, this panlesion reads {version}; "
            "install the panlesion that wrote it"
        )
    wrong = lacking(header) + ([] if isinstance(header.get("sha256"), str) else ["sha256"])
    if wrong:
        raise CheckpointError(f"{path}: its header lacks {', '.join(wrong)}; write it anew with the panlesion that made it")
    if header["sha256"] != digest(plain, tensors):
        raise CheckpointError(
            f"{path}: the SHA-256 in its header is not that of its content; it was changed or damaged: {AGAIN}"
        )
    return header, tensors


def check_shapes(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    """See that the tensors of a file are those of the network its header asks for.

    Raises:
        CheckpointError: They are not; names one that differs.
    """
    ours = {name: tuple(tensor.shape) for name, tensor in expected.items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in found.items()}
    if differing := sorted(ours.items() ^ theirs.items()):
        name = differing[0][0]
        raise CheckpointError(
            f"{path}: {len({one for one, _ in differing})} tensors do not fit its own header, {name} for one "
            f"({theirs.get(name, 'missing')} in the file, {ours.get(name, 'none')} expected); write it anew"
        )


def canonical(content: Mapping[str, Any]) -> str:
    """The one JSON text of a header, which the digest is taken of."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(header: str, tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over a header's text and every tensor's name, type, shape and bytes."""
    sha = hashlib.sha256(header.encode())
    for name, tensor in sorted(tensors.items()):
        sha.update(f"\0{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        sha.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


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
        raise CheckpointError(f"{path} is truncated, damaged or no safetensors file ({error}): {AGAIN}") from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error


def _header(text: str, path: Path) -> tuple[dict[str, Any], str]:
    """The header, and the text its digest was taken of: everything but the digest itself."""
    try:
        header = json.loads(text)
        if not isinstance(header, dict):
            raise CheckpointError(f"{path}: its header is no JSON object; it is no checkpoint of panlesion")
        return header, canonical({name: value for name, value in header.items() if name != "sha256"})
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its header is no JSON ({error}): {AGAIN}") from error
