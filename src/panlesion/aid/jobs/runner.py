"""What runs a job, and what comes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from panlesion.aid.db import Sessions
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Job

Progress = Callable[[float, str], None]
"""Called with a share 0 … 1 and what is being done."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A job's result; `commit` is called within the transaction that finishes the job."""

    answer: dict[str, Any] | None = None
    blob: bytes | None = None
    commit: Callable[[Session], None] | None = None


Runner = Callable[[Sessions, Settings, Job, Progress], Outcome]
