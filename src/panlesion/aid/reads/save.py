"""What a request does to a reading: changes of the document, and planes of the mask."""

from collections.abc import Sequence
from threading import BoundedSemaphore

from sqlalchemy.orm import Session

from panlesion.aid.reads.changes import Scene, applied
from panlesion.aid.reads.compare import base_of
from panlesion.aid.reads.document import Document
from panlesion.aid.reads.masks import (
    MaskError,
    read_mask,
    same_label,
    unpack,
    with_planes,
    without,
    write_mask,
)
from panlesion.aid.reads.places import placed
from panlesion.aid.reads.scan import grid_of, open_scan, results_folder, series_folder
from panlesion.aid.reads.sizes import sizes_of
from panlesion.aid.reads.versions import check_version, store
from panlesion.aid.reads.words import worded
from panlesion.aid.schemas.reading import Change, Remove
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Reading, Study, User
from panlesion.ct.volume import Volume

_unpacking = BoundedSemaphore(2)
"""Masks are as large as CTs; few are in memory at a time."""


def scan_of(session: Session, settings: Settings, study: Study, reading: Reading) -> Volume:
    """The CT that is read.

    Raises:
        ReadError: Its images are gone or changed.
    """
    images = series_folder(session, settings, study)
    return open_scan(results_folder(settings, reading), images, study.primary_series or "")


def change_document(
    session: Session, settings: Settings, study: Study, reading: Reading, based_on: int, changes: Sequence[Change], by: User
) -> None:
    """Apply changes, all or none, and store the next version.

    Raises:
        SignedError, VersionConflictError: It may not be changed, or not from this version.
        ChangeError, MeasurementError: A change breaks a rule.
        ReadError, DiskFullError: A file of the study is gone, damaged or cannot be written.
    """
    check_version(session, reading, based_on)
    grid = grid_of(results_folder(settings, reading))
    scene = Scene(grid=grid, scan=lambda: scan_of(session, settings, study, reading))
    document = applied(Document.model_validate(reading.document), changes, scene)
    document = worded(document, base_of(settings, reading))
    gone = {one.number for one in changes if isinstance(one, Remove)}
    mask = reading.mask_path
    if gone:
        with _unpacking:
            labels = read_mask(settings, mask, grid.shape)
            if any((labels == number).any() for number in gone):
                mask = write_mask(settings, study.id, based_on + 1, without(labels, gone))
    told = {"ops": [one.op for one in changes], "numbers": sorted({one.number for one in changes if hasattr(one, "number")})}
    _store(session, settings, reading, document, mask, by, **told)


def save_planes(
    session: Session,
    settings: Settings,
    study: Study,
    reading: Reading,
    based_on: int,
    planes: tuple[int, int, bytes],
    by: User,
) -> None:
    """Put painted planes (first, last, gzip data) into the mask, measure what changed, and store the next version.

    Raises:
        SignedError, VersionConflictError: It may not be changed, or not from this version.
        MaskError: The planes are not those of this scan, damaged, or have labels of no finding.
        ReadError, DiskFullError: A file of the study is gone, damaged or cannot be written.
    """
    check_version(session, reading, based_on)
    first, last, packed = planes
    grid = grid_of(results_folder(settings, reading))
    i, j, k = grid.shape
    if not 0 <= first <= last < k:
        raise MaskError(f"first_k is {first} and last_k {last}; the scan has planes 0 to {k - 1}")
    document = Document.model_validate(reading.document)
    with _unpacking:
        painted = unpack(packed, (i, j, last - first + 1))
        before = read_mask(settings, reading.mask_path, grid.shape)
        labels, touched = with_planes(before, painted, first, {one.number for one in document.findings})
        if not touched:
            return
        sizes = sizes_of(scan_of(session, settings, study, reading), labels, touched)
        original = None if reading.original_mask is None else read_mask(settings, reading.original_mask, grid.shape)
        edited = {n: original is None or not same_label(labels, original, n) for n in touched}
        findings = [
            one.model_copy(update={"size": sizes[one.number], "mask_edited": edited[one.number]})
            if one.number in touched
            else one
            for one in document.findings
        ]
        findings = placed(findings, touched, results_folder(settings, reading), labels)
        mask = write_mask(settings, study.id, based_on + 1, labels)
    document = worded(document.model_copy(update={"findings": findings}), base_of(settings, reading))
    _store(session, settings, reading, document, mask, by, ops=["paint"], numbers=sorted(touched), planes=[first, last])


def _store(
    session: Session, settings: Settings, reading: Reading, document: Document, mask: str, by: User, **told: object
) -> None:
    """Store, and take back a mask that nobody will name."""
    before = reading.mask_path
    try:
        store(session, reading, document, mask, by=by, **told)
    except BaseException:
        if mask != before:
            (settings.data / mask).unlink(missing_ok=True)
        raise
