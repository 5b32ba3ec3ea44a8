"""How a reading begins: from what the analysis found, or empty, by hand, where the analysis failed."""

from pathlib import Path
from secrets import token_hex

import numpy as np
from sqlalchemy.orm import Session

from panlesion.aid.audit import record
from panlesion.aid.reads.changes import of_ai
from panlesion.aid.reads.document import Document
from panlesion.aid.reads.masks import write_mask
from panlesion.aid.reads.scan import grid_of, keep_scan, series_folder
from panlesion.aid.reads.sizes import size_recorded
from panlesion.aid.reads.versions import keep
from panlesion.aid.reads.words import as_json, without_ai, worded
from panlesion.aid.schemas.reading import Attribute, DoubtOut, FindingOut
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Job, Reading, Study, User, now
from panlesion.aid.vocabulary import Action, Decision, Origin, ReadingState, StudyState
from panlesion.ct.nifti import read_labels
from panlesion.ct.read import read_ct_with_source
from panlesion.data.publish import publishing
from panlesion.errors import ReadError
from panlesion.infer.record import FINDINGS_FILE, LESIONS_FILE, Algorithm, Findings, LesionRecord, OperatingPoint, read_findings
from panlesion.infer.record import Reading as ReadAttribute


def begin_reading(session: Session, settings: Settings, study: Study, results: Path, job: Job | None = None) -> Reading:
    """Begin the reading of an analysed study, in the transaction that finishes its job.

    What a person has begun to read stays as it is; what nobody has touched is begun anew, as the next version.

    Args:
        session: Carries the row; the mask is written before.
        settings: Where the data folder is.
        study: Was analysed.
        results: What `infer` wrote of it, within the data folder, with `grid.json`.
        job: Whose results they are.

    Raises:
        ReadError: The results are not whole.
        DiskFullError: No room for the mask.
    """
    # locked, so that a reader's first change comes wholly before or wholly after
    before = session.get(Reading, study.id, with_for_update=True, populate_existing=True)
    if before is not None and before.state is not ReadingState.READY:
        return before
    findings, lesions, grid = read_findings(results / FINDINGS_FILE), read_labels(results / LESIONS_FILE), grid_of(results)
    if not lesions.grid.same_as(grid) or lesions.values - {one.number for one in findings.lesions}:
        raise ReadError(f"{LESIONS_FILE} of the analysis does not fit its grid or its findings; analyse the study again")
    version = 1 if before is None else before.version + 1
    mask = write_mask(settings, study.id, version, lesions.labels)
    reading = before or Reading(study_id=study.id)
    if before is not None:
        keep(session, before)
    reading.state, reading.version = ReadingState.READY, version
    reading.document = document_of(findings).model_dump(mode="json")
    reading.mask_path = reading.original_mask = mask
    reading.original_path = results.resolve().relative_to(settings.data.resolve()).as_posix()
    reading.changed_at, reading.changed_by = now(), None if job is None else job.by
    session.add(reading)
    session.flush()
    return reading


def document_of(findings: Findings) -> Document:
    """What a reader meets first: every finding the AI's, none decided."""
    document = Document(
        findings=[_finding(one) for one in findings.lesions],
        doubts=[DoubtOut(code=one.code, words=one.words) for one in findings.doubts],
        suspicion=dict(findings.suspicion),
        operating_point=_point(findings.operating_point),
        algorithm=_algorithm(findings.algorithm),
    )
    return worded(document, findings)


def _finding(lesion: LesionRecord) -> FindingOut:
    return FindingOut(
        number=lesion.number,
        tracking_uid=lesion.tracking_uid,
        origin=Origin.AI,
        decision=Decision.OPEN,
        type=lesion.type,
        organ=lesion.organ,
        side=lesion.side,
        location=lesion.location,
        probability=lesion.probability,
        size=size_recorded(lesion),
        attributes={name: _attribute(one) for name, one in lesion.attributes.items()},
        mask_edited=False,
        note="",
        sentence="",
        ai=as_json(lesion),
    )


def _attribute(read: ReadAttribute) -> Attribute:
    return of_ai(Attribute(value=None, by=Origin.AI, ai=read.read, probability=read.probability, measured=read.measured))


def _point(point: OperatingPoint) -> str:
    told = [f"findings count from a probability of {point.least_probability:.2f} on"]
    if point.sensitivity is not None:
        told.append(f"{point.sensitivity:.0%} of lesions found")
    if point.false_per_scan is not None:
        told.append(f"{point.false_per_scan:.1f} false findings a scan")
    where = f" (on {point.calibrated_on})" if point.calibrated_on else ""
    return ", ".join(told) + where


def _algorithm(algorithm: Algorithm) -> str:
    weights = f", weights {algorithm.weights_sha256[:12]}" if algorithm.weights_sha256 else ""
    return f"{algorithm.name} {algorithm.version}, {algorithm.checkpoint}{weights}"


def begin_by_hand(session: Session, settings: Settings, study: Study, by: User) -> Reading:
    """Begin an empty reading of a study that the network could not analyse but whose CT can be read.

    Raises:
        ReadError: It cannot; the message says why.
        DiskFullError: No room.
    """
    assert session.get(Reading, study.id) is None
    ct, source = read_ct_with_source(series_folder(session, settings, study), series=study.primary_series)
    assert source is not None  # the folder of a series holds DICOM alone
    results = settings.data / "results" / str(study.id) / f"hand-{token_hex(8)}"
    with publishing(results) as partial:
        keep_scan(partial, ct, source)
    mask = write_mask(settings, study.id, 1, np.zeros(ct.grid.shape, dtype=np.uint8))
    document = worded(Document(algorithm="none: begun by hand"), without_ai(str(study.id), ct.grid))
    reading = Reading(
        study_id=study.id,
        state=ReadingState.DRAFT,
        version=1,
        document=document.model_dump(mode="json"),
        mask_path=mask,
        original_mask=mask,
        original_path=results.relative_to(settings.data).as_posix(),
        changed_by=by.id,
    )
    session.add(reading)
    study.state = StudyState.DRAFT
    record(session, Action.EDIT, by=by, study_id=study.id, version=1, ops=["begin"])
    return reading
