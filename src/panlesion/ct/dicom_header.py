"""What one DICOM file says of itself, as plain Python values: one `Plane` per image, single- or multi-frame alike."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from panlesion.ct.dicom_source import Source
from panlesion.ct.volume import Vector3
from panlesion.errors import PanlesionError, ReadError

CT_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2"})
"""CT Image, Enhanced CT Image and Legacy Converted Enhanced CT Image Storage."""

MR_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4"})
"""MR Image, Enhanced MR Image and Legacy Converted Enhanced MR Image Storage."""

_WANTED = (
    *("SOPClassUID", "SOPInstanceUID", "Modality", "SeriesInstanceUID", "SeriesNumber", "SeriesDescription", "ImageType"),
    *("Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated"),
    *("PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)

# pydicom converts values when they are first touched, so damaged bytes surface as any of these, at any access.
_FAULTS = (
    *(ArithmeticError, AssertionError, AttributeError, BytesLengthException, EOFError, InvalidDicomError, LookupError),
    *(MemoryError, RecursionError),
    *(NotImplementedError, RuntimeError, TypeError, ValueError, OSError, struct.error, zlib.error),
)


@dataclass(frozen=True, kw_only=True)
class Plane:
    """One image of a series: where it lies (DICOM's own LPS mm) and how its stored values become HU."""

    source: Source
    frame: int
    name: str
    image_type: tuple[str, ...]
    position_lps: Vector3 | None
    orientation: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, float] | None
    thickness_mm: float | None
    slope: float | None
    intercept: float | None
    rescale_type: str

    @property
    def localizer(self) -> bool:
        return "LOCALIZER" in self.image_type


@dataclass(frozen=True, kw_only=True)
class FileHeader:
    """One DICOM file without its pixels; `planes` is empty for what has none (reports, structure sets)."""

    source: Source
    sop_class: str
    sop_instance: str
    modality: str
    series_uid: str
    series_number: int | None
    description: str
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    padding: tuple[int, int] | None
    planes: tuple[Plane, ...]


@contextmanager
def damaged(name: str, what: str) -> Iterator[None]:
    """Turn whatever pydicom and its decoders raise on damaged bytes into a `ReadError` that names the file."""
    try:
        with warnings.catch_warnings():
            # pydicom warns of every small breach of the standard; what matters to us is checked below and refused.
            warnings.simplefilter("ignore")
            yield
    except PanlesionError:
        raise
    except _FAULTS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReadError(f"{name}: {what}: damaged or truncated ({reason}). Copy or export the file again") from error


def read_header(source: Source) -> FileHeader:
    """Read one file's header.

    Raises:
        ReadError: Damaged, truncated, or values that are no numbers where numbers must be.
    """
    with damaged(source.name, "the DICOM header cannot be read"):
        if source.member is None:
            with source.path.open("rb") as stream:
                return _header(_parsed(stream), source)
        return _header(_parsed(BytesIO(source.read())), source)


def _parsed(stream: Any) -> Dataset:
    return pydicom.dcmread(stream, stop_before_pixels=True, force=True, specific_tags=list(_WANTED))


def _header(ds: Dataset, source: Source) -> FileHeader:
    number = ds.get("SeriesNumber")
    rows, columns = _count(ds, "Rows", 0), _count(ds, "Columns", 0)
    sop_class = _text(ds, "SOPClassUID")
    if not (rows and columns) and (sop_class in CT_CLASSES or not sop_class):
        raise ReadError(f"{source.name}: no Rows and Columns: the file is truncated, or no image. Copy or export it again")
    return FileHeader(
        source=source,
        sop_class=sop_class,
        # some anonymising empties the one and leaves the other, which by the standard is the same
        sop_instance=_text(ds, "SOPInstanceUID") or _text(getattr(ds, "file_meta", Dataset()), "MediaStorageSOPInstanceUID"),
        modality=_text(ds, "Modality").upper(),
        series_uid=_text(ds, "SeriesInstanceUID"),
        series_number=None if number in (None, "") else int(number),
        description=_text(ds, "SeriesDescription"),
        rows=rows,
        columns=columns,
        samples=_count(ds, "SamplesPerPixel", 1),
        photometric=_text(ds, "PhotometricInterpretation"),
        bits_allocated=_count(ds, "BitsAllocated", 16),
        padding=_padding(ds),
        planes=_planes(ds, source) if rows and columns else (),
    )


