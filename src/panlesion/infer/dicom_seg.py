"""DICOM SEG: the lesion mask as one BINARY segment per finding, frame by frame on the planes of the CT it was found in."""

from copy import deepcopy
from pathlib import Path

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom import config
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, CTImageStorage, generate_uid
from pydicom.valuerep import DSfloat

from panlesion.ct.dicom import DicomCT
from panlesion.ct.volume import LabelMap
from panlesion.infer.dicom_codes import LESION_CATEGORY, declared_schemes, finding_type, finding_words, site_of
from panlesion.infer.dicom_origin import (
    CHARACTER_SET,
    RESEARCH_USE,
    Origin,
    algorithm_parameters,
    equipment,
    publish,
    quiet,
    read_origin,
    short,
)
from panlesion.infer.record import Findings, LesionRecord
from panlesion.infer.reviewed import UNSEEN, Made, Review


def new_uid() -> str:
    """A fresh DICOM UID, made of a random UUID."""
    return str(generate_uid(prefix=None))


def write_seg(path: Path, ct: DicomCT, lesions: LabelMap, findings: Findings, review: Review = UNSEEN) -> Path | None:
    """Write the mask of a CT's findings as a DICOM SEG in the CT's study, and return its path.

    Segment n is finding n, its tracking UID the record's. Frames lie on planes of the CT, those without a lesion are left out.
    Without findings nothing is written and None is returned, for a SEG must have a segment.

    Args:
        path: The file; its folder must exist.
        ct: What was read; its files must still be there, since patient and study are taken from them.
        lesions: Label n is finding n, on the CT's own grid.
        findings: Numbered 1 … n.
        review: Tells which outlines are a person's.

    Raises:
        ReadError: The CT's files are gone or changed, or belong to no study.
        ValueError: Mask, grid and findings do not fit each other.
        DiskFullError: No room.
    """
    counts = np.stack([np.bincount(plane.ravel(), minlength=256) for plane in np.moveaxis(lesions.labels, 2, 0)])
    _check(ct, lesions, findings, counts.sum(axis=0))
    if not findings.lesions:
        return None
    origin = read_origin(ct)
    used = np.flatnonzero(counts[:, 1:].any(axis=1))
    # DICOM's rows run along j and its columns along i.
    frames = np.ascontiguousarray(lesions.labels[:, :, used].transpose(2, 1, 0))
    with quiet():
        seg = _segmentation(origin, ct, used, frames, findings, review)
        _refer(seg, origin, used)
    _pad(seg)
    return publish(seg, origin, path)


def _check(ct: DicomCT, lesions: LabelMap, findings: Findings, voxels: NDArray[np.int64]) -> None:
    """Raise what `write_seg` says it raises; `voxels` (256,) are those of every label."""
    if not lesions.grid.same_as(ct.volume.grid):
        raise ValueError(f"lesions lie on a grid of shape {lesions.grid.shape}, not on the CT's own of {ct.volume.grid.shape}")
    numbers = sorted(record.number for record in findings.lesions)
    labels = (np.flatnonzero(voxels[1:]) + 1).tolist()
    if numbers != list(range(1, len(numbers) + 1)) or labels != numbers:
        raise ValueError(f"findings are numbered {numbers}, the mask has labels {labels}; both must be 1 … n")
    for record in findings.lesions:
        if not UID(record.tracking_uid, validation_mode=config.IGNORE).is_valid:
            raise ValueError(f"finding {record.number}: tracking_uid is {record.tracking_uid!r}; it must be a DICOM UID")


def _segmentation(
    origin: Origin,
    ct: DicomCT,
    used: NDArray[np.int64],
    frames: NDArray[np.uint8],
    findings: Findings,
    review: Review,
) -> Segmentation:
    algorithm = findings.algorithm
    return Segmentation(
        source_images=[_stand_in(origin, ct, int(k)) for k in used],
        pixel_array=frames,
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[_description(one, findings, review) for one in sorted(findings.lesions, key=lambda r: r.number)],
        series_instance_uid=new_uid(),
        series_number=origin.result_series(1),
        sop_instance_uid=new_uid(),
        instance_number=1,
        content_label="LESIONS",
        content_description=short(f"{algorithm.name} {algorithm.version}: lesions, {RESEARCH_USE}"),
        content_creator_name="panlesion^",
        series_description=f"Lesions {'found by' if review is UNSEEN else 'read in'} panlesion ({RESEARCH_USE})",
        specific_character_set=CHARACTER_SET,
        coding_schemes=declared_schemes(),
        **equipment(algorithm),
    )


