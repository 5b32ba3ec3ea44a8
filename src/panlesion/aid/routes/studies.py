"""Studies: the worklist, one study, who may see it, and its analysis."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, HTTPException, Query, Request, Response, status
from pydantic import ValidationError
from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session

from panlesion.aid.audit import record
from panlesion.aid.deps import ManagerDep, ReaderOrManagerDep, SessionDep, SettingsDep, StudyDep, ViewerDep, visible_to
from panlesion.aid.imaging.access import viewing
from panlesion.aid.imaging.metadata import forget_study
from panlesion.aid.jobs.queue import enqueue
from panlesion.aid.reads.scan import GRID_FILE, results_folder
from panlesion.aid.schemas.accounts import UserOut
from panlesion.aid.schemas.studies import AccessIn, GridOut, JobOut, SeriesOut, StudyChangeIn, StudyOut, WorklistOut
from panlesion.aid.settings import Settings
from panlesion.aid.store.files import remove_study
from panlesion.aid.store.intake import analyse_key
from panlesion.aid.tables import Access, AuditEntry, Job, Reading, Series, Study, User, now
from panlesion.aid.vocabulary import Action, JobKind, JobState, ReadingState, Role, StudyState
from panlesion.aid.worklist import Asked, Sort, row_of, rows_of, worklist
from panlesion.errors import ReadError

router = APIRouter(tags=["studies"])
VIEW_AGAIN = timedelta(minutes=1)
"""Within so long a second look by the same account is the same view."""


@router.get("/studies", response_model=WorklistOut)
def list_studies(
    request: Request,
    q: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[list[StudyState] | None, Query(max_length=len(StudyState))] = None,
    flagged: bool | None = None,
    sort: Sort = Sort.SUSPICION,
    desc: bool = True,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """A page of the worklist; studies without a suspicion come last."""
    asked = Asked(
        words=q, states=tuple(sorted(set(state or ()))), flagged=flagged, sort=sort, descending=desc, limit=limit, offset=offset
    )  # fmt: skip
    with viewing(request, tokens=False) as (session, user):
        return Response(worklist(session, user, asked), media_type="application/json")


@router.get("/studies/{study_id}")
def read_study(study: StudyDep, user: ViewerDep, session: SessionDep, settings: SettingsDep) -> StudyOut:
    """One study with its series and the grid of the CT that is read; the view is written down."""
    _written_down(session, user, study)
    return _told(session, settings, study, user)


@router.patch("/studies/{study_id}")
def change_study(
    change: StudyChangeIn, study: StudyDep, user: ReaderOrManagerDep, session: SessionDep, settings: SettingsDep
) -> StudyOut:
    """Priority: anyone who sees it. Who may see it, and which series is read: managers."""
    if user.role is not Role.MANAGER and (change.restricted is not None or change.primary_series is not None):
        raise HTTPException(status.HTTP_403_FORBIDDEN, "a study's access and series are changed by managers")
    if change.priority is not None:
        study.priority = change.priority
        for job in session.scalars(select(Job).where(Job.study_id == study.id, Job.state == JobState.QUEUED)):
            job.priority = change.priority
    if change.restricted is not None and change.restricted is not study.restricted:
        study.restricted = change.restricted
        record(session, Action.ACCESS_CHANGED, by=user, study_id=study.id, restricted=change.restricted)
    if change.primary_series is not None and change.primary_series != study.primary_series:
        _choose_series(session, study, change.primary_series)
    study.changed_at = now()
    session.flush()
    return _told(session, settings, study, user)


def _choose_series(session: Session, study: Study, uid: str) -> None:
    series = session.scalar(select(Series).where(Series.study_id == study.id, Series.series_uid == uid))
    if series is None or series.problem or series.modality != "CT":
        why = "it is not of this study" if series is None else series.problem or f"its modality is {series.modality}, not CT"
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, f"that series cannot be read as a CT: {why}")
    _refuse_begun(session, study, "another series cannot be chosen any more")
    study.primary_series = uid
    _queue(session, study, None)


@router.delete("/studies/{study_id}", status_code=204)
def delete_study(study: StudyDep, user: ManagerDep, session: SessionDep, settings: SettingsDep) -> None:
    """Delete a study with its images and drafts; a signed one stays."""
    if study.state is StudyState.SIGNED:
        raise HTTPException(status.HTTP_409_CONFLICT, "a signed study is kept; it cannot be deleted")
    for later in session.scalars(select(Study).where(Study.prior_id == study.id)):
        later.prior_id = None
    record(session, Action.DELETED, by=user, study_id=study.id, images=study.images)
    session.delete(study)
    session.commit()  # files go when no row names them any more
    remove_study(settings, study.id)
    forget_study(settings.data, study.id)


@router.get("/studies/{study_id}/access")
def read_access(study: StudyDep, _user: ManagerDep, session: SessionDep) -> list[UserOut]:
    """Whom a restricted study is open to."""
    granted = select(User).join(Access, Access.user_id == User.id).where(Access.study_id == study.id).order_by(User.name)
    return [UserOut.model_validate(one) for one in session.scalars(granted)]


@router.put("/studies/{study_id}/access")
def change_access(told: AccessIn, study: StudyDep, user: ManagerDep, session: SessionDep) -> list[UserOut]:
    """Say anew whom a restricted study is open to."""
    known = set(session.scalars(select(User.id).where(User.id.in_(told.user_ids))))
    if strange := set(told.user_ids) - known:
        raise HTTPException(status.HTTP_422_UNPROCESSABLE_CONTENT, f"no such account: {', '.join(map(str, sorted(strange)))}")
    session.execute(delete(Access).where(Access.study_id == study.id))
    session.add_all(Access(study_id=study.id, user_id=one) for one in known)
    record(session, Action.ACCESS_CHANGED, by=user, study_id=study.id, accounts=sorted(map(str, known)))
    session.flush()
    return read_access(study, user, session)


@router.get("/readers")
def list_readers(_user: ManagerDep, session: SessionDep) -> list[UserOut]:
    """Accounts that a study can be opened to."""
    found = select(User).where(User.active, User.role != Role.MANAGER).order_by(User.name)
    return [UserOut.model_validate(one) for one in session.scalars(found)]


@router.post("/studies/{study_id}/analyse", status_code=202)
def analyse(study: StudyDep, user: ReaderOrManagerDep, session: SessionDep) -> JobOut:
    """Queue the analysis again; what a person has begun to read stays as it is."""
    if study.state is StudyState.ARRIVING:
        raise HTTPException(status.HTTP_409_CONFLICT, "images still arrive; the analysis begins by itself when all are there")
    if study.primary_series is None:
        raise HTTPException(status.HTTP_409_CONFLICT, study.problem or "the study has no series that can be read as a CT")
    _refuse_begun(session, study, "it is not analysed again")
    job = _queue(session, study, user)
    return JobOut.model_validate(job)


def _queue(session: Session, study: Study, user: User | None) -> Job:
    by = None if user is None else user.id
    job = enqueue(
        session, JobKind.ANALYSE, study_id=study.id, by=by, key=analyse_key(study.id), priority=study.priority
    )  # fmt: skip
    if job.state is JobState.QUEUED:
        study.state, study.problem, study.changed_at = StudyState.QUEUED, "", now()
    record(session, Action.QUEUED, by=user, study_id=study.id, job=str(job.id))
    session.flush()
    return job


def _refuse_begun(session: Session, study: Study, what: str) -> None:
    reading = session.get(Reading, study.id)
    if reading is not None and reading.state is not ReadingState.READY:
        raise HTTPException(status.HTTP_409_CONFLICT, f"the study's reading is {reading.state}: {what}")


def _told(session: Session, settings: Settings, study: Study, user: User) -> StudyOut:
    session.flush()
    row = row_of(session.execute(rows_of(Study.id == study.id)).one())
    series = session.scalars(select(Series).where(Series.study_id == study.id).order_by(Series.number, Series.series_uid))
    # of a prior that the account may not see it learns nothing, not even that there is one
    prior = session.scalar(select(Study.id).where(Study.id == study.prior_id, visible_to(user)))
    return StudyOut(
        **row.model_dump(),
        primary_series=study.primary_series,
        prior_id=prior,
        series=[SeriesOut.model_validate(one) for one in series],
        grid=_grid(session, settings, study.id),
    )


def _grid(session: Session, settings: Settings, study_id: UUID) -> GridOut | None:
    reading = session.get(Reading, study_id)
    if reading is None or reading.original_path is None:
        return None
    try:
        return GridOut.model_validate_json((results_folder(settings, reading) / GRID_FILE).read_bytes())
    except (OSError, ValidationError) as error:
        raise ReadError(f"{GRID_FILE} of the study's analysis is gone or damaged; restore the data folder") from error


def _written_down(session: Session, user: User, study: Study) -> None:
    recent = select(AuditEntry.seq).where(
        AuditEntry.study_id == study.id,
        AuditEntry.user_id == user.id,
        AuditEntry.action == Action.VIEW.value,
        AuditEntry.at > now() - VIEW_AGAIN,
    )
    if not session.scalar(select(exists(recent))):
        record(session, Action.VIEW, by=user, study_id=study.id)
