"""`panlesion aid`: the reading room's server, its accounts, its audit log, backup and restoration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panlesion.cli import _aid_worker
from panlesion.cli._aid_options import settings as settings_of
from panlesion.cli._aid_options import with_settings
from panlesion.cli._extras import need_aid_extra
from panlesion.cli._telling import bar, line, refuse_data

if TYPE_CHECKING:
    from panlesion.aid.db import Sessions
    from panlesion.aid.settings import Settings

need_aid_extra("aid")
app = typer.Typer(
    no_args_is_help=True,
    help="The reading room: worklist, viewer, report. Research use only; not a medical device.",
    rich_markup_mode="markdown",
)
audit = typer.Typer(
    no_args_is_help=True,
    help="Check or write out the audit log. Example: `panlesion aid audit verify --data room`",
    rich_markup_mode="markdown",
)
app.add_typer(audit, name="audit")
_aid_worker.add_to(app)

Data = Annotated[Path, typer.Option("--data", envvar="PANLESION_AID_DATA", help="The server's data folder.")]
DatabaseUrl = Annotated[
    str, typer.Option("--database-url", envvar="PANLESION_AID_DATABASE_URL", help="Its PostgreSQL, if it has one.")
]


@app.command()
@with_settings
def serve(settings: "Settings") -> None:
    """Run the server with its workers and, by --dicom-port, a DICOM receiver, until Ctrl-C.

    The first start makes the account `admin` and prints its password, once. Every option can also be given as a variable:
    PANLESION_AID_ and its name in capitals, lists as JSON.

    Example: `panlesion aid serve --data room --port 8470`

    Example: `panlesion aid serve --data room --host 0.0.0.0 --tls-certificate c.pem --tls-key k.pem`
    """
    from panlesion.aid.guard.logs import log_to_stderr
    from panlesion.aid.server import run

    def tell(url: str, password: str | None) -> None:
        if password is not None:
            line(f"first login: admin, password {password} (told this once; it has to be changed)")
        line(f"the reading room is at {url} (Ctrl-C ends it)")

    log_to_stderr()
    run(settings, tell)


@app.command()
def password(
    name: Annotated[str, typer.Argument(help="The account's name.")], data: Data, database_url: DatabaseUrl = ""
) -> None:
    """Give an account a new password, to be changed at its next login; its sessions and tokens end.

    Example: `panlesion aid password admin --data room`
    """
    from panlesion.aid.accounts.users import reset_password

    with _sessions(data, database_url).begin() as session:
        new = reset_password(session, name)
    line(f"{name}: new password {new} (told this once; it has to be changed)")


@audit.command("verify")
def audit_verify(data: Data, database_url: DatabaseUrl = "") -> None:
    """Find the first line of the audit log that was changed, removed, moved or cut off; exits with 1 where there is one.

    Example: `panlesion aid audit verify --data room`
    """
    from panlesion.aid.audit import head_of, verify
    from panlesion.aid.audit_head import HEAD, read_head
    from panlesion.errors import StoreError

    with _sessions(data, database_url)() as session:
        noted = read_head(data)
        broken, last = verify(session, noted), head_of(session)
    if broken is not None:
        raise StoreError(f"audit log: line {broken} is not as it was written, or is missing; lines from there on prove nothing")
    if last is not None and noted is None:
        raise StoreError(f"audit log: {HEAD} is gone, so nobody can tell whether lines were cut off at the end; see a backup")
    line(
        "audit log: empty"
        if last is None
        else f"audit log: all {last.seq} lines are as they were written; last hash {last.hash}"
    )


@audit.command("export")
def audit_export(
    data: Data,
    database_url: DatabaseUrl = "",
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write, a JSON object a line; the screen if not told.")
    ] = None,
) -> None:
    """Write the audit log out, oldest line first, with the hashes that chain it; to keep elsewhere, or to search.

    Example: `panlesion aid audit export --data room --out audit.jsonl`
    """
    import sys

    from panlesion.aid.audit import export
    from panlesion.data.publish import publishing_file

    with _sessions(data, database_url)() as session:
        if out is None:
            for told in export(session):
                sys.stdout.write(told)
            return
        with publishing_file(out) as stream:
            stream.writelines(told.encode() for told in export(session))
    line(f"{out}: written")


@app.command()
def backup(
    out: Annotated[Path, typer.Argument(help="Folder or .zip to write; it must not exist.")],
    data: Data,
    database_url: DatabaseUrl = "",
) -> None:
    """Copy database and files with their hashes; the server may run meanwhile. It holds patients' data: keep it as such.

    Example: `panlesion aid backup /mnt/backup/room-2026-11-28.zip --data room`
    """
    from panlesion.aid.backup import make_backup

    _sessions(data, database_url)
    with bar("backup") as watch:
        manifest = make_backup(_settings(data, database_url), out, watch)
    if manifest.missing:
        refuse_data([f"missing: {path}" for path in manifest.missing], f"all else is in {out}", data)
    line(f"{out}: {len(manifest.files)} files, {sum(kept.bytes for kept in manifest.files.values()) / 1024**2:.1f} MiB")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="Folder or .zip that `panlesion aid backup` wrote.")],
    data: Data,
    database_url: DatabaseUrl = "",
) -> None:
    """Fill a new data folder from a backup, once every hash was found right. Everyone logs in anew.

    Example: `panlesion aid restore /mnt/backup/room-2026-11-28.zip --data room`
    """
    from panlesion.aid.backup import restore_backup

    with bar("restore") as watch:
        restored = restore_backup(_settings(data, database_url), source, watch)
    problems = [f"missing in the backup: {path}" for path in restored.missing]
    if restored.broken_audit is not None:
        problems.append(f"audit log: line {restored.broken_audit} is not as it was written, or is missing")
    if problems:
        refuse_data(problems, "all else was restored", data)
    line(f"{data}: {restored.files} files restored")


def _settings(data: Path, database_url: str) -> "Settings":
    return settings_of({"data": data} | ({"database_url": database_url} if database_url else {}))


def _sessions(data: Path, database_url: str) -> "Sessions":
    """Sessions of a server that has been started before."""
    from panlesion.aid.bring_up import bring_up
    from panlesion.aid.db import open_engine, open_sessions
    from panlesion.errors import StoreError

    settings = _settings(data, database_url)
    if not data.is_dir() or (not settings.database_url and not (data / "aid.sqlite").is_file()):
        raise StoreError(f"{data}: there is no aid.sqlite; name the --data folder of a server that was started once")
    bring_up(settings)
    return open_sessions(open_engine(settings.database), settings.data)
