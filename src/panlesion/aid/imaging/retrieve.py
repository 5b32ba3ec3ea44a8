"""WADO-RS, what is answered: instances and frames in a form that the client takes."""

import hashlib
from collections.abc import Iterator, Sequence
from io import BytesIO

import pydicom
from fastapi import HTTPException, Request, Response, status
from fastapi.responses import FileResponse, StreamingResponse
from pydicom.uid import UID

from panlesion.aid.imaging.accept import DICOM, EXPLICIT_LE, OCTETS, Wish, wishes
from panlesion.aid.imaging.objects import Kept, present
from panlesion.aid.imaging.packing import packed, packed_chunks, pays_off
from panlesion.aid.imaging.parts import BytesPart, FilePart, joined, length_of, media_type, new_boundary
from panlesion.aid.imaging.pixels import DEFLATED, Pixels, pixels_of, plain_frame, stored_frame
from panlesion.ct.dicom_codestream import decoder_of
from panlesion.ct.dicom_header import damaged
from panlesion.errors import ReadError

IMPLICIT_LE = "1.2.840.10008.1.2"
MAX_FRAMES_ASKED = 4096
CACHED = {
    "Cache-Control": "private, max-age=86400, immutable",
    "Vary": "Accept, Accept-Encoding, Authorization, Cookie, Origin",
}
"""What was received never changes. Varying with the cookie keeps a browser from showing one account what another had loaded."""

_COMPRESSED_MEDIA = {
    **{f"1.2.840.10008.1.2.4.{n}": "image/jpeg" for n in (50, 51, 57, 70)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jls" for n in (80, 81)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jp2" for n in (90, 91)},
    **{f"1.2.840.10008.1.2.4.{n}": "image/jphc" for n in (201, 202, 203)},
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
_OTHER_NAMES = {
    "image/jp2": ("image/jp2", "image/j2c", "image/jpc", "image/jpeg2000"),
    "image/jls": ("image/jls", "image/x-jls"),
}


def not_acceptable(what: str) -> HTTPException:
    """406 that says what there would be."""
    return HTTPException(status.HTTP_406_NOT_ACCEPTABLE, f"nothing that the Accept header names can be given; {what}")


def unchanged(request: Request, tag: str) -> Response | None:
    """304 where the client holds this version already."""
    told = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in told or "*" in told:
        return Response(status_code=304, headers={"ETag": tag, **CACHED})
    return None


def instances_answer(request: Request, images: Sequence[Kept]) -> Response:
    """Instances as parts of application/dicom, one instance also by itself; streamed, compressed as stored or not at all."""
    for wish in wishes(request.headers.get("accept")):
        if not wish.meets(DICOM) or not (wish.multipart or len(images) == 1):
            continue
        if wish.syntax not in (None, "*", EXPLICIT_LE) and any(image.transfer_syntax != wish.syntax for image in images):
            continue
        as_stored = [_goes_as_stored(image, wish) for image in images]
        if not wish.multipart and as_stored[0]:
            (image,) = present(images)
            media = f"{DICOM}; transfer-syntax={image.transfer_syntax}"
            return FileResponse(image.path, media_type=media, headers={**CACHED, "ETag": f'"{image.sha256[:32]}"'})
        if not wish.multipart:
            return Response(_explicit(images[0]), media_type=f"{DICOM}; transfer-syntax={EXPLICIT_LE}", headers=CACHED)
        return _parts_of_instances(request, images, as_stored)
    raise not_acceptable('multipart/related; type="application/dicom", and application/dicom for a single instance')


def _goes_as_stored(image: Kept, wish: Wish) -> bool:
    """Implicit VR goes as stored where no syntax is named: every file names its own, and stays the bytes that came."""
    if wish.syntax in ("*", image.transfer_syntax):
        return True
    return wish.syntax is None and image.transfer_syntax in (IMPLICIT_LE, EXPLICIT_LE)


def _parts_of_instances(request: Request, images: Sequence[Kept], as_stored: Sequence[bool]) -> Response:
    boundary = new_boundary()
    stored = [
        FilePart(media=f"{DICOM}; transfer-syntax={image.transfer_syntax}", path=image.path, size=image.bytes)
        for image in present(images)
    ]
    headers = dict(CACHED)
    if all(as_stored):
        headers["Content-Length"] = str(length_of(stored, boundary))
        body = joined(stored, boundary)
    else:
        for image, kept in zip(images, as_stored, strict=True):
            if not kept and not _can_be_explicit(image):
                raise not_acceptable(f"image {image.sop_uid} only as stored: transfer-syntax={image.transfer_syntax} or *")
        body = joined_lazily(images, as_stored, boundary)
    if request.method == "HEAD":
        return Response(headers=headers, media_type=media_type(DICOM, boundary))
    return StreamingResponse(body, media_type=media_type(DICOM, boundary), headers=headers)


def joined_lazily(images: Sequence[Kept], as_stored: Sequence[bool], boundary: str) -> Iterator[bytes]:
    """The body where some instances are decoded on the way: one at a time in memory."""
    for image, kept in zip(images, as_stored, strict=True):
        media = f"{DICOM}; transfer-syntax={image.transfer_syntax if kept else EXPLICIT_LE}"
        part = (
            FilePart(media=media, path=image.path, size=image.bytes) if kept else BytesPart(media=media, data=_explicit(image))
        )
        yield from joined([part], boundary, last=False)
    yield from joined([], boundary)


def _can_be_explicit(image: Kept) -> bool:
    return image.transfer_syntax in (IMPLICIT_LE, EXPLICIT_LE) or decoder_of(image.transfer_syntax) is not None


def _explicit(image: Kept) -> bytes:
    """A whole instance in Explicit VR Little Endian.

    Raises:
        HTTPException: 406 where it cannot be decoded.
    """
    if image.transfer_syntax in DEFLATED or not _can_be_explicit(image):
        raise not_acceptable(f"image {image.sop_uid} only as stored: transfer-syntax={image.transfer_syntax} or *")
    try:
        with damaged(f"image {image.sop_uid}", "it cannot be told in Explicit VR Little Endian"):
            ds = pydicom.dcmread(image.path, force=True)
            if decoder_of(image.transfer_syntax) is not None:
                pixels = pixels_of(image)
                data = b"".join(plain_frame(image, pixels, frame) for frame in range(pixels.frames))
                ds.PixelData = data + b"\0" * (len(data) % 2)
                ds["PixelData"].is_undefined_length = False
                ds["PixelData"].VR = "OB" if pixels.bits <= 8 else "OW"
            ds.file_meta.TransferSyntaxUID = UID(EXPLICIT_LE)
            stream = BytesIO()
            ds.save_as(stream, implicit_vr=False, little_endian=True)
    except ReadError as error:
        raise not_acceptable(f"{error}") from error
    return stream.getvalue()


def frames_asked(told: str, frames: int) -> list[int]:
    """Frame numbers of a path, from 0.

    Raises:
        HTTPException: 400 for what is no list of numbers from 1, 404 for frames that the image does not have.
    """
    words = told.split(",", MAX_FRAMES_ASKED)
    if len(words) > MAX_FRAMES_ASKED or not all(word.isascii() and word.isdigit() and len(word) <= 9 for word in words):
        raise HTTPException(
            status.HTTP_400_BAD_REQUEST,
            f"frames are told as 1,2,3: at most {MAX_FRAMES_ASKED} numbers from 1, got {told[:64]!r}",
        )
    numbers = [int(word) for word in words]
    if 0 in numbers:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, "frames are counted from 1")
    if max(numbers) > frames:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"frame {max(numbers)} of {frames}")
    return [number - 1 for number in numbers]


