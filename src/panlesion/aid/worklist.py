"""The worklist as queries: which studies an account sees, filtered, sorted, counted, each with its running job.

Columns are asked for, not entities, and rows are built unchecked: of a page's time, making objects was the most.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import ColumnElement, Integer, Row, Select, Text, and_, bindparam, func, select
from sqlalchemy.orm import Session

from panlesion.aid.deps import visible_to
from panlesion.aid.folding import folded
from panlesion.aid.schemas.studies import StudyRow
from panlesion.aid.tables import Job, Study, User
from panlesion.aid.vocabulary import JobKind, JobState, Role, StudyState


class Sort(StrEnum):
    """By what the worklist can be sorted; `suspicion` is triage, and order is all that it changes."""

    SUSPICION = "suspicion"
    TIME = "time"
    PATIENT = "patient"
    CHANGED = "changed"


_SORTED: dict[Sort, Any] = {
    Sort.SUSPICION: Study.suspicion,
    Sort.TIME: Study.received_at,
    Sort.PATIENT: Study.searched,  # begins with the name
    Sort.CHANGED: Study.changed_at,
}
_OF_JOB = ("progress", "stage")
_SHOWN = tuple(getattr(Study, name) for name in StudyRow.model_fields if name not in _OF_JOB)
_FLAGGED = func.coalesce(Study.findings, 0) > 0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A page of the worklist. `words` must all be met, each anywhere in name, ID, accession or description."""

    words: str = ""
    states: tuple[StudyState, ...] = ()
    flagged: bool | None = None
    sort: Sort = Sort.SUSPICION
    descending: bool = True
    limit: int = 100
    offset: int = 0


def worklist(session: Session, user: User, asked: Asked) -> bytes:
    """A page as JSON of `WorklistOut`: its rows, the total behind it, and the counts of every state."""
    words = folded(asked.words).split()
    kind = replace(asked, words="", offset=0, limit=0)
    grouped, page = _questions(user.id, user.role, kind, len(words))
    told: dict[str, Any] = {f"word{n}": f"%{_literal(word)}%" for n, word in enumerate(words)}
    counts: dict[StudyState, int] = {}
    total = flagged = 0
    for state, has_findings, number in session.execute(grouped, told):
        left, wanted = not asked.states or state in asked.states, asked.flagged in (None, bool(has_findings))
        if wanted:
            counts[state] = counts.get(state, 0) + number
        total += number if left and wanted else 0
        flagged += number if left and has_findings else 0
    items: list[dict[str, Any]] = []
    if asked.offset < total:
        found = session.execute(page, told | {"limit": asked.limit, "offset": asked.offset})
        names = tuple(found.keys())
        items = [dict(zip(names, row, strict=True)) for row in found]
    return to_json({"total": total, "counts": counts, "flagged": flagged, "items": items})


def _literal(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


@lru_cache(maxsize=1024)
def _questions(user_id: UUID, role: Role, kind: Asked, words: int) -> tuple[Select, Select]:
    """The counts and the page of a kind of question: to put them together takes SQLAlchemy longer than to ask them."""
    met = and_(
        visible_to(User(id=user_id, role=role)),
        *(Study.searched.like(bindparam(f"word{n}", type_=Text), escape="\\") for n in range(words)),
    )
    grouped = select(Study.state, _FLAGGED, func.count()).where(met).group_by(Study.state, _FLAGGED)
    column = _SORTED[kind.sort]
    # the same whichever page is asked for: what is alike is told apart by its id
    order = ((column.desc() if kind.descending else column.asc()).nulls_last(), Study.received_at.desc(), Study.id.desc())
    # ids first: what is sorted and passed over is then narrow
    ids = select(Study.id).where(met, *_filters(kind)).order_by(*order)
    ids = ids.limit(bindparam("limit", type_=Integer)).offset(bindparam("offset", type_=Integer))
    return grouped, rows_of(Study.id.in_(ids)).order_by(*order)


def _filters(kind: Asked) -> Sequence[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if kind.states:
        conditions.append(Study.state.in_(kind.states))
    if kind.flagged is not None:
        conditions.append(_FLAGGED if kind.flagged else ~_FLAGGED)
    return conditions


def rows_of(*conditions: ColumnElement[bool]) -> Select:
    """Studies, a `row_of` each, with the analysis that runs on them now, if any."""
    running = and_(Job.study_id == Study.id, Job.kind == JobKind.ANALYSE, Job.state == JobState.RUNNING)
    return select(*_SHOWN, Job.progress, func.coalesce(Job.stage, "").label("stage")).outerjoin(Job, running).where(*conditions)


def row_of(row: Row) -> StudyRow:
    """A study as the page shows it."""
    return StudyRow.model_construct(**row._asdict())
