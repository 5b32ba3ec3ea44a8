"""Worker processes that take jobs one by one; when a worker dies, the job it held is known and the rest goes on."""

import contextlib
import multiprocessing
import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from threadpoolctl import threadpool_limits

from panlesion.data.publish import DiskFullError
from panlesion.errors import PanlesionError

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Job(Protocol):
    """Anything picklable; jobs of one group go to one worker as long as others have work."""

    @property
    def group(self) -> str: ...


J = TypeVar("J", bound=Job)
Work = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class Outcome(Generic[J]):
    """What became of a job: a result, or the name and message of an error. `died` means its worker was killed."""

    job: J
    result: Any = None
    error: str = ""
    cause: str = ""
    died: bool = False
    fatal: bool = False
    seconds: float = 0.0

    @property
    def failed(self) -> bool:
        return bool(self.error)


def run_jobs(jobs: Sequence[J], make_work: Callable[[], Work], workers: int) -> Generator[Outcome[J], None, None]:
    """Outcomes as they come in. `make_work` is called once in every worker (it must be picklable).

    With one worker the work is done in this process. When the caller stops iterating, workers are stopped.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    if workers == 1 or len(jobs) < 2:
        work = make_work() if jobs else None
        for job in _queue(jobs).drained():
            assert work is not None
            yield _attempt(work, job)
        return
    team = _Team(_queue(jobs), make_work, min(workers, len(jobs)))
    try:
        yield from team.outcomes()
    finally:
        team.stop()


def _attempt(work: Work, job: J) -> Outcome[J]:
    started = time.perf_counter()
    try:
        return Outcome(job=job, result=work(job), seconds=time.perf_counter() - started)
    except PanlesionError as error:
        return Outcome(job=job, error=type(error).__name__, cause=str(error), fatal=isinstance(error, DiskFullError))
    except Exception as error:  # noqa: BLE001  a bug met in one case is reported with it; the other cases go on
        frame = traceback.extract_tb(error.__traceback__)[-1]
        cause = f"{error} (in {Path(frame.filename).name}, line {frame.lineno}: a fault of panlesion, please report it)"
        return Outcome(job=job, error=type(error).__name__, cause=cause)


class _Queue(Generic[J]):
    """Jobs by group. Whoever asks gets a job of its own group, else of a group nobody works on, else of the fullest."""

    def __init__(self, jobs: Iterable[J]) -> None:
        self._groups: dict[str, deque[J]] = {}
        for job in jobs:
            self._groups.setdefault(job.group, deque()).append(job)

    def take(self, own: str | None, others: set[str | None]) -> J | None:
        self._groups = {name: left for name, left in self._groups.items() if left}
        if not self._groups:
            return None
        free = [name for name in self._groups if name not in others]
        if own in self._groups:
            name = str(own)
        elif free:
            name = free[0]
        else:
            name = max(self._groups, key=lambda group: len(self._groups[group]))
        return self._groups[name].popleft()

    def drained(self) -> Iterator[J]:
        own = None
        while (job := self.take(own, set())) is not None:
            own = job.group
            yield job


def _queue(jobs: Iterable[J]) -> _Queue[J]:
    return _Queue(jobs)


@dataclass(kw_only=True)
class _Worker(Generic[J]):
    process: BaseProcess
    pipe: Connection
    job: J | None = None
    group: str | None = None
    started: float = 0.0


class _Team(Generic[J]):
    def __init__(self, queue: _Queue[J], make_work: Callable[[], Work], count: int) -> None:
        # spawned, not forked: a fork would copy whatever threads and locks the caller's libraries hold
        self._context = multiprocessing.get_context("spawn")
        self._queue, self._make_work = queue, make_work
        self._workers = [self._hire() for _ in range(count)]

    def _hire(self) -> _Worker[J]:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._make_work), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process=process, pipe=ours)

    def outcomes(self) -> Iterator[Outcome[J]]:
        for worker in self._workers:
            self._assign(worker)
        while busy := {worker.pipe: worker for worker in self._workers if worker.job is not None}:
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                outcome = self._receive(worker)
                self._assign(worker)
                yield outcome

    def _assign(self, worker: _Worker[J]) -> None:
        others = {other.group for other in self._workers if other is not worker and other.job is not None}
        worker.job = self._queue.take(worker.group, others)
        if worker.job is not None:
            worker.group, worker.started = worker.job.group, time.perf_counter()
            with contextlib.suppress(ConnectionError):  # a worker that died idle is met when its answer is read
                worker.pipe.send(worker.job)

    def _receive(self, worker: _Worker[J]) -> Outcome[J]:
        job = worker.job
        assert job is not None
        try:
            outcome: Outcome[J] = worker.pipe.recv()
        except (EOFError, ConnectionError):
            worker.process.join()
            cause = _death(worker.process.exitcode)
            worker.pipe.close()
            fresh = self._hire()
            worker.process, worker.pipe, worker.group = fresh.process, fresh.pipe, None
            return Outcome(job=job, error="WorkerDied", cause=cause, died=True, seconds=time.perf_counter() - worker.started)
        return outcome

    def stop(self) -> None:
        for worker in self._workers:
            worker.pipe.close()
            if worker.job is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join()


def _death(exitcode: int | None) -> str:
    if exitcode is not None and exitcode < 0:
        name = signal.Signals(-exitcode).name
        reason = ": probably the system ran out of memory; use fewer workers" if name == "SIGKILL" else ""
        return f"its worker was killed by {name}{reason}; run the same command again to retry this case"
    return f"its worker ended with exit code {exitcode}; run the same command again to retry this case"


def _blas_threads() -> int:
    """Threads of a worker's BLAS and OpenMP: one, unless the caller's environment says how many."""
    said = [os.environ[name] for name in THREAD_VARIABLES if os.environ.get(name, "").isdigit()]
    return max(1, int(said[0])) if said else 1


def _serve(pipe: Connection, make_work: Callable[[], Work]) -> None:
    """A worker's life: it ends when the pipe closes, so workers of a killed run finish their case and go.

    Workers share the cores: a BLAS that starts a thread per core in each of them only makes them wait for one another.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle
    work = make_work()
    threadpool_limits(limits=_blas_threads())  # of the libraries that are loaded, hence after the work
    while True:
        try:
            job = pipe.recv()
            pipe.send(_attempt(work, job))
        except (EOFError, ConnectionError):
            return
