"""Which of what we have a client wants: the Accept header as PS3.18 8.7 extends it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

MULTIPART, DICOM, OCTETS, JSON = "multipart/related", "application/dicom", "application/octet-stream", "application/dicom+json"
ANY = "*/*"
EXPLICIT_LE = "1.2.840.10008.1.2.1"
MAX_WISHES = 50

_QUOTED = r'"(?:[^"\\]|\\.)*"'
_ITEM = re.compile(rf"(?:[^,\"]|{_QUOTED})+")
_PARAMETER = re.compile(rf";\s*([\w-]+)\s*=\s*({_QUOTED}|[^;,\s]*)")
_TOKEN = re.compile(r"[a-z0-9!#$&^_.+*-]+/[a-z0-9!#$&^_.+*-]+")


@dataclass(frozen=True, kw_only=True)
class Wish:
    """One media type a client would take; `multipart`: as parts of multipart/related. `syntax` is a UID, `*`, or not told."""

    media: str
    multipart: bool
    syntax: str | None
    quality: float

    def meets(self, media: str) -> bool:
        """Whether what is of that media type is wished for."""
        return self.media in (ANY, media) or self.media == f"{media.split('/')[0]}/*"


def wishes(accept: str | None) -> list[Wish]:
    """What the header wishes, best first; without one, anything.

    A bare `multipart/related` and `*/*` leave the type open, as does a header that holds nothing we understand: it is for the
    caller to answer 406.
    """
    if accept is None or not accept.strip():
        return [Wish(media=ANY, multipart=True, syntax=None, quality=1.0)]
    found = [wish for item in _ITEM.findall(accept)[:MAX_WISHES] for wish in _wish(item.strip())]
    return sorted((wish for wish in found if wish.quality > 0), key=lambda wish: -wish.quality)


def _wish(item: str) -> Iterator[Wish]:
    media = item.split(";", 1)[0].strip().lower()
    if not _TOKEN.fullmatch(media):
        return
    told = {key.lower(): value.strip('"') for key, value in _PARAMETER.findall(item)}
    try:
        quality = float(told.get("q", "1"))
    except ValueError:
        quality = 0.0
    multipart = media in (MULTIPART, ANY, "multipart/*")
    inner = told.get("type", ANY).lower() if multipart else media
    yield Wish(media=inner, multipart=multipart, syntax=told.get("transfer-syntax"), quality=quality if quality <= 1 else 0.0)


def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether a client would take the body compressed by gzip."""
    for item in (accept_encoding or "").lower().split(","):
        coding, _, parameters = item.partition(";")
        if coding.strip() in ("gzip", "*"):
            return not re.search(r"q\s*=\s*0(\.0*)?\s*$", parameters)
    return False
