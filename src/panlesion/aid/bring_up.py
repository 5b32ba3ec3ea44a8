"""A data folder brought up: its database is there, is sound and is its own, or nothing is begun."""

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import inspect, make_url, select
from sqlalchemy.exc import DatabaseError, OperationalError

from panlesion.aid.audit_head import HEAD, read_head
from panlesion.aid.db import Sessions, migrate, open_engine
from panlesion.aid.settings import Settings
from panlesion.aid.tables import AuditEntry
from panlesion.errors import StoreError

_ROOMS = ("dicom", "readings", "signed")
_ADVICE = (
    "Nothing was changed. Keep the folder as it is, restore a backup into a new one (`panlesion aid restore`) and serve that; "
    "what came in since lies in the old one"
)
_PENDING = ("-wal", "-shm", "-journal")


def bring_up(settings: Settings, *, look_through: bool = False) -> None:
    """Bring the database to the present tables; one that is empty only where the folder is new.

    Args:
        settings: Where folder and database are.
        look_through: Read all of an SQLite first, as a server does at its start: damage is better told than met later.

    Raises:
        StoreError: The database of a folder that was used is gone, empty, damaged, or another's.
    """
    url = make_url(settings.database)
    used = _used(settings.data)
    if url.get_backend_name() == "sqlite":
        _check_file(Path(url.database or ""), used, look_through=look_through)
    elif used and not _has_tables(settings.database):
        raise StoreError(
            f"the database {url.database!r} is empty, but {settings.data} holds {used}; name the --database-url "
            f"that it was used with. {_ADVICE}"
        )
    try:
        migrate(settings.database)
    except OperationalError:
        raise  # busy, full or gone: it says so itself
    except DatabaseError as error:
        raise StoreError(f"{url.database}: the database is damaged ({error.orig}). {_ADVICE}") from error


def belongs(sessions: Sessions, data: Path) -> bool:
    """Whether the database knows the last line of the audit log that was noted beside it.

    One that does not is older than the folder, or another's: what it does not name may still be needed.
    """
    try:
        head = read_head(data)
    except StoreError:
        return False
    if head is None:
        return True
    with sessions() as session:
        return session.scalar(select(AuditEntry.hash).where(AuditEntry.seq == head.seq)) == head.hash


def _used(data: Path) -> str:
    """What is in the folder that only a database can have named; "" where there is nothing."""
    held = [f"{room}/" for room in _ROOMS if (data / room).is_dir() and any((data / room).iterdir())]
    return ", ".join(held + [HEAD] * (data / HEAD).exists())


def _has_tables(url: str) -> bool:
    engine = open_engine(url)
    try:
        return bool(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def _check_file(file: Path, used: str, *, look_through: bool) -> None:
    if not file.exists() or not file.stat().st_size:
        left = [file.name + end for end in _PENDING if file.with_name(file.name + end).exists()]
        # a kill in the very first moment leaves an empty file with its journal, and nothing else
        if used or (not file.exists() and left):
            missing = "is empty" if file.exists() else "is gone"
            raise StoreError(f"{file} {missing}, but the folder holds {used or ', '.join(left)}. {_ADVICE}")
        return
    try:
        with closing(sqlite3.connect(file, timeout=15)) as live:
            pages, size = (live.execute(f"PRAGMA {what}").fetchone()[0] for what in ("page_count", "page_size"))
            tables = live.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0]
            told = live.execute("PRAGMA quick_check(1)").fetchone()[0] if look_through else "ok"
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{file} is damaged: {error}. {_ADVICE}") from error
    if told != "ok":
        raise StoreError(f"{file} is damaged: {' '.join(told.split())} ({pages} pages of {size} bytes). {_ADVICE}")
    if not tables and used:
        raise StoreError(f"{file} has no tables, but the folder holds {used}. {_ADVICE}")
