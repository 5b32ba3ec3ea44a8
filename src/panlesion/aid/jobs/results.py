"""What analyses left on disk and no row names: superseded, or of workers that were killed or lost their lease."""

import shutil
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from panlesion.aid.bring_up import belongs
from panlesion.aid.db import Sessions
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Job, Reading
from panlesion.aid.vocabulary import JobKind, JobState


def attempt_folder(settings: Settings, job: Job) -> Path:
    """Where an attempt writes; each has its own, so that what a lost worker still writes is never taken for another's."""
    return settings.data / "results" / str(job.study_id) / f"{job.id}-{job.attempts}"


def sweep_results(sessions: Sessions, settings: Settings, study_id: UUID | None = None) -> list[Path]:
    """Remove results that no row names.

    Args:
        sessions: Of the database that names them.
        settings: Where they lie.
        study_id: Of this study alone, by the holder of its one analysis that runs: all that other attempts left goes, and one
            that lost its lease and still writes finds its folder gone. Without it of all studies, but for those that are run,
            and only where the database is the folder's own.
    """
    if study_id is None and not belongs(sessions, settings.data):
        return []
    results = settings.data / "results"
    studies = _folders(results) if study_id is None else [results / str(study_id)]
    # listed before the rows are read: what gets its row meanwhile is not taken for forgotten
    listed = [folder for study in studies for folder in _folders(study)]
    named, running = _named(sessions)
    removed = []
    for folder in listed:
        begun_by_hand = study_id is not None and folder.name.lstrip(".").startswith("hand-")  # may be waiting for its row
        being_written = study_id is None and any(one in folder.name for one in running)
        if folder.relative_to(settings.data).as_posix() in named or begun_by_hand or being_written:
            continue
        shutil.rmtree(folder, ignore_errors=True)
        removed.append(folder)
    for study in studies:
        with suppress(OSError):
            study.rmdir()  # only if nothing is left in it
    return removed


def _named(sessions: Sessions) -> tuple[set[str], list[str]]:
    """Folders that readings, or files on their way to a PACS, need; and the jobs that run."""
    with sessions() as session:
        named = set(session.scalars(select(Reading.original_path).where(Reading.original_path.is_not(None))))
        sends = select(Job.payload).where(Job.kind == JobKind.SEND, Job.state != JobState.DONE)
        named |= {payload.get("folder") for payload in session.scalars(sends)}
        running = select(Job.id).where(Job.kind == JobKind.ANALYSE, Job.state == JobState.RUNNING)
        return {one for one in named if one}, [str(one) for one in session.scalars(running)]


def _folders(parent: Path) -> list[Path]:
    return [one for one in parent.iterdir() if one.is_dir()] if parent.is_dir() else []
