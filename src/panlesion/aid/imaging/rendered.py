"""Frames as pictures: windowed, scaled, PNG or JPEG; for thumbnails and clients that draw nothing themselves."""

import hashlib
import math
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import pydicom
from fastapi import HTTPException, Request, Response, status
from numpy.typing import NDArray
from PIL import Image

from panlesion.aid.imaging.accept import ANY, wishes
from panlesion.aid.imaging.metadata import header_of
from panlesion.aid.imaging.objects import Kept
from panlesion.aid.imaging.pixels import frame_values, pixels_of
from panlesion.aid.imaging.retrieve import CACHED, frames_asked, not_acceptable, unchanged
from panlesion.ct.dicom_header import damaged
from panlesion.errors import ReadError

MAX_SIDE, THUMBNAIL_SIDE = 4096, 128
CT_WINDOW = (40.0, 400.0)
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG"}
_FUNCTIONS = ("linear", "linear-exact")


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a picture is drawn; None leaves window or size to the image."""

    window: tuple[float, float] | None
    viewport: tuple[int, int] | None
    quality: int


def look_of(request: Request) -> Look:
    """What `window`, `viewport` and `quality` of the query say.

    Raises:
        HTTPException: 400 naming the parameter, its value and its rule.
    """
    query = request.query_params
    window = viewport = None
    quality = 90
    if "window" in query:
        words = query["window"].split(",")
        center, width = _number("window", words, 0), _number("window", words, 1)
        if len(words) > 2 and words[2].strip().lower() not in _FUNCTIONS:
            raise _bad("window", query["window"], f"its function is one of {', '.join(_FUNCTIONS)}")
        if not width >= 1:
            raise _bad("window", query["window"], "its width is at least 1")
        window = (center, width)
    if "viewport" in query:
        words = query["viewport"].split(",")
        across, down = _number("viewport", words, 0), _number("viewport", words, 1)
        if len(words) != 2 or not (1 <= across <= MAX_SIDE and 1 <= down <= MAX_SIDE):
            raise _bad("viewport", query["viewport"], f"width,height of 1 to {MAX_SIDE}; parts of an image are not cut out")
        viewport = (int(across), int(down))
    if "quality" in query:
        told = _number("quality", [query["quality"]], 0)
        if not 1 <= told <= 100:
            raise _bad("quality", query["quality"], "1 to 100")
        quality = int(told)
    return Look(window=window, viewport=viewport, quality=quality)


def _number(name: str, words: list[str], at: int) -> float:
    try:
        value = float(words[at])
    except (IndexError, ValueError):
        value = math.nan
    if not abs(value) < 1e9:
        raise _bad(name, ",".join(words), "numbers, parted by commas")
    return value


def _bad(name: str, value: str, rule: str) -> HTTPException:
    return HTTPException(status.HTTP_400_BAD_REQUEST, f"{name} is {value[:64]!r}; the rule: {rule}")


def picture_answer(request: Request, image: Kept, told: str, look: Look) -> Response:
    """One frame as JPEG or PNG, as the client prefers.

    Raises:
        HTTPException: 400, 404 for frames that are not there, 406 where no picture can be made.
    """
    media = next(
        (
            "image/jpeg" if wish.media in (ANY, "image/*") else wish.media
            for wish in wishes(request.headers.get("accept"))
            if wish.media in (ANY, "image/*", *_FORMATS)
        ),
        None,
    )
    if media is None:
        raise not_acceptable(f"pictures are {' or '.join(_FORMATS)}")
    try:
        pixels = pixels_of(image)
        frames = frames_asked(told, pixels.frames)
        if len(frames) > 1:
            raise HTTPException(status.HTTP_400_BAD_REQUEST, "one frame makes one picture; ask for them one by one")
        form = hashlib.sha256(f"{media} {look}".encode()).hexdigest()[:12]
        tag = f'"{image.sha256[:32]}-{frames[0]}-{form}"'
        return unchanged(request, tag) or Response(
            _drawn(image, frames[0], look, _FORMATS[media]), media_type=media, headers={**CACHED, "ETag": tag}
        )
    except ReadError as error:
        raise not_acceptable(str(error)) from error


def _drawn(image: Kept, frame: int, look: Look, kind: str) -> bytes:
    pixels = pixels_of(image)
    values = frame_values(image, pixels, frame)
    if values.ndim == 3:
        space = "YCbCr" if pixels.photometric.startswith("YBR") else "RGB"
        picture = Image.fromarray(_eight_bits(values), space).convert("RGB")
    else:
        picture = Image.fromarray(_windowed(image, frame, values, look.window, inverted=pixels.photometric == "MONOCHROME1"))
    if look.viewport is not None:
        scale = min(look.viewport[0] / picture.width, look.viewport[1] / picture.height)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    stream = BytesIO()
    picture.save(stream, kind, **({"quality": look.quality} if kind == "JPEG" else {}))
    return stream.getvalue()


def _eight_bits(values: NDArray) -> NDArray[np.uint8]:
    return values.astype(np.uint8) if values.itemsize == 1 else (values >> 8 * (values.itemsize - 1)).astype(np.uint8)


def _windowed(
    image: Kept, frame: int, stored: NDArray, window: tuple[float, float] | None, *, inverted: bool
) -> NDArray[np.uint8]:
    """Grey levels by PS3.3 C.11.2.1.2.1, of the values after rescaling."""
    slope, intercept, own = _rescale_and_window(image, frame)
    values = stored.astype(np.float32) * slope + intercept
    center, width = window or own or _whole(values)
    grey = (values - (center - 0.5)) / max(width - 1, 1e-6) + 0.5
    grey = np.clip(grey, 0, 1) * 255
    return np.rint(255 - grey if inverted else grey).astype(np.uint8)


def _whole(values: NDArray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low + high) / 2 + 0.5, max(high - low, 1.0) + 1


def _rescale_and_window(image: Kept, frame: int) -> tuple[float, float, tuple[float, float] | None]:
    """Slope, intercept and the image's own window; soft tissue for a CT that tells none."""
    ds = header_of(image)
    with damaged(f"image {image.sop_uid}", "its rescale and window cannot be read"):
        slope, intercept = _first(ds, "RescaleSlope", frame), _first(ds, "RescaleIntercept", frame)
        center, width = _first(ds, "WindowCenter", frame), _first(ds, "WindowWidth", frame)
    own = (center, width) if center is not None and width is not None and width >= 1 else None
    if own is None and str(ds.get("Modality", "")) == "CT" and slope is not None:
        own = CT_WINDOW
    return 1.0 if slope is None else slope, intercept or 0.0, own


def _first(ds: pydicom.Dataset, keyword: str, frame: int) -> float | None:
    """The first value of an attribute, looked for in the frame's functional groups too; None where it is none or no number."""
    element = ds.get(keyword)
    if element is None:
        groups = ds.get("SharedFunctionalGroupsSequence") or []
        for item in (*groups, *(ds.get("PerFrameFunctionalGroupsSequence") or [])[frame : frame + 1]):
            for macro in ("PixelValueTransformationSequence", "FrameVOILUTSequence"):
                found = [inner.get(keyword) for inner in item.get(macro) or [] if keyword in inner]
                element = found[0] if found else element
    values = element if isinstance(element, (list, tuple)) or hasattr(element, "append") else [element]
    try:
        value = float(values[0])
    except (IndexError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