def _stand_in(origin: Origin, ct: DicomCT, k: int) -> Dataset:
    """Plane k as a classic single image, which is all highdicom needs of it, whatever kind of file it came from.

    The positions are the file's own. The grid's differ from them by rounding.
    """
    plane, first = origin.planes[k], origin.planes[0]
    assert plane.position_lps is not None and first.orientation is not None and first.pixel_spacing_mm is not None
    image = origin.stand_in(_stand_in_uid(k))
    columns, rows, _ = ct.volume.grid.shape
    step_mm = ct.volume.grid.spacing_mm[2]
    image.Rows, image.Columns = rows, columns
    image.FrameOfReferenceUID, image.PositionReferenceIndicator = origin.frame_uid, None
    image.ImagePositionPatient = [_ds(v) for v in plane.position_lps]
    image.ImageOrientationPatient = [_ds(v) for v in first.orientation]
    image.PixelSpacing = [_ds(v) for v in first.pixel_spacing_mm]
    image.SliceThickness = _ds(first.thickness_mm or step_mm)
    image.SpacingBetweenSlices = _ds(step_mm)
    return image


def _stand_in_uid(k: int) -> str:
    return f"2.25.{k + 1}"


def _ds(value: float) -> DSfloat:
    return DSfloat(value, auto_format=True)


def _description(record: LesionRecord, findings: Findings, review: Review) -> SegmentDescription:
    made = review.how(record.number)
    described = SegmentDescription(
        segment_number=record.number,
        segment_label=short(f"{record.tracking_id}: {finding_words(record.type)}"),
        segmented_property_category=LESION_CATEGORY,
        segmented_property_type=finding_type(record.type),
        algorithm_type=SegmentAlgorithmTypeValues(made.value),
        algorithm_identification=None if made is Made.MANUAL else _identified(findings),
        tracking_uid=record.tracking_uid,
        tracking_id=short(record.tracking_id),
    )
    site = site_of(record)
    if site is not None:
        region = CodedConcept.from_code(site.structure)
        modifiers = [CodedConcept.from_code(code) for code in (site.side, site.part) if code is not None]
        if modifiers:
            region.AnatomicRegionModifierSequence = modifiers
        described.AnatomicRegionSequence = [region]
    if record.sentence:
        described.SegmentDescription = short(record.sentence, 1024)
    return described


def _identified(findings: Findings) -> AlgorithmIdentificationSequence:
    return AlgorithmIdentificationSequence(
        name=short(findings.algorithm.name),
        family=codes.cid7162.ArtificialIntelligence,
        version=short(findings.algorithm.version),
        source="panlesion",
        parameters=algorithm_parameters(findings),
    )


def _refer(seg: Segmentation, origin: Origin, used: NDArray[np.int64]) -> None:
    """Name the true images and frames in place of the stand-ins', and the whole CT as the source."""
    images = [_reference(sop_class, instance) for instance, sop_class in origin.instances().items()]
    seg.SourceImageSequence = images
    series = Dataset()
    series.SeriesInstanceUID = origin.series_uid
    series.ReferencedInstanceSequence = images
    seg.ReferencedSeriesSequence = [series]
    at = {_stand_in_uid(int(k)): origin.images[int(k)] for k in used}
    for group in seg.PerFrameFunctionalGroupsSequence:
        derivation = group.DerivationImageSequence[0]
        source = deepcopy(derivation.SourceImageSequence[0])  # highdicom shares one among the segments of a plane
        image = at[source.ReferencedSOPInstanceUID]
        source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = origin.class_of(image), image.sop_instance
        if origin.class_of(image) != CTImageStorage:
            source.ReferencedFrameNumber = image.frame + 1
        derivation.SourceImageSequence = [source]


def _reference(sop_class: str, instance: str) -> Dataset:
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = sop_class, instance
    return reference


def _pad(seg: Segmentation) -> None:
    """End the pixels on an even byte with a zero; highdicom adds the character 0."""
    bits = seg.Rows * seg.Columns * seg.NumberOfFrames
    if -(-bits // 8) % 2:
        seg.PixelData = seg.PixelData[:-1] + b"\0"
