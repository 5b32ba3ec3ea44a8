"""The worklist as queries: which studies an account sees, filtered, sorted, counted, each with its running job."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from panlesion.aid.schemas.studies import StudyRow, WorklistOut
from panlesion.aid.tables import Job, Study
from panlesion.aid.vocabulary import JobKind, JobState, StudyState


class Sort(StrEnum):
    """By what the worklist can be sorted; `suspicion` is triage, and order is all that it changes."""

    SUSPICION = "suspicion"
    TIME = "time"
    PATIENT = "patient"
    CHANGED = "changed"


_COLUMNS: dict[Sort, Any] = {
    Sort.SUSPICION: Study.suspicion,
    Sort.TIME: Study.received_at,
    Sort.PATIENT: Study.patient_name,
    Sort.CHANGED: Study.changed_at,
}


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


def worklist(session: Session, visible: ColumnElement[bool], asked: Asked) -> WorklistOut:
    """Rows of a page, the total behind it, and the counts of every state."""
    met = and_(visible, *_met(asked))
    grouped = select(Study.state, func.count()).where(met).group_by(Study.state)
    counts = {row[0]: row[1] for row in session.execute(grouped)}
    column = _COLUMNS[asked.sort]
    order = column.desc().nulls_last() if asked.descending else column.asc().nulls_last()
    page = rows_of(met, *((Study.state.in_(asked.states),) if asked.states else ()))
    found = session.execute(page.order_by(order, Study.received_at.desc(), Study.id).limit(asked.limit).offset(asked.offset))
    total = sum(number for state, number in counts.items() if not asked.states or state in asked.states)
    return WorklistOut(total=total, counts=counts, items=[row_of(study, job) for study, job in found])


def rows_of(*conditions: ColumnElement[bool]) -> Select[Study, Job]:
    """Studies with the analysis that runs on them now, if any."""
    running = and_(Job.study_id == Study.id, Job.kind == JobKind.ANALYSE, Job.state == JobState.RUNNING)
    return select(Study, Job).outerjoin(Job, running).where(*conditions)


def row_of(study: Study, job: Job | None) -> StudyRow:
    """A study as the page shows it."""
    told = StudyRow.model_validate(study)
    return told if job is None else told.model_copy(update={"progress": job.progress, "stage": job.stage})


def _met(asked: Asked) -> Sequence[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for word in asked.words.split():
        like = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        searched = (Study.patient_name, Study.patient_id, Study.accession, Study.description)
        conditions.append(or_(*(column.ilike(like, escape="\\") for column in searched)))
    if asked.flagged is not None:
        found = func.coalesce(Study.findings, 0) > 0
        conditions.append(found if asked.flagged else ~found)
    return conditions
