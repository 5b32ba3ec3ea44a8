"""A signed DICOM SR with words added to it: a complete new document that names the one before as its predecessor."""

from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from panlesion.ct.dicom_header import damaged
from panlesion.data.publish import publishing_file
from panlesion.errors import ReadError
from panlesion.infer.dicom_codes import QUALITATIVE_EVALUATIONS
from panlesion.infer.dicom_origin import quiet, short
from panlesion.infer.dicom_seg import new_uid
from panlesion.infer.dicom_sr import dicom_time, texts
from panlesion.infer.reviewed import Verifier


def write_amended_sr(path: Path, before: Path, words: str, by: Verifier) -> Path:
    """Write the SR that takes the place of another: the same content, and `words` as one more comment of the summary.

    A new instance of the same series. Whoever added the words verifies it, beside those who verified the one before.

    Args:
        path: The file; its folder must exist.
        before: What `write_sr` or this function wrote; it stays as it is.
        words: However long; of several lines one is made.
        by: Who wrote them, and when.

    Raises:
        ReadError: The SR before is gone or damaged.
        DiskFullError: No room.
    """
    with damaged(before.name, "the report that is added to cannot be read"), quiet():
        report = pydicom.dcmread(before)
        predecessor = _reference(report)
        _renew(report, by)
        report.PredecessorDocumentsSequence = [predecessor]
        report.VerifyingObserverSequence = [_observer(by), *report.get("VerifyingObserverSequence", [])]
        _summary(report).ContentSequence.extend(texts(codes.DCM.Comment, words))
    with publishing_file(path) as stream, quiet():
        report.save_as(stream, enforce_file_format=True)
    return path


def _reference(report: Dataset) -> Dataset:
    """A document by its study, series and instance."""
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = report.SOPClassUID, report.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = report.SeriesInstanceUID, [instance]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = report.StudyInstanceUID, [series]
    return study


def _renew(report: Dataset, by: Verifier) -> None:
    report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = UID(new_uid())
    report.InstanceNumber = int(report.InstanceNumber or 0) + 1
    at = by.at.astimezone()  # of this machine, as in the document before
    report.ContentDate = report.InstanceCreationDate = f"{at:%Y%m%d}"
    report.ContentTime = report.InstanceCreationTime = f"{at:%H%M%S.%f}"


def _observer(by: Verifier) -> Dataset:
    observer = Dataset()
    observer.VerifyingObserverName, observer.VerifyingOrganization = by.name, short(by.organisation)
    observer.VerificationDateTime, observer.VerifyingObserverIdentificationCodeSequence = dicom_time(by.at), []
    return observer


def _summary(report: Dataset) -> Dataset:
    """The part that has the impression and the comments."""
    for item in report.ContentSequence:
        names = item.get("ConceptNameCodeSequence")
        if names and (names[0].CodeValue, names[0].CodingSchemeDesignator) == (
            QUALITATIVE_EVALUATIONS.value,
            QUALITATIVE_EVALUATIONS.scheme_designator,
        ):
            return item
    raise ReadError("the report that is added to has no summary; it is none that was signed here. Restore a backup")
