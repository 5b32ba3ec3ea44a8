"""How the server asks a worker for a proposal: a job that goes first, is waited for, and expires."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from panlesion.aid.db import Sessions
from panlesion.aid.jobs.queue import enqueue
from panlesion.aid.schemas.reading import ProposalOut, ProposeIn
from panlesion.aid.tables import Job, now
from panlesion.aid.vocabulary import JobKind, JobState
from panlesion.ct.volume import Box, Index3
from panlesion.errors import PanlesionError

PATIENCE_S, POLL_S = 60.0, 0.1
PRIORITY = 100
"""Above everything that nobody sits and waits for."""
EXPIRED = "nobody waits for this proposal any more"


class NotInScanError(PanlesionError):
    """A point or box that is not in the scan, or not exactly one of them."""


class NoProposalError(PanlesionError):
    """No worker answered, or it failed; the message says which."""


def region_of(told: ProposeIn, shape: Index3) -> Box:
    """What was pointed at, as a box on a grid of that shape.

    Raises:
        NotInScanError: It is not in the scan, or not exactly one of point and box is told.
    """
    if told.point_ijk is not None and told.box_ijk is None:
        i, j, k = told.point_ijk
        start, stop, whole = told.point_ijk, (i + 1, j + 1, k + 1), "is {a}"
    elif told.box_ijk is not None and told.point_ijk is None:
        (start, stop), whole = told.box_ijk, "runs from {a} to {b}"
    else:
        raise NotInScanError("give a point or a box, one of them")
    for a, b, n, axis in zip(start, stop, shape, "ijk", strict=True):
        if not 0 <= a < b <= n:
            raise NotInScanError(f"{axis} {whole.format(a=a, b=b)}; the scan has {axis} from 0 to {n - 1}")
    return Box(start=start, stop=stop)


def ask(session: Session, study_id: UUID, by: UUID, told: ProposeIn) -> UUID:
    """Queue the question; earlier ones of the same account that no worker has begun are given up."""
    session.execute(_giving_up(Job.by == by, Job.study_id == study_id))
    until = now() + timedelta(seconds=PATIENCE_S)
    payload = {"asked": told.model_dump(mode="json"), "until": until.isoformat()}
    return enqueue(session, JobKind.PROPOSE, study_id=study_id, by=by, payload=payload, priority=PRIORITY).id


def answer_of(sessions: Sessions, job_id: UUID) -> ProposalOut | None:
    """The worker's answer; None while there is none.

    Raises:
        NoProposalError: It failed, or a later question took its place.
    """
    with sessions() as session:
        job = session.get(Job, job_id)
    if job is None or job.state is JobState.FAILED:
        cause = "its study was deleted" if job is None else job.cause
        raise NoProposalError(f"no proposal could be made: {cause}")
    if job.state is not JobState.DONE:
        return None
    if not job.answer or "expired" in job.answer:
        raise NoProposalError(f"no proposal could be made: {EXPIRED}")
    return ProposalOut.model_validate(job.answer)


def give_up(sessions: Sessions, job_id: UUID) -> None:
    """Take the question back, if no worker has begun."""
    with sessions.begin() as session:
        session.execute(_giving_up(Job.id == job_id))


def _giving_up(*which: Any) -> Any:
    told = {"state": JobState.FAILED, "cause": EXPIRED, "finished_at": now()}
    return update(Job).where(Job.kind == JobKind.PROPOSE, Job.state == JobState.QUEUED, *which).values(**told)


def asked_by(job: Job) -> ProposeIn | None:
    """What a job asks; None once nobody waits for it."""
    if datetime.fromisoformat(job.payload["until"]) < now():
        return None
    return ProposeIn.model_validate(job.payload["asked"])
