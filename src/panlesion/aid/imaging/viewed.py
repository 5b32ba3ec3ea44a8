"""That images were looked at, in the audit log: once for a sitting, not once for each of its thousand frames."""

import time
from datetime import timedelta
from uuid import UUID

from sqlalchemy import exists, select

from panlesion.aid.audit import record
from panlesion.aid.db import Sessions, Turn, take_turn
from panlesion.aid.tables import AuditEntry, User, now
from panlesion.aid.vocabulary import Action

SITTING = timedelta(minutes=10)
MOST_KNOWN = 10_000

_known: dict[tuple[UUID, UUID], float] = {}
"""When an account's look at a study was last found in the log or written to it."""


def note_view(sessions: Sessions, user: User, study_id: UUID) -> None:
    """Write down that an account looks at a study, unless it stands there since less than a sitting.

    Before the images are sent, and in a transaction of its own: what cannot be written down is not shown.
    """
    key, at = (user.id, study_id), time.monotonic()
    if at - _known.get(key, float("-inf")) < SITTING.total_seconds():
        return
    with sessions.begin() as session:
        take_turn(session, Turn.AUDIT)
        recent = select(AuditEntry.seq).where(
            AuditEntry.study_id == study_id,
            AuditEntry.user_id == user.id,
            AuditEntry.action == Action.VIEW.value,
            AuditEntry.at > now() - SITTING,
        )
        if not session.scalar(select(exists(recent))):
            record(session, Action.VIEW, by=user, study_id=study_id)
    if len(_known) >= MOST_KNOWN:
        _known.clear()
    _known[key] = at
