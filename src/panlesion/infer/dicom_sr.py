"""DICOM SR: the findings as a Comprehensive 3D SR after TID 1500 "Measurement Report", one TID 1411 group per finding.

Preliminary and unverified unless a person has signed it. A group refers to its segment of the SEG and has its tracking UID.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pydicom
from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CodedConcept,
    Comprehensive3DSR,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    DeviceObserverIdentifyingAttributes,
    FindingSite,
    ImageContentItem,
    LanguageOfContentItemAndDescendants,
    Measurement,
    NumContentItem,
    ObservationContext,
    ObserverContext,
    PersonObserverIdentifyingAttributes,
    QualitativeEvaluation,
    ReferencedSegment,
    RelationshipTypeValues,
    SourceSeriesForSegmentation,
    TextContentItem,
    TrackingIdentifier,
    UIDRefContentItem,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import SegmentationStorage
from pydicom.valuerep import DT

from panlesion.ct.dicom import DicomCT
from panlesion.ct.dicom_header import damaged
from panlesion.errors import ReadError
from panlesion.infer.dicom_codes import (
    LESION_CATEGORY,
    LESION_CLASS,
    QUALITATIVE_EVALUATIONS,
    attribute_name,
    attribute_value,
    declared_schemes,
    finding_type,
    one_line,
    private,
    site_of,
)
from panlesion.infer.dicom_origin import (
    CHARACTER_SET,
    MANUFACTURER,
    RESEARCH_USE,
    Origin,
    algorithm_parameters,
    equipment,
    made_uid,
    publish,
    quiet,
    read_origin,
    short,
)
from panlesion.infer.dicom_seg import new_uid
from panlesion.infer.record import Findings, LesionRecord, Reading
from panlesion.infer.reviewed import UNSEEN, Made, Review, Verifier

_CONTAINS = RelationshipTypeValues.CONTAINS
_ACQUIRED = RelationshipTypeValues.HAS_ACQ_CONTEXT
_BRITISH_ENGLISH = CodedConcept("en-GB", "RFC5646", "English (United Kingdom)")
_PIXELS = Code("{pixels}", "UCUM", "Pixels")
_SOURCE = codes.SCT.Source._replace(meaning="Source")  # pydicom has SNOMED's own name for it, "Source (attribute)"
_MAX_WORDS = 1024


def write_sr(path: Path, ct: DicomCT, seg: Path | None, findings: Findings, review: Review = UNSEEN) -> Path:
    """Write a CT's findings as a DICOM SR in the CT's study, and return its path.

    Without findings the report says that none were found, and has no measurement group.

    Args:
        path: The file; its folder must exist.
        ct: What was read; its files must still be there, since patient and study are taken from them.
        seg: What `write_seg` wrote of the same findings; None only where there are none.
        findings: Numbered as in the SEG.
        review: What a person made of them. With a verifier the report is final and verified.

    Raises:
        ReadError: The CT's files or the SEG are gone or changed, or belong to no study.
        ValueError: The SEG does not hold the findings.
        DiskFullError: No room.
    """
    origin = read_origin(ct)
    segments = None if seg is None else _segments(seg)
    held = {} if segments is None else {int(one.SegmentNumber): str(one.TrackingUID) for one in segments.SegmentSequence}
    wanted = {record.number: record.tracking_uid for record in findings.lesions}
    if held != wanted:
        raise ValueError(f"the SEG has segments {held}, the findings are {wanted}; give the SEG written of these findings")
    with quiet():
        report = Comprehensive3DSR(
            evidence=[*(origin.stand_in(instance) for instance in origin.instances()), *([segments] if segments else [])],
            content=_document(origin, segments, findings, review),
            series_instance_uid=new_uid(),
            series_number=origin.result_series(2),
            sop_instance_uid=new_uid(),
            instance_number=1,
            is_complete=True,
            series_description=f"Findings {'of' if review is UNSEEN else 'read in'} panlesion ({RESEARCH_USE})",
            specific_character_set=CHARACTER_SET,
            coding_schemes=declared_schemes(),
            **_standing(review.verifier),
            **equipment(findings.algorithm),
        )
        if review.verifier is not None:
            # highdicom says now, without a zone
            report.VerifyingObserverSequence[0].VerificationDateTime = dicom_time(review.verifier.at)
        _name_classes(report, origin)
    return publish(report, origin, path)


def _standing(verifier: Verifier | None) -> dict[str, Any]:
    if verifier is None:
        return {"is_final": False, "is_verified": False}
    return {
        "is_final": True,
        "is_verified": True,
        "verifying_observer_name": verifier.name,
        "verifying_organization": short(verifier.organisation),
    }


def dicom_time(at: datetime) -> DT:
    """A moment, which has a zone, as DICOM writes it."""
    return DT(f"{at:%Y%m%d%H%M%S.%f%z}")


def _segments(seg: Path) -> Dataset:
    """The SEG without its pixels."""
    with damaged(str(seg), "no DICOM SEG can be read"):
        header = pydicom.dcmread(seg, stop_before_pixels=True)
    if header.get("SOPClassUID") != SegmentationStorage or not header.get("SegmentSequence"):
        raise ReadError(f"{seg}: is no DICOM SEG; give the one written of these findings")
    return header


def _name_classes(report: Dataset, origin: Origin) -> None:
    """The evidence was listed from stand-ins; give every image the SOP class it has."""
    classes = origin.instances()
    for study in report.CurrentRequestedProcedureEvidenceSequence:
        for series in study.ReferencedSeriesSequence:
            for image in series.ReferencedSOPSequence:
                image.ReferencedSOPClassUID = classes.get(image.ReferencedSOPInstanceUID, image.ReferencedSOPClassUID)


def _document(origin: Origin, segments: Dataset | None, findings: Findings, review: Review) -> ContainerContentItem:
    """TID 1500, by its rows; highdicom's own class cannot be without a measurement group."""
    root = ContainerContentItem(name=codes.cid7021.ImagingMeasurementReport, template_id="1500", is_content_continuous=False)
    rows = ContentSequence()
    rows.extend(LanguageOfContentItemAndDescendants(_BRITISH_ENGLISH))
    rows.extend(_observer(findings, review.verifier))
    rows.append(
        CodeContentItem(
            name=codes.DCM.ProcedureReported,
            value=codes.cid100.CTUnspecifiedBodyRegion,
            relationship_type=RelationshipTypeValues.HAS_CONCEPT_MOD,
        )
    )
    rows.append(_image_library(origin))
    if segments is not None:
        groups = (_group(origin, segments, findings, record, review) for record in findings.lesions)
        rows.append(_container(codes.DCM.ImagingMeasurements, [item for group in groups for item in group]))
    rows.append(_container(QUALITATIVE_EVALUATIONS, list(_summary(findings, review))))
    root.ContentSequence = rows
    return root


