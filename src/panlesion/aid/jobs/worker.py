"""A worker: takes one job after another, lives while it beats, and writes only what is still its own."""

import importlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import MappingProxyType

from sqlalchemy.exc import OperationalError

from panlesion.aid.db import Sessions
from panlesion.aid.guard.incidents import where_of
from panlesion.aid.guard.words import without_paths
from panlesion.aid.jobs.queue import LeaseLostError, beat, claim, fail, finish, release
from panlesion.aid.jobs.runner import RetryError, Runner
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Job
from panlesion.aid.vocabulary import JobKind
from panlesion.data.publish import DiskFullError
from panlesion.errors import PanlesionError

_log = logging.getLogger(__name__)

RUNNERS: Mapping[JobKind, str] = MappingProxyType(
    {
        JobKind.ANALYSE: "panlesion.aid.jobs.analyse:run_analyse",
        JobKind.PROPOSE: "panlesion.aid.reads.proposal:run_proposal",
        JobKind.SEND: "panlesion.aid.reads.delivery:run_send",
        JobKind.PULL: "panlesion.aid.store.pull:run_pull",
    }
)
"""What runs a kind; imported by the worker that first needs it, so that a sender never loads the network."""
IDLE_S, AWAY_S, PATIENCE_S = 0.3, 1.0, 600.0
"""Between looks at an empty queue; at a database that does not answer; and how long its return is waited for with a result."""


def runner_of(kind: JobKind) -> Runner:
    """The function that runs a kind of job."""
    module, _, name = RUNNERS[kind].partition(":")
    found: Runner = getattr(importlib.import_module(module), name)
    return found


class Worker:
    """Works until told to stop, or, if told of one, until its parent is gone."""

    def __init__(self, sessions: Sessions, settings: Settings, kinds: list[JobKind], *, parent: int | None = None) -> None:
        self.sessions, self.settings, self.kinds = sessions, settings, kinds
        self.stopping = threading.Event()
        self._parent = parent

    def run(self) -> None:
        """One job after another; one that has begun is finished first when the parent is gone, so that its work is not lost."""
        while not self.stopping.is_set() and self._parent in (None, os.getppid()):
            try:
                busy = self.run_next()
            except OperationalError as error:
                _log.warning("the database is busy, full or gone: %s", where_of(error))
                self.stopping.wait(AWAY_S)
                continue
            if not busy:
                self.stopping.wait(IDLE_S)

    def run_next(self) -> bool:
        """Take and run one job; False where there is none."""
        job = claim(self.sessions, self.settings, self.kinds)
        if job is None:
            return False
        try:
            self._run(job)
        except LeaseLostError:
            _log.warning("job %s was given to another worker; what this one made of it is dropped", job.id)
        except (SystemExit, KeyboardInterrupt):
            with suppress(LeaseLostError, OperationalError):
                release(self.sessions, job)
            raise
        return True

    def _run(self, job: Job) -> None:
        with _Pulse(self.sessions, self.settings, job) as pulse:
            try:
                outcome = runner_of(job.kind)(self.sessions, self.settings, job, pulse.tell)
                self._patiently(lambda: finish(self.sessions, job, outcome))
            except LeaseLostError:
                raise
            except PanlesionError as error:
                passing = isinstance(error, DiskFullError | RetryError)
                self._failed(job, without_paths(str(error), self.settings.data), for_good=not passing)
            except Exception as error:  # noqa: BLE001 (the worker's boundary: a bug fails its job, not the worker)
                _log.error("job %s (%s): %s", job.id, job.kind, where_of(error))
                cause = f"{type(error).__name__} in {job.kind}; the worker's log has the rest under job {job.id}"
                self._failed(job, cause, for_good=False)

    def _failed(self, job: Job, cause: str, *, for_good: bool) -> None:
        self._patiently(lambda: fail(self.sessions, self.settings, job, cause, for_good=for_good))

    def _patiently(self, write: Callable[[], None]) -> None:
        """Write an end that took minutes to reach, even if the database is away for a while; the lease says if it still may."""
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                write()
            except OperationalError:
                if time.monotonic() > until or self.stopping.wait(AWAY_S):
                    raise
            else:
                return


class _Pulse:
    """Beats in a thread while a job runs; `tell` is the runner's progress, which stops it when the lease is lost."""

    def __init__(self, sessions: Sessions, settings: Settings, job: Job) -> None:
        self._told = (0.0, "")
        self._lost = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, args=(sessions, settings, job), daemon=True)

    def __enter__(self) -> "_Pulse":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._over.set()
        self._thread.join()

    def tell(self, progress: float, stage: str) -> None:
        if self._lost.is_set():
            raise LeaseLostError("the lease ran out")
        self._told = (min(max(progress, 0.0), 1.0), stage)

    def _beat(self, sessions: Sessions, settings: Settings, job: Job) -> None:
        before: tuple[float, str] = (0.0, "")
        every, quiet = settings.lease_s / 3, 0.0
        step = min(1.0, every)
        while not self._over.wait(step):
            quiet += step
            if quiet < every and self._told == before:
                continue
            try:
                beat(sessions, settings, job, *self._told)
            except LeaseLostError:
                self._lost.set()
                return
            except Exception as error:  # noqa: BLE001 (a database that is busy or away is asked again; the lease decides)
                _log.warning("job %s: no heartbeat (%s)", job.id, type(error).__name__)
                continue
            before, quiet = self._told, 0.0
