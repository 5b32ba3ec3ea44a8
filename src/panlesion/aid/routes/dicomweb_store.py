"""DICOMweb in: STOW-RS."""

import json

from fastapi import APIRouter, HTTPException, Request, Response, status
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from panlesion.aid.audit import record
from panlesion.aid.db import Sessions
from panlesion.aid.deps import SessionDep, SessionsDep, SettingsDep, ViewerDep
from panlesion.aid.imaging.accept import JSON, MULTIPART, wishes
from panlesion.aid.imaging.retrieve import not_acceptable
from panlesion.aid.imaging.said import OF_STORE
from panlesion.aid.imaging.stow import Storing, answer
from panlesion.aid.settings import Settings
from panlesion.aid.store.archive import TooMuchError
from panlesion.aid.store.check import RefusedError
from panlesion.aid.store.multipart import Parts, boundary_of
from panlesion.aid.tables import User
from panlesion.aid.vocabulary import Action, StudySource
from panlesion.data.publish import DiskFullError

router = APIRouter(tags=["dicomweb"])


@router.post("/studies", response_class=Response, openapi_extra=OF_STORE)
async def store(
    request: Request, session: SessionDep, sessions: SessionsDep, settings: SettingsDep, user: ViewerDep
) -> Response:
    """STOW-RS: images of any studies."""
    session.commit()  # a lock that is held would keep the images from being written down
    return await _stored(request, sessions, settings, user, None)


@router.post("/studies/{study}", response_class=Response, openapi_extra=OF_STORE)
async def store_study(
    study: str, request: Request, session: SessionDep, sessions: SessionsDep, settings: SettingsDep, user: ViewerDep
) -> Response:
    """STOW-RS: images of one study; those of another are refused."""
    session.commit()
    return await _stored(request, sessions, settings, user, study)


async def _stored(request: Request, sessions: Sessions, settings: Settings, user: User, study: str | None) -> Response:
    """Status by what became of the parts; 400 for a body that breaks off, 413 for too much, 415 another kind, 507 disk full."""
    if not any(wish.meets(JSON) or wish.meets("application/json") for wish in wishes(request.headers.get("accept"))):
        raise not_acceptable(f"the answer is {JSON}")
    try:
        boundary = boundary_of(request.headers.get("content-type", ""), MULTIPART)
    except RefusedError as error:
        raise HTTPException(status.HTTP_415_UNSUPPORTED_MEDIA_TYPE, str(error)) from error
    storing = Storing(sessions=sessions, settings=settings, by=user, study_uid=study)
    parts = Parts(boundary, begin=storing.begin, data=storing.data, end=storing.end)
    try:
        async for piece in request.stream():
            await run_in_threadpool(parts.feed, piece)
        parts.finish()
        code, said = answer(storing)
    except TooMuchError as error:
        raise HTTPException(status.HTTP_413_CONTENT_TOO_LARGE, str(error)) from error
    except (RefusedError, ClientDisconnect) as error:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, str(error)) from error
    except DiskFullError as error:
        raise HTTPException(status.HTTP_507_INSUFFICIENT_STORAGE, str(error)) from error
    finally:
        await run_in_threadpool(storing.drop)
        await run_in_threadpool(_noted, sessions, storing, user)
    return Response(json.dumps(said, separators=(",", ":")), status_code=code, media_type=JSON)


def _noted(sessions: Sessions, storing: Storing, user: User) -> None:
    if storing.kept or storing.failed:
        taken, refused = len(storing.kept), len(storing.failed)
        with sessions.begin() as session:
            record(session, Action.RECEIVED, by=user, taken=taken, refused=refused, source=StudySource.STORE.value)
