"""What one DICOM file says of itself, and whether it is taken: its header alone is read, no pixel is decoded."""

import re
import struct
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.multival import MultiValue
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from panlesion.ct.dicom_header import CT_CLASSES, damaged, read_header
from panlesion.ct.dicom_pixels import MAX_SIDE
from panlesion.ct.dicom_source import Source
from panlesion.ct.nifti_header import MAX_VOXELS
from panlesion.errors import StoreError

DICOMDIR = "1.2.840.10008.1.3.10"
UID_RULE = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_PIXELS = frozenset({(0x7FE0, 0x0008), (0x7FE0, 0x0009), (0x7FE0, 0x0010)})
_ITEM, _ITEMS_END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_LONG = 0xFFFFFFFF
_MOST_FRAGMENTS = 1_000_000
_WANTED = (
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality"),
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyDescription"),
    *("StudyDate", "StudyTime", "TimezoneOffsetFromUTC", "SeriesDescription", "SeriesNumber", "InstanceNumber"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "BitsAllocated"),
)


class RefusedError(StoreError):
    """A file that is not taken; the message is the reason that the list of refused files shows."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a file that may be kept says; texts are cleaned for display and cut to what the tables hold."""

    study_uid: str
    series_uid: str
    sop_uid: str
    sop_class: str
    transfer_syntax: str
    modality: str
    patient_id: str
    patient_name: str
    birth_date: date | None
    sex: str
    accession: str
    study_description: str
    study_at: datetime | None
    series_description: str
    series_number: int | None
    number: int | None
    rows: int
    columns: int
    frames: int

    @property
    def is_ct(self) -> bool:
        return self.sop_class in CT_CLASSES


@dataclass(frozen=True, kw_only=True)
class _Pixels:
    """The pixel element as the file has it: `bytes` that are there, in `fragments` where it is compressed."""

    bytes: int
    fragments: int | None


def check(path: Path, *, name: str) -> Told:
    """Read a file's header and refuse what cannot be kept.

    Args:
        path: A file of ours.
        name: What messages call it.

    Raises:
        RefusedError: No DICOM, no image or object to keep, UIDs that are none, pixels missing, truncated or beyond all measure.
        ReadError: A damaged header, or a CT whose header breaks the rules of `ct`.
    """
    with path.open("rb") as stream, damaged(name, "the DICOM header cannot be read"):
        if stream.read(132)[128:] != b"DICM":
            raise RefusedError(
                f"{name}: no DICOM file (the mark DICM at byte 128 is missing). Give the files as the PACS exports them"
            )
        syntax = _syntax(read_file_meta_info(path), name)  # before all else: pydicom inflates a deflated file in memory
        stream.seek(0)
        ds = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=list(_WANTED))
        size = path.stat().st_size
        if stream.tell() > size:
            raise RefusedError(f"{name}: truncated: the header says more than the file's {size} bytes hold. Send it again")
        pixels = _pixels(stream, size, syntax, name)
        told = _told(ds, syntax, name)
        _check_pixels(told, ds, pixels, name)
    if told.is_ct:
        read_header(Source(name=name, path=path))
    return told


def clean(text: str, most: int) -> str:
    """Text for display: no control, formatting or half characters, at most so many of the others."""
    return "".join(c for c in text if unicodedata.category(c)[0] != "C").strip()[:most]


def _syntax(meta: Dataset, name: str) -> UID:
    if _word(meta, "MediaStorageSOPClassUID") == DICOMDIR:
        raise RefusedError(f"{name}: a DICOMDIR, the index of other files; the files themselves are what is taken")
    syntax = UID(_word(meta, "TransferSyntaxUID"))
    if syntax.is_private or not syntax.is_transfer_syntax or syntax == DeflatedExplicitVRLittleEndian:
        raise RefusedError(f"{name}: TransferSyntaxUID {str(syntax)!r} is none that is read. Convert it (gdcmconv --raw) first")
    return syntax


def _told(ds: Dataset, syntax: UID, name: str) -> Told:
    sop_class = UID(_word(ds, "SOPClassUID") or _word(ds.file_meta, "MediaStorageSOPClassUID"))
    if sop_class == DICOMDIR or not sop_class.name.endswith("Storage") or sop_class.is_private:
        raise RefusedError(f"{name}: SOPClassUID {clean(str(sop_class), 64)!r} is no image or document that is kept here")
    return Told(
        study_uid=_uid(ds, "StudyInstanceUID", name),
        series_uid=_uid(ds, "SeriesInstanceUID", name),
        sop_uid=_uid(ds, "SOPInstanceUID", name),
        sop_class=str(sop_class),
        transfer_syntax=str(syntax),
        modality=clean(_word(ds, "Modality").upper(), 16),
        patient_id=clean(_word(ds, "PatientID"), 64),
        patient_name=clean(_word(ds, "PatientName"), 324),
        birth_date=_date(_word(ds, "PatientBirthDate")),
        sex=clean(_word(ds, "PatientSex"), 16),
        accession=clean(_word(ds, "AccessionNumber"), 64),
        study_description=clean(_word(ds, "StudyDescription"), 256),
        study_at=_time(_word(ds, "StudyDate"), _word(ds, "StudyTime"), _word(ds, "TimezoneOffsetFromUTC")),
        series_description=clean(_word(ds, "SeriesDescription"), 256),
        series_number=_number(ds, "SeriesNumber"),
        number=_number(ds, "InstanceNumber"),
        rows=_count(ds, "Rows", 0, name),
        columns=_count(ds, "Columns", 0, name),
        frames=_count(ds, "NumberOfFrames", 1, name),
    )


