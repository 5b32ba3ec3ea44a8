"""A queue on either database, and studies to queue work for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from postgres_made import running_postgres
from sqlalchemy import select
from study_made import Room

from panlesion.aid.db import Sessions, migrate, open_engine, open_sessions
from panlesion.aid.jobs.queue import enqueue
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Job, Study
from panlesion.aid.vocabulary import JobKind, StudySource, StudyState

DATABASES = ("sqlite", "postgresql")


@contextmanager
def rooms(database: str, folder: Path) -> Iterator[Room]:
    """A data folder whose database is one or the other."""
    if database == "sqlite":
        yield _room(folder)
        return
    with running_postgres() as cluster:
        room = _room(folder, database_url=cluster.database())
        yield room
        room.sessions.kw["bind"].dispose()


def _room(folder: Path, **settings: object) -> Room:
    told = Settings(data=folder / "data", lease_s=30, **settings)  # type: ignore[arg-type]
    told.data.mkdir(parents=True)
    migrate(told.database)
    return Room(settings=told, sessions=open_sessions(open_engine(told.database), told.data))


def add_study(sessions: Sessions, uid: str, **columns: object) -> UUID:
    study = Study(**{"study_uid": uid, "state": StudyState.QUEUED, "source": StudySource.UPLOAD} | columns)
    with sessions.begin() as session:
        session.add(study)
    return study.id


def queue(sessions: Sessions, kind: JobKind = JobKind.PULL, **told: object) -> Job:
    with sessions.begin() as session:
        return enqueue(session, kind, **told)  # type: ignore[arg-type]


def job_now(sessions: Sessions, job: Job) -> Job:
    with sessions() as session:
        return session.get_one(Job, job.id)


def study_now(sessions: Sessions, study_id: UUID) -> Study:
    with sessions() as session:
        return session.get_one(Study, study_id)


def clear(sessions: Sessions) -> None:
    """No job is left."""
    with sessions.begin() as session:
        for job in session.scalars(select(Job)):
            session.delete(job)
