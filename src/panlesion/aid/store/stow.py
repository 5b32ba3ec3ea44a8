"""STOW-RS: images that another system posts; the answer says of each what became of it, in DICOM JSON."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from panlesion.aid.db import Sessions
from panlesion.aid.settings import Settings
from panlesion.aid.store.archive import TooMuchError
from panlesion.aid.store.check import RefusedError
from panlesion.aid.store.intake import Outcome, Taken, Wanted
from panlesion.aid.store.multipart import Parts, boundary_of
from panlesion.aid.store.upload import Upload
from panlesion.aid.tables import User
from panlesion.aid.vocabulary import StudySource
from panlesion.data.publish import DiskFullError

CANNOT_UNDERSTAND = 0xC000
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
    upload = Upload(sessions=sessions, settings=settings, by=by, source=StudySource.STORE, wanted=Wanted(study_uid=study_uid))
    try:
        boundary = boundary_of(request.headers.get("content-type", ""), "multipart/related")
        parts = Parts(boundary, begin=upload.begin, data=upload.data, end=upload.end)
        async for piece in request.stream():
            await run_in_threadpool(parts.feed, piece)
        parts.finish()
    except TooMuchError as error:
        return JSONResponse({"detail": str(error)}, 413)
    except (RefusedError, ClientDisconnect) as error:
        return JSONResponse({"detail": str(error)}, 400)
    except DiskFullError as error:
        return JSONResponse({"detail": str(error)}, 507)
    finally:
        await run_in_threadpool(upload.drop)
    return JSONResponse(answer(upload.results), _status(upload.results), media_type=DICOM_JSON)


def answer(results: list[Taken]) -> dict[str, Any]:
    """PS3.18's account of a store request: what was referenced, and what failed with which reason."""
    kept = [_reference(t) for t in results if t.outcome is not Outcome.REFUSED]
    failed = [
        _reference(t) | _us("00081197", CANNOT_UNDERSTAND) | _text(t.reason) for t in results if t.outcome is Outcome.REFUSED
    ]
    told: dict[str, Any] = {}
    if kept:
        told["00081199"] = {"vr": "SQ", "Value": kept}
    if failed:
        told["00081198"] = {"vr": "SQ", "Value": failed}
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


def _us(tag: str, value: int) -> dict[str, Any]:
    return {tag: {"vr": "US", "Value": [value]}}


def _text(reason: str) -> dict[str, Any]:
    return {"00000902": {"vr": "LO", "Value": [reason[:64]]}}