def frames_answer(request: Request, image: Kept, told: str | None) -> Response:
    """Frames as stored where the client takes that, else decoded; as parts, or one frame by itself; `told` None: all of them.

    Raises:
        HTTPException: 400, 404, 406 in words.
    """
    try:
        pixels = pixels_of(image)
        frames = list(range(pixels.frames)) if told is None else frames_asked(told, pixels.frames)
        version = hashlib.sha256((told or "all").encode()).hexdigest()[:12]
        for wish in wishes(request.headers.get("accept")):
            media = _media_of(wish, pixels)
            if media is None or not (wish.multipart or len(frames) == 1):
                continue
            form = f"{'parts' if wish.multipart else 'alone'}-{'stored' if media[1] else 'plain'}"
            tag = f'"{image.sha256[:32]}-{version}-{form}"'
            return unchanged(request, tag) or _frames(request, image, pixels, frames, media, wish.multipart, tag)
    except ReadError as error:
        raise not_acceptable(str(error)) from error
    stored = _COMPRESSED_MEDIA.get(pixels.syntax)
    other = f", or {stored} as stored" if stored else ""
    raise not_acceptable(f'multipart/related; type="application/octet-stream"{other}; a single frame also without multipart')


def _media_of(wish: Wish, pixels: Pixels) -> tuple[str, bool] | None:
    """Content-Type of a frame for a wish and whether it goes as stored; None where the wish cannot be met."""
    stored = _COMPRESSED_MEDIA.get(pixels.syntax, OCTETS) if pixels.spans is not None else None
    plain = f"{OCTETS}; transfer-syntax={EXPLICIT_LE}"
    if stored is None:
        return (plain, False) if wish.meets(OCTETS) and wish.syntax in (None, "*", EXPLICIT_LE, pixels.syntax) else None
    as_stored = f"{stored}; transfer-syntax={pixels.syntax}"
    if any(wish.media == name for name in _OTHER_NAMES.get(stored, (stored,))) or wish.media == "image/*":
        return (as_stored, True) if wish.syntax in (None, "*", pixels.syntax) else None
    if not wish.meets(OCTETS):
        return None
    if wish.syntax in ("*", pixels.syntax):
        return as_stored, True
    decodable = decoder_of(pixels.syntax) is not None and pixels.samples == 1
    return (plain, False) if wish.syntax in (None, EXPLICIT_LE) and decodable else None


def _frames(
    request: Request, image: Kept, pixels: Pixels, frames: list[int], media: tuple[str, bool], multipart: bool, tag: str
) -> Response:
    headers = {"ETag": tag, **CACHED}
    read = stored_frame if media[1] else plain_frame
    boundary = new_boundary()
    kind = media_type(media[0], boundary) if multipart else media[0]
    packs = not media[1] and pays_off(request, pixels.frame_bits // 8)
    if len(frames) == 1:
        data = read(image, pixels, frames[0])
        if multipart:
            data = b"".join(joined([BytesPart(media=media[0], data=data)], boundary))
        if packs:
            return Response(packed(data), media_type=kind, headers={**headers, "Content-Encoding": "gzip"})
        return Response(data, media_type=kind, headers=headers)
    if request.method == "HEAD":
        return Response(media_type=kind, headers=headers)

    def body() -> Iterator[bytes]:
        for frame in frames:
            yield b"".join(joined([BytesPart(media=media[0], data=read(image, pixels, frame))], boundary, last=False))
        yield from joined([], boundary)

    if packs:
        return StreamingResponse(packed_chunks(body()), media_type=kind, headers={**headers, "Content-Encoding": "gzip"})
    return StreamingResponse(body(), media_type=kind, headers=headers)
