"""The database's engine and sessions, and its migration to the present tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session, sessionmaker

from panlesion.aid.audit_head import keep_head

Sessions = sessionmaker[Session]
MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_MS = 15_000
KEPT, MOST_CONNECTIONS = 10, 80
"""Connections kept open, and the most to a PostgreSQL: by default it takes 100, and workers need some."""


class Turn(IntEnum):
    """What is done by one transaction at a time; the numbers are PostgreSQL's advisory locks."""

    AUDIT = 7_203_001
    ACCOUNTS = 7_203_002


def take_turn(session: Session, turn: Turn) -> None:
    """Wait until no other transaction has this turn, and keep it until this one ends.

    Read after it, not before: what was read earlier may have changed while waiting. SQLite has one writer: a transaction that
    has written holds its lock already, one that has not takes it here.
    """
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(turn.value)))
    elif not connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def is_full(error: OperationalError) -> bool:
    """Whether a database could not write for want of room, by the words of SQLite's and PostgreSQL's own errors."""
    words = str(error.orig)
    return "disk is full" in words or "No space left" in words


def open_engine(url: str) -> Engine:
    """An engine; SQLite's writes wait for each other, survive a kill (write-ahead log, synced), and keep foreign keys."""
    # A request holds its connection from one thread of the server's pool to the next. If threads waited for connections while
    # their holders wait for threads, nobody would get on: connections run out last, and then soon say so.
    sqlite = make_url(url).get_backend_name() == "sqlite"
    engine = create_engine(
        url, pool_pre_ping=True, pool_size=KEPT, max_overflow=-1 if sqlite else MOST_CONNECTIONS - KEPT, pool_timeout=5
    )
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _careful_sqlite)
    return engine


def _careful_sqlite(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def migrate(url: str) -> None:
    """Bring a database, empty or of an earlier version, to the present tables."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    command.upgrade(config, "head")


def open_sessions(engine: Engine, data: Path | None = None) -> Sessions:
    """A maker of sessions; what they loaded stays readable after a commit.

    Args:
        engine: Of `open_engine`.
        data: The data folder, where the head of the audit log is noted beside the database; SQLite's own folder if not told.
    """
    sessions = sessionmaker(engine, expire_on_commit=False)
    folder = data or (Path(engine.url.database).parent if engine.dialect.name == "sqlite" and engine.url.database else None)
    if folder is not None:
        keep_head(sessions, folder)
    return sessions


@contextmanager
def transaction(sessions: Sessions) -> Iterator[Session]:
    """A session whose changes are committed together when the block ends, or none of them."""
    with sessions.begin() as session:
        yield session
