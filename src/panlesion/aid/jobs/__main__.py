"""`python -m panlesion.aid.jobs KIND …`: a worker process, set up by the variables of `Settings`."""

import logging
import signal
import sys
from types import FrameType

from panlesion.aid.db import open_engine, open_sessions
from panlesion.aid.jobs.worker import Worker
from panlesion.aid.settings import Settings
from panlesion.aid.vocabulary import JobKind


def work(settings: Settings, kinds: list[JobKind]) -> None:
    """Work until the process is asked to end; a running job is then left to another worker."""
    engine = open_engine(settings.database)
    worker = Worker(open_sessions(engine), settings, kinds)

    def end(_signal: int, _frame: FrameType | None) -> None:
        worker.stopping.set()
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl+C goes to all; the server ends its workers itself
    worker.run()
    engine.dispose()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s worker %(process)d %(levelname)s %(message)s")
    logging.getLogger("highdicom").setLevel(logging.WARNING)
    work(Settings.model_validate({}), [JobKind(word) for word in sys.argv[1:]])
