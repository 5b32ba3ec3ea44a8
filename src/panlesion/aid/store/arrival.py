"""When a study is whole: its CT is chosen by the rules of `ct`, and its analysis queued."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from panlesion.aid.db import Sessions
from panlesion.aid.jobs.queue import enqueue
from panlesion.aid.settings import Settings
from panlesion.aid.store.intake import analyse_key
from panlesion.aid.store.recover import adopt_unnamed
from panlesion.aid.tables import Instance, Job, Reading, Series, Study, now
from panlesion.aid.vocabulary import JobKind, JobState, ReadingState, StudyState
from panlesion.ct.dicom import SeriesInfo, list_dicom
from panlesion.ct.dicom_header import CT_CLASSES
from panlesion.errors import PanlesionError

_LOOK_BACK = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What a series is good for; `images` are those that the CT would have, 0 where it has a problem."""

    series: Series
    images: int
    problem: str


def settle(sessions: Sessions, settings: Settings) -> list[UUID]:
    """Queue the analysis of every study for which no image came for `quiet_s`; several may call it at once.

    Returns:
        The studies that were queued, or failed for want of a readable CT.
    """
    _call_back_late(sessions)
    quiet = now() - timedelta(seconds=settings.quiet_s)
    with sessions() as session:
        whole = select(Study).where(Study.state == StudyState.ARRIVING, Study.last_image_at <= quiet)
        studies = session.scalars(whole.order_by(Study.last_image_at)).all()
    return [study.id for study in studies if _settled(sessions, settings, study)]


def _settled(sessions: Sessions, settings: Settings, study: Study) -> bool:
    adopt_unnamed(sessions, settings, study.id)
    with sessions() as session:
        listed = session.scalars(
            select(Series).where(Series.study_id == study.id).order_by(Series.number, Series.series_uid)
        ).all()
        found = [_look(session, settings, series) for series in listed]
    chosen = max((f for f in found if f.images), key=lambda f: f.images, default=None)
    with sessions.begin() as session:
        # Another one may have settled it, or an image may have come, while the files were looked at.
        mine = update(Study).where(
            Study.id == study.id, Study.state == StudyState.ARRIVING, Study.last_image_at == study.last_image_at
        )
        running = exists(select(Job.id).where(Job.key == analyse_key(study.id), Job.state == JobState.RUNNING))
        state = StudyState.FAILED if chosen is None else StudyState.QUEUED
        told = mine.where(~running).values(
            state=state,
            primary_series=None if chosen is None else chosen.series.series_uid,
            problem="" if chosen is not None else _why(found),
            changed_at=now(),
        )
        if session.execute(told.execution_options(synchronize_session=False)).rowcount == 0:  # type: ignore[attr-defined]
            return False
        for each in found:
            session.execute(update(Series).where(Series.id == each.series.id).values(problem=each.problem))
        if chosen is not None:
            enqueue(session, JobKind.ANALYSE, study_id=study.id, key=analyse_key(study.id), priority=study.priority)
    return True


def _look(session: Session, settings: Settings, series: Series) -> _Found:
    """What `ct` says of a series; each lies in a folder of its own, so a damaged one spoils no other."""
    cts = exists(select(Instance.sop_uid).where(Instance.series_id == series.id, Instance.sop_class.in_(CT_CLASSES)))
    if not session.scalar(select(cts)):
        return _Found(
            series=series, images=0, problem=f"{series.modality or 'no modality'}: kept and shown, only CT is analysed"
        )
    try:
        listed = list_dicom(settings.data / "dicom" / str(series.study_id) / str(series.id))
    except PanlesionError as error:
        return _Found(series=series, images=0, problem=_without_paths(str(error), settings))
    cts_of_it = [info for info in listed if info.modality == "CT" and info.images] or listed
    best = max(cts_of_it, key=lambda info: (info.problem is None, info.images))
    return _Found(series=series, images=_good(best), problem=_without_paths(best.problem or "", settings))


def _good(info: SeriesInfo) -> int:
    return info.images if info.problem is None and info.modality == "CT" else 0


def _without_paths(text: str, settings: Settings) -> str:
    """A message for a person, who knows no folder of the server."""
    return text.replace(f"{settings.data}/", "")


def _why(found: list[_Found]) -> str:
    if not found:
        return "no image is left of it; send it again"
    said = "; ".join(
        f"series {f.series.number if f.series.number is not None else f.series.series_uid}: {f.problem}" for f in found[:5]
    )
    return f"no CT that can be analysed ({said}{' …' if len(found) > 5 else ''})"


def _call_back_late(sessions: Sessions) -> None:
    """Images that came while their study was being analysed: it arrives again, if nobody has begun to read it."""
    started = (
        select(Job.started_at)
        .where(Job.study_id == Study.id, Job.kind == JobKind.ANALYSE, Job.started_at.is_not(None))
        .order_by(Job.started_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    unread = exists(select(Reading.study_id).where(Reading.study_id == Study.id, Reading.state == ReadingState.READY))
    late = select(Study.id).where(
        Study.state == StudyState.READY, Study.changed_at > now() - _LOOK_BACK, Study.last_image_at > started, unread
    )
    with sessions() as session:
        ids = session.scalars(late).all()
    if ids:
        with sessions.begin() as session:
            back = update(Study).where(Study.id.in_(ids), Study.state == StudyState.READY)
            session.execute(back.values(state=StudyState.ARRIVING).execution_options(synchronize_session=False))
