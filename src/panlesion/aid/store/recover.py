"""What a kill left in the data folder: images between their place and their row are taken in, what was being removed goes."""

import fcntl
import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from panlesion.aid.bring_up import belongs
from panlesion.aid.db import Sessions, Turn, take_turn
from panlesion.aid.settings import Settings
from panlesion.aid.store.files import remove_study
from panlesion.aid.store.intake import take_file
from panlesion.aid.tables import AuditEntry, Instance, Series, Study
from panlesion.aid.vocabulary import Action, StudySource

_log = logging.getLogger(__name__)


def sweep(sessions: Sessions, settings: Settings) -> None:
    """Set the folder right before anything is received.

    Files half arrived go, unless a worker is still at them. An image whose study was never written down is whole, since only
    whole ones get a place: it is taken in. What a deletion left is deleted.
    """
    _empty(settings.data / "incoming")
    shutil.rmtree(settings.data / "outgoing", ignore_errors=True)  # archives for requests that nobody waits for any more
    if not belongs(sessions, settings.data):
        _log.error(
            "nothing is tidied: the database lacks lines of the audit log that were there; see `panlesion aid audit verify`"
        )
        return
    for folder, deleted in _unknown(sessions, settings):
        if deleted:
            remove_study(settings, UUID(folder.name))
        else:
            _adopt(sessions, settings, folder)


def adopt_unnamed(sessions: Sessions, settings: Settings, study_id: UUID) -> int:
    """Take in images that lie in a study's folder and that no row names; a series is read by its folder. Returns how many.

    Raises:
        DiskFullError: No room; they stay where they are.
    """
    folder = settings.data / "dicom" / str(study_id)
    listed = _files(folder)
    with sessions() as session:
        named = set(session.scalars(select(Instance.path).join(Series).where(Series.study_id == study_id)))
    # one that is just being written down is among them: `take_file` waits for that, and finds it there
    unnamed = [path for path in listed if path.relative_to(settings.data).as_posix() not in named]
    for path in unnamed:
        _take(sessions, settings, path)
    return len(unnamed)


def _unknown(sessions: Sessions, settings: Settings) -> list[tuple[Path, bool]]:
    """Folders of studies that no row names, and whether the audit log says that they were deleted."""
    with sessions.begin() as session:
        # whoever writes a new study down has this turn until it is committed: none is between its folder and its row
        take_turn(session, Turn.AUDIT)
        dicom = settings.data / "dicom"
        folders = [folder for folder in dicom.iterdir() if _is_ours(folder)] if dicom.is_dir() else []
        known = {str(study_id) for study_id in session.scalars(select(Study.id))}
        gone = select(AuditEntry.study_id).where(AuditEntry.action == Action.DELETED)
        deleted = {str(study_id) for study_id in session.scalars(gone)}
    return [(folder, folder.name in deleted) for folder in folders if folder.name not in known]


def _is_ours(folder: Path) -> bool:
    with suppress(ValueError):
        return folder.is_dir() and str(UUID(folder.name)) == folder.name
    return False


def _adopt(sessions: Sessions, settings: Settings, folder: Path) -> None:
    for path in _files(folder):
        _take(sessions, settings, path)
    for series in folder.iterdir():
        with suppress(OSError):
            series.rmdir()
    with suppress(OSError):
        folder.rmdir()


def _take(sessions: Sessions, settings: Settings, path: Path) -> None:
    with suppress(FileNotFoundError):  # taken back meanwhile by whoever put it there
        taken = take_file(sessions, settings, path, name=path.name, source=StudySource.STORE, by=None)
        _log.info("an image that a kill had left without a row: %s", taken.outcome)
    with sessions() as session:
        named = session.scalar(select(Instance.path).where(Instance.path == path.relative_to(settings.data).as_posix()))
    if named is None:
        path.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    return sorted(Path(where, name) for where, _, names in os.walk(folder) for name in names)


def _empty(incoming: Path) -> None:
    """Remove what nobody holds: whoever writes a file here has it locked until it has its place."""
    incoming.mkdir(parents=True, exist_ok=True)
    for path in incoming.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
            continue
        with suppress(OSError), path.open("r+b") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
