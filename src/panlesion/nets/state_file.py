"""State dicts that others wrote: read without running code, compared name by name, owned tensor by tensor."""

import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from panlesion.errors import CheckpointError

PREFIX = re.compile(r"^(?:module\.|_orig_mod\.)+")
"""What data parallelism and compilation leave before a name."""

_SHOWN = 6


def unpickled(path: Path) -> Any:
    """What a file of `torch.save` holds, tensors and plain containers only.

    Raises:
        CheckpointError: Unreadable, truncated, or it would run code.
    """
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


def tensors_in(
    content: Any, path: Path, *, wrappers: Sequence[str], prefix: re.Pattern[str] = PREFIX
) -> tuple[dict[str, Tensor], str | None]:
    """Tensors by name without prefix, of a state dict that is bare or under one of the names `wrappers`; and which it was.

    Raises:
        CheckpointError: It is no state dict, is there twice, holds other things, or two names differ by their prefix alone.
    """
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}; it must hold a state dict, bare or wrapped")
    there = [str(name) for name in wrappers if name in content]
    if len(there) > 1:
        raise CheckpointError(f"{path} holds both {' and '.join(there)}; it must hold one of them. Save that one alone")
    inner, form = (content[there[0]], there[0]) if there else (content, "flat")
    if not isinstance(inner, Mapping) or not inner:
        raise CheckpointError(f"{path}: {form} is no state dict, or an empty one")
    odd = [str(name) for name, value in inner.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if odd:
        raise CheckpointError(f"{path}: {listed(odd)} in {form} are no tensors; it must hold nothing else")
    found: dict[str, Tensor] = {}
    for name, tensor in inner.items():
        bare = prefix.sub("", name)
        if bare in found:
            raise CheckpointError(f"{path}: {bare} is there twice, with and without a prefix; keep one of them")
        found[bare] = tensor
    return found, there[0] if there else None


def check_numbers(weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse weights that are no numbers.

    Raises:
        CheckpointError: A tensor is not real or not finite.
    """
    for name, tensor in weights.items():
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{path}: {name} holds numbers that are not finite or not real; the file is damaged")


def owned(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """As float32, each with memory of its own: training must not change two parameters where a file stored one twice."""
    owned, seen = {}, set()
    for name, tensor in weights.items():
        single = tensor.detach().to(torch.float32).contiguous()
        alone = single.untyped_storage().nbytes() == single.nbytes and single.data_ptr() not in seen
        owned[name] = single if alone else single.clone()
        seen.add(single.data_ptr())
    return owned


def check_fit(expected: Mapping[str, tuple[int, ...]], weights: Mapping[str, Tensor], path: Path, *, advice: str) -> None:
    """Refuse what differs from the shapes by name that a network has, all of it in one message.

    Raises:
        CheckpointError: Missing, unexpected or wrongly shaped tensors, listed, and the advice.
    """
    missing = [name for name in expected if name not in weights]
    unexpected = [name for name in weights if name not in expected]
    shapes = [
        f"{name} is {tuple(weights[name].shape)}, not {shape}"
        for name, shape in expected.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    said = [
        f"{len(names)} {what}: {listed(names)}"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        if names
    ]
    if said:
        raise CheckpointError(f"{path} does not fit the network: {'; '.join(said)}. {advice}")


def listed(names: Sequence[str]) -> str:
    """The first of many names, and how many more there are."""
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
