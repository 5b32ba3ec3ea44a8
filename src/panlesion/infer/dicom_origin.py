"""What a SEG or an SR takes over from its CT: patient and study, frame of reference, and which image each plane came from.

Real headers lack tags, hold values the standard forbids and names in any character set. Nothing of that may stop a result
from being written, and what identifies the patient must come back as it was, or no archive finds its patient again.
"""

import logging
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import CTImageStorage, generate_uid
from pydicom.valuerep import validate_value

from panlesion.ct.dicom import DicomCT, SliceRef
from panlesion.ct.dicom_header import Plane, damaged, read_header
from panlesion.ct.dicom_source import Source, dicom_sources
from panlesion.ct.volume import Index3
from panlesion.data.publish import publishing_file
from panlesion.errors import ReadError
from panlesion.infer.dicom_codes import one_line
from panlesion.infer.record import Algorithm, Findings

_log = logging.getLogger(__name__)

RESEARCH_USE = "research use only"
MANUFACTURER = "panlesion"
CHARACTER_SET = "ISO_IR 192"
"""UTF-8 for all we write: it holds every name and our own words alike."""

_MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName"),
    *("StudyID", "AccessionNumber"),
)
_TAKEN = (
    *_MAY_BE_EMPTY,
    *("StudyDescription", "IssuerOfPatientID", "EthnicGroup", "PatientAge", "PatientSize", "PatientWeight"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "ClinicalTrialSponsorName", "ClinicalTrialProtocolID"),
    *("ClinicalTrialProtocolName", "ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID"),
    *("ClinicalTrialSubjectReadingID", "ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription"),
)
"""Attributes of the patient and study modules that are copied; those of `_MAY_BE_EMPTY` must be there, if only empty."""
_CLOSED = {"PatientSex": {"M", "F", "O"}, "PatientIdentityRemoved": {"YES", "NO"}}
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_WORDS = frozenset({"PN", "LO", "SH", "LT", "ST", "UT"})
_MAX_DRIFT_MM = 0.1
"""By so much a slice may lie off the grid of its CT, see `ct.dicom_geometry`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Origin:
    """The images of a CT. `identity` holds patient and study as they may be written; `planes` where plane k of the array lies.

    `frame_uid` is the frame of reference; a series without one, or without a study, gets UIDs made of the series', so that all
    results agree.
    """

    identity: Dataset
    lossy: Dataset
    study_uid: str
    series_uid: str
    series_number: int
    frame_uid: str
    shape: Index3
    images: tuple[SliceRef, ...]
    planes: tuple[Plane, ...]

    def instances(self) -> dict[str, str]:
        """SOP class of every image by its instance UID, once each: a multi-frame image holds many planes."""
        return {image.sop_instance: self.class_of(image) for image in self.images}

    @staticmethod
    def class_of(image: SliceRef) -> str:
        """The image's SOP class; files without one are taken for plain CT images."""
        return image.sop_class or str(CTImageStorage)

    def result_series(self, number: int) -> int:
        """The number of a result's series: those of CT series n are 100 n + 1, 100 n + 2 and so on."""
        return 100 * (self.series_number if 0 <= self.series_number < 10**6 else 0) + number

    def stand_in(self, instance: str) -> Dataset:
        """A CT image of this study with nothing of the patient, to make objects with before `publish` adds that."""
        image = Dataset()
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, instance
        image.StudyInstanceUID, image.SeriesInstanceUID, image.Modality = self.study_uid, self.series_uid, "CT"
        for keyword in _MAY_BE_EMPTY:
            setattr(image, keyword, None)
        image.update(self.lossy)
        return image


_MAY_BE_LEFT_OUT, _SHORT = frozenset({"StudyID"}), 16
"""What identifies nobody is left out where it is longer than DICOM's short strings may be."""


def read_origin(ct: DicomCT) -> Origin:
    """Read the headers of a CT's files again.

    Raises:
        ReadError: A file is gone, damaged or another one than was read; no SOPInstanceUID in it.
    """
    found: _Found = {}
    wanted = {(ref.path, ref.sop_instance) for ref in ct.slices}
    for path in dict.fromkeys(ref.path for ref in ct.slices):
        with dicom_sources(path) as sources:
            for source in sources:
                header = read_header(source)
                if (path, header.sop_instance) in wanted:
                    found[path, header.sop_instance] = (_tags(source), header.planes)
    planes = tuple(_plane(ct, k, found) for k in range(len(ct.slices)))
    first = ct.slices[0]
    tags = found[first.path, first.sop_instance][0]
    with damaged(str(first.path), "patient and study cannot be read"):
        _check_one(found, first.path)
        number = tags.get("SeriesNumber")
        # A series whose UIDs were emptied is known by its images.
        series = ct.series_uid or made_uid(*sorted({ref.sop_instance for ref in ct.slices}), "series")
        return Origin(
            identity=_identity(tags),
            lossy=_kept(tags, _LOSSY),
            study_uid=str(tags.get("StudyInstanceUID") or "") or made_uid(series, "study"),
            series_uid=series,
            series_number=int(number) if number not in (None, "") else 0,
            frame_uid=str(tags.get("FrameOfReferenceUID") or "") or made_uid(series, "frame of reference"),
            shape=ct.volume.grid.shape,
            images=ct.slices,
            planes=planes,
        )


def _tags(source: Source) -> Dataset:
    wanted = ["StudyInstanceUID", "FrameOfReferenceUID", "SeriesNumber", "DeidentificationMethodCodeSequence", *_TAKEN, *_LOSSY]
    with (
        damaged(source.name, "the DICOM header cannot be read"),
        source.path.open("rb") if source.member is None else BytesIO(source.read()) as stream,
    ):
        return pydicom.dcmread(stream, stop_before_pixels=True, force=True, specific_tags=list(wanted))


