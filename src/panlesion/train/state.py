"""The resumable state of a run: weights, optimiser, moving average, step. Written whole or not at all."""

import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from panlesion.data.publish import publishing_file
from panlesion.errors import TrainingError
from panlesion.train.optim import Ema

if TYPE_CHECKING:
    from panlesion.train.loop import Fit

STATE_FILE = "state.pt"
FREE = frozenset({"steps", "log_every", "save_every", "check_every"})
"""Fields of `Fit` that a run may change: it may be made longer, and be saved or logged at other steps."""


def save_state(path: Path, step: int, model: nn.Module, optimizer: Optimizer, ema: Ema | None, config: "Fit") -> None:
    """Write the state after `step` steps; an older one is replaced only by a complete new one.

    Raises:
        DiskFullError: No room; the older state is still there.
    """
    state = {
        "step": step,
        "config": json.dumps(asdict(config)),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "ema": ema.weights if ema else None,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with publishing_file(path) as stream:
        try:
            torch.save(state, stream)
        except RuntimeError as error:
            # Closing its archive after a failed write, torch hides the system's error behind one about positions.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_state(path: Path, model: nn.Module, optimizer: Optimizer, ema: Ema | None, config: "Fit") -> int:
    """Restore a state in place; returns how many steps it has behind it.

    Raises:
        TrainingError: The file is damaged or belongs to a run with another configuration; the message names the difference.
    """
    state = _read(path)
    was, now = json.loads(state["config"]), json.loads(json.dumps(asdict(config)))
    differing = [f"{key} was {was.get(key)}, is {now[key]}" for key in now if key not in FREE and was.get(key) != now[key]]
    if differing:
        raise TrainingError(f"{path} belongs to another run: {'; '.join(differing)}. Use another folder or the same settings")
    _check(path, "model", state["model"], model.state_dict())
    if ema is not None:
        _check(path, "ema", state["ema"], ema.weights)
    try:
        optimizer.load_state_dict(state["optimizer"])
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise _damaged(path, f"its optimiser does not fit: {error}") from error
    model.load_state_dict(state["model"])
    if ema is not None:
        ema.weights = {name: state["ema"][name].to(kept.device) for name, kept in ema.weights.items()}
    return int(state["step"])


def _read(path: Path) -> dict[str, Any]:
    """The file's content, once every byte of it has been checked against the archive's own CRC-32s."""
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError) as error:
        raise _damaged(path, str(error)) from error
    if broken is not None:
        raise _damaged(path, f"{broken} differs from its CRC-32")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError) as error:
        raise _damaged(path, str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    wanted = {"step": int, "config": str, "model": Mapping, "optimizer": dict, "ema": Mapping | None}
    for name, kind in wanted.items():
        if not isinstance(state, dict) or name not in state or not isinstance(state[name], kind):
            raise _damaged(path, f"it holds no {name!r}")
    return dict(state)


def _check(path: Path, part: str, found: Mapping[str, Any] | None, wanted: Mapping[str, Tensor]) -> None:
    """Names, shapes and number types must be those of the run; torch would convert another type without a word."""
    if found is None or found.keys() != wanted.keys():
        names = sorted((found or {}).keys() ^ wanted.keys())
        raise _damaged(path, f"its {part!r} has or lacks {', '.join(names[:5])}")
    for name, value in wanted.items():
        kept = found[name]
        if not isinstance(kept, Tensor) or kept.shape != value.shape or kept.dtype != value.dtype:
            what = f"{kept.dtype} {tuple(kept.shape)}" if isinstance(kept, Tensor) else type(kept).__name__
            raise _damaged(path, f"{name} of its {part!r} is {what}, not {value.dtype} {tuple(value.shape)}")


def _damaged(path: Path, rule: str) -> TrainingError:
    return TrainingError(f"{path} is damaged or no state of this run: {rule}. Remove it to start anew")
