"""The audit log: append only, every line chained to the one before by its hash."""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from panlesion.aid.audit_head import Head, announce, has_notes, noted_head
from panlesion.aid.db import Turn, take_turn
from panlesion.aid.tables import AuditEntry, User, now
from panlesion.aid.vocabulary import Action
from panlesion.errors import StoreError

_log = logging.getLogger(__name__)
FIRST = "0" * 64
"""What the first line is chained to."""
_PAGE = 1000
_COLUMNS = tuple(AuditEntry.__table__.columns)
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, OverflowError, SQLAlchemyError)
"""What reading a line raises whose columns were overwritten with something else."""


def record(session: Session, action: Action, *, by: User | None, study_id: UUID | None = None, **detail: Any) -> None:
    """Append a line in the transaction of what it tells of; writers wait for each other until they have committed.

    Args:
        session: Its transaction takes the line along, or loses it with the change.
        action: What was done.
        by: Who did it; None for the server itself.
        study_id: Ours, never DICOM's.
        detail: JSON-able; nothing that tells of a patient.
    """
    take_turn(session, Turn.AUDIT)
    last = head_of(session)
    entry = AuditEntry(
        seq=1 if last is None else last.seq + 1,
        at=now(),
        user_id=None if by is None else by.id,
        action=action.value,
        study_id=study_id,
        detail=detail,
        previous=FIRST if last is None else last.hash,
    )
    entry.hash = hash_of(entry)
    session.add(entry)
    session.flush()
    if _noted_is_of(session, last):
        announce(session, Head(seq=entry.seq, hash=entry.hash))


def _noted_is_of(session: Session, last: Head | None) -> bool:
    """Whether the head that was noted is a line of the log, so that a later one may take its place.

    Where lines were cut off, or the note was removed, it stays as it is: a new one would hide that.
    """
    try:
        noted = noted_head(session)
    except StoreError:
        noted = Head(seq=0, hash="")
    if noted is None:  # nowhere to note it, a log that begins, or one whose very first note was lost by a kill
        kept = last is None or last.seq <= 1 or not has_notes(session)
    else:
        kept = session.scalar(select(AuditEntry.hash).where(AuditEntry.seq == noted.seq)) == noted.hash
    if not kept:
        _log.error("the audit log is not the one whose end was noted; see `panlesion aid audit verify`")
    return kept


def head_of(session: Session) -> Head | None:
    """The last line as this transaction sees it."""
    last = session.execute(select(AuditEntry.seq, AuditEntry.hash).order_by(AuditEntry.seq.desc()).limit(1)).first()
    return None if last is None else Head(seq=last.seq, hash=last.hash)


def hash_of(entry: AuditEntry | Row) -> str:
    """SHA-256 over everything the line says and the hash before it."""
    said = [
        entry.seq,
        entry.at.isoformat(),
        None if entry.user_id is None else str(entry.user_id),
        entry.action,
        None if entry.study_id is None else str(entry.study_id),
        entry.detail,
        entry.previous,
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def verify(session: Session, head: Head | None = None) -> int | None:
    """The number of the first line that is not as it was written, or is missing; None where all are.

    Args:
        session: Any; nothing is written.
        head: What was noted beside the database (`audit_head.read_head`): without it, lines cut off at the end leave no trace.
    """
    previous, expected = FIRST, 1
    for row in lines(session):
        if row is None or row.seq != expected or row.previous != previous or row.hash != _hash_or_none(row):
            return expected
        if head is not None and head.seq == expected and head.hash != row.hash:
            return expected
        previous, expected = row.hash, expected + 1
    return expected if head is not None and head.seq >= expected else None


def export(session: Session) -> Iterator[str]:
    """Every line as a JSON object with a newline, oldest first.

    Raises:
        StoreError: one cannot be read any more; those before it have been yielded.
    """
    count = 0
    for row in lines(session):
        if row is None:
            raise StoreError(f"audit log: what comes after line {count} cannot be read; see `panlesion aid audit verify`")
        count = row.seq
        yield json.dumps({name: _plain(value) for name, value in row._asdict().items()}, sort_keys=True) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def lines(session: Session) -> Iterator[Row | None]:
    """All lines, oldest first; None for one that cannot be read any more, which is the last that is yielded."""
    after, page = -(2**31), _PAGE
    while (found := _lines_after(session, after, page)) is None or found:
        if found is None and page == 1:
            yield None
            return
        if found is None:
            page = 1
            continue
        yield from found
        after = found[-1].seq


def _lines_after(session: Session, seq: int, limit: int) -> Sequence[Row] | None:
    wanted = select(*_COLUMNS).where(AuditEntry.seq > seq).order_by(AuditEntry.seq).limit(limit)
    try:
        return session.execute(wanted).all()
    except _UNREADABLE:
        session.rollback()
        return None


def _hash_or_none(row: Row) -> str | None:
    try:
        return hash_of(row)
    except _UNREADABLE:
        return None
