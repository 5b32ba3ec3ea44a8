"""The queue: how jobs get into it, who holds one, and how it ends. All that happens to a job is one UPDATE that checks."""

from datetime import timedelta
from secrets import token_urlsafe
from typing import Any
from uuid import UUID

from sqlalchemy import Update, select, update
from sqlalchemy.dialects import postgresql, sqlite
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
    told = {"kind": kind, "study_id": study_id, "by": by, "key": key, "payload": payload or {}, "priority": priority}
    if key is None:
        job = Job(**told)
        session.add(job)
        session.flush()
        return job
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    while True:
        # a statement each, so that of two that queue the same at once one makes the job and the other finds it
        session.execute(update(Job).where(Job.key == key, Job.state.in_((JobState.DONE, JobState.FAILED))).values(key=None))
        made = session.scalar(insert(Job).values(**told).on_conflict_do_nothing(index_elements=["key"]).returning(Job))
        found = made or session.scalar(select(Job).where(Job.key == key).execution_options(populate_existing=True))
        if found is not None:
            return found


def claim(sessions: Sessions, settings: Settings, kinds: list[JobKind]) -> Job | None:
    """Take the next job of these kinds: highest priority, then what is short, then the oldest; None where there is none.

    Analyses take minutes, what is sent or fetched takes seconds: a signed report does not wait for all analyses. The job comes
    back with a fresh `lease`, which every later call must show.
    """
    with sessions.begin() as session:
        at = now()
        waiting = (
            select(Job.id)
            .where(Job.state == JobState.QUEUED, Job.kind.in_(kinds), Job.not_before <= at)
            .order_by(Job.priority.desc(), Job.kind == JobKind.ANALYSE, Job.created_at, Job.id)
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


def release(sessions: Sessions, job: Job) -> None:
    """Give a job back that was not finished for no fault of its own: another worker takes it at once, the attempt not counted.

    Raises:
        LeaseLostError: The lease was given away; nothing is written.
    """
    with sessions.begin() as session:
        back = _mine(job).values(
            state=JobState.QUEUED, lease=None, lease_until=None, attempts=Job.attempts - 1, not_before=now(),
            progress=0.0, stage="", changed_at=now(),
        )  # fmt: skip
        _must_hold(session, back, job)
        if job.kind is JobKind.ANALYSE:
            _study(session, job, StudyState.QUEUED)


def requeue_lapsed(sessions: Sessions, settings: Settings) -> list[UUID]:
    """Jobs whose worker was not heard of for the length of a lease: queued again, or failed when tried too often."""
    with sessions() as session:
        lapsed = session.scalars(select(Job).where(Job.state == JobState.RUNNING, Job.lease_until < now())).all()
    back = []
    for job in lapsed:
        with sessions.begin() as session:
            # its worker may have beaten or finished meanwhile
            still = _mine(job).where(Job.lease_until < now()).values(changed_at=now())
            if session.execute(still.execution_options(synchronize_session=False)).rowcount == 1:  # type: ignore[attr-defined]
                _give_up_attempt(session, settings, job, "its worker stopped without a word", for_good=False, at_once=True)
                back.append(job.id)
    return back


def retry(session: Session, job: Job) -> bool:
    """Queue a failed job again, its attempts forgotten; False where another one does its work by now, or it has not failed."""
    told = update(Job).where(Job.id == job.id, Job.state == JobState.FAILED)
    if job.kind is JobKind.ANALYSE:
        told = told.where(Job.key.is_not(None))  # kept by a failed analysis until a later one takes it
    fresh = told.values(state=JobState.QUEUED, attempts=0, cause="", not_before=now(), finished_at=None)
    if session.execute(fresh).rowcount != 1:  # type: ignore[attr-defined]
        return False
    if job.kind is JobKind.ANALYSE:
        _study(session, job, StudyState.QUEUED)
    return True


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