def _container(name: Code, items: list[ContentItem]) -> ContainerContentItem:
    container = ContainerContentItem(name=name, relationship_type=_CONTAINS, is_content_continuous=False)
    container.ContentSequence = ContentSequence(items)
    return container


def _observer(findings: Findings, verifier: Verifier | None) -> ObservationContext:
    """Whoever signed, and the program; its UID is that of the weights, so the same network is the same observer everywhere."""
    algorithm = findings.algorithm
    device = DeviceObserverIdentifyingAttributes(
        uid=made_uid("device", algorithm.name, algorithm.version, algorithm.weights_sha256),
        name=short(algorithm.name),
        manufacturer_name=MANUFACTURER,
        model_name=short(f"{algorithm.name} {algorithm.version}, weights {algorithm.checkpoint}"),
        serial_number=short(algorithm.weights_sha256),
    )
    observer = ObserverContext(observer_type=codes.DCM.Device, observer_identifying_attributes=device)
    if verifier is None:
        return ObservationContext(observer_device_context=observer)
    person = PersonObserverIdentifyingAttributes(name=verifier.name, organization_name=short(verifier.organisation))
    signer = ObserverContext(observer_type=codes.DCM.Person, observer_identifying_attributes=person)
    return ObservationContext(observer_person_context=signer, observer_device_context=observer)


