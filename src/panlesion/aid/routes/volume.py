"""The CT of a study as one array, for our own viewer: one request where DICOMweb needs hundreds."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, Request, Response, status
from fastapi.responses import StreamingResponse

from panlesion.aid.deps import sessions_of, settings_of, study_of
from panlesion.aid.imaging.accept import OCTETS
from panlesion.aid.imaging.access import viewing
from panlesion.aid.imaging.metadata import fingerprint
from panlesion.aid.imaging.objects import kept
from panlesion.aid.imaging.packing import packed_chunks, pays_off
from panlesion.aid.imaging.retrieve import CACHED, unchanged
from panlesion.aid.imaging.viewed import note_view
from panlesion.aid.imaging.volume import planes_of
from panlesion.aid.tables import Reading
from panlesion.errors import ReadError

router = APIRouter(prefix="/studies", tags=["images"])

Plane = Annotated[int, Query(ge=0, le=100_000)]
SHAPE_HEADER = "X-Volume-Shape"


@router.get("/{study_id}/volume", response_class=Response)
def read_volume(
    study_id: UUID,
    request: Request,
    first_k: Plane = 0,
    last_k: Plane | None = None,
) -> Response:
    """Planes first_k … last_k as little-endian int16 HU, i fastest; `X-Volume-Shape` tells I,J,K of the whole.

    404 while no CT is known, 409 where it cannot be read, 416 for planes that are not there.
    """
    data = settings_of(request).data
    with viewing(request, tokens=False) as (session, user):
        study = study_of(study_id, user, session)
        if study.primary_series is None:
            raise HTTPException(status.HTTP_404_NOT_FOUND, "no CT of this study is known yet")
        images = kept(session, data, user, study.study_uid, study.primary_series)
        reading = session.get(Reading, study.id)
    note_view(sessions_of(request), user, study.id)
    try:
        planes = planes_of(data, images, None if reading is None else reading.original_path)
    except ReadError as error:
        raise HTTPException(status.HTTP_409_CONFLICT, f"the CT cannot be read: {error}") from error
    last = planes.shape[2] - 1 if last_k is None else last_k
    if not first_k <= last < planes.shape[2]:
        raise HTTPException(
            status.HTTP_416_RANGE_NOT_SATISFIABLE, f"planes {first_k} to {last}; the CT has 0 to {planes.shape[2] - 1}"
        )
    tag = f'"{fingerprint(images)}-{first_k}-{last}"'
    headers = {**CACHED, SHAPE_HEADER: ",".join(map(str, planes.shape))}
    known = unchanged(request, tag)
    if known is not None:
        return known
    size, chunks = (last - first_k + 1) * planes.plane_bytes, planes.chunks(first_k, last)
    headers["ETag"] = tag
    if pays_off(request, size):
        headers["Content-Encoding"], chunks = "gzip", packed_chunks(chunks)
    else:
        headers["Content-Length"] = str(size)
    return StreamingResponse(chunks, media_type=OCTETS, headers=headers)
