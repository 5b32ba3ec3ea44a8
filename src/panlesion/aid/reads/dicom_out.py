"""DICOM of a reading: SEG and SR as `infer` writes them, and the report as an encapsulated PDF."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian

import panlesion
from panlesion.aid.reads.report import Images, Report
from panlesion.aid.schemas.reading import AddendumOut, FindingOut
from panlesion.aid.schemas.reading import Caliper as CaliperOut
from panlesion.aid.vocabulary import Origin
from panlesion.ct.volume import LabelMap
from panlesion.infer.dicom_origin import CHARACTER_SET, RESEARCH_USE, equipment, publish, read_origin
from panlesion.infer.dicom_seg import new_uid, write_seg
from panlesion.infer.dicom_sr import write_sr
from panlesion.infer.record import Algorithm, Caliper, Doubt, Findings, LesionRecord, OperatingPoint, Reading
from panlesion.infer.reviewed import Made, Review, Verifier

SEG_FILE, SR_FILE, PDF_FILE = "seg.dcm", "sr.dcm", "pdf.dcm"
BY_HAND = Algorithm(name="panlesion", version=panlesion.__version__, checkpoint="none", weights_sha256="")
"""Named as the program where no network took part."""
ORGANISATION = "not told"
"""DICOM wants one of who verifies a report."""


@dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """A reading as `infer` knows results: findings 1 … n, their mask, and what a person made of them."""

    findings: Findings
    lesions: LabelMap
    review: Review


def view_of(report: Report, images: Images) -> View:
    """The reported findings that have a voxel, numbered anew in their order."""
    told = [one for one in report.told if one.size is not None and images.voxels[one.number]]
    table = np.zeros(256, dtype=np.uint8)
    for number, one in enumerate(told, 1):
        table[one.number] = number
    findings = Findings(
        case=str(report.study_id),
        kind="dicom",
        shape=images.ct.volume.grid.shape,
        spacing_mm=images.ct.volume.grid.spacing_mm,
        algorithm=report.algorithm or BY_HAND,
        operating_point=report.point or OperatingPoint(least_probability=0.0),
        lesions=tuple(record_of(one, number) for number, one in enumerate(told, 1)),
        suspicion=report.document.suspicion,
        doubts=tuple(Doubt(code=one.code, words=one.words) for one in report.document.doubts),
        impression=tuple(report.impression),
    )
    lesions = LabelMap(labels=table[images.lesions.labels], grid=images.lesions.grid)
    return View(findings=findings, lesions=lesions, review=_review(report, told))


def record_of(finding: FindingOut, number: int) -> LesionRecord:
    """A finding as `infer` has it; what a reader set is told as read, without a probability."""
    size = finding.size
    assert size is not None
    return LesionRecord(
        number=number,
        tracking_id=f"lesion {finding.number}",
        tracking_uid=finding.tracking_uid,
        type=finding.type,
        probability=1.0 if finding.probability is None else finding.probability,
        organ=finding.organ,
        side=finding.side,
        location=finding.location,
        volume_ml=size.volume_ml,
        # of the ball of that volume
        diameter_mm=float(np.cbrt(6000.0 * size.volume_ml / np.pi)),
        long=_caliper(size.long),
        short=_caliper(size.short),
        extent_mm=size.extent_mm,
        centre_ijk=size.centre_ijk,
        centre_xyz=size.centre_xyz,
        mean_hu=size.mean_hu,
        sd_hu=size.sd_hu,
        attributes={
            name: Reading(
                read=one.value,
                probability=one.probability if one.by is Origin.AI else None,
                measured=one.measured if one.by is Origin.AI else None,
            )
            for name, one in finding.attributes.items()
        },
        sentence=finding.sentence,
    )


def _caliper(one: CaliperOut) -> Caliper:
    return Caliper(length_mm=one.length_mm, ends_ijk=one.ends_ijk, ends_xyz=one.ends_xyz)


def made_how(finding: FindingOut) -> Made:
    """Whose outline it is."""
    if finding.origin is Origin.READER:
        return Made.MANUAL
    changed = finding.mask_edited or finding.origin is Origin.PROPOSAL
    return Made.SEMIAUTOMATIC if changed else Made.AUTOMATIC


def _review(report: Report, told: list[FindingOut]) -> Review:
    numbered = dict(enumerate(told, 1))
    signed = report.signature
    return Review(
        made={number: made_how(one) for number, one in numbered.items()},
        changed={
            number: tuple(name for name, attribute in one.attributes.items() if attribute.by is not Origin.AI)
            for number, one in numbered.items()
        },
        remarks={number: one.note for number, one in numbered.items() if one.note},
        verifier=None
        if signed is None
        else Verifier(name=person_name(signed.name), organisation=report.organisation or ORGANISATION, at=signed.at),
        comment=report.document.comment,
        notices=tuple(notices(report)),
    )


def person_name(shown: str) -> str:
    """A name as DICOM has it, from one as it is shown: the last word is the family name."""
    words = shown.replace("^", " ").replace("=", " ").replace("\\", " ").split()
    titles = [word for word in words[:-1] if word.rstrip(".").lower() in {"dr", "prof", "professor", "med", "pd"}]
    given = [word for word in words[:-1] if word not in titles]
    family = words[-1] if words else "Unknown"
    # a caret at least, or readers take it for a name in free form
    return f"{family}^{' '.join(given)}" + (f"^^{' '.join(titles)}" if titles else "")


def notices(report: Report) -> list[str]:
    """What a report says beside findings and impression: what was rejected, the comparison, and every addendum."""
    lines = []
    if report.rejected:
        lines.append(f"Findings of the network that the reader rejected: {report.rejected}.")
    if report.comparison is not None:
        lines.append(comparison_words(report))
    return [*lines, *(addendum_words(one) for one in report.addenda)]


def addendum_words(one: AddendumOut) -> str:
    """An addendum with its time and author, in a line."""
    return f"Addendum of {one.at:%Y-%m-%d %H:%M} UTC by {one.by}: {one.text}"


def comparison_words(report: Report) -> str:
    """The comparison with the prior study in a line."""
    told = report.comparison
    assert told is not None
    when = "an earlier study" if told.prior_at is None else f"the study of {told.prior_at:%Y-%m-%d}"
    sums = ""
    if told.prior_sum_mm is not None and told.now_sum_mm is not None:
        sums = f"; sum of long axes {told.prior_sum_mm:.0f} mm then, {told.now_sum_mm:.0f} mm now"
    return f"Compared with {when}: {told.response} by the rules of RECIST 1.1 ({told.reason}){sums}."


def write_seg_and_sr(folder: Path, report: Report, images: Images) -> Path | None:
    """Write `seg.dcm`, unless nothing is reported, and `sr.dcm` into a folder; returns the first.

    Raises:
        ReadError: The CT's files are gone or changed.
        DiskFullError: No room.
    """
    view = view_of(report, images)
    seg = write_seg(folder / SEG_FILE, images.ct, view.lesions, view.findings, view.review)
    write_sr(folder / SR_FILE, images.ct, seg, view.findings, view.review)
    return seg


def write_pdf_dicom(path: Path, report: Report, images: Images, pdf: bytes) -> Path:
    """Write a PDF as a DICOM object of the CT's study.

    Raises:
        ReadError: The CT's files are gone or changed.
        DiskFullError: No room.
    """
    origin = read_origin(images.ct)
    at = report.signature.at if report.signature else datetime.now(UTC)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = EncapsulatedPDFStorage, UID(new_uid())
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    made.SpecificCharacterSet = CHARACTER_SET
    made.SOPClassUID, made.SOPInstanceUID = EncapsulatedPDFStorage, meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID, made.Modality = origin.study_uid, new_uid(), "DOC"
    made.SeriesNumber, made.InstanceNumber = origin.result_series(3), 1
    made.SeriesDescription = f"Report of panlesion ({RESEARCH_USE})"
    tools = equipment(report.algorithm or BY_HAND)
    made.Manufacturer, made.ManufacturerModelName = tools["manufacturer"], tools["manufacturer_model_name"]
    made.SoftwareVersions, made.DeviceSerialNumber = tools["software_versions"], tools["device_serial_number"]
    made.ConversionType, made.BurnedInAnnotation = "WSD", "YES"
    made.ContentDate, made.ContentTime, made.AcquisitionDateTime = f"{at:%Y%m%d}", f"{at:%H%M%S}", None
    made.TimezoneOffsetFromUTC = "+0000"
    made.DocumentTitle = "CT lesion report"
    made.VerificationFlag = "VERIFIED" if report.signature else "UNVERIFIED"
    made.ConceptNameCodeSequence = [_code("18748-4", "LN", "Diagnostic imaging report")]
    made.SourceInstanceSequence = [_reference(uid, sop_class) for uid, sop_class in origin.instances().items()]
    made.MIMETypeOfEncapsulatedDocument = "application/pdf"
    made.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    made.EncapsulatedDocumentLength = len(pdf)
    return publish(made, origin, path)


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _reference(uid: str, sop_class: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class, uid
    return reference
