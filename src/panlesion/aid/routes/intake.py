"""Studies in: uploads, what was refused of them, and pulls from a PACS."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request, status
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from panlesion.aid.audit import record
from panlesion.aid.db import Sessions
from panlesion.aid.deps import ManagerDep, ReaderOrManagerDep, SessionDep, SessionsDep, SettingsDep, ViewerDep
from panlesion.aid.guard.words import without_paths
from panlesion.aid.jobs.queue import enqueue
from panlesion.aid.schemas.studies import JobOut, PullIn, RejectedOut, UploadOut
from panlesion.aid.store.archive import TooMuchError
from panlesion.aid.store.check import RefusedError
from panlesion.aid.store.intake import Outcome
from panlesion.aid.store.multipart import Parts, boundary_of
from panlesion.aid.store.upload import Upload
from panlesion.aid.tables import Node, Rejected, User
from panlesion.aid.vocabulary import Action, JobKind, Role
from panlesion.data.publish import DiskFullError

router = APIRouter(tags=["intake"])


@router.post("/studies")
async def upload(
    request: Request, session: SessionDep, sessions: SessionsDep, settings: SettingsDep, user: ReaderOrManagerDep
) -> UploadOut:
    """Take DICOM files, zips and folders of them, the multipart field `files`, as they come; nothing waits in memory."""
    session.commit()  # of who was seen when: a lock that is held would keep the images from being written down
    try:
        boundary = boundary_of(request.headers.get("content-type", ""), "multipart/form-data")
    except RefusedError as error:
        raise HTTPException(status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, str(error)) from error
    upload = Upload(sessions=sessions, settings=settings, by=user)
    parts = Parts(boundary, begin=upload.begin, data=upload.data, end=upload.end)
    try:
        async for piece in request.stream():
            await run_in_threadpool(parts.feed, piece)
        parts.finish()
    except TooMuchError as error:
        raise HTTPException(status.HTTP_413_CONTENT_TOO_LARGE, str(error)) from error
    except (RefusedError, ClientDisconnect) as error:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, str(error)) from error
    except DiskFullError as error:
        raise HTTPException(status.HTTP_507_INSUFFICIENT_STORAGE, without_paths(str(error), settings.data)) from error
    finally:
        await run_in_threadpool(upload.drop)
    return await run_in_threadpool(_told, upload, sessions, user)


def _told(upload: Upload, sessions: Sessions, user: User) -> UploadOut:
    taken, again, refused = (upload.count(outcome) for outcome in Outcome)
    ids = [t.rejected_id for t in upload.results if t.rejected_id is not None]
    with sessions.begin() as session:
        record(session, Action.RECEIVED, by=user, taken=taken, again=again, refused=refused, source=upload.source.value)
        rows = {row.id: row for first in range(0, len(ids), 500) for row in _rows(session, ids[first : first + 500])}
    rejected = [RejectedOut.model_validate(rows[id_]) for id_ in ids if id_ in rows]
    return UploadOut(study_ids=upload.study_ids, taken=taken, again=again, rejected=rejected)


def _rows(session: Session, ids: list[int]) -> Sequence[Rejected]:
    return session.scalars(select(Rejected).where(Rejected.id.in_(ids))).all()


@router.get("/rejected")
def refused(
    session: SessionDep,
    user: ViewerDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    offset: Annotated[int, Query(ge=0, le=1 << 31)] = 0,
) -> list[RejectedOut]:
    """Files that were not taken, newest first; a reader sees the ones of their own uploads."""
    wanted = select(Rejected).order_by(Rejected.id.desc()).limit(limit).offset(offset)
    if user.role is not Role.MANAGER:
        wanted = wanted.where(Rejected.by == user.id)
    return [RejectedOut.model_validate(row) for row in session.scalars(wanted)]


@router.post("/pull", status_code=202)
def pull(told: PullIn, session: SessionDep, user: ManagerDep) -> JobOut:
    """Queue the fetching of a study from a PACS; one that is on its way already is not fetched twice."""
    node = session.get(Node, told.node_id)
    if node is None or not node.active:
        raise HTTPException(status.HTTP_404_NOT_FOUND, "no such PACS, or it is switched off")
    job = enqueue(
        session,
        JobKind.PULL,
        by=user.id,
        key=f"pull:{node.id}:{told.study_uid}",
        payload={"node_id": str(node.id), "study_uid": told.study_uid},
    )
    record(session, Action.QUEUED, by=user, kind=JobKind.PULL.value, job=str(job.id), node=str(node.id))
    return JobOut.model_validate(job)
