"""The queue: how jobs get into it."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from panlesion.aid.tables import Job
from panlesion.aid.vocabulary import JobKind, JobState


def enqueue(
    session: Session,
    kind: JobKind,
    *,
    study_id: UUID | None = None,
    by: UUID | None = None,
    key: str | None = None,
    payload: dict[str, Any] | None = None,
    priority: int = 0,
) -> Job:
    """Queue a job, or return the one of the same `key` that is not finished yet.

    Args:
        session: The job is there when its transaction is.
        kind: What is to be done.
        study_id: The study it is for.
        by: The account that wished it.
        key: Makes it idempotent, e.g. `analyse:<study>`; a finished job gives its key free.
        payload: JSON-able, read by the runner of the kind.
        priority: Higher goes first.
    """
    if key is not None:
        before = session.scalar(select(Job).where(Job.key == key))
        if before is not None and before.state in (JobState.QUEUED, JobState.RUNNING):
            return before
        if before is not None:
            before.key = None
            session.flush()
    job = Job(kind=kind, study_id=study_id, by=by, key=key, payload=payload or {}, priority=priority)
    session.add(job)
    session.flush()
    return job
