"""DICOMweb in: STOW-RS."""

from fastapi import APIRouter, Request, Response

from panlesion.aid.deps import DicomwebDep, SessionDep, SessionsDep, SettingsDep, having
from panlesion.aid.imaging.accept import JSON, wishes
from panlesion.aid.imaging.retrieve import not_acceptable
from panlesion.aid.imaging.said import OF_STORE
from panlesion.aid.store.stow import stow
from panlesion.aid.tables import User
from panlesion.aid.vocabulary import Role

router = APIRouter(tags=["dicomweb"])


@router.post("/studies", response_class=Response, openapi_extra=OF_STORE)
async def store(
    request: Request, session: SessionDep, sessions: SessionsDep, settings: SettingsDep, user: DicomwebDep
) -> Response:
    """STOW-RS: images of any studies."""
    _check(request, user)
    session.commit()  # a lock that is held would keep the images from being written down
    return await stow(request, sessions, settings, by=user)


@router.post("/studies/{study}", response_class=Response, openapi_extra=OF_STORE)
async def store_study(
    study: str, request: Request, session: SessionDep, sessions: SessionsDep, settings: SettingsDep, user: DicomwebDep
) -> Response:
    """STOW-RS: images of one study; those of another are refused."""
    _check(request, user)
    session.commit()
    return await stow(request, sessions, settings, by=user, study_uid=study)


def _check(request: Request, user: User) -> None:
    """Before anything is stored: an answer that cannot be given would hide what became of the images."""
    having(Role.READER, Role.MANAGER)(user)  # an administrator who was granted a study only looks at it
    if not any(wish.meets(JSON) or wish.meets("application/json") for wish in wishes(request.headers.get("accept"))):
        raise not_acceptable(f"the answer is {JSON}")