def _image_library(origin: Origin) -> ContainerContentItem:
    """TID 1600: every image of the CT, what they have in common said once."""
    first = origin.planes[0]
    assert first.pixel_spacing_mm is not None
    shared: list[ContentItem] = [
        CodeContentItem(codes.DCM.Modality, codes.cid29.ComputedTomography, _ACQUIRED),
        UIDRefContentItem(codes.DCM.FrameOfReferenceUID, origin.frame_uid, _ACQUIRED),
        NumContentItem(codes.DCM.PixelDataRows, origin.shape[1], _PIXELS, relationship_type=_ACQUIRED),
        NumContentItem(codes.DCM.PixelDataColumns, origin.shape[0], _PIXELS, relationship_type=_ACQUIRED),
        NumContentItem(
            codes.DCM.HorizontalPixelSpacing, first.pixel_spacing_mm[1], codes.UCUM.Millimeter, relationship_type=_ACQUIRED
        ),
        NumContentItem(
            codes.DCM.VerticalPixelSpacing, first.pixel_spacing_mm[0], codes.UCUM.Millimeter, relationship_type=_ACQUIRED
        ),
    ]
    images: list[ContentItem] = [
        ImageContentItem(
            name=_SOURCE,
            referenced_sop_class_uid=sop_class,
            referenced_sop_instance_uid=instance,
            relationship_type=_CONTAINS,
        )
        for instance, sop_class in origin.instances().items()
    ]
    return _container(codes.DCM.ImageLibrary, [_container(codes.DCM.ImageLibraryGroup, [*shared, *images])])


def _group(origin: Origin, segments: Dataset, findings: Findings, record: LesionRecord, review: Review) -> ContentSequence:
    """TID 1411 of one finding, with its sentence as a comment. What a person drew has no algorithm and no probability."""
    by_hand = review.how(record.number) is Made.MANUAL
    site = site_of(record)
    group = VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=record.tracking_uid, identifier=short(record.tracking_id)),
        # By hand: ReferencedSegment.from_segmentation fails on a SEG of a single segment (highdicom 0.28).
        referenced_segment=ReferencedSegment(
            sop_class_uid=segments.SOPClassUID,
            sop_instance_uid=segments.SOPInstanceUID,
            segment_number=record.number,
            source_series=SourceSeriesForSegmentation(origin.series_uid),
        ),
        finding_category=LESION_CATEGORY,
        finding_type=finding_type(record.type),
        finding_sites=None if site is None else [FindingSite(site.structure, site.side, site.part)],
        algorithm_id=None if by_hand else _algorithm(findings),
        measurements=list(_measurements(record, sure=not by_hand)),
        qualitative_evaluations=list(_evaluations(record)),
    )
    changed = review.changed.get(record.number)
    said = (record.sentence, f"Set by the reader: {', '.join(changed)}." if changed else "", review.remarks.get(record.number))
    for words in filter(None, said):
        group[0].ContentSequence.append(_text(codes.DCM.Comment, words))
    return group


def _algorithm(findings: Findings) -> AlgorithmIdentification:
    return AlgorithmIdentification(
        name=short(findings.algorithm.name),
        version=short(findings.algorithm.version),
        parameters=[f"{key}={value}" for key, value in algorithm_parameters(findings).items()],
        family=codes.cid7162.ArtificialIntelligence,
        manufacturer=MANUFACTURER,
    )


