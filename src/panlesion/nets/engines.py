"""Engines: what runs a network on windows. Chosen by what the machine has, and checked against torch in float32."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from panlesion import __version__
from panlesion.ct.atomic import replacing
from panlesion.nets.agreement import agreement, answers, check_windows
from panlesion.nets.model import Model
from panlesion.nets.openvino_engine import OpenVinoEngine, entry_of, has_openvino, weights_digest
from panlesion.nets.sliding import Engine

LEAST_AGREEMENT = 0.99
"""Of every class group's voxels, below which an engine is passed over. The shipped model has 0.996 and more in bfloat16, with
OpenVINO as with torch (docs/why/infer_speed.md)."""

_AGREED: dict[tuple[str, str, int], Mapping[str, float]] = {}
_CHECKS = "agreement.json"
_BF16 = ("amx_bf16", "avx512_bf16")


class EngineName(StrEnum):
    """What `choose_engine` can be asked for."""

    AUTO = "auto"
    TORCH = "torch"
    TORCH_BF16 = "torch-bf16"
    OPENVINO = "openvino"
    OPENVINO_BF16 = "openvino-bf16"

    @property
    def bf16(self) -> bool:
        return self in (EngineName.TORCH_BF16, EngineName.OPENVINO_BF16)


class TorchEngine:
    """The model itself, where it is, in float32 or under autocast to bfloat16, as training runs."""

    def __init__(self, model: Model, *, bf16: bool) -> None:
        self.model, self.bf16 = model, bf16
        self.device = next(model.parameters()).device

    def __call__(self, windows: Tensor) -> Tensor:
        """Logits float32, whatever autocast the caller is in."""
        with torch.no_grad(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            logits: Tensor = self.model(windows)
            return logits.float()


@dataclass(frozen=True, kw_only=True, eq=False)
class ChosenEngine:
    """An engine with why it was chosen.

    `agreement` is the share of voxels of each class group that it gives the class torch gives in float32, on
    `agreement.check_windows`; `passed_over` says of the engines that would have come first why they were not taken.
    """

    name: EngineName
    engine: Engine
    agreement: Mapping[str, float]
    passed_over: Mapping[str, str]

    @property
    def device(self) -> torch.device:
        return self.engine.device

    def __call__(self, windows: Tensor) -> Tensor:
        return self.engine(windows)

    def record(self) -> dict[str, Any]:
        """JSON-able, to be stored beside what was predicted."""
        return {"engine": self.name.value, "agreement": dict(self.agreement), "passed_over": dict(self.passed_over)}


def choose_engine(
    model: Model, name: EngineName | str = EngineName.AUTO, *, threads: int | None = None, cache: Path | str | None = None
) -> ChosenEngine:
    """The fastest engine of this machine that agrees with torch in float32; or the one that is named, checked but not refused.

    Args:
        model: With the weights it has now. On a GPU, torch runs it there.
        name: One of `EngineName`.
        threads: Of OpenVINO; torch's own number by default, which is the process's and not changed here.
        cache: A folder for converted networks and their checks, made if it is not there. A check takes six windows and a
            conversion half a second; both are remembered in this process in any case.

    Raises:
        MissingExtraError: The named engine's library is not installed; the message says which extra has it.
        ValueError: No such engine, or one that does not run where the model is.
    """
    if name not in list(EngineName):
        raise ValueError(f"engine is {name!r}; use one of {', '.join(EngineName)}")
    threads = torch.get_num_threads() if threads is None else threads
    check = _Check(model, None if cache is None else Path(cache))
    passed_over: dict[str, str] = {}
    for one in _candidates(model, passed_over) if name == EngineName.AUTO else [EngineName(name)]:
        engine = _made(model, one, threads, check.cache)
        agreed = check.of(one, engine)
        least = min(agreed.values())
        if name != EngineName.AUTO or one == EngineName.TORCH or least >= LEAST_AGREEMENT:
            break
        passed_over[one.value] = f"agrees with torch in {least:.2%} of voxels; {LEAST_AGREEMENT:.0%} are asked for"
    return ChosenEngine(name=one, engine=engine, agreement=agreed, passed_over=MappingProxyType(passed_over))


def _candidates(model: Model, passed_over: dict[str, str]) -> list[EngineName]:
    """Fastest first; torch in float32 is the last and always there."""
    device = next(model.parameters()).device
    if device.type == "cuda":
        return [EngineName.TORCH_BF16, EngineName.TORCH] if torch.cuda.is_bf16_supported() else [EngineName.TORCH]
    if device.type != "cpu":
        return [EngineName.TORCH]
    names = [EngineName.OPENVINO_BF16, EngineName.TORCH_BF16, EngineName.OPENVINO, EngineName.TORCH]
    if not cpu_has_bf16():
        passed_over |= {one.value: "this CPU computes no bfloat16" for one in names if one.bf16}
        names = [one for one in names if not one.bf16]
    if not has_openvino():
        theirs = (EngineName.OPENVINO_BF16, EngineName.OPENVINO)
        passed_over |= {one.value: "openvino is not installed (fast extra)" for one in theirs if one in names}
        names = [one for one in names if one not in theirs]
    return names


def cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware; emulated it is slower than float32."""
    can = torch.cpu.get_capabilities()
    return any(bool(can.get(name)) for name in _BF16)


