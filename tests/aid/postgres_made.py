"""A private PostgreSQL on loopback, for tests that must hold on both databases."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

_PLACES = "/usr/lib/postgresql/15/bin:/usr/lib/postgresql/16/bin:/usr/lib/postgresql/17/bin:/usr/local/bin:/usr/bin"


def _program(name: str) -> str:
    found = shutil.which(name, path=_PLACES)
    if found is None:
        pytest.skip(f"PostgreSQL's {name} is not installed (Debian package postgresql)")
    return found


@dataclass(kw_only=True)
class Cluster:
    """A running server; each `database()` is new and empty."""

    port: int
    command: list[str]
    how: dict[str, Any]
    server: subprocess.Popen[bytes]

    def database(self) -> str:
        name = f"aid_{uuid4().hex[:12]}"
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return f"postgresql+psycopg://aid@127.0.0.1:{self.port}/{name}"

    def crash(self) -> None:
        """As `pg_ctl stop -m immediate`: nobody is asked, nothing is put in order."""
        self.server.send_signal(signal.SIGQUIT)
        self.server.wait(timeout=30)

    def start(self) -> None:
        """After a crash; it recovers from its log."""
        self.server = subprocess.Popen(self.command, **self.how)
        _wait(self.server, self.port)

    def _dsn(self, name: str) -> str:
        return f"postgresql://aid@127.0.0.1:{self.port}/{name}"


@contextmanager
def running_postgres() -> Iterator[Cluster]:
    """A cluster in a folder of its own, gone afterwards; PostgreSQL refuses root, so the user `postgres` runs it then."""
    initdb, postgres = _program("initdb"), _program("postgres")
    other = {"user": "postgres", "group": "postgres", "extra_groups": []} if getpass.getuser() == "root" else {}
    with tempfile.TemporaryDirectory(prefix="panlesion-pg-") as folder:
        if other:
            shutil.chown(folder, "postgres", "postgres")
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "cwd": folder, **other}
        data = Path(folder, "data")
        command = [initdb, "-D", str(data), "-U", "aid", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C"]
        subprocess.run(command, check=True, **quiet)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = [f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={folder}", "fsync=off"]
        log = Path(folder, "log").open("wb")  # noqa: SIM115 - it is the server's, until it ends
        with log:
            run = [postgres, "-D", str(data), *(part for option in options for part in ("-c", option))]
            how = {"stdout": log, "stderr": log, "cwd": folder, "env": os.environ | {"LC_ALL": "C"}, **other}
            cluster = Cluster(port=port, command=run, how=how, server=subprocess.Popen(run, **how))
            try:
                _wait(cluster.server, port)
                yield cluster
            finally:
                cluster.server.send_signal(signal.SIGINT)  # fast shutdown
                cluster.server.wait(timeout=30)


def _wait(server: subprocess.Popen, port: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        assert server.poll() is None, f"postgres ended with {server.returncode}"
        try:
            psycopg.connect(f"postgresql://aid@127.0.0.1:{port}/postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("postgres did not answer within 30 s")
