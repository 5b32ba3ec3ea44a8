"""The audit log: append only, every line chained to the one before by its hash."""

import hashlib
import json
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from panlesion.aid.tables import AuditEntry, User, now
from panlesion.aid.vocabulary import Action

FIRST = "0" * 64
"""What the first line is chained to."""


def record(session: Session, action: Action, *, by: User | None, study_id: UUID | None = None, **detail: Any) -> None:
    """Append a line in the transaction of what it tells of.

    Args:
        session: Its transaction takes the line along, or loses it with the change.
        action: What was done.
        by: Who did it; None for the server itself.
        study_id: Ours, never DICOM's.
        detail: JSON-able; nothing that tells of a patient.
    """
    last = session.scalar(select(AuditEntry).order_by(AuditEntry.seq.desc()).limit(1))
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


def hash_of(entry: AuditEntry) -> str:
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
