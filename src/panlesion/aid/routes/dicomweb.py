"""DICOMweb out: QIDO-RS and WADO-RS over what an account may see."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response, status
from sqlalchemy.orm import Session

from panlesion.aid.deps import sessions_of, settings_of
from panlesion.aid.imaging.accept import JSON, wishes
from panlesion.aid.imaging.access import viewing
from panlesion.aid.imaging.answers import Answer, instance_answers, series_answers, study_answers
from panlesion.aid.imaging.matching import INSTANCE_KEYS, SERIES_KEYS, STUDY_KEYS, Asked, BadQueryError, asked
from panlesion.aid.imaging.metadata import PIXEL_TAGS
from panlesion.aid.imaging.metadata_answer import bulk_answer, instance_metadata_answer, metadata_answer
from panlesion.aid.imaging.objects import Kept, kept
from panlesion.aid.imaging.rendered import THUMBNAIL_SIDE, look_of, picture_answer
from panlesion.aid.imaging.retrieve import frames_answer, instances_answer, not_acceptable
from panlesion.aid.imaging.said import OF_PICTURE, of_search
from panlesion.aid.imaging.viewed import note_view
from panlesion.aid.tables import User

router = APIRouter(tags=["dicomweb"])
SERVICE = "panlesion"


def _get(path: str, said: dict[str, Any] | None = None) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
    """GET, and HEAD beside it; `said` is what OpenAPI is told beyond the signature."""

    def add(route: Callable[..., Response]) -> Callable[..., Response]:
        router.get(path, response_class=Response, openapi_extra=said)(route)
        router.head(path, include_in_schema=False)(route)
        return route

    return add


def _asked(request: Request, keys: Any) -> Asked:
    if not any(wish.meets(JSON) or wish.meets("application/json") for wish in wishes(request.headers.get("accept"))):
        raise not_acceptable(JSON)
    try:
        return asked(request.query_params.multi_items(), keys)
    except BadQueryError as error:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, str(error)) from error


def _told(query: Asked, found: tuple[list[Answer], int]) -> Response:
    """200 also where nothing matches: an empty list, as PS3.18 has it since 2025 (it was 204 before)."""
    answers, more = found
    response = Response(json.dumps(answers, separators=(",", ":")), media_type=JSON, headers={"Cache-Control": "no-store"})
    remarks = [*query.remarks, *([f"There are {more} additional results that can be requested"] if more else [])]
    for remark in remarks:
        response.headers.append("Warning", f'299 {SERVICE} "{remark}"')
    return response


def _search(request: Request, keys: Any, find: Callable[[Session, User, Asked], tuple[list[Answer], int]]) -> Response:
    with viewing(request) as (session, user):
        query = _asked(request, keys)
        found = find(session, user, query)
    return _told(query, found)


@_get("/studies", of_search(STUDY_KEYS))
def search_studies(request: Request) -> Response:
    """QIDO-RS: studies that match."""
    return _search(request, STUDY_KEYS, study_answers)


@_get("/series", of_search(SERIES_KEYS))
def search_all_series(request: Request) -> Response:
    """QIDO-RS: series of all studies."""
    return _search(request, SERIES_KEYS, lambda session, user, query: series_answers(session, user, query, None))


@_get("/instances", of_search(INSTANCE_KEYS))
def search_all_instances(request: Request) -> Response:
    """QIDO-RS: images of all studies."""
    data = settings_of(request).data
    return _search(
        request, INSTANCE_KEYS, lambda session, user, query: instance_answers(session, data, user, query, None, None)
    )


@_get("/studies/{study}/series", of_search(SERIES_KEYS))
def search_series(study: str, request: Request) -> Response:
    """QIDO-RS: series of one study."""
    return _search(request, SERIES_KEYS, lambda session, user, query: series_answers(session, user, query, study))


@_get("/studies/{study}/instances", of_search(INSTANCE_KEYS))
def search_study_instances(study: str, request: Request) -> Response:
    """QIDO-RS: images of one study."""
    data = settings_of(request).data
    return _search(
        request, INSTANCE_KEYS, lambda session, user, query: instance_answers(session, data, user, query, study, None)
    )


@_get("/studies/{study}/series/{series}/instances", of_search(INSTANCE_KEYS))
def search_instances(study: str, series: str, request: Request) -> Response:
    """QIDO-RS: images of one series."""
    data = settings_of(request).data
    return _search(
        request, INSTANCE_KEYS, lambda session, user, query: instance_answers(session, data, user, query, study, series)
    )


def _kept(request: Request, study: str, series: str | None = None, instance: str | None = None) -> list[Kept]:
    with viewing(request) as (session, user):
        images = kept(session, settings_of(request).data, user, study, series, instance)
    note_view(sessions_of(request), user, images[0].study_id)
    return images


@_get("/studies/{study}/metadata")
def study_metadata(study: str, request: Request) -> Response:
    """WADO-RS: headers of all images of a study."""
    return metadata_answer(request, settings_of(request).data, _kept(request, study))


@_get("/studies/{study}/series/{series}/metadata")
def read_series_metadata(study: str, series: str, request: Request) -> Response:
    """WADO-RS: headers of all images of a series."""
    return metadata_answer(request, settings_of(request).data, _kept(request, study, series))


@_get("/studies/{study}/series/{series}/instances/{instance}/metadata")
def instance_metadata(study: str, series: str, instance: str, request: Request) -> Response:
    """WADO-RS: header of one image."""
    (image,) = _kept(request, study, series, instance)
    return instance_metadata_answer(request, image)


@_get("/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path:path}")
def bulk_data(study: str, series: str, instance: str, path: str, request: Request) -> Response:
    """WADO-RS: what the metadata tell by a URI; pixels are all frames of the image."""
    (image,) = _kept(request, study, series, instance)
    return frames_answer(request, image, None) if path.upper() in PIXEL_TAGS else bulk_answer(request, image, path)


@_get("/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered", OF_PICTURE)
def rendered_frame(study: str, series: str, instance: str, frames: str, request: Request) -> Response:
    """WADO-RS: one frame as a picture; `window=center,width`, `viewport=width,height`, `quality=1…100`."""
    look = look_of(request)
    (image,) = _kept(request, study, series, instance)
    return picture_answer(request, image, frames, look)


@_get("/studies/{study}/series/{series}/instances/{instance}/rendered", OF_PICTURE)
def rendered_instance(study: str, series: str, instance: str, request: Request) -> Response:
    """WADO-RS: the first frame as a picture."""
    return rendered_frame(study, series, instance, "1", request)


@_get("/studies/{study}/series/{series}/instances/{instance}/thumbnail", OF_PICTURE)
def instance_thumbnail(study: str, series: str, instance: str, request: Request) -> Response:
    """WADO-RS: a small picture of an image."""
    return _thumbnail(request, _kept(request, study, series, instance))


@_get("/studies/{study}/series/{series}/thumbnail", OF_PICTURE)
def series_thumbnail(study: str, series: str, request: Request) -> Response:
    """WADO-RS: a small picture of the middle image of a series."""
    return _thumbnail(request, _kept(request, study, series))


@_get("/studies/{study}/thumbnail", OF_PICTURE)
def study_thumbnail(study: str, request: Request) -> Response:
    """WADO-RS: a small picture of the middle image of a study's largest series."""
    images = _kept(request, study)
    counts = Counter(image.series_id for image in images if image.rows)
    largest = max(counts, key=counts.__getitem__, default=None)
    return _thumbnail(request, [image for image in images if image.series_id == largest] or images)


def _thumbnail(request: Request, images: list[Kept]) -> Response:
    look = look_of(request)
    look = look if look.viewport is not None else replace(look, viewport=(THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    return picture_answer(request, images[len(images) // 2], "1", look)


@_get("/studies/{study}/series/{series}/instances/{instance}/frames/{frames}")
def read_frames(study: str, series: str, instance: str, frames: str, request: Request) -> Response:
    """WADO-RS: frames, counted from 1, as stored or decoded by what the client accepts."""
    (image,) = _kept(request, study, series, instance)
    return frames_answer(request, image, frames)


@_get("/studies/{study}/series/{series}/instances/{instance}")
def retrieve_instance(study: str, series: str, instance: str, request: Request) -> Response:
    """WADO-RS: one DICOM file."""
    return instances_answer(request, _kept(request, study, series, instance))


@_get("/studies/{study}/series/{series}")
def retrieve_series(study: str, series: str, request: Request) -> Response:
    """WADO-RS: all DICOM files of a series."""
    return instances_answer(request, _kept(request, study, series))


@_get("/studies/{study}")
def retrieve_study(study: str, request: Request) -> Response:
    """WADO-RS: all DICOM files of a study."""
    return instances_answer(request, _kept(request, study))
