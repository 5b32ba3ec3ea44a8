"""The reading of a study: document, mask, prior study, and the vocabularies of the report."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from panlesion.aid.audit import record
from panlesion.aid.deps import ReaderDep, SessionDep, SettingsDep, StudyDep, ViewerDep, visible_to
from panlesion.aid.guard.words import FULL
from panlesion.aid.reads.begin import begin_by_hand
from panlesion.aid.reads.changes import ATTRIBUTE_VALUES, TYPE_NAMES
from panlesion.aid.reads.compare import earlier, priors_of
from panlesion.aid.reads.save import change_document, save_planes
from panlesion.aid.reads.scan import grid_of, results_folder
from panlesion.aid.reads.versions import SignedError, VersionConflictError
from panlesion.aid.reads.view import reading_out
from panlesion.aid.schemas.reading import ChangesIn, ChoicesOut, ConflictOut, PriorIn, ReadingOut
from panlesion.aid.schemas.studies import StudyRow
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Reading, Study, now
from panlesion.aid.vocabulary import Action, ReadingState, StudyState
from panlesion.ct.organs import V1_NAMES
from panlesion.data.publish import DiskFullError
from panlesion.errors import PanlesionError, ReadError
from panlesion.infer._words import type_words
from panlesion.infer.record import FINDINGS_FILE
from panlesion.infer.sentences import value_words

MOST_BODY_BYTES = 64 << 20
"""Of packed planes; those of a whole painted CT have a hundredth of it."""
NO_READING = "nobody has begun to read this study: it has not been analysed, or its analysis failed"
CONFLICTS: dict[int | str, dict[str, Any]] = {412: {"model": ConflictOut}, 428: {"description": "If-Match is missing"}}

router = APIRouter(tags=["reading"])


def version_of(if_match: Annotated[str | None, Header(max_length=64)] = None) -> int:
    """The version that a change was made on, from the header If-Match; 428 without it."""
    if if_match is None:
        raise HTTPException(HTTPStatus.PRECONDITION_REQUIRED, 'say what version was changed: the header If-Match, such as "7"')
    told = if_match.strip().removeprefix("W/").strip('"')
    if not (told.isascii() and told.isdigit() and len(told) < 10):
        raise HTTPException(HTTPStatus.BAD_REQUEST, f'If-Match is {if_match!r}; it must be a version in quotes, such as "7"')
    return int(told)


VersionDep = Annotated[int, Depends(version_of)]


def reading_of(study: StudyDep, session: SessionDep) -> Reading:
    """The reading of the study in the path; 404 until there is one."""
    reading = session.get(Reading, study.id)
    if reading is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, NO_READING)
    return reading


ReadingDep = Annotated[Reading, Depends(reading_of)]


async def body_of(request: Request) -> bytes:
    """The body as it came, bounded; 413 beyond."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BODY_BYTES:
            raise HTTPException(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {MOST_BODY_BYTES} bytes; send fewer planes"
            )
        parts.append(part)
    return b"".join(parts)


@contextmanager
def telling(settings: Settings) -> Iterator[None]:
    """Errors of a reading as HTTP's, without the server's paths; a conflict of versions is left to its route."""

    def words(error: PanlesionError) -> str:
        return str(error).replace(f"{settings.data}/", "")

    try:
        yield
    except VersionConflictError:
        raise
    except SignedError as error:
        raise HTTPException(HTTPStatus.CONFLICT, words(error)) from error
    except DiskFullError as error:
        raise HTTPException(HTTPStatus.INSUFFICIENT_STORAGE, FULL) from error
    except ReadError as error:
        raise HTTPException(HTTPStatus.CONFLICT, words(error)) from error
    except PanlesionError as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, words(error)) from error


def conflict(session: Session, error: VersionConflictError) -> JSONResponse:
    """412 with the present version, who made it and when; nothing of the request is kept."""
    session.rollback()
    present = error.present
    told = ConflictOut(detail=str(error), version=present.version, by=present.by, at=present.at)
    return JSONResponse(told.model_dump(mode="json"), HTTPStatus.PRECONDITION_FAILED)


@router.get("/studies/{study_id}/findings")
def ai_findings(reading: ReadingDep, settings: SettingsDep) -> FileResponse:
    """The AI's own findings, as it wrote them."""
    path = results_folder(settings, reading) / FINDINGS_FILE
    if not path.is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND, "this study was read without the AI; it has no findings of its own")
    return FileResponse(path, media_type="application/json", headers={"Cache-Control": "private, no-cache"})


@router.get("/studies/{study_id}/reading")
def read(study: StudyDep, reading: ReadingDep, user: ViewerDep, session: SessionDep, settings: SettingsDep) -> ReadingOut:
    """The document as it is now."""
    with telling(settings):
        return reading_out(session, settings, study, reading, user)


