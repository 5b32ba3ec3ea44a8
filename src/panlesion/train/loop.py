"""`fit`: the one training loop, for every task, device and number of processes.

All randomness of a run is a function of (seed, step), none is carried along, so that a run killed at any moment and started
again continues bit for bit where its last saved state was.
"""

import contextlib
import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from panlesion.data.publish import write_text
from panlesion.errors import PanlesionError, TrainingError
from panlesion.nets.model import Model
from panlesion.train.journal import Journal
from panlesion.train.optim import Ema, Optim, make_optimizer, set_rate
from panlesion.train.state import STATE_FILE, load_state, save_state

# It tells the precision at the start of every run, in the middle of whatever progress bar there is.
logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)

READY_FILE = "prepared.txt"


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One training sample: named arrays, stacked into a batch by the loop, and the id that an error would name."""

    arrays: Mapping[str, NDArray]
    id: str


class Source(Protocol):
    """Where samples come from; `sample` depends on its arguments alone."""

    def sample(self, step: int, slot: int) -> Sample: ...
    def at_step(self, step: int) -> None: ...


M = TypeVar("M", bound=nn.Module)
M_contra = TypeVar("M_contra", bound=nn.Module, contravariant=True)


class Task(Protocol[M_contra]):
    """What a run learns; one file each in `train/tasks/`."""

    def network(self, model: M_contra) -> nn.Module: ...
    def loss(self, output: Any, batch: Mapping[str, Tensor]) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How long and how a model is trained. `batch` is over all processes together."""

    steps: int
    batch: int
    seed: int = 0
    optim: Optim = field(default_factory=Optim)
    precision: str = "bf16-mixed"
    log_every: int = 10
    save_every: int = 250
    check_every: int = 1000


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a caller is told after every step; times in seconds, `wait_s` is what of the step was waiting for data."""

    step: int
    steps: int
    loss: float
    step_s: float
    wait_s: float


Watch = Callable[[Progress], None]
Check = Callable[[Model], Mapping[str, float]]


def fit(
    model: M,
    task: Task[M],
    source: Source,
    config: Fit,
    out: Path,
    *,
    fabric: Fabric | None = None,
    groups: Callable[[M], list[dict[str, object]]] | None = None,
    check: Callable[[M], Mapping[str, float]] | None = None,
    watch: Watch | None = None,
) -> M:
    """Train `model` in place and return it, with averaged weights if the optimiser keeps an average.

    `out` receives the resumable state, the journal (JSONL, TensorBoard) and nothing else; if it holds a state, training goes
    on from there. `groups` makes parameter groups with a `scale` of the rate each; parameters left out stay as they are.

    Raises:
        TrainingError: The loss is no number; the message names the step and the samples. Or the folder holds another run.
    """
    fabric = launched(fabric or Fabric(accelerator="cpu", devices=1, precision=config.precision))  # type: ignore[arg-type]
    every: list[dict[str, object]] = [{"params": [p for p in model.parameters() if p.requires_grad]}]
    parameters = groups(model) if groups else every
    network = task.network(model)
    module, optimizer = fabric.setup(network, make_optimizer(parameters, config.optim))
    ema = Ema(model, config.optim.ema_decay) if config.optim.ema_decay > 0 else None
    start = load_state(out / STATE_FILE, model, optimizer, ema, config) if (out / STATE_FILE).exists() else 0
    loader = _Loader(source, config, fabric.global_rank, fabric.world_size, start)
    with Journal(out, start, enabled=fabric.is_global_zero) as journal, contextlib.closing(loader):
        for step in range(start, config.steps):
            began = time.perf_counter()
            samples, batch, wait_s = loader.next()
            batch = {name: fabric.to_device(values) for name, values in batch.items()}
            set_rate(optimizer, config.optim.rate_at(step, config.steps))
            module.train()
            loss = task.loss(module(batch["image"]), batch)
            mean_loss = _agreed(fabric, float(loss.detach()), step, samples)
            optimizer.zero_grad()
            fabric.backward(loss)
            norm = fabric.clip_gradients(module, optimizer, max_norm=config.optim.clip_norm, error_if_nonfinite=False)
            _agreed(fabric, float(norm) if norm is not None else 0.0, step, samples)
            optimizer.step()
            if ema is not None:
                ema.update(model, step)
            done = step + 1
            progress = Progress(
                step=done, steps=config.steps, loss=mean_loss, step_s=time.perf_counter() - began, wait_s=wait_s
            )
            if done % config.log_every == 0 or done == config.steps:
                journal.log(done, {"loss": progress.loss, "step_s": progress.step_s, "wait_s": wait_s,
                                   "rate": optimizer.param_groups[0]["lr"]})  # fmt: skip
            if check is not None and (done % config.check_every == 0 or done == config.steps):
                journal.log(done, {f"check/{name}": value for name, value in _checked(check, model, ema).items()})
            if done % config.save_every == 0 or done == config.steps:
                on_first(fabric, partial(save_state, out / STATE_FILE, done, model, optimizer, ema, config))
            if watch is not None:
                watch(progress)
    if ema is not None:
        ema.swap(model)
    return model


def _agreed(fabric: Fabric, value: float, step: int, samples: Sequence[str]) -> float:
    """The mean of a number over all processes, which stop together before one that is no number reaches the weights.

    A process that stopped alone would leave the others waiting for its gradients.
    """
    mean = value
    if fabric.world_size > 1:
        reduced = fabric.all_reduce(torch.tensor(value, dtype=torch.float64, device=fabric.device), reduce_op="mean")
        assert isinstance(reduced, torch.Tensor)
        mean = float(reduced)
    if math.isfinite(mean):
        return mean
    bad = list(samples) if not math.isfinite(value) else []
    if fabric.world_size > 1:
        every: list[list[str]] = [[] for _ in range(fabric.world_size)]
        torch.distributed.all_gather_object(every, bad)
        bad = [one for some in every for one in some]
    raise TrainingError(
        f"step {step}: loss or gradient is {mean}; samples {', '.join(bad)}. The last saved state is sound: lower "
        "the learning rate or look at these samples, then run the same command to go on from it"
    )


def launched(fabric: Fabric) -> Fabric:
    """Start the other processes of a run, unless they are there: torchrun, SLURM or an earlier call started them."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        fabric.launch()
    return fabric


