"""Jobs: what waits, runs and failed, and another try."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, status
from sqlalchemy import select

from panlesion.aid.audit import record
from panlesion.aid.deps import ManagerDep, SessionDep
from panlesion.aid.jobs.queue import retry
from panlesion.aid.schemas.studies import JobOut
from panlesion.aid.tables import Job
from panlesion.aid.vocabulary import Action, JobState

router = APIRouter(tags=["jobs"])


@router.get("/jobs")
def list_jobs(
    _user: ManagerDep,
    session: SessionDep,
    state: JobState | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> list[JobOut]:
    """The latest jobs, those that changed last first."""
    found = select(Job).order_by(Job.changed_at.desc()).limit(limit)
    if state is not None:
        found = found.where(Job.state == state)
    return [JobOut.model_validate(job) for job in session.scalars(found)]


@router.post("/jobs/{job_id}/retry", status_code=202)
def retry_job(job_id: UUID, user: ManagerDep, session: SessionDep) -> JobOut:
    """Queue a failed job again."""
    job = session.get(Job, job_id)
    if job is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such job")
    if job.state is not JobState.FAILED:
        raise HTTPException(status.HTTP_409_CONFLICT, f"the job is {job.state}; only a failed one is tried again")
    if not retry(session, job):
        raise HTTPException(status.HTTP_409_CONFLICT, "a later analysis of the study took its place; look at that one")
    record(session, Action.QUEUED, by=user, study_id=job.study_id, job=str(job.id))
    session.flush()
    session.refresh(job)
    return JobOut.model_validate(job)
