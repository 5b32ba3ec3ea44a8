"""Backup of a server's data, also while it runs, and its restoration."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import delete, select

from panlesion import __version__
from panlesion.aid.audit import head_of, record, verify
from panlesion.aid.audit_head import HEAD, Head, read_head
from panlesion.aid.backup_database import SQLITE, copy_database, kept_as, put_database, refuse_filled
from panlesion.aid.backup_files import FORMAT, MANIFEST, Kept, Manifest, Sink, Source, Watch, creating, writing
from panlesion.aid.db import Sessions, migrate, open_engine, open_sessions
from panlesion.aid.private import private
from panlesion.aid.reads.deidentify import KEY_FILE
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Addendum, ApiToken, Instance, Login, OidcFlow, Reading, Version, now
from panlesion.aid.vocabulary import Action
from panlesion.data.publish import publishing
from panlesion.errors import StoreError

FOLDERS, FILES = ("dicom", "results", "readings", "signed"), (KEY_FILE,)
"""What of the data folder is kept; what is still arriving is not, nor what is half written."""
_PARTIAL = re.compile(r"^\..*\.(part|partial-\d+)$")
_TRIES = 3
"""A study may be deleted between the copy of the database and that of its files; then both are looked at anew."""


def make_backup(settings: Settings, out: Path, watch: Watch) -> Manifest:
    """Copy database and files into a folder or a zip; the server may run meanwhile.

    The database goes first: files are written before the row that names them, so everything that the copy names is there.

    Raises:
        StoreError: `out` exists or lies within the data folder, or something cannot be read.
    """
    if out.resolve().is_relative_to(settings.data.resolve()):
        raise StoreError(f"{out} lies within the data folder; a backup belongs elsewhere, best on another disk")
    engine = open_engine(settings.database)
    sessions = open_sessions(engine, settings.data)
    try:
        with private(), writing(out) as sink, TemporaryDirectory(prefix=".panlesion-backup-", dir=out.parent) as scratch:
            with sessions.begin() as session:
                record(session, Action.BACKUP, by=None)
            return _fill(settings, sessions, sink, Path(scratch) / kept_as(settings.database), watch)
    finally:
        engine.dispose()


def _fill(settings: Settings, sessions: Sessions, sink: Sink, copy: Path, watch: Watch) -> Manifest:
    kept: dict[str, Kept] = {}
    missing: list[str] = []
    for _ in range(_TRIES):
        head, named = _known(sessions)
        copy.unlink(missing_ok=True)
        copy_database(settings.database, copy)
        _copy_files(settings.data, sink, kept, watch)
        missing = sorted(named - _with_folders(kept))
        if not missing:
            break
    with copy.open("rb") as stream:
        kept[copy.name] = sink.write(copy.name, stream)
    kept[HEAD] = sink.write(HEAD, BytesIO(f"{head.seq} {head.hash}\n".encode()))
    manifest = Manifest(
        format=FORMAT, made_at=now().isoformat(), version=__version__, database=copy.name, files=kept, missing=missing
    )
    sink.write(MANIFEST, BytesIO(manifest.model_dump_json(indent=1).encode()))
    return manifest


def _known(sessions: Sessions) -> tuple[Head, set[str]]:
    """The audit log's head, and every path that a row names."""
    columns = (
        Instance.path,
        Reading.mask_path,
        Reading.original_mask,
        Reading.original_path,
        Reading.signed_path,
        Version.mask_path,
        Addendum.path,
    )
    with sessions() as session:
        head = head_of(session)
        assert head is not None, "the backup itself has just been written down"
        paths = {path for column in columns for path in session.scalars(select(column).where(column.is_not(None))) if path}
    return head, paths


def _with_folders(kept: dict[str, Kept]) -> set[str]:
    """Paths of files, and of every folder that holds one: some rows name a folder."""
    return set(kept) | {str(folder) for name in kept for folder in Path(name).parents}


def _copy_files(data: Path, sink: Sink, kept: dict[str, Kept], watch: Watch) -> None:
    todo = [name for name in _files(data) if name not in kept]
    for done, name in enumerate(todo):
        watch(done, len(todo), name)
        try:
            with (data / name).open("rb") as stream:
                kept[name] = sink.write(name, stream)
        except FileNotFoundError:
            continue  # deleted meanwhile; if the database still names it, it is looked for again, and told as missing


