"""The database's part of a backup: SQLite by its online copy, PostgreSQL by its own programs."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from sqlalchemy import inspect, make_url

from panlesion.aid.db import open_engine
from panlesion.errors import MissingExtraError, StoreError

SQLITE, POSTGRESQL = "aid.sqlite", "aid.pgdump"


def kept_as(url: str) -> str:
    """The name of a database's copy within a backup."""
    return POSTGRESQL if make_url(url).get_backend_name() == "postgresql" else SQLITE


def copy_database(url: str, target: Path) -> None:
    """One moment of the database, also while others write.

    Raises:
        MissingExtraError: `pg_dump` is not installed.
        StoreError: it did not work.
    """
    if kept_as(url) == POSTGRESQL:
        _run(url, ("pg_dump", "--format=custom", "--no-owner", f"--file={target}"))
        return
    source = Path(make_url(url).database or "")
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as live,
            closing(sqlite3.connect(target)) as copy,
        ):
            live.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    except sqlite3.Error as error:
        raise StoreError(f"{source.name} cannot be copied: {error}") from error


def put_database(url: str, source: Path) -> None:
    """Fill a database that has no tables yet; of SQLite, `source` is in its place already and only looked through.

    Raises:
        MissingExtraError: `pg_restore` is not installed.
        StoreError: it did not work, or something is there already.
    """
    if kept_as(url) == POSTGRESQL:
        refuse_filled(url)
        _run(url, ("pg_restore", "--no-owner", "--exit-on-error", "--single-transaction"), str(source))
        return
    try:
        with closing(sqlite3.connect(source)) as copy:
            told = copy.execute("PRAGMA integrity_check").fetchone()[0]
    except sqlite3.Error as error:
        told = str(error)
    if told != "ok":
        raise StoreError(f"{SQLITE} of the backup is no sound database ({told}); use another backup")


def refuse_filled(url: str) -> None:
    """A restoration never overwrites.

    Raises:
        StoreError: the database has tables.
    """
    engine = open_engine(url)
    try:
        tables = inspect(engine).get_table_names()
    finally:
        engine.dispose()
    if tables:
        raise StoreError(f"the database {make_url(url).database!r} has {len(tables)} tables already; name an empty one")


def _run(url: str, command: Sequence[str], *last: str) -> None:
    told = make_url(url)
    if shutil.which(command[0]) is None:
        raise MissingExtraError(
            f"{command[0]} is not installed, by which PostgreSQL is copied; install PostgreSQL's client programs"
        )
    named = {"PGHOST": told.host, "PGPORT": told.port, "PGUSER": told.username, "PGPASSWORD": told.password}
    # in the environment, not on the command line, which every user of the machine can read
    env = os.environ | {name: str(value) for name, value in named.items() if value is not None}
    line = [*command, f"--dbname={told.database or ''}", *last]
    done = subprocess.run(line, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join(done.stderr.split())[-400:]
        raise StoreError(f"{command[0]} ended with {done.returncode}: {words or 'no words'}")
