"""A server on a fresh data folder, with accounts and clients that are logged in."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from waiting_made import waited

from panlesion.aid.app import create_app
from panlesion.aid.deps import CSRF_HEADER
from panlesion.aid.guard.impatient import Impatient
from panlesion.aid.settings import Settings
from panlesion.aid.tables import User
from panlesion.aid.vocabulary import Role

PASSWORD = "a long enough password"
_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
"""An argon2 hash says how dear it is: this one is verified in no time, in hundreds of logins."""


@dataclass(kw_only=True)
class Served:
    """A server and its settings; `client` makes a browser, logged in as an account of a role that is made at need."""

    app: FastAPI
    settings: Settings
    made: dict[Role, User] = field(default_factory=dict)

    def user(self, role: Role, name: str | None = None) -> User:
        user = User(name=name or f"{role}-1", display_name=f"Dr {role}", role=role, password_hash=_HASH)
        with self.app.state.sessions.begin() as session:
            session.add(user)
        return user

    def client(self, role: Role | None = None) -> TestClient:
        client = TestClient(self.app, base_url="http://127.0.0.1")
        if role is None:
            return client
        if role not in self.made:
            self.made[role] = self.user(role)
        told = client.post("/api/login", json={"name": self.made[role].name, "password": PASSWORD})
        assert told.status_code == 200, told.text
        client.headers[CSRF_HEADER] = told.json()["csrf"]
        return client


def serve(folder: Path, **settings: object) -> Served:
    told = Settings(data=folder / "data", workers=0, **settings)  # type: ignore[arg-type]
    return Served(app=create_app(told), settings=told)


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """The address of a server that runs in a thread of the test."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, http=Impatient, timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        waited(lambda: server.started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        thread.join(10)
