"""The audit log, for administrators."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlalchemy import select

from panlesion.aid.deps import AdminDep, SessionDep
from panlesion.aid.schemas.accounts import AuditOut
from panlesion.aid.tables import AuditEntry, User
from panlesion.aid.vocabulary import Action

router = APIRouter(prefix="/audit", tags=["audit"])


@router.get("")
def list_audit(
    _admin: AdminDep,
    session: SessionDep,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    action: Annotated[list[Action] | None, Query(max_length=len(Action))] = None,
    user: Annotated[str | None, Query(max_length=64)] = None,
    study: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[AuditOut]:
    """Lines of the log, newest first; `before` is the number of the last line of the page before.

    `user` is an account's name, empty for what the server did by itself; `study` is our id of it.
    """
    wanted = select(AuditEntry, User.name).outerjoin(User, User.id == AuditEntry.user_id)
    if before is not None:
        wanted = wanted.where(AuditEntry.seq < before)
    if action:
        wanted = wanted.where(AuditEntry.action.in_([one.value for one in action]))
    if user is not None:
        wanted = wanted.where(User.name == user if user else AuditEntry.user_id.is_(None))
    if study is not None:
        wanted = wanted.where(AuditEntry.study_id == study)
    return [
        AuditOut(
            seq=entry.seq,
            at=entry.at,
            user=name,
            action=entry.action,
            study_id=entry.study_id,
            detail=entry.detail,
            hash=entry.hash,
        )
        for entry, name in session.execute(wanted.order_by(AuditEntry.seq.desc()).limit(limit))
    ]
