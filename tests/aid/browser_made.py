"""A browser, and the server that it looks at: real ones, for tests that read as a reader does."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from httpx2 import Client
from orthanc_made import free_port
from playwright.sync_api import Page, sync_playwright

from panlesion.aid.page import built_page

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


@contextmanager
def serving(folder: Path) -> Iterator[Room]:
    dicom_port = free_port()
    options = ["--data", str(folder), "--port", "0", "--dicom-port", str(dicom_port), "--quiet-s", "1", "--workers", "1"]
    command = [PANLESION, "aid", "serve", *options]
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


def until(what, *, most_s: float, every_s: float = 0.5):
    end = time.monotonic() + most_s
    while not (found := what()):
        assert time.monotonic() < end, f"{what.__name__} did not come true within {most_s:g} s"
        time.sleep(every_s)
    return found


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium; Debian's package of that name")
    if not (built_page() / "index.html").is_file():
        pytest.skip("the page is not built; `make web`")
    with sync_playwright() as play:
        made = play.chromium.launch(executable_path=chromium, args=FLAGS)
        yield made
        made.close()


def picture(page: Page, name: str) -> None:
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(PICTURES) / f"{name}.png")
