"""`panlesion aid`: the reading room's server, its accounts, its audit log, backup and restoration."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from panlesion.cli._aid_options import settings as settings_of
from panlesion.cli._aid_options import with_settings
from panlesion.cli._extras import need_aid_extra
from panlesion.cli._telling import line

if TYPE_CHECKING:
    from panlesion.aid.db import Sessions
    from panlesion.aid.settings import Settings

need_aid_extra("aid")
app = typer.Typer(
    no_args_is_help=True,
    help="The reading room: worklist, viewer, report. Research use only; not a medical device.",
    rich_markup_mode="markdown",
)
audit = typer.Typer(no_args_is_help=True, help="Check or write out the audit log.", rich_markup_mode="markdown")
app.add_typer(audit, name="audit")

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
    from panlesion.aid.server import log_to_stderr, run

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


def _sessions(data: Path, database_url: str) -> "Sessions":
    """Sessions of a server that has been started before."""
    from panlesion.aid.db import migrate, open_engine, open_sessions
    from panlesion.errors import StoreError

    settings = settings_of({"data": data} | ({"database_url": database_url} if database_url else {}))
    if not settings.database_url and not (data / "aid.sqlite").is_file():
        raise StoreError(f"{data}: there is no aid.sqlite; name the --data folder of a server that was started once")
    migrate(settings.database)
    return open_sessions(open_engine(settings.database), settings.data)