@router.post("/studies/{study_id}/reading", status_code=201)
def begin(study: StudyDep, user: ReaderDep, session: SessionDep, settings: SettingsDep) -> ReadingOut:
    """Begin by hand, with no finding, where the AI failed and the CT can be read."""
    if session.get(Reading, study.id) is not None:
        raise HTTPException(HTTPStatus.CONFLICT, "the reading of this study has begun already; load it")
    if study.state is not StudyState.FAILED:
        raise HTTPException(
            HTTPStatus.CONFLICT, f"this study is {study.state}; only after a failed analysis is one begun by hand"
        )
    try:
        with telling(settings):
            reading = begin_by_hand(session, settings, study, user)
            return reading_out(session, settings, study, reading, user)
    except IntegrityError as error:
        raise HTTPException(HTTPStatus.CONFLICT, "somebody else has just begun to read this study; load it") from error
    except HTTPException as error:
        if error.status_code == HTTPStatus.CONFLICT:
            raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, error.detail) from error
        raise


@router.patch("/studies/{study_id}/reading", response_model=ReadingOut, responses=CONFLICTS)
def change(
    told: ChangesIn,
    study: StudyDep,
    reading: ReadingDep,
    version: VersionDep,
    user: ReaderDep,
    session: SessionDep,
    settings: SettingsDep,
) -> ReadingOut | JSONResponse:
    """Change the document: all changes or none, if nobody was faster."""
    try:
        with telling(settings):
            change_document(session, settings, study, reading, version, told.changes, user)
            return reading_out(session, settings, study, reading, user)
    except VersionConflictError as error:
        return conflict(session, error)


@router.get("/studies/{study_id}/mask")
def mask(
    reading: ReadingDep,
    settings: SettingsDep,
    original: bool = False,
    if_none_match: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """The present mask, or the AI's, as it is kept: gzip of uint8, i fastest."""
    kept = reading.original_mask if original else reading.mask_path
    if kept is None or not (settings.data / kept).is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND, "the mask is not there; restore the data folder")
    # the AI's own changes only when the study is analysed anew, and then its file does
    tag = f'"{reading.version}"' if not original else f'"{kept.rpartition("-")[2].removesuffix(".gz")}"'
    with telling(settings):
        shape = grid_of(results_folder(settings, reading)).shape
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "X-Shape": ",".join(map(str, shape))}
    if if_none_match is not None and tag in [one.strip().removeprefix("W/") for one in if_none_match.split(",")]:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response((settings.data / kept).read_bytes(), media_type="application/octet-stream", headers=headers)


@router.put(
    "/studies/{study_id}/mask",
    response_model=ReadingOut,
    responses=CONFLICTS,
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}}}
    },
)
def paint(
    study: StudyDep,
    reading: ReadingDep,
    first_k: Annotated[int, Query(ge=0, le=100_000)],
    last_k: Annotated[int, Query(ge=0, le=100_000)],
    version: VersionDep,
    user: ReaderDep,
    session: SessionDep,
    settings: SettingsDep,
    body: Annotated[bytes, Depends(body_of)],
) -> ReadingOut | JSONResponse:
    """Replace planes of the mask; what changed is measured anew."""
    try:
        with telling(settings):
            save_planes(session, settings, study, reading, version, (first_k, last_k, body), user)
            return reading_out(session, settings, study, reading, user)
    except VersionConflictError as error:
        return conflict(session, error)


@router.get("/studies/{study_id}/priors")
def priors(study: StudyDep, user: ViewerDep, session: SessionDep) -> list[StudyRow]:
    """Earlier studies of the same patient, the latest first."""
    return [StudyRow.model_validate(one) for one in priors_of(session, study, visible_to(user))]


@router.put("/studies/{study_id}/prior")
def choose_prior(
    told: PriorIn, study: StudyDep, reading: ReadingDep, user: ReaderDep, session: SessionDep, settings: SettingsDep
) -> ReadingOut:
    """Choose what the study is compared with, or nothing."""
    if reading.state is ReadingState.SIGNED:
        raise HTTPException(HTTPStatus.CONFLICT, "the reading is signed and does not change any more; add an addendum")
    if told.study_id is not None:
        prior = session.scalar(select(Study.id).where(Study.id == told.study_id, *earlier(study), visible_to(user)))
        if prior is None:
            raise HTTPException(
                HTTPStatus.UNPROCESSABLE_ENTITY, "the prior is no earlier study of this patient that you have access to"
            )
    study.prior_id, study.changed_at = told.study_id, now()
    record(session, Action.EDIT, by=user, study_id=study.id, ops=["prior"])
    with telling(settings):
        return reading_out(session, settings, study, reading, user)


@router.get("/choices")
def choices(user: ViewerDep) -> ChoicesOut:
    """The closed vocabularies of the report, with the words a page shows."""
    del user  # only whoever may look at images
    return ChoicesOut(
        types=[(name, type_words(name)) for name in TYPE_NAMES],
        attributes={name: [(value, value_words(value)) for value in values] for name, values in ATTRIBUTE_VALUES.items()},
        organs=list(V1_NAMES.values()),
    )
