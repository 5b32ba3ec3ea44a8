"""A real server and Debian's Chromium in front of it, for tests that go through the pages as a person does."""

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Client
from orthanc_made import free_port
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import insert

from panlesion.aid.db import open_engine, open_sessions
from panlesion.aid.page import built_page
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Study, now
from panlesion.aid.vocabulary import StudySource, StudyState

PANLESION = str(Path(sys.executable).with_name("panlesion"))
PASSWORD = "a password of my own"
FLAGS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
]
PICTURES = os.environ.get("PANLESION_PICTURES")
"""A folder for pictures of the pages on the way."""


@dataclass(kw_only=True)
class Room:
    """A running server; `ask` is logged in as its administrator."""

    url: str
    dicom_port: int
    ask: Client

    def __post_init__(self) -> None:
        self.ask.base_url = self.url

    def log_in(self, name: str, password: str) -> None:
        told = self.ask.post("/api/login", json={"name": name, "password": password})
        assert told.status_code == 200, told.text
        self.ask.headers["X-CSRF-Token"] = told.json()["csrf"]

    def account(self, name: str, shown: str, role: str, password: str) -> None:
        """An account whose first password has to be changed."""
        told = {"name": name, "display_name": shown, "role": role, "password": password}
        made = self.ask.post("/api/users", json=told)
        assert made.status_code < 300, made.text


@contextmanager
def serving(folder: Path, *more: str, workers: int = 1) -> Iterator[Room]:
    """`panlesion aid serve` on free ports, its administrator's password already changed to `PASSWORD`."""
    dicom_port = free_port()
    options = ["--data", str(folder), "--port", "0", "--dicom-port", str(dicom_port), "--quiet-s", "1"]
    command = [PANLESION, "aid", "serve", *options, "--workers", str(workers), *more]
    with (folder.parent / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        words = [process.stdout.readline(), process.stdout.readline()]
        password = re.search(r"password (\S+)", words[0])
        url = re.search(r"(http://\S+)", words[1])
        assert password and url, [*words, (folder.parent / "server.log").read_text()]
        with Client(timeout=60) as client:
            room = Room(url=url[1], dicom_port=dicom_port, ask=client)
            room.log_in("admin", password[1])
            changed = client.post("/api/password", json={"old": password[1], "new": PASSWORD})
            assert changed.status_code < 300, changed.text
            room.log_in("admin", PASSWORD)
            yield room
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium; Debian's package of that name")
    if not (built_page() / "index.html").is_file():
        pytest.skip("the page is not built; `make web`")
    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=program, args=FLAGS)
        yield made
        made.close()


def picture(page: Page, name: str) -> None:
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(PICTURES) / f"{name}.png")


_GIVEN = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gro", "Hugo", "Ida", "Jan")
_WHAT = ("CT trunk", "CT thorax", "CT abdomen and pelvis, portal venous phase", "CT liver, three phases", "CT staging")
_WHY = "series 1.2.3.4: slice spacing 1 to 7 mm; a CT is read whose slices are evenly spaced: send the missing images"
_LIFE = [StudyState.READY] * 10 + [StudyState.DRAFT, StudyState.SIGNED] * 3 + list(StudyState)


def row_made(number: int, **told: Any) -> dict[str, Any]:
    """Row of a study without images; the same each time."""
    draws = random.Random(number)
    state = told.get("state", draws.choice(_LIFE))
    analysed = state in {StudyState.READY, StudyState.DRAFT, StudyState.SIGNED}
    findings = draws.choice((0, 0, 1, 2, 3, 5)) if analysed else None
    received = now() - timedelta(minutes=13 * number)
    row: dict[str, Any] = {
        "id": uuid4(),
        "study_uid": f"1.2.3.{number}",
        "state": state,
        "source": draws.choice(list(StudySource)),
        "problem": _WHY if state is StudyState.FAILED else "",
        "patient_id": f"M-{number:05d}",
        "patient_name": f"Made{number:05d}^{draws.choice(_GIVEN)}",
        "birth_date": date(1930 + draws.randrange(60), 1 + draws.randrange(12), 1 + draws.randrange(28)),
        "sex": draws.choice("FM"),
        "accession": f"A{number:06d}",
        "description": draws.choice(_WHAT),
        "study_at": received - timedelta(minutes=20),
        "images": draws.randrange(40, 700),
        "received_at": received,
        "changed_at": received,
        "suspicion": None if findings is None else (draws.uniform(0.2, 0.97) if findings else draws.uniform(0.0, 0.3)),
        "findings": findings,
        "reported": draws.randrange(findings + 1) if findings is not None and state is not StudyState.READY else None,
        "priority": draws.choice((0, 0, 0, 0, 0, 0, 0, 5, -3)),
        "restricted": draws.random() < 0.03,
    }
    return row | told


def fill(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Put rows of studies into the database of a data folder, past the server, as workers do."""
    engine = open_engine(Settings(data=folder, workers=0).database)
    with open_sessions(engine).begin() as session:
        session.execute(insert(Study), rows)
    engine.dispose()
