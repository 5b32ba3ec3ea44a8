"""Folders as The Cancer Imaging Archive's downloader writes them: which series a patient has, and what is drawn on which.

`<collection>/<patient>/<study>/<series>/*.dcm`: one series a folder, known by its first file. A folder in which somebody put
several is no fault: each SOP class is found, and `ct` tells image series apart when they are read.
"""

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.misc import is_dicom

from panlesion.ct.dicom import DicomCT, list_dicom
from panlesion.ct.dicom_header import CT_CLASSES, damaged
from panlesion.ct.read import read_ct_with_source
from panlesion.ct.volume import Volume
from panlesion.data.sources.dicom_seg_read import SEG_CLASS
from panlesion.data.sources.rtstruct import RTSTRUCT_CLASS
from panlesion.errors import ReadError, StoreError

_log = logging.getLogger(__name__)

_WANTED = (
    *("SOPClassUID", "Modality", "SeriesInstanceUID", "StudyInstanceUID", "SeriesNumber", "SeriesDescription"),
    *("ImageOrientationPatient", "StructureSetROISequence", "ReferencedFrameOfReferenceSequence", "ReferencedSeriesSequence"),
    "SegmentSequence",
)
_AXIAL = 0.9


@dataclass(frozen=True, kw_only=True)
class FoundSeries:
    """A series below a patient's folder: images as a folder, an annotation as a file.

    `names` are an annotation's regions or segments, `drawn_on` the series it says it was drawn on.
    """

    path: Path
    sop_class: str
    uid: str
    study: str
    number: int
    description: str
    files: int
    axial: bool
    names: tuple[str, ...]
    drawn_on: tuple[str, ...]

    @property
    def ct(self) -> bool:
        return self.sop_class in CT_CLASSES


def patient_folders(root: Path, pattern: str, dataset: str, *, such_as: str) -> list[Path]:
    """The patients' folders of a collection, by name, from the folder that holds them or one above it.

    One could be called `such_as`.

    Raises:
        StoreError: There are none.
    """
    if not root.is_dir():
        raise StoreError(f"{root} is no folder; give the folder with the patients of {dataset}, such as {such_as}")
    for folder in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        found = sorted(path for path in folder.iterdir() if path.is_dir() and re.fullmatch(pattern, path.name))
        if found:
            return found
    raise StoreError(f"{root} holds no patient of {dataset}: folders must be named like {such_as}, here or one folder below")


def series_below(folder: Path) -> list[FoundSeries]:
    """The series below a folder, by study, number and path.

    Raises:
        ReadError: The header of one is damaged.
    """
    found = []
    for below in sorted({path.parent for path in folder.rglob("*") if path.is_file()}):
        images: dict[str, list[Path]] = {}
        for file in sorted(path for path in below.iterdir() if path.is_file()):
            if sop_class := sop_class_of(file):
                images.setdefault(sop_class, []).append(file)
        for sop_class, files in images.items():
            annotation = sop_class in (RTSTRUCT_CLASS, SEG_CLASS)
            found += (
                [_found(file, sop_class, file, 1) for file in files]
                if annotation
                else [_found(files[0], sop_class, below, len(files))]
            )
    return sorted(found, key=lambda series: (series.study, series.number, str(series.path)))


def sop_class_of(file: Path) -> str:
    """SOP class of a DICOM file by its meta header alone; "" for files that are none and do not claim to be."""
    begins = is_dicom(file)
    if not begins and file.suffix.lower() != ".dcm":
        return ""
    with damaged(str(file), "the DICOM header cannot be read"):
        sop_class = str(read_file_meta_info(file).get("MediaStorageSOPClassUID", "")) if begins else ""
    if not sop_class:
        raise ReadError(f"{file}: {file.stat().st_size} bytes and no DICOM header; the file is cut off. Download it again")
    return sop_class


def _found(file: Path, sop_class: str, path: Path, files: int) -> FoundSeries:
    with damaged(str(file), "the DICOM header cannot be read"):
        ds = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_WANTED))
        turned, names = ds.get("ImageOrientationPatient"), _names(ds)
        # of a file that was cut off, what lies behind the cut is missing without a word
        if sop_class in (RTSTRUCT_CLASS, SEG_CLASS) and not names:
            raise ReadError(f"{file}: lists no region or segment; the file is cut off. Download it again")
        return FoundSeries(
            path=path,
            sop_class=sop_class,
            uid=str(ds.get("SeriesInstanceUID", "")),
            study=str(ds.get("StudyInstanceUID", "")),
            number=int(ds.get("SeriesNumber") or 0),
            description=str(ds.get("SeriesDescription") or ""),
            files=files,
            axial=bool(turned) and abs(np.cross(turned[:3], turned[3:])[2]) > _AXIAL,
            names=names,
            drawn_on=_drawn_on(ds),
        )


def _names(ds: Dataset) -> tuple[str, ...]:
    regions = [str(item.get("ROIName") or "").strip() for item in ds.get("StructureSetROISequence") or ()]
    return (*regions, *(str(item.get("SegmentLabel") or "").strip() for item in ds.get("SegmentSequence") or ()))


def _drawn_on(ds: Dataset) -> tuple[str, ...]:
    of_seg = [str(item.SeriesInstanceUID) for item in ds.get("ReferencedSeriesSequence") or ()]
    of_structures = [
        str(series.SeriesInstanceUID)
        for frame in ds.get("ReferencedFrameOfReferenceSequence") or ()
        for study in frame.get("RTReferencedStudySequence") or ()
        for series in study.get("RTReferencedSeriesSequence") or ()
    ]
    return (*of_seg, *of_structures)


def ct_of(annotation: FoundSeries, found: Iterable[FoundSeries]) -> FoundSeries | None:
    """The CT that an annotation was drawn on: the one it names, or, if it names none, the only one there is."""
    cts = [series for series in found if series.ct]
    named = [series for series in cts if series.uid in annotation.drawn_on]
    if named:
        return named[0]
    return cts[0] if len(cts) == 1 and not annotation.drawn_on else None


def open_ct(folder: Path, series: Sequence[str]) -> tuple[Volume, DicomCT]:
    """The CT of a folder; where the folder holds several series, the one among `series`.

    Raises:
        ReadError: As `read_ct`.
    """
    wanted = None
    if series:
        there = [one.uid for one in list_dicom(folder) if one.modality == "CT"] if len(series) > 1 else list(series)
        both = [uid for uid in there if uid in series]
        if len(both) != 1:
            raise ReadError(
                f"{folder}: holds {len(both)} of the series {', '.join(series)}; the annotation must name one of them"
            )
        wanted = both[0]
    volume, source = read_ct_with_source(folder, series=wanted)
    assert source is not None  # a folder is never NIfTI
    return volume, source


def left_out(dataset: str, reasons: Sequence[str]) -> None:
    """Say which cases `find` leaves out, and why."""
    if reasons:
        _log.warning("%s: left out %d: %s", dataset, len(reasons), "; ".join(reasons))
