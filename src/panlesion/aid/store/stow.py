"""STOW-RS: images that another system posts; the answer says of each what became of it, in DICOM JSON."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from panlesion.aid.db import Sessions
from panlesion.aid.guard.words import without_paths
from panlesion.aid.settings import Settings
from panlesion.aid.store.archive import TooMuchError
from panlesion.aid.store.check import RefusedError
from panlesion.aid.store.intake import Outcome, Taken, Wanted
from panlesion.aid.store.multipart import Parts, boundary_of
from panlesion.aid.store.upload import Upload
from panlesion.aid.tables import User
from panlesion.aid.vocabulary import StudySource
from panlesion.data.publish import DiskFullError

CANNOT_UNDERSTAND, DOES_NOT_MATCH = 0xC000, 0xA900
DICOMWEB = "/dicomweb"
DICOM_JSON = "application/dicom+json"


async def stow(
    request: Request, sessions: Sessions, settings: Settings, *, by: User | None, study_uid: str | None = None
) -> JSONResponse:
    """Take the parts of a STOW-RS request as they come.

    Args:
        request: Its body is read here, and must not have been before.
        sessions: Not those of the request: what was taken stays, whatever becomes of the rest.
        settings: Where the data lie, and how large an upload may be.
        by: Who posts.
        study_uid: The study that the address names; images of others are refused.

    Returns:
        200 when all were taken, 202 when some were, 409 when none was; 400, 413, 415 and 507 with the reason in words.
    """
    try:
        boundary = boundary_of(request.headers.get("content-type", ""), "multipart/related")
    except RefusedError as error:
        return JSONResponse({"detail": str(error)}, 415)
    upload = Upload(sessions=sessions, settings=settings, by=by, source=StudySource.STORE, wanted=Wanted(study_uid=study_uid))
    try:
        parts = Parts(boundary, begin=upload.begin, data=upload.data, end=upload.end)
        async for piece in request.stream():
            await run_in_threadpool(parts.feed, piece)
        parts.finish()
        if not upload.results:
            raise RefusedError("the request has no part that is an image: nothing was stored")
    except TooMuchError as error:
        return JSONResponse({"detail": str(error)}, 413)
    except (RefusedError, ClientDisconnect) as error:
        return JSONResponse({"detail": str(error)}, 400)
    except DiskFullError as error:
        return JSONResponse({"detail": without_paths(str(error), settings.data)}, 507)
    finally:
        await run_in_threadpool(upload.drop)
    return JSONResponse(answer(upload.results, study_uid), _status(upload.results), media_type=DICOM_JSON)


def answer(results: list[Taken], study_uid: str | None = None) -> dict[str, Any]:
    """PS3.18's account of a store request: what was referenced, and what failed with which reason, named or, unread, not."""
    kept = [t for t in results if t.outcome is not Outcome.REFUSED]
    failed = [t for t in results if t.outcome is Outcome.REFUSED]
    studies = {t.told.study_uid for t in kept if t.told is not None} | ({study_uid} if study_uid is not None else set())
    told: dict[str, Any] = {}
    if len(studies) == 1:
        told["00081190"] = _url(f"{DICOMWEB}/studies/{studies.pop()}")
    for tag, items in (
        ("00081199", [_reference(t) | _retrieved(t) for t in kept]),
        ("00081198", [_reference(t) | _reason(t) for t in failed if t.told is not None]),
        ("0008119A", [_reason(t) for t in failed if t.told is None]),
    ):
        if items:
            told[tag] = {"vr": "SQ", "Value": items}
    return told


def _status(results: list[Taken]) -> int:
    refused = sum(t.outcome is Outcome.REFUSED for t in results)
    if refused == len(results):
        return 409
    return 202 if refused else 200


def _reference(taken: Taken) -> dict[str, Any]:
    if taken.told is None:
        return {}
    return {
        "00081150": {"vr": "UI", "Value": [taken.told.sop_class]},
        "00081155": {"vr": "UI", "Value": [taken.told.sop_uid]},
    }


def _retrieved(taken: Taken) -> dict[str, Any]:
    told = taken.told
    if told is None:
        return {}
    return {"00081190": _url(f"{DICOMWEB}/studies/{told.study_uid}/series/{told.series_uid}/instances/{told.sop_uid}")}


def _reason(taken: Taken) -> dict[str, Any]:
    """The standard has a number alone; the words stand where other archives put theirs, in ErrorComment."""
    code = DOES_NOT_MATCH if taken.mismatch else CANNOT_UNDERSTAND
    return {"00081197": {"vr": "US", "Value": [code]}, "00000902": {"vr": "LO", "Value": [taken.reason[:64]]}}


def _url(url: str) -> dict[str, Any]:
    return {"vr": "UR", "Value": [url]}