def _files(data: Path) -> Iterator[str]:
    yield from (name for name in FILES if (data / name).is_file())
    for top in FOLDERS:
        for folder, inner, names in os.walk(data / top):
            inner[:] = sorted(one for one in inner if not _PARTIAL.match(one))
            for name in sorted(names):
                path = Path(folder, name)
                if not _PARTIAL.match(name) and not path.is_symlink():
                    yield path.relative_to(data).as_posix()


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What came back; `broken_audit` is the first line of the audit log that was not as it was written."""

    files: int
    missing: list[str]
    broken_audit: int | None


def restore_backup(settings: Settings, path: Path, watch: Watch) -> Restored:
    """Fill an empty data folder, and an empty PostgreSQL where there is one, once every hash has been found right.

    Sessions of browsers and bearer tokens are not brought back, for some were ended since: everyone logs in anew.

    Raises:
        StoreError: the folder or database is not empty, or the backup is incomplete, damaged, foreign or made to harm; nothing
            was written.
    """
    refuse_used(settings)
    source = Source(path)
    try:
        names = sorted(source.manifest.files)
        if source.manifest.database != kept_as(settings.database) or not {source.manifest.database, HEAD} <= set(names):
            words = f"{path} holds {source.manifest.database}, but this server would have {kept_as(settings.database)}"
            raise StoreError(f"{words}; give the --database-url that fits it")
        _refuse_strange(path, names, source.manifest.database)
        for done, name in enumerate(names):
            watch(done, 2 * len(names), name)
            source.copy(name, None)
        with private(), _naming_mounts(settings.data), publishing(settings.data) as folder:
            folder.chmod(0o700)
            for done, name in enumerate(names):
                watch(len(names) + done, 2 * len(names), name)
                with creating(folder / name) as stream:
                    source.copy(name, stream)
            broken = _begin_anew(settings, folder)
    finally:
        source.close()
    return Restored(files=len(names), missing=source.manifest.missing, broken_audit=broken)


def _refuse_strange(path: Path, names: list[str], database: str) -> None:
    """A backup holds what `make_backup` writes and nothing else."""
    known = {database, HEAD, *FILES}
    strange = [name for name in names if name not in known and not ("/" in name and name.split("/")[0] in FOLDERS)]
    if strange:
        raise StoreError(f"{path}: {strange[0]!r} is nothing that a backup holds; it was tampered with, use another one")


def refuse_used(settings: Settings) -> None:
    """A restoration never overwrites.

    Raises:
        StoreError: the data folder or the PostgreSQL has something in it.
    """
    data = settings.data
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise StoreError(f"{data} is not empty; a backup is restored into a new folder only, name another --data")
    if kept_as(settings.database) != SQLITE:
        refuse_filled(settings.database)


def _begin_anew(settings: Settings, folder: Path) -> int | None:
    """Put the database in its place, bring it to the present tables, and write down that it was restored."""
    copy = folder / kept_as(settings.database)
    put_database(settings.database, copy)
    if copy.name == SQLITE:
        url = f"sqlite:///{copy}"
    else:
        url = settings.database
        copy.unlink()
    migrate(url)
    engine = open_engine(url)
    try:
        sessions = open_sessions(engine, folder)
        outside = [one for one in _known(sessions)[1] if Path(one).is_absolute() or ".." in Path(one).parts]
        if outside:
            raise StoreError(f"the backup's database names {outside[0]!r}, outside the data folder; it was tampered with")
        with sessions.begin() as session:
            broken = verify(session, read_head(folder))
            for table in (Login, OidcFlow, ApiToken):
                session.execute(delete(table))
            record(session, Action.RESTORED, by=None)
    finally:
        engine.dispose()
    return broken


@contextmanager
def _naming_mounts(data: Path) -> Iterator[None]:
    """Say what to do where the data folder cannot take its place by being renamed."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.EBUSY, errno.EXDEV}:
            raise StoreError(f"{data} is the top of a disk of its own; name a folder within it as --data") from error
        raise
