"""The resumable state of a run: weights, optimiser, moving average, step. Written whole or not at all."""

import errno
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.optim import Optimizer

from panlesion.ct.atomic import replacing
from panlesion.data.publish import DiskFullError
from panlesion.errors import TrainingError
from panlesion.nets.model import Model
from panlesion.train.optim import Ema

if TYPE_CHECKING:
    from panlesion.train.loop import Fit

STATE_FILE = "state.pt"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def save_state(path: Path, step: int, model: Model, optimizer: Optimizer, ema: Ema | None, config: "Fit") -> None:
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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as stream:
            torch.save(state, stream)
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFullError(
                f"{path} cannot be written: {error.strerror}. The state before it is complete: make room and run again"
            ) from error
        raise


def load_state(path: Path, model: Model, optimizer: Optimizer, ema: Ema | None, config: "Fit") -> int:
    """Restore a state in place; returns how many steps it has behind it.

    Raises:
        TrainingError: The file is damaged or belongs to a run with another configuration; the message names the difference.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a dozen kinds for a damaged file
        problem = f"{path} is damaged or no state of a run ({type(error).__name__}); remove it to start anew"
        raise TrainingError(problem) from error
    was, now = json.loads(state["config"]), json.loads(json.dumps(asdict(config)))
    # A run may be made longer, and saved or logged at other steps; anything else would be another run.
    free = {"steps", "log_every", "save_every", "check_every"}
    differing = [f"{key} was {was.get(key)}, is {now[key]}" for key in now if key not in free and was.get(key) != now[key]]
    if differing:
        raise TrainingError(f"{path} belongs to another run: {'; '.join(differing)}. Use another folder or the same settings")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    if ema is not None:
        ema.weights = state["ema"]
    return int(state["step"])
