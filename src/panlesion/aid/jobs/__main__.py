"""`python -m panlesion.aid.jobs PARENT KIND …`: a worker process, set up by the variables of `Settings`."""

import signal
import sys
from types import FrameType

from panlesion.aid.db import open_engine, open_sessions
from panlesion.aid.guard.logs import log_to_stderr
from panlesion.aid.jobs.worker import Worker
from panlesion.aid.settings import Settings
from panlesion.aid.vocabulary import JobKind


def work(settings: Settings, kinds: list[JobKind], *, parent: int | None = None) -> None:
    """Work until the process is asked to end, or its parent is gone; a running job is given back to the queue."""
    engine = open_engine(settings.database)
    worker = Worker(open_sessions(engine, settings.data), settings, kinds, parent=parent)

    def end(_signal: int, _frame: FrameType | None) -> None:
        worker.stopping.set()
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    # the terminal's Ctrl+C goes to all of its processes; a server ends its workers itself
    signal.signal(signal.SIGINT, end if parent is None else signal.SIG_IGN)
    worker.run()
    engine.dispose()


if __name__ == "__main__":
    log_to_stderr("%(asctime)s worker %(process)d %(levelname)s %(message)s")
    work(Settings.model_validate({}), [JobKind(word) for word in sys.argv[2:]], parent=int(sys.argv[1]))
