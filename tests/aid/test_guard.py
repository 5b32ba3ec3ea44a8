"""Sizes of bodies, errors in words, incidents: what the guard does with what comes, and with what goes wrong."""

import json
import logging
from pathlib import Path

import anyio
import pytest
from fastapi import HTTPException, Request
from fastapi.responses import StreamingResponse
from server_made import PASSWORD, serve
from sqlalchemy.exc import OperationalError

from panlesion.aid.guard.bodies import JSON_BYTES, LOGIN_BYTES
from panlesion.aid.guard.words import without_paths
from panlesion.aid.vocabulary import Role
from panlesion.data.publish import DiskFullError
from panlesion.errors import ReadError

PATIENT = "Mustermann^Erika"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    made = serve(tmp_path_factory.mktemp("guard"), max_upload_bytes=100_000)

    @made.app.get("/api/raises/{what}")
    def raises(what: str) -> None:
        raise {
            "ours": ReadError(f"{made.settings.data}/dicom/1/2.dcm: not a CT"),
            "full": DiskFullError("no space left"),
            "database": OperationalError("SELECT", {"name": PATIENT}, Exception("database is locked")),
            "bug": KeyError(PATIENT),
        }[what]

    @made.app.post("/api/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    return made


def chunks(size: int, sent: list[int]):
    for _ in range(size // 4096):
        sent[0] += 4096
        yield b"x" * 4096


def test_a_body_is_refused_by_its_told_length_before_it_is_read(served):
    reader = served.client(Role.READER)
    told = reader.post("/api/echo", content=b"x" * (JSON_BYTES + 1))
    assert told.status_code == 413 and "8 MiB" in told.json()["detail"]
    assert reader.post("/api/echo", content=b"x" * 1000).json() == 1000


def test_a_body_without_length_is_refused_once_it_is_too_long(served):
    reader = served.client(Role.READER)
    sent = [0]
    assert reader.post("/api/echo", content=chunks(JSON_BYTES + 8192, sent)).status_code == 413
    assert reader.post("/api/echo", content=chunks(8192, sent)).json() == 8192


def test_uploads_have_the_limit_of_the_settings(served):
    manager = served.client(Role.MANAGER)
    for path in ("/api/studies", "/dicomweb/studies", "/dicomweb/studies/1.2"):
        assert manager.post(path, content=b"x" * 100_001).status_code == 413
        assert manager.post(path, content=b"x" * 99_999).status_code in (400, 411, 415, 422)


def test_the_login_takes_little(served):
    told = {"name": "reader-1", "password": "x" * LOGIN_BYTES}
    assert served.client().post("/api/login", json=told).status_code == 413


def test_nothing_is_read_of_strangers(served):
    async def app_that_must_not_be_asked(*_):
        raise AssertionError("a stranger's body was read")

    sent = []

    async def receive():
        raise AssertionError("a stranger's body was read")

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/studies",
        "raw_path": b"/api/studies",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"content-length", b"1000")],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "app": served.app,
    }
    anyio.run(served.app, scope, receive, send)
    assert sent[0]["status"] == 401


def test_our_errors_are_told_in_their_words_without_paths_of_the_server(served):
    told = served.client().get("/api/raises/ours")
    assert (told.status_code, told.json()) == (422, {"detail": "dicom/1/2.dcm: not a CT"})
    assert served.client().get("/api/raises/full").status_code == 507


@pytest.mark.parametrize(("what", "status"), [("bug", 500), ("database", 503)])
def test_what_nobody_foresaw_has_a_number_and_quotes_nobody(served, caplog, what, status):
    with caplog.at_level(logging.ERROR):
        told = served.client().get(f"/api/raises/{what}")
    assert told.status_code == status and "X-Research-Use" in told.headers
    number = told.json()["detail"].rstrip(")").split("incident ")[1]
    assert number in caplog.text and "test_guard.py" in caplog.text
    assert PATIENT not in caplog.text and PATIENT not in told.text


def test_bad_input_is_told_by_field_and_rule_and_never_quoted(served):
    told = served.client().post("/api/login", json={"name": PASSWORD * 9, "password": 7, "more": 1})
    assert told.status_code == 422
    words = told.json()["detail"]
    assert all(field in words for field in ("name: ", "password: ", "more: ")) and PASSWORD not in words
    broken = served.client().post("/api/login", content=b"{", headers={"Content-Type": "application/json"})
    assert broken.status_code == 422 and "JSON" in broken.json()["detail"]


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_text_that_no_database_holds_is_refused(served, name):
    body = json.dumps({"name": name, "password": "x"}).encode()
    told = served.client().post("/api/login", content=body, headers={"Content-Type": "application/json"})
    assert told.status_code == 422
    assert served.client().get("/api/welcome?q=%00").status_code == 400
    assert served.client().get("/api/%00").status_code == 400


def test_unknown_addresses_of_the_api_are_json(served):
    for path in ("/api", "/api/nothing", "/dicomweb/nothing", "/api/../api/nothing"):
        told = served.client().get(path)
        assert told.status_code in (401, 404) and told.json()["detail"]
    assert served.client().post("/", headers={}).status_code == 401


@pytest.mark.parametrize("data", ["/srv/room", "room"])
def test_words_lose_the_data_folder_and_nothing_else(data):
    folder = Path(data)
    told = without_paths(f"{folder.resolve()}/dicom/1.dcm and {folder.resolve()}", folder)
    assert told == "dicom/1.dcm and the data folder"


def test_an_answer_that_breaks_off_breaks_the_connection(served):
    @served.app.get("/api/half")
    def half() -> StreamingResponse:
        def parts():
            yield b"x"
            raise KeyError(PATIENT)

        return StreamingResponse(parts())

    with pytest.raises(RuntimeError, match="incident") as caught:
        served.client().get("/api/half")
    assert PATIENT not in str(caught.value)


def test_words_of_http_errors_stay(served):
    @served.app.get("/api/teapot")
    def teapot() -> None:
        raise HTTPException(418, "a pot of tea")

    assert served.client().get("/api/teapot").json() == {"detail": "a pot of tea"}
