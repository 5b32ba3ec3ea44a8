"""What the worker asks of whatever runs a kind of job."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from panlesion.aid.db import Sessions
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Job
from panlesion.errors import PanlesionError

Progress = Callable[[float, str], None]
"""Told the share that is done, and of what."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a job came to; `commit` is called in the transaction that finishes it, if the worker still holds the lease."""

    answer: dict[str, Any] | None = None
    blob: bytes | None = None
    commit: Callable[[Session], None] | None = None


Runner = Callable[[Sessions, Settings, Job, Progress], Outcome]
"""Reads what it needs, writes files of its own, and leaves every row to its outcome's `commit`."""


class RetryError(PanlesionError):
    """It did not work now and may later: the job is tried again."""
