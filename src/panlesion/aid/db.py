"""The database's engine and sessions, and its migration to the present tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session, sessionmaker

Sessions = sessionmaker[Session]
MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_MS = 15_000


def open_engine(url: str) -> Engine:
    """An engine; SQLite's writes wait for each other, survive a kill (write-ahead log, synced), and keep foreign keys."""
    engine = create_engine(url, pool_pre_ping=True)
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


def open_sessions(engine: Engine) -> Sessions:
    """A maker of sessions; what they loaded stays readable after a commit."""
    return sessionmaker(engine, expire_on_commit=False)


@contextmanager
def transaction(sessions: Sessions) -> Iterator[Session]:
    """A session whose changes are committed together when the block ends, or none of them."""
    with sessions.begin() as session:
        yield session
