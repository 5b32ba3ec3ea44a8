"""The DICOM JSON of a series, made once and kept compressed in `cache/`.

Slices of a series differ in a few attributes only, so every attribute is turned into JSON once and found again by its bytes.
"""

import gzip
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pydicom
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from panlesion.aid.imaging.objects import Kept
from panlesion.aid.imaging.pixels import DEFLATED
from panlesion.ct.dicom_header import damaged
from panlesion.data.publish import publishing_file
from panlesion.errors import ReadError

_log = logging.getLogger(__name__)

ROOT = "/dicomweb"
BULK_BYTES = 1024
"""Binary values from this size on are told by a URI."""
MAX_DEPTH, MAX_KNOWN = 30, 4096

_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
PIXEL_TAGS = frozenset({"7FE00010", "7FE00008", "7FE00009"})
_FORMAT = "1"
"""Part of a cache file's name; counts up when what is written changes."""


def instance_url(image: Kept) -> str:
    """Where an image is retrieved, from the server's root."""
    return f"{ROOT}/studies/{image.study_uid}/series/{image.series_uid}/instances/{image.sop_uid}"


def series_metadata(data: Path, images: Sequence[Kept]) -> Path:
    """The file with the DICOM JSON of one series, gzip of a list, made if it is not there.

    Args:
        data: The data folder.
        images: All images of the series, and no others.
    """
    folder = cache_folder(data, images[0].study_id, images[0].series_id)
    path = folder / f"metadata-{_FORMAT}-{fingerprint(images)}.json.gz"
    if not path.exists():
        text = "[" + ",".join(texts_of(images)) + "]"
        folder.mkdir(parents=True, exist_ok=True)
        with publishing_file(path) as stream:
            stream.write(gzip.compress(text.encode(), compresslevel=3, mtime=0))
        for old in folder.glob("metadata-*"):
            if old != path:
                old.unlink(missing_ok=True)
    return path


def cache_folder(data: Path, study_id: UUID, series_id: UUID) -> Path:
    """Where what is made of a series is kept; may be removed at any time."""
    return data / "cache" / str(study_id) / str(series_id)


def forget_study(data: Path, study_id: UUID) -> None:
    """Remove all that is kept here of a deleted study."""
    shutil.rmtree(data / "cache" / str(study_id), ignore_errors=True)


def fingerprint(images: Sequence[Kept]) -> str:
    """Changes with any image of a series, and with which there are."""
    told = hashlib.sha256()
    for image in images:
        told.update(f"{image.sop_uid} {image.sha256}\n".encode())
    return told.hexdigest()[:24]


def texts_of(images: Sequence[Kept]) -> Iterator[str]:
    """DICOM JSON of each image. One that cannot be read is told by what its row says, so that it is not lost from the list."""
    known: dict[tuple, str] = {}
    for image in images:
        try:
            ds = header_of(image)
            with damaged(f"image {image.sop_uid}", "its header cannot be told as JSON"):
                yield _text(ds, image, known)
        except ReadError as error:
            # its class alone: what pydicom says of a value quotes it
            _log.warning("metadata of an image of study %s: %s", image.study_id, type(error.__cause__ or error).__name__)
            yield json.dumps(_least(image), separators=(",", ":"))


def header_of(image: Kept) -> Dataset:
    """All attributes before the pixels.

    Raises:
        ReadError: Gone, damaged or deflated.
    """
    if image.transfer_syntax in DEFLATED:
        raise ReadError(f"image {image.sop_uid}: deflated transfer syntax; its header is not read, retrieve the whole image")
    with damaged(f"image {image.sop_uid}", "its header cannot be read"), image.path.open("rb") as stream:
        return pydicom.dcmread(stream, stop_before_pixels=True, force=True)


def _least(image: Kept) -> dict[str, Any]:
    told: dict[str, Any] = {
        "00080016": {"vr": "UI", "Value": [image.sop_class]},
        "00080018": {"vr": "UI", "Value": [image.sop_uid]},
        "00083002": {"vr": "UI", "Value": [image.transfer_syntax]},
        "0020000D": {"vr": "UI", "Value": [image.study_uid]},
        "0020000E": {"vr": "UI", "Value": [image.series_uid]},
    }
    if image.rows and image.columns:
        told["00280010"], told["00280011"] = ({"vr": "US", "Value": [n]} for n in (image.rows, image.columns))
    return told


