"""Versions of a reading: each change makes the next one, of two made on the same one the second is refused."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from panlesion.aid.audit import record
from panlesion.aid.reads.document import Document
from panlesion.aid.tables import Reading, Study, User, Version, now
from panlesion.aid.vocabulary import Action, Decision, ReadingState, StudyState
from panlesion.errors import PanlesionError


class SignedError(PanlesionError):
    """The reading is signed: nothing of it changes any more."""


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The version of a reading that is there, who made it and when."""

    version: int
    by: str | None
    at: datetime


class VersionConflictError(PanlesionError):
    """A change was made on a version that is no longer the present one."""

    def __init__(self, based_on: int, present: Standing) -> None:
        who = f" by {present.by}" if present.by else ""
        super().__init__(
            f"the reading was changed{who} meanwhile: you have version {based_on}, the present one is {present.version}; "
            "look at both and choose"
        )
        self.present = present


def check_version(session: Session, reading: Reading, based_on: int) -> None:
    """Refuse a change early that could not be stored.

    Raises:
        SignedError: Nothing changes any more.
        VersionConflictError: It was made on another version.
    """
    if reading.state is ReadingState.SIGNED:
        raise SignedError("the reading is signed and does not change any more; add an addendum")
    if reading.version != based_on:
        raise VersionConflictError(based_on, _standing(session, reading.study_id))


def store(session: Session, reading: Reading, document: Document, mask_path: str, *, by: User, **told: Any) -> None:
    """Make a changed document the next version, with the line of the audit log that tells of it.

    The row in the database must still be the version that `reading` was loaded as; what it was is kept.

    Args:
        session: Its transaction carries all of it.
        reading: As it was loaded and changed nothing of.
        document: As it is to be.
        mask_path: Of the mask of the new version, which must exist.
        by: Whoever changed it.
        told: For the audit log; nothing that tells of a patient.

    Raises:
        SignedError, VersionConflictError: Somebody was faster.
    """
    at, before = now(), reading.version
    # the first statement that writes: whoever gets here first holds the row until the end of the transaction
    changed = session.execute(
        update(Reading)
        .where(Reading.study_id == reading.study_id, Reading.version == before, Reading.state != ReadingState.SIGNED)
        .values(
            version=before + 1,
            state=ReadingState.DRAFT,
            document=document.model_dump(mode="json"),
            mask_path=mask_path,
            changed_at=at,
            changed_by=by.id,
        )
        .execution_options(synchronize_session=False)
    )
    if cast(CursorResult[Any], changed).rowcount != 1:
        present = _row(session, reading.study_id)
        check_version(session, present, before)
        raise VersionConflictError(before, _standing(session, reading.study_id))
    keep(session, reading)
    reported = sum(one.decision is not Decision.REJECTED for one in document.findings)
    session.execute(
        update(Study).where(Study.id == reading.study_id).values(state=StudyState.DRAFT, changed_at=at, reported=reported)
    )
    record(session, Action.EDIT, by=by, study_id=reading.study_id, version=before + 1, **told)
    session.refresh(reading)


def keep(session: Session, reading: Reading) -> None:
    """Keep what a reading was before the next version takes its place."""
    session.add(
        Version(
            study_id=reading.study_id,
            version=reading.version,
            document=reading.document,
            mask_path=reading.mask_path,
            at=reading.changed_at,
            by=reading.changed_by,
        )
    )
    session.flush()


def _row(session: Session, study_id: UUID) -> Reading:
    found = session.scalars(
        select(Reading).where(Reading.study_id == study_id).execution_options(populate_existing=True)
    ).one_or_none()
    if found is None:
        raise SignedError("the reading is no longer there; load the study again")
    return found


def _standing(session: Session, study_id: UUID) -> Standing:
    reading = _row(session, study_id)
    user = None if reading.changed_by is None else session.get(User, reading.changed_by)
    return Standing(version=reading.version, by=None if user is None else user.display_name, at=reading.changed_at)