def _measurements(record: LesionRecord, *, sure: bool) -> Iterator[Measurement]:
    """Sizes and HU on the CT's own grid; the two axes as RECIST 1.1 draws them, in an axial slice."""
    recist, mm, hu = codes.cid6147.RECIST1Point1, codes.UCUM.Millimeter, codes.UCUM.HounsfieldUnit
    yield Measurement(codes.SCT.Volume, record.volume_ml, codes.UCUM.CubicCentimeter)
    yield Measurement(codes.SCT.LongAxis, record.long.length_mm, mm, method=recist)
    yield Measurement(codes.SCT.ShortAxis, record.short.length_mm, mm, method=recist)
    if record.mean_hu is not None and record.sd_hu is not None:
        yield Measurement(codes.DCM.MeanAttenuationCoefficient, record.mean_hu, hu)
        yield Measurement(codes.DCM.StandardDeviationOfAttenuationCoefficient, record.sd_hu, hu)
    if sure:
        yield Measurement(codes.DCM.CertaintyOfFinding, 100.0 * record.probability, codes.UCUM.Percent)


def _evaluations(record: LesionRecord) -> Iterator[QualitativeEvaluation]:
    """The network's class, and every attribute as it reads it; as measured where that differs or nothing was read."""
    yield QualitativeEvaluation(LESION_CLASS, private(record.type))
    for name, reading in record.attributes.items():
        if reading.read is not None:
            yield _read(name, reading)
        if reading.measured is not None and reading.measured != reading.read:
            yield QualitativeEvaluation(attribute_name(name, measured=True), attribute_value(reading.measured))


def _read(name: str, reading: Reading) -> QualitativeEvaluation:
    assert reading.read is not None
    evaluation = QualitativeEvaluation(attribute_name(name), attribute_value(reading.read))
    if reading.probability is not None:
        sure = NumContentItem(
            name=codes.DCM.CertaintyOfFeature,
            value=100.0 * reading.probability,
            unit=codes.UCUM.Percent,
            relationship_type=RelationshipTypeValues.HAS_PROPERTIES,
        )
        evaluation[0].ContentSequence = ContentSequence([sure])
    return evaluation


def _summary(findings: Findings, review: Review) -> Iterator[ContentItem]:
    """Whether anything was found, the impression, and what a reader must know before trusting it."""
    some, none = codes.cid6047.AllAlgorithmsSucceededWithFindings, codes.cid6047.AllAlgorithmsSucceededWithoutFindings
    if review is UNSEEN:
        yield CodeContentItem(codes.DCM.CADProcessingAndFindingsSummary, some if findings.lesions else none, _CONTAINS)
    for line in findings.impression:
        yield from texts(codes.DCM.Impression, line)
    yield from texts(codes.DCM.Comment, review.comment)
    yield _text(codes.DCM.Comment, _seen_by(review))
    point = findings.operating_point
    yield _text(codes.DCM.Comment, f"Findings count from a probability of {point.least_probability:.4g} on.")
    for doubt in findings.doubts:
        yield _text(codes.DCM.Comment, f"Doubt ({doubt.code}): {doubt.words}")
    for notice in review.notices:
        yield from texts(codes.DCM.Comment, notice)


def _seen_by(review: Review) -> str:
    if review is UNSEEN:
        return f"Made by a program and seen by no person: {RESEARCH_USE}, not for diagnosis."
    if review.verifier is None:
        return f"Draft, signed by nobody: {RESEARCH_USE}, not for diagnosis."
    return f"Read and signed by a person with the help of a program: {RESEARCH_USE}, not for diagnosis."


def texts(name: Code, words: str) -> Iterator[TextContentItem]:
    """Words however long, a content item for as much as one holds."""
    line = one_line(words)
    for start in range(0, len(line), _MAX_WORDS):
        yield _text(name, line[start : start + _MAX_WORDS])


def _text(name: Code, words: str) -> TextContentItem:
    return TextContentItem(name=name, value=short(words, _MAX_WORDS) or "-", relationship_type=_CONTAINS)
