"""The rotating pool: blocks of fresh patches, made ahead by producer processes, used for a while, then removed.

Which block and patch a training sample comes from depends on (seed, step, slot) alone, so a run that was interrupted goes on
with the same samples. Producers and trainer talk through files: a finished block exists, a position file says how far
training has come.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np

from panlesion.data.patches import BLOCK_SUFFIX, Block, OpenBlock, open_block, write_block
from panlesion.data.publish import write_text
from panlesion.errors import PanlesionError, TrainingError

POSITION, TROUBLE = "position.txt", "trouble.txt"
MakeBlock = Callable[[int], Block]
Filling = Callable[[int, int], None]
"""Told how many blocks there are, and how many are waited for."""

POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """How blocks come and go.

    A sample at `step` comes from the newest `window` blocks; a new block enters whenever the samples taken since the last
    one are `reuse` times the patches of a block. Training starts with `first` blocks.
    """

    patches: int
    window: int = 64
    first: int = 3
    reuse: float = 2.0

    def newest(self, sample: int) -> int:
        """How many blocks, counted from the run's start, exist for its `sample`-th training sample."""
        return self.first + int(sample // (self.patches * self.reuse))

    def oldest(self, sample: int) -> int:
        """The first block still in use at that sample."""
        return max(0, self.newest(sample) - self.window)

    def locate(self, seed: int, sample: int) -> tuple[int, int, np.random.Generator]:
        """Block and patch of a training sample, and the generator for whatever is drawn about it."""
        rng = np.random.default_rng([seed, sample, 0x706F6F6C])
        block = int(rng.integers(self.oldest(sample), self.newest(sample)))
        return block, int(rng.integers(self.patches)), rng


class BlockPool:
    """Blocks in a folder, made by `workers` processes in the background while the pool is open.

    Of several training processes one `leads`: it has the producers and removes old blocks. The others read what appears in
    the folder, which they must share: a block is the costly part, and would be made once per process otherwise. `filling` hears
    how many of the blocks that training begins or goes on with are there, while they are waited for.

    Raises:
        TrainingError: from `open`, when a producer failed; the message has its cause.
    """

    def __init__(
        self,
        folder: Path,
        make_block: MakeBlock,
        *,
        workers: int,
        ahead: int = 4,
        keep_open: int = 96,
        leads: bool = True,
        filling: Filling = lambda _made, _wanted: None,
    ) -> None:
        self._leads, self._parent = leads, os.getppid()
        self.folder, self._make, self._count, self._ahead = folder, make_block, workers, ahead
        self._opened: OrderedDict[int, OpenBlock] = OrderedDict()
        self._keep_open = keep_open
        self._workers: list[BaseProcess] = []
        self._filling, self._wanted, self._filled = filling, range(0), False
        self.waited_s = 0.0

    def advance(self, oldest: int, newest: int) -> None:
        """Tell producers how far training has come, and remove blocks older than `oldest`; the first call starts them."""
        self._wanted = range(oldest, newest)
        if not self._leads:
            return
        if not self._workers:
            self.prepare()
        write_text(self.folder / POSITION, f"{oldest} {newest + self._ahead}\n")
        for path in self.folder.glob(f"block_*{BLOCK_SUFFIX}"):
            if _number(path) < oldest:
                self._opened.pop(_number(path), None)
                path.unlink(missing_ok=True)
        if not self._workers:
            self._hire()

    def prepare(self) -> None:
        """Clear away what a run before this one left half done; the leader's first `advance` does it too."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / TROUBLE).unlink(missing_ok=True)
        for leftover in self.folder.glob(".*.part"):  # of a killed producer
            leftover.unlink(missing_ok=True)

    def _hire(self) -> None:
        context = multiprocessing.get_context("spawn")
        for n in range(self._count):
            process = context.Process(target=_produce, args=(self.folder, self._make, n, self._count, os.getpid()), daemon=True)
            process.start()
            self._workers.append(process)

    def open(self, index: int) -> OpenBlock:
        """A block, waiting until it is made."""
        if index not in self._opened:
            path = self.folder / _name(index)
            started = time.perf_counter()
            self._fill()
            while not path.exists():
                self._check()
                time.sleep(POLL_S)
            self.waited_s += time.perf_counter() - started
            self._opened[index] = open_block(path)
            while len(self._opened) > self._keep_open:
                self._opened.popitem(last=False)
        return self._opened[index]

    def _fill(self) -> None:
        """Wait, the first time, for all blocks that training begins with: its first few samples would want most of them."""
        missing = {self.folder / _name(index) for index in self._wanted} if not self._filled else set()
        waited = bool(missing)
        while missing := {path for path in missing if not path.exists()}:
            self._filling(len(self._wanted) - len(missing), len(self._wanted))
            self._check()
            time.sleep(POLL_S)
        if waited:
            self._filling(len(self._wanted), len(self._wanted))
        self._filled = True

    def stop(self) -> None:
        """End the producers; what they had begun is dropped."""
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            worker.join()
        self._workers.clear()

    def _check(self) -> None:
        codes = [worker.exitcode for worker in self._workers if worker.exitcode is not None]
        trouble = self.folder / TROUBLE
        if trouble.exists():
            raise TrainingError(f"making training patches failed: {trouble.read_text(encoding='utf-8').strip()}")
        if not self._leads:
            if os.getppid() != self._parent:
                raise TrainingError("the process that leads this run ended; its own message says why")
            return
        # One is enough: the blocks it was to make would be waited for forever.
        if codes or not self._workers:
            raise TrainingError(
                f"{len(codes)} of {len(self._workers)} processes that make training patches ended (exit codes {codes}); "
                "-9 means that the system ran out of memory: use fewer workers. Resume with the same command"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Rotating:
    """Patches from a rotating pool; which one a (step, slot) gets depends on the seed alone. Sources of samples build on it."""

    pool: BlockPool
    rotation: Rotation
    seed: int
    batch: int

    def at_step(self, step: int) -> None:
        """Let producers go on, and old blocks go."""
        first = step * self.batch
        # Another process of the run may be fetching a step behind: what it reads from must not go yet.
        behind = max(0, first - 2 * self.batch)
        self.pool.advance(self.rotation.oldest(behind), self.rotation.newest(first + self.batch))

    def patch(self, step: int, slot: int) -> tuple[OpenBlock, int, np.random.Generator, str]:
        """Block, number of the patch in it, generator for what is drawn about it, and a name for messages."""
        block, patch, rng = self.rotation.locate(self.seed, step * self.batch + slot)
        return self.pool.open(block), patch, rng, f"block {block} patch {patch}"


def _name(index: int) -> str:
    return f"block_{index:06d}{BLOCK_SUFFIX}"


def _number(path: Path) -> int:
    return int(path.stem.split("_")[1])


def _produce(folder: Path, make_block: MakeBlock, mine: int, count: int, parent: int) -> None:
    """A producer's life: make every `count`-th block, never further ahead than the position file allows."""
    os.nice(5)  # training goes first: it is what the user waits for
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted trainer ends its producers itself
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    index: int | None = None
    while True:
        oldest, limit = (int(n) for n in (folder / POSITION).read_text(encoding="utf-8").split())
        if index is None:
            index = oldest + (mine - oldest) % count
        while index < oldest or (folder / _name(index)).exists():
            index += count
        if index >= limit:
            time.sleep(POLL_S)
            continue
        try:
            write_block(folder / _name(index), make_block(index))
        except PanlesionError as error:
            write_text(folder / TROUBLE, f"block {index}: {error}\n")
            return
        except Exception:
            # Not handled, only told: the trainer knows no more of a process that ended than its exit code.
            write_text(folder / TROUBLE, f"block {index}: {traceback.format_exc(limit=-3)}\n")
            raise


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, whatever it is busy with: a killed run leaves nothing running."""
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os._exit(1)
