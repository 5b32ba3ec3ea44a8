"""The supervisor: starts the worker processes, puts dead ones back to work, and looks after what waits."""

import logging
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

from panlesion.aid.db import Sessions
from panlesion.aid.guard.incidents import where_of
from panlesion.aid.jobs.queue import requeue_lapsed
from panlesion.aid.jobs.results import sweep_results
from panlesion.aid.settings import Settings
from panlesion.aid.store.arrival import settle
from panlesion.aid.vocabulary import JobKind

_log = logging.getLogger(__name__)
EVERY_S, MOST_WAIT_S, END_S = 0.5, 60.0, 10.0
ANALYSING = (JobKind.ANALYSE, JobKind.SEND, JobKind.PULL)


@dataclass(kw_only=True)
class _Child:
    kinds: tuple[JobKind, ...]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    deaths: int = 0
    wait_until: float = field(default=0.0)


class Supervisor:
    """`settings.workers` processes that analyse, send and pull, and one that answers clicks; a thread that watches them."""

    def __init__(self, settings: Settings, sessions: Sessions) -> None:
        self.settings, self.sessions = settings, sessions
        kinds = [ANALYSING] * settings.workers + ([(JobKind.PROPOSE,)] if settings.workers else [])
        self._children = [_Child(kinds=each) for each in kinds]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    @property
    def pids(self) -> list[int]:
        """Of the workers that live."""
        return [child.process.pid for child in self._children if child.process is not None and child.process.poll() is None]

    def start(self) -> None:
        """Start everything; returns at once."""
        sweep_results(self.sessions, self.settings)
        self._thread.start()

    def stop(self) -> None:
        """End the workers; they give the jobs they hold back into the queue."""
        self._stopping.set()
        self._thread.join()
        living = [child.process for child in self._children if child.process is not None]
        for process in living:
            process.terminate()
        for process in living:
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _watch(self) -> None:
        while True:
            for child in self._children:
                self._keep_alive(child)
            try:
                requeue_lapsed(self.sessions, self.settings)
                settle(self.sessions, self.settings)
            except Exception as error:  # noqa: BLE001 (a database or disk that is away now is asked again; nothing is lost)
                _log.error("the queue could not be looked after: %s", where_of(error))
            if self._stopping.wait(EVERY_S):
                return

    def _keep_alive(self, child: _Child) -> None:
        at = time.monotonic()
        if child.process is not None and child.process.poll() is not None:
            _log.warning("worker %d ended with %s", child.process.pid, child.process.returncode)
            child.deaths = 0 if at - child.started > MOST_WAIT_S else child.deaths + 1
            child.wait_until = at + min(MOST_WAIT_S, 2.0 ** (child.deaths - 1) if child.deaths else 0.0)
            child.process = None
        if child.process is None and at >= child.wait_until:
            command = [sys.executable, "-m", "panlesion.aid.jobs", str(os.getpid()), *child.kinds]
            child.process = subprocess.Popen(command, env=os.environ | variables(self.settings), stdin=subprocess.DEVNULL)
            child.started = at


def variables(settings: Settings) -> dict[str, str]:
    """The settings a worker needs, as variables of its environment; secrets of the server's own are not among them."""
    told = {
        "DATA": str(settings.data),
        "DATABASE_URL": settings.database_url,
        "CHECKPOINT": settings.checkpoint,
        "LEASE_S": str(settings.lease_s),
        "MAX_ATTEMPTS": str(settings.max_attempts),
        "AE_TITLE": settings.ae_title,
        "DICOM_HOST": settings.dicom_host,
        "DICOM_PORT": str(settings.dicom_port),
        "MAX_FILE_BYTES": str(settings.max_file_bytes),
        "MAX_UPLOAD_BYTES": str(settings.max_upload_bytes),
    }
    return {f"PANLESION_AID_{name}": value for name, value in told.items()}
