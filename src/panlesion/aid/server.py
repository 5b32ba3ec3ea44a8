"""`run`: the server on its socket, with its workers and the DICOM receiver beside it, until it is told to stop."""

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvicorn

from panlesion.aid.accounts.users import make_first_admin
from panlesion.aid.app import create_app
from panlesion.aid.db import Sessions
from panlesion.aid.guard.impatient import Impatient
from panlesion.aid.jobs.supervise import Supervisor
from panlesion.aid.private import MASK
from panlesion.aid.settings import Settings
from panlesion.aid.store.recover import sweep
from panlesion.data.publish import remove_partials
from panlesion.errors import StoreError

LOCK = ".server.lock"
_GRACE_S = 5
"""How long open answers may take to end; streams of events never do by themselves."""


class _Server(uvicorn.Server):
    """Says so once it listens."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell_started()


def run(settings: Settings, told: Callable[[str, str | None], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        settings: How.
        told: Called with the URL once it answers, and with the first administrator's password at the very first start.

    Raises:
        StoreError: another server runs on the same data folder.
        OSError: the address or port cannot be listened on.
    """
    os.umask(MASK)  # of everything written from here on, workers' files too
    app = create_app(settings)
    sessions: Sessions = app.state.sessions
    with ExitStack() as held:
        held.enter_context(alone_on(settings.data))
        listener = held.enter_context(listening(settings))
        sweep(sessions, settings)
        remove_partials(settings.data / "signed")  # this process alone writes there
        held.enter_context(parts(settings, sessions))
        with sessions.begin() as session:
            password = make_first_admin(session)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # addresses of requests hold what was searched for, which is names of patients
            server_header=False,
            proxy_headers=settings.public_url is not None,
            http=Impatient,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            timeout_graceful_shutdown=_GRACE_S,
        )
        # uvicorn ends by the signal itself once it has shut down; as an exit, workers and receiver are stopped on the way
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        _Server(config, lambda: told(url_of(settings, listener), password)).run(sockets=[listener])


@contextmanager
def alone_on(data: Path) -> Iterator[None]:
    """Hold the data folder; the lock goes with the process, however it ends.

    Raises:
        StoreError: another server holds it.
    """
    with (data / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"{data}: another server runs on this folder; stop it first, or name another --data") from error
        yield


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """A socket that is bound; connections are taken once the server has started."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host} port {settings.port}"
            raise OSError(f"cannot listen on {where}: {error.strerror or error}; name another --port or --host") from error
        yield listener


def url_of(settings: Settings, listener: socket.socket) -> str:
    """Where a browser goes."""
    if settings.public_url is not None:
        return str(settings.public_url)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}/"


@contextmanager
def parts(settings: Settings, sessions: Sessions) -> Iterator[None]:
    """The supervisor with its workers, and the DICOM receiver where it is wanted; stopped in the other order."""
    with ExitStack() as running:
        supervisor = Supervisor(settings, sessions)
        supervisor.start()
        running.callback(supervisor.stop)
        if settings.dicom_port:
            from panlesion.aid.store.receiver import start_receiver

            running.callback(start_receiver(settings, sessions).stop)
        yield