def _check_pixels(told: Told, ds: Dataset, pixels: _Pixels | None, name: str) -> None:
    size = f"Rows {told.rows}, Columns {told.columns}, NumberOfFrames {told.frames}"
    if told.rows * told.columns * told.frames > MAX_VOXELS or (told.is_ct and max(told.rows, told.columns) > MAX_SIDE):
        raise RefusedError(
            f"{name}: {size}: beyond all measure; at most {MAX_SIDE} a side of a CT and {MAX_VOXELS} pixels in all"
        )
    if pixels is None:
        if told.is_ct:
            raise RefusedError(f"{name}: a CT image without PixelData: truncated, or stripped of it. Export or send it again")
        return
    if pixels.fragments is not None:
        if pixels.fragments < told.frames:
            raise RefusedError(
                f"{name}: truncated: {pixels.fragments} compressed pieces for {told.frames} frames. Send it again"
            )
        return
    need = (told.rows * told.columns * told.frames * _count(ds, "BitsAllocated", 16, name) + 7) // 8
    grey = _count(ds, "SamplesPerPixel", 1, name) == 1  # colours may share bytes between pixels
    if grey and pixels.bytes < need:
        raise RefusedError(f"{name}: truncated: {pixels.bytes} bytes of pixels where {size} need {need}. Send it again")


def _pixels(stream: BinaryIO, size: int, syntax: UID, name: str) -> _Pixels | None:
    """The element at which the header ended; None where that is no pixel data."""
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    head = stream.read(12)
    if len(head) < 12 or struct.unpack(f"{order}HH", head[:4]) not in _PIXELS:
        return None
    if syntax == ImplicitVRLittleEndian:
        (length,) = struct.unpack("<I", head[4:8])
        stream.seek(-4, 1)
    else:
        (length,) = struct.unpack(f"{order}I", head[8:12])
    start = stream.tell()
    if length != _LONG:
        if start + length > size:
            raise RefusedError(f"{name}: truncated: {size - start} of {length} bytes of pixels are there. Send it again")
        return _Pixels(bytes=length, fragments=None)
    return _Pixels(bytes=size - start, fragments=_fragments(stream, size, name))


def _fragments(stream: BinaryIO, size: int, name: str) -> int:
    """How many pieces compressed pixels come in, walked over without reading them; the first item is the table of offsets."""
    for count in range(_MOST_FRAGMENTS):
        head = stream.read(8)
        if len(head) < 8:
            break
        group, element, length = struct.unpack("<HHI", head)
        if (group, element) == _ITEMS_END:
            return max(count - 1, 0)
        if (group, element) != _ITEM or length == _LONG or stream.tell() + length > size:
            break
        stream.seek(length, 1)
    raise RefusedError(f"{name}: truncated: the compressed pixels have no end. Send it again")


def _word(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    if value is None:
        return ""
    if isinstance(value, (list, MultiValue)):
        return "\\".join(str(v) for v in value).strip()
    return str(value).strip()


def _uid(ds: Dataset, keyword: str, name: str) -> str:
    # some anonymising empties the one and leaves the other, which by the standard is the same
    other = _word(ds.file_meta, "MediaStorageSOPInstanceUID") if keyword == "SOPInstanceUID" else ""
    value = (_word(ds, keyword) or other).strip("\0 ")
    if len(value) > 64 or UID_RULE.fullmatch(value) is None:
        raise RefusedError(
            f"{name}: {keyword} {clean(value, 80)!r} is no UID: numbers with dots between them, at most 64 characters"
        )
    return value


def _count(ds: Dataset, keyword: str, default: int, name: str) -> int:
    value = ds.get(keyword)
    if value is None or value == "":
        return default
    number = int(value)
    if number < 0 or (number == 0 and keyword == "NumberOfFrames"):
        raise RefusedError(f"{name}: {keyword} is {number}; it must be positive")
    return number


def _number(ds: Dataset, keyword: str) -> int | None:
    """A number that only orders what is shown: one that is none, or that no column holds, is as good as missing."""
    try:
        number = int(_word(ds, keyword))
    except ValueError:
        return None
    return number if abs(number) < 1 << 31 else None


def _date(text: str) -> date | None:
    try:
        return datetime.strptime(text[:8], "%Y%m%d").date()
    except ValueError:
        return None


def _time(day: str, clock: str, zone: str) -> datetime | None:
    """When the study was made; a scanner that names no zone is taken to be in UTC, so that its clock is shown as it was."""
    at = _date(day)
    if at is None:
        return None
    found = re.fullmatch(r"(\d\d)(\d\d)?(\d\d)?(?:\.\d*)?", clock, re.ASCII)
    offset = re.fullmatch(r"([+-])(\d\d)(\d\d)", zone, re.ASCII)
    try:
        hour, minute, second = (int(v or 0) for v in found.groups()) if found else (0, 0, 0)
        shift = timedelta(hours=int(offset[2]), minutes=int(offset[3])) if offset else timedelta()
        where = timezone(-shift if offset and offset[1] == "-" else shift)
        return datetime(at.year, at.month, at.day, hour, minute, min(second, 59), tzinfo=where).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
