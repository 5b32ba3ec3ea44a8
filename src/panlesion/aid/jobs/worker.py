"""A worker: takes one job after another, lives while it beats, and writes only what is still its own."""

import importlib
import logging
import os
import threading
import traceback
from collections.abc import Mapping
from types import MappingProxyType

from panlesion.aid.db import Sessions
from panlesion.aid.jobs.queue import LeaseLostError, beat, claim, fail, finish
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
IDLE_S = 0.3


def runner_of(kind: JobKind) -> Runner:
    """The function that runs a kind of job."""
    module, _, name = RUNNERS[kind].partition(":")
    found: Runner = getattr(importlib.import_module(module), name)
    return found


class Worker:
    """Works until told to stop, or until whoever started it is gone."""

    def __init__(self, sessions: Sessions, settings: Settings, kinds: list[JobKind]) -> None:
        self.sessions, self.settings, self.kinds = sessions, settings, kinds
        self.stopping = threading.Event()
        self._parent = os.getppid()

    def run(self) -> None:
        """One job after another."""
        while not self.stopping.is_set() and os.getppid() == self._parent:
            if not self.run_next():
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
        return True

    def _run(self, job: Job) -> None:
        with _Pulse(self.sessions, self.settings, job) as pulse:
            try:
                outcome = runner_of(job.kind)(self.sessions, self.settings, job, pulse.tell)
            except LeaseLostError:
                raise
            except (DiskFullError, RetryError) as error:  # may pass by itself
                pulse.stop()
                fail(self.sessions, self.settings, job, self._words(error), for_good=False)
                return
            except PanlesionError as error:
                pulse.stop()
                fail(self.sessions, self.settings, job, self._words(error), for_good=True)
                return
            except Exception as error:  # noqa: BLE001 (the worker's boundary: a bug fails its job, not the worker)
                pulse.stop()
                _log.error("job %s (%s): %s", job.id, job.kind, traceback.format_exc())
                cause = f"{type(error).__name__} in {job.kind}; the worker's log has the rest under job {job.id}"
                fail(self.sessions, self.settings, job, cause, for_good=False)
                return
        finish(self.sessions, job, outcome)

    def _words(self, error: Exception) -> str:
        """A reason as a reader may see it: without the server's own paths."""
        return str(error).replace(f"{self.settings.data.resolve()}{os.sep}", "").replace(f"{self.settings.data}{os.sep}", "")


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
