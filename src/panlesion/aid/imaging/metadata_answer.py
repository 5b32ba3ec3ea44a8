"""WADO-RS metadata and bulk data, as answers."""

import gzip
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from fastapi import HTTPException, Request, Response, status

from panlesion.aid.imaging.accept import ANY, JSON, OCTETS, takes_gzip, wishes
from panlesion.aid.imaging.metadata import bulk_value, series_metadata, texts_of
from panlesion.aid.imaging.objects import Kept
from panlesion.aid.imaging.parts import BytesPart, joined, media_type, new_boundary
from panlesion.aid.imaging.retrieve import not_acceptable, unchanged

REVALIDATED = {"Cache-Control": "private, no-cache", "Vary": "Accept, Accept-Encoding, Authorization, Cookie, Origin"}
"""New images may come to a series, so who holds its metadata asks again."""


def _check_json(request: Request) -> None:
    if not any(
        wish.media in (ANY, JSON, "application/json", "application/*") for wish in wishes(request.headers.get("accept"))
    ):
        raise not_acceptable(f"metadata are {JSON}")


def metadata_answer(request: Request, data: Path, images: Sequence[Kept]) -> Response:
    """DICOM JSON of all images of a study or series, as it is kept where the client takes gzip."""
    _check_json(request)
    files = [series_metadata(data, list(group)) for _, group in groupby(images, key=lambda image: image.series_id)]
    tag = '"' + "-".join(file.name.removesuffix(".json.gz").rsplit("-", 1)[1][:16] for file in files[:8]) + f'-{len(files)}"'
    known = unchanged(request, tag)
    if known is not None:
        known.headers.update(REVALIDATED)
        return known
    headers = {"ETag": tag, **REVALIDATED}
    zipped = [file.read_bytes() for file in files]
    if len(zipped) > 1:
        lists = b",".join(gzip.decompress(one)[1:-1] for one in zipped)
        zipped = [gzip.compress(b"[" + lists + b"]", compresslevel=1)]
    if takes_gzip(request.headers.get("accept-encoding")):
        return Response(zipped[0], media_type=JSON, headers={**headers, "Content-Encoding": "gzip"})
    return Response(gzip.decompress(zipped[0]), media_type=JSON, headers=headers)


def instance_metadata_answer(request: Request, image: Kept) -> Response:
    """DICOM JSON of one image, read from its file."""
    _check_json(request)
    return Response("[" + "".join(texts_of([image])) + "]", media_type=JSON, headers=REVALIDATED)


def bulk_answer(request: Request, image: Kept, path: str) -> Response:
    """The bytes of an attribute that the metadata tell by a URI.

    Raises:
        HTTPException: 404 where the image has no such attribute, 406 where something else than octets is wished.
    """
    try:
        _, value = bulk_value(image, path)
    except LookupError as error:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"no bulk data at {path[:200]!r} of this image") from error
    for wish in wishes(request.headers.get("accept")):
        if not wish.meets(OCTETS):
            continue
        if not wish.multipart:
            return Response(value, media_type=OCTETS, headers=REVALIDATED)
        boundary = new_boundary()
        body = b"".join(joined([BytesPart(media=OCTETS, data=value)], boundary))
        return Response(body, media_type=media_type(OCTETS, boundary), headers=REVALIDATED)
    raise not_acceptable(f"bulk data are {OCTETS}, alone or in multipart/related")