_Found = dict[tuple[Path, str], tuple[Dataset, tuple[Plane, ...]]]
"""Tags and planes of every image, by its file and instance UID: a zip holds many images."""


def _plane(ct: DicomCT, k: int, found: _Found) -> Plane:
    """Plane k as its file says now, which must be where the CT has it."""
    ref = ct.slices[k]
    if not ref.sop_instance:
        raise ReadError(f"{ref.path}: no SOPInstanceUID, so no result can refer to it. Export the series again")
    planes = found.get((ref.path, ref.sop_instance), (None, ()))[1]
    position = planes[ref.frame].position_lps if ref.frame < len(planes) else None
    if position is not None:
        x, y, z = ct.volume.grid.to_xyz((0.0, 0.0, float(k))).tolist()
        if np.linalg.norm(np.subtract(position, (-x, -y, z))) <= _MAX_DRIFT_MM:
            return planes[ref.frame]
    raise ReadError(
        f"{ref.path}: image {ref.sop_instance}, frame {ref.frame + 1}, is not there or not where it was when the CT was read. "
        "Leave the files in place until the results are written, and predict again"
    )


def _check_one(found: _Found, path: Path) -> None:
    """A series has one study and one frame of reference; where careless anonymising gave many, the first slice's count."""
    studies = {str(tags.get("StudyInstanceUID") or "") for tags, _ in found.values()}
    frames = {str(tags.get("FrameOfReferenceUID") or "") for tags, _ in found.values()}
    if "" in studies:
        _log.warning("%s: images without StudyInstanceUID; results go into a study of their own", path)
    if len(studies) > 1 or len(frames) > 1:
        claims = f"{len(studies)} studies and {len(frames)} frames of reference"
        _log.warning("%s: its series claims %s; results go by the first slice", path, claims)


def _identity(tags: Dataset) -> Dataset:
    identity = _kept(tags, _TAKEN)
    for keyword in _MAY_BE_EMPTY:
        if keyword not in identity:
            setattr(identity, keyword, None)
    methods = tags.get("DeidentificationMethodCodeSequence")
    if methods:
        code = ("CodeValue", "CodingSchemeDesignator", "CodingSchemeVersion", "CodeMeaning")
        identity.DeidentificationMethodCodeSequence = [_kept(one, code) for one in methods]
    return identity


def _kept(tags: Dataset, keywords: tuple[str, ...]) -> Dataset:
    """Those of the attributes that are there and whose values can be written."""
    kept = Dataset()
    for keyword in keywords:
        tag = tag_for_keyword(keyword)
        assert tag is not None
        if tag not in tags:
            continue
        vr = dictionary_VR(tag)
        plain = _words(tags.get(keyword)) if vr in _WORDS else _valid(keyword, vr, tags.get_item(tag))
        if plain and not (keyword in _MAY_BE_LEFT_OUT and len(plain) > _SHORT):
            # A name may be longer than allowed; cut short, it would be another patient's.
            kept.add(DataElement(tag, vr, plain, validation_mode=config.IGNORE))
    return kept


def _words(value: Any) -> str:
    """Text as UTF-8 can hold it, without control characters, which DICOM forbids, and in one value."""
    joined = " ".join(map(str, value)) if isinstance(value, MultiValue) else str("" if value is None else value)
    plain = "".join(" " if unicodedata.category(c) == "Cc" or c == "\\" else c for c in joined)
    return plain.encode("utf-8", "replace").decode().strip()


def _valid(keyword: str, vr: str, element: Any) -> list[str]:
    """A date, number or code word as it stands in the file; nothing if it is none, for what looks like a date helps nobody."""
    stored = element.value
    told = stored.decode("ascii", "replace") if isinstance(stored, bytes) else str(stored or "")
    values = [value.strip(" \0") for value in told.split("\\")]
    try:
        for value in values:
            validate_value(vr, value, config.RAISE)
    except ValueError:
        return []
    if keyword in _CLOSED and not set(values) <= _CLOSED[keyword]:
        return []
    return values if any(values) else []


def made_uid(*words: str) -> str:
    """A UID that follows from words: the same ones give the same UID."""
    return str(generate_uid(entropy_srcs=["panlesion", *words]))


def short(words: str, most: int = 64) -> str:
    """Words on one line of at most so many characters; a LO of DICOM holds 64."""
    line = one_line(words)
    return line if len(line) <= most else line[: most - 1] + "…"


def algorithm_parameters(findings: Findings) -> dict[str, str]:
    """What the algorithm was run with; `,` and `=` separate parameters in DICOM."""
    algorithm = findings.algorithm
    told = {
        "weights_sha256": algorithm.weights_sha256,
        "checkpoint": algorithm.checkpoint,
        "least_probability": f"{findings.operating_point.least_probability:.4g}",
    }
    return {key: one_line(value).replace(",", ";").replace("=", ":") for key, value in told.items()}


def equipment(algorithm: Algorithm) -> dict[str, Any]:
    """What made the object, as highdicom takes it; the serial number of a program is the hash of its weights."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": short(f"{algorithm.name} {algorithm.checkpoint}"),
        "software_versions": short(algorithm.version) or "unknown",
        "device_serial_number": short(algorithm.weights_sha256) or "unknown",
    }


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom on UIDs of the source that break the standard: results must refer to them as they are."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Invalid value for VR UI")
        yield


def publish(dataset: Dataset, origin: Origin, path: Path) -> Path:
    """Give the object its patient and study, and write it whole or not at all.

    Raises:
        DiskFullError: No room; what was there before is untouched.
    """
    for element in origin.identity:
        dataset[element.tag] = element
    with publishing_file(path) as stream, quiet():
        dataset.save_as(stream, enforce_file_format=True)
    return path