def _planes(ds: Dataset, source: Source) -> tuple[Plane, ...]:
    frames = _count(ds, "NumberOfFrames", 1)
    groups = ds.get("PerFrameFunctionalGroupsSequence")
    if not groups:
        # Without functional groups all frames of a multi-frame file claim one place, which stacking will refuse.
        return tuple(_plane([ds], ds, source, frame, frames) for frame in range(min(frames, 2)))
    if len(groups) != frames:
        raise ReadError(f"{source.name}: {len(groups)} functional groups for {frames} frames; they must be equal")
    shared = ds.get("SharedFunctionalGroupsSequence")
    common = [shared[0]] if shared else []
    return tuple(_plane([group, *common], ds, source, frame, frames) for frame, group in enumerate(groups))


def _plane(groups: list[Dataset], ds: Dataset, source: Source, frame: int, frames: int) -> Plane:
    name = source.name if frames == 1 else f"{source.name} frame {frame + 1}"

    def within(sequence: str) -> Dataset:
        """The group's item, else the shared one's, else the data set itself, where classic CT keeps these."""
        for group in groups:
            items = group.get(sequence)
            if items:
                return items[0]
        return ds

    position = _numbers(within("PlanePositionSequence"), "ImagePositionPatient", 3, name)
    measures, rescale = within("PixelMeasuresSequence"), within("PixelValueTransformationSequence")
    spacing = _numbers(measures, "PixelSpacing", 2, name)
    kind = within("CTImageFrameTypeSequence")
    thickness = _numbers(measures, "SliceThickness", 1, name) or _numbers(ds, "SpacingBetweenSlices", 1, name)
    slope, intercept = _numbers(rescale, "RescaleSlope", 1, name), _numbers(rescale, "RescaleIntercept", 1, name)
    return Plane(
        source=source,
        frame=frame,
        name=name,
        image_type=tuple(str(v).upper() for v in _listed(kind.get("FrameType") or ds.get("ImageType"))),
        position_lps=None if position is None else (position[0], position[1], position[2]),
        orientation=_numbers(within("PlaneOrientationSequence"), "ImageOrientationPatient", 6, name),
        pixel_spacing_mm=None if spacing is None else (spacing[0], spacing[1]),
        thickness_mm=None if thickness is None else abs(thickness[0]),
        slope=None if slope is None else slope[0],
        intercept=None if intercept is None else intercept[0],
        rescale_type=_text(rescale, "RescaleType").upper(),
    )


def _text(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    return "" if value is None else str(value).strip()


def _count(ds: Dataset, keyword: str, default: int) -> int:
    value = ds.get(keyword)
    return default if value in (None, "") else int(value)


def _listed(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return [value] if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__") else list(value)


def _numbers(ds: Dataset, keyword: str, count: int, name: str) -> tuple[float, ...] | None:
    """Finite numbers of a tag; None where it is absent or empty."""
    values = [float(v) for v in _listed(ds.get(keyword))]
    if not values:
        return None
    if len(values) != count or not np.isfinite(values).all():
        raise ReadError(f"{name}: {keyword} is {values}; {count} finite numbers are needed")
    return tuple(values)


def _padding(ds: Dataset) -> tuple[int, int] | None:
    """Lowest and highest stored value that mark "outside the image"; signed if the pixels are."""
    limits = [ds.get(keyword) for keyword in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    values = [int(v) for v in limits if isinstance(v, int)]
    if not isinstance(limits[0], int):
        return None
    if _count(ds, "PixelRepresentation", 0) == 1:
        values = [v - 65536 if v > 32767 else v for v in values]
    return min(values), max(values)
