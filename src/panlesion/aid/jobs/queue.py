"""The queue: how jobs get into it, who holds one, and how it ends. All that happens to a job is one UPDATE that checks."""

from datetime import timedelta
from secrets import token_urlsafe
from typing import Any
from uuid import UUID

from sqlalchemy import Update, select, update
from sqlalchemy.orm import Session

from panlesion.aid.db import Sessions
from panlesion.aid.jobs.runner import Outcome
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Job, Reading, Study, now
from panlesion.aid.vocabulary import JobKind, JobState, ReadingState, StudyState

RETRY_S, MOST_RETRY_S = 10.0, 900.0
"""Wait before a second attempt; doubled with each."""


class LeaseLostError(Exception):
    """Another worker holds the job by now, or nobody; what this one made of it must not be written."""


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


def claim(sessions: Sessions, settings: Settings, kinds: list[JobKind]) -> Job | None:
    """Take the next job of these kinds: highest priority, then the oldest; None where there is none.

    The job comes back with a fresh `lease`, which every later call must show.
    """
    with sessions.begin() as session:
        at = now()
        waiting = (
            select(Job.id)
            .where(Job.state == JobState.QUEUED, Job.kind.in_(kinds), Job.not_before <= at)
            .order_by(Job.priority.desc(), Job.created_at, Job.id)
            .limit(1)
            .with_for_update(skip_locked=True)  # SQLite has one writer and needs no lock
        )
        taken = (
            update(Job)
            .where(Job.id == waiting.scalar_subquery(), Job.state == JobState.QUEUED)
            .values(
                state=JobState.RUNNING,
                lease=token_urlsafe(16),
                lease_until=at + timedelta(seconds=settings.lease_s),
                attempts=Job.attempts + 1,
                started_at=at,
                progress=0.0,
                stage="",
                cause="",
            )
            .returning(Job)
            .execution_options(synchronize_session=False, populate_existing=True)
        )
        job = session.scalar(taken)
        if job is not None and job.kind is JobKind.ANALYSE:
            _study(session, job, StudyState.RUNNING)
        return job


def beat(sessions: Sessions, settings: Settings, job: Job, progress: float, stage: str) -> None:
    """Tell that the worker lives, and how far it is.

    Raises:
        LeaseLostError: The lease ran out and was given away.
    """
    with sessions.begin() as session:
        told = _mine(job).values(
            lease_until=now() + timedelta(seconds=settings.lease_s), progress=progress, stage=stage[:128], changed_at=now()
        )
        _must_hold(session, told, job)
        if job.study_id is not None and job.kind is JobKind.ANALYSE:
            session.execute(update(Study).where(Study.id == job.study_id).values(changed_at=now()))


def finish(sessions: Sessions, job: Job, outcome: Outcome) -> None:
    """End a job well; what its outcome commits is committed with it, or not at all.

    Raises:
        LeaseLostError: The lease was given away; nothing is written.
    """
    with sessions.begin() as session:
        done = _mine(job).values(
            state=JobState.DONE, key=None, lease=None, lease_until=None, progress=1.0, stage="", cause="",
            answer=outcome.answer, blob=outcome.blob, finished_at=now(), changed_at=now(),
        )  # fmt: skip
        _must_hold(session, done, job)
        if outcome.commit is not None:
            outcome.commit(session)


def fail(sessions: Sessions, settings: Settings, job: Job, cause: str, *, for_good: bool) -> None:
    """End an attempt badly: back into the queue after a wait, or, `for_good` or tried too often, failed with its cause.

    Raises:
        LeaseLostError: The lease was given away; nothing is written.
    """
    with sessions.begin() as session:
        _must_hold(session, _mine(job).values(changed_at=now()), job)
        _give_up_attempt(session, settings, job, cause, for_good=for_good)


def requeue_lapsed(sessions: Sessions, settings: Settings) -> list[UUID]:
    """Jobs whose worker was not heard of for the length of a lease: queued again, or failed when tried too often."""
    with sessions.begin() as session:
        lapsed = select(Job).where(Job.state == JobState.RUNNING, Job.lease_until < now()).with_for_update(skip_locked=True)
        jobs = session.scalars(lapsed).all()
        for job in jobs:
            _give_up_attempt(session, settings, job, "its worker stopped without a word", for_good=False, at_once=True)
        return [job.id for job in jobs]


def retry(session: Session, job: Job) -> None:
    """Queue a failed job again, its attempts forgotten."""
    told = update(Job).where(Job.id == job.id, Job.state == JobState.FAILED)
    session.execute(told.values(state=JobState.QUEUED, attempts=0, cause="", not_before=now(), finished_at=None))
    if job.kind is JobKind.ANALYSE:
        _study(session, job, StudyState.QUEUED)


def _mine(job: Job) -> Update:
    return update(Job).where(Job.id == job.id, Job.lease == job.lease, Job.state == JobState.RUNNING)


def _must_hold(session: Session, told: Update, job: Job) -> None:
    if session.execute(told.execution_options(synchronize_session=False)).rowcount != 1:  # type: ignore[attr-defined]
        raise LeaseLostError(f"job {job.id} is no longer this worker's")


def _give_up_attempt(
    session: Session, settings: Settings, job: Job, cause: str, *, for_good: bool, at_once: bool = False
) -> None:
    row = session.get(Job, job.id, populate_existing=True)
    assert row is not None
    row.lease = row.lease_until = None
    row.cause = cause
    if for_good or row.attempts >= settings.max_attempts:
        row.state, row.finished_at = JobState.FAILED, now()
        row.key = None
        if row.kind is JobKind.ANALYSE:
            _study(session, row, StudyState.FAILED, cause)
        return
    wait_s = 0.0 if at_once else min(MOST_RETRY_S, RETRY_S * 2 ** (row.attempts - 1))
    row.state, row.not_before = JobState.QUEUED, now() + timedelta(seconds=wait_s)
    row.progress, row.stage = 0.0, ""
    if row.kind is JobKind.ANALYSE:
        _study(session, row, StudyState.QUEUED)


def _study(session: Session, job: Job, state: StudyState, problem: str = "") -> None:
    """Tell the study's state, unless a person has begun to read it: what is read is not taken away."""
    reading = None if job.study_id is None else session.get(Reading, job.study_id)
    if reading is not None and reading.state is not ReadingState.READY:
        return
    told = update(Study).where(Study.id == job.study_id).values(state=state, problem=problem, changed_at=now())
    session.execute(told.execution_options(synchronize_session=False))
