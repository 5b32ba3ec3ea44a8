"""`panlesion aid worker` and `panlesion aid demo`: work for a server from elsewhere, and drawn patients for a first look."""

import os
from pathlib import Path
from typing import Annotated

import typer

from panlesion.cli._aid_options import settings as settings_of
from panlesion.cli._extras import need_dicom_extra, need_model_extra
from panlesion.cli._telling import bar, line

Data = Annotated[Path, typer.Option("--data", envvar="PANLESION_AID_DATA", help="The server's data folder.")]
DatabaseUrl = Annotated[
    str, typer.Option("--database-url", envvar="PANLESION_AID_DATABASE_URL", help="Its PostgreSQL, if it has one.")
]


def add_to(app: typer.Typer) -> None:
    """Give `panlesion aid` these commands."""
    app.command()(worker)
    app.command()(demo)


def worker(
    data: Data,
    database_url: DatabaseUrl = "",
    kinds: Annotated[str, typer.Option(help="What it works on: analyse, propose, send, pull; several with commas.")] = (
        "analyse,send,pull"
    ),
    checkpoint: Annotated[
        str, typer.Option(envvar="PANLESION_AID_CHECKPOINT", help="What reads the CTs: a name or a file.")
    ] = "nano",
) -> None:
    """Work for a server until Ctrl-C: one more worker, on this machine or on another that shares folder and PostgreSQL.

    Everything else is told by variables that begin with PANLESION_AID_, as to the server.

    Example: `panlesion aid worker --data room --kinds analyse`
    """
    need_model_extra("aid worker")
    need_dicom_extra("aid worker")
    from panlesion.aid.guard.logs import log_to_stderr
    from panlesion.aid.jobs.__main__ import work
    from panlesion.aid.private import MASK
    from panlesion.aid.vocabulary import JobKind

    strange = set(names := [name.strip() for name in kinds.split(",")]) - set(JobKind)
    if strange:
        raise typer.BadParameter(f"{', '.join(sorted(strange))!r}; use {', '.join(JobKind)}", param_hint="--kinds")
    told = {"data": data, "database_url": database_url, "checkpoint": checkpoint}
    settings = settings_of({name: value for name, value in told.items() if value})
    _refuse_unknown(settings.database, data)
    os.umask(MASK)
    log_to_stderr()
    line(f"working for {data}: {', '.join(names)} (Ctrl-C ends it)")
    work(settings, [JobKind(name) for name in names])


def demo(
    data: Data,
    database_url: DatabaseUrl = "",
    count: Annotated[int, typer.Option(min=1, max=50, help="How many patients.")] = 2,
) -> None:
    """Draw patients with lesions and put their CTs into a server's folder; the server analyses them within a minute each.

    The same ones each time, so that a second call changes nothing. The server may run meanwhile.

    Example: `panlesion aid demo --data room && panlesion aid serve --data room`
    """
    from panlesion.aid.accounts.users import DEMO_READER, make_demo_reader
    from panlesion.aid.bring_up import bring_up
    from panlesion.aid.db import open_engine, open_sessions
    from panlesion.aid.demo.studies import add_demo
    from panlesion.aid.private import MASK, open_data

    settings = settings_of({"data": data} | ({"database_url": database_url} if database_url else {}))
    os.umask(MASK)
    open_data(data)
    bring_up(settings)
    sessions = open_sessions(open_engine(settings.database), data)
    with bar("demo") as watch:
        new = add_demo(sessions, settings, count, watch)
    line(f"{data}: {count} drawn patients, {new} new images")
    with sessions.begin() as session:
        password = make_demo_reader(session)
    if password is not None:
        line(f"who reads them: {DEMO_READER}, password {password} (told this once; it has to be changed)")


def _refuse_unknown(database: str, data: Path) -> None:
    """Refuse to work for a server that was never there.

    Raises:
        StoreError: There is no database in the folder.
    """
    from panlesion.errors import StoreError

    if database.startswith("sqlite") and not (data / "aid.sqlite").is_file():
        raise StoreError(f"{data}: there is no aid.sqlite; name the --data folder of a server that was started once")