def _text(ds: Dataset, image: Kept, known: dict[tuple, str]) -> str:
    url = instance_url(image)
    encoding = (ds.original_encoding, str(ds.original_character_set))
    parts = {"00083002": f'"00083002":{{"vr":"UI","Value":[{json.dumps(image.transfer_syntax)}]}}'}
    for tag in sorted(ds.keys()):
        name = f"{tag:08X}"
        if tag.element == 0 or name in parts:
            continue
        key = _key(ds.get_item(tag), encoding)
        text = known.get(key) if key is not None else None
        if text is None:
            told = _told(ds, tag, f"{url}/bulkdata")
            text = "" if told is None else f'"{name}":{json.dumps(told, separators=(",", ":"), allow_nan=False)}'
            if key is not None and "BulkDataURI" not in text:
                known[key] = text
        parts[name] = text
    if image.rows and image.columns:
        parts["7FE00010"] = f'"7FE00010":{{"vr":"OW","BulkDataURI":{json.dumps(url + "/bulkdata/7FE00010")}}}'
    return "{" + ",".join(text for _, text in sorted(parts.items()) if text) + "}"


def _key(raw: Any, encoding: tuple) -> tuple | None:
    """What an attribute's JSON depends on; None where that is more than its bytes, or too much to keep."""
    if not isinstance(raw, RawDataElement) or len(raw.value or b"") >= MAX_KNOWN:
        return None
    if raw.VR in (None, "UN") and raw.tag.is_private:  # its kind then hangs on who made it
        return None
    return raw.tag, raw.VR, raw.value, encoding


def _told(ds: Dataset, tag: Any, url: str, depth: int = 0) -> dict[str, Any] | None:
    """An attribute in the DICOM JSON model; None for one whose value breaks its own kind, which JSON cannot hold."""
    try:
        element = ds[tag]
        name = f"{tag:08X}"
        if element.VR == "SQ":
            if depth >= MAX_DEPTH:
                return None
            items = [_item(item, f"{url}/{name}/{n}", depth + 1) for n, item in enumerate(element.value)]
            return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
        if element.VR in _BINARY and isinstance(element.value, bytes) and len(element.value) >= BULK_BYTES:
            return {"vr": element.VR, "BulkDataURI": f"{url}/{name}"}
        told = element.to_json_dict(None, BULK_BYTES)
        json.dumps(told, allow_nan=False)
    except (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError, RecursionError) as error:
        _log.info("left out of the metadata: %s: %s", tag, type(error).__name__)
        return None
    return told


def _item(item: Dataset, url: str, depth: int) -> dict[str, Any]:
    told = {f"{tag:08X}": _told(item, tag, url, depth) for tag in sorted(item.keys()) if tag.element != 0}
    return {name: value for name, value in told.items() if value is not None}


def bulk_value(image: Kept, path: str) -> tuple[str, bytes]:
    """VR and bytes of the attribute that a BulkDataURI names: tags with item numbers between them.

    Raises:
        ReadError: The file cannot be read.
        LookupError: There is no such attribute, or it holds no bytes.
    """
    ds: Dataset = header_of(image)
    *before, last = path.split("/")
    element: DataElement | None = None
    if len(before) % 2 == 0 and len(before) <= 2 * MAX_DEPTH:
        with damaged(f"image {image.sop_uid}", "its header cannot be read"), suppress(LookupError, TypeError, ValueError):
            for tag, number in zip(before[::2], before[1::2], strict=True):
                ds = ds[_tag(tag)].value[int(number, 10)]
            element = ds[_tag(last)]
    if element is None or not isinstance(element.value, bytes):
        raise KeyError(path)
    return element.VR, element.value


def _tag(text: str) -> int:
    if len(text) != 8:
        raise ValueError(text)
    return int(text, 16)