def _made(model: Model, name: EngineName, threads: int, cache: Path | None) -> Engine:
    if name in (EngineName.TORCH, EngineName.TORCH_BF16):
        return TorchEngine(model, bf16=name.bf16)
    device = next(model.parameters()).device
    if device.type != "cpu":
        raise ValueError(f"engine is {name.value!r} and the model on {device}; OpenVINO runs on the CPU: move the model there")
    if name.bf16 and not cpu_has_bf16():
        raise ValueError(f"engine is {name.value!r}, but this CPU computes no bfloat16; use 'openvino' or 'auto'")
    return OpenVinoEngine(model, bf16=name.bf16, threads=threads, cache=cache)


class _Check:
    """Agreements of one model's engines: from memory, from the cache, or made now."""

    def __init__(self, model: Model, cache: Path | None) -> None:
        self.model, self.cache = model, cache

    @cached_property
    def digest(self) -> str:
        return weights_digest(self.model)

    def of(self, name: EngineName, engine: Engine) -> Mapping[str, float]:
        """Share of voxels with torch's class, by group."""
        if name == EngineName.TORCH:
            return MappingProxyType({group.name: 1.0 for group in self.model.classes.groups})
        key = (self.digest, f"{name.value}, panlesion {__version__}, {_processor(engine.device)}", self.model.info.patch_voxels)
        if key not in _AGREED:
            _AGREED[key] = MappingProxyType(self._stored(key[1]) or self._now(key[1], engine))
        return _AGREED[key]

    def _now(self, name: str, engine: Engine) -> dict[str, float]:
        found = agreement(answers(self.model, engine, self._windows), self._reference)
        if (file := self._file()) is not None:
            # as with the network, a cache that cannot be written is no reason not to predict
            with suppress(OSError), replacing(file) as stream:
                stream.write(json.dumps(self._file_content() | {name: found}, indent=1).encode())
        return found

    @cached_property
    def _windows(self) -> Tensor:
        return check_windows(self.model)

    @cached_property
    def _reference(self) -> dict[str, NDArray[np.uint8]]:
        return answers(self.model, TorchEngine(self.model, bf16=False), self._windows)

    def _stored(self, name: str) -> dict[str, float] | None:
        found = self._file_content().get(name)
        groups = {group.name for group in self.model.classes.groups}
        return found if isinstance(found, dict) and found.keys() == groups else None

    def _file_content(self) -> dict[str, Any]:
        file, content = self._file(), None
        if file is not None and file.is_file():
            # One that is cut off is written anew.
            with suppress(ValueError):
                content = json.loads(file.read_text(encoding="utf-8"))
        return content if isinstance(content, dict) else {}

    def _file(self) -> Path | None:
        """Beside the converted network; None without one."""
        if self.cache is None or not has_openvino():
            return None
        entry = entry_of(self.model, self.digest, self.cache)
        return entry / _CHECKS if entry.is_dir() else None


def _processor(device: torch.device) -> str:
    """What arithmetic an agreement was seen with."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    can = torch.cpu.get_capabilities()
    return f"{can.get('cpu_name', 'CPU')} {'+'.join(one for one in _BF16 if can.get(one))}".strip()