def on_first(fabric: Fabric, do: Callable[[], object]) -> None:
    """Let the first process do something while the others wait; if it fails there, it fails everywhere.

    Raises:
        TrainingError: in the others, with the first one's message.
    """
    if fabric.world_size == 1:
        do()
        return
    trouble: Exception | None = None
    if fabric.is_global_zero:
        try:
            do()
        except (PanlesionError, OSError) as error:
            trouble = error
    told = fabric.broadcast(str(trouble) if trouble else "", src=0)
    if trouble is not None:
        raise trouble
    if told:
        raise TrainingError(f"the first process stopped: {told}")


def once(fabric: Fabric, out: Path, do: Callable[[], object]) -> None:
    """As `on_first` for what may take hours, longer than processes wait for each other: the others look for a file."""
    if fabric.world_size == 1:
        do()
        return
    ready, parent = out / READY_FILE, os.getppid()
    on_first(fabric, lambda: ready.unlink(missing_ok=True))
    if fabric.is_global_zero:
        try:
            do()
        except (PanlesionError, OSError) as error:
            write_text(ready, str(error) or type(error).__name__)
            raise
        write_text(ready, "")
        return
    while not ready.exists():
        if os.getppid() != parent:
            raise TrainingError("the process that leads this run ended; its own message says why")
        time.sleep(0.5)
    if told := ready.read_text(encoding="utf-8"):
        raise TrainingError(f"the first process stopped: {told}")


def _checked(check: Callable[[M], Mapping[str, float]], model: M, ema: Ema | None) -> Mapping[str, float]:
    """Run the caller's check on the averaged weights, without gradients."""
    if ema is not None:
        ema.swap(model)
    model.eval()
    try:
        with torch.inference_mode():
            return check(model)
    finally:
        model.train()
        if ema is not None:
            ema.swap(model)


class _Loader:
    """Fetches the next batch while the current one is trained on, always in the same order."""

    def __init__(self, source: Source, config: Fit, rank: int, world: int, start: int) -> None:
        if config.batch % world:
            raise ValueError(f"batch is {config.batch}; it must be divisible by the number of processes, {world}")
        self._source, self._slots, self._steps = source, range(rank, config.batch, world), config.steps
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._step = start
        self._coming: Future[list[Sample]] | None = self._fetch(start)

    def _fetch(self, step: int) -> Future[list[Sample]] | None:
        return self._pool.submit(self._samples, step) if step < self._steps else None

    def _samples(self, step: int) -> list[Sample]:
        self._source.at_step(step)
        return [self._source.sample(step, slot) for slot in self._slots]

    def next(self) -> tuple[list[str], dict[str, Tensor], float]:
        assert self._coming is not None
        began = time.perf_counter()
        samples = self._coming.result()
        wait_s = time.perf_counter() - began
        self._step += 1
        self._coming = self._fetch(self._step)
        names = samples[0].arrays.keys()
        batch = {name: torch.from_numpy(np.stack([sample.arrays[name] for sample in samples])) for name in names}
        return [sample.id for sample in samples], batch, wait_s

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
