"""Who says nothing, says it slowly, or comes in crowds, over HTTP and DICOM; and that logs quote nobody."""

import io
import logging
import os
import socket
import stat
import subprocess
import sys
import time
import warnings
from urllib.parse import urlsplit

import anyio
import pytest
from server_made import listening, serve

from panlesion.aid.guard import bodies, impatient
from panlesion.aid.guard.logs import QUOTING, OneLine
from panlesion.aid.private import open_data, private
from panlesion.aid.vocabulary import Role

PATIENT = "Mustermann^Erika"


@pytest.fixture
def port(tmp_path, monkeypatch):
    """Of a server that is soon out of patience."""
    monkeypatch.setattr(impatient, "HEAD_S", 0.4)
    monkeypatch.setattr(bodies, "STRANGER_S", 0.4)
    with listening(serve(tmp_path).app) as url:
        yield urlsplit(url).port


def answer(port: int, *pieces: bytes, every_s: float = 0.0, most_s: float = 4.0) -> bytes:
    """What comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=most_s) as line:
        told = b""
        try:
            for piece in pieces:
                line.sendall(piece)
                time.sleep(every_s)
            while more := line.recv(4096):
                told += more
        except ConnectionError:
            pass
        return told


HEAD = b"GET /api/welcome HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize("pieces", [(), (b"GET",), tuple(HEAD[n : n + 4] for n in range(0, len(HEAD), 4))])
def test_slow_loris_a_head_that_does_not_come_is_not_waited_for(port, pieces):
    begun = time.monotonic()
    assert answer(port, *pieces, every_s=0.1) == b""
    assert time.monotonic() - begun < 4


def test_who_asks_at_once_is_answered_also_a_second_time(port):
    whole = HEAD + b"\r\n"
    last = HEAD + b"Connection: close\r\n\r\n"
    assert answer(port, whole, last, every_s=0.2).count(b"HTTP/1.1 200") == 2


def test_slow_loris_a_strangers_body_that_does_not_come_is_not_waited_for(port):
    head = b"POST /api/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"
    assert b" 408 " in answer(port, head)


def test_a_body_may_take_its_time_and_an_answer_too_once_it_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(bodies, "PIECE_S", 0.2)
    served = serve(tmp_path)

    @served.app.post("/api/slow")
    async def slow() -> str:
        await anyio.sleep(0.5)
        return "done"

    assert served.client(Role.READER).post("/api/slow", content=b"x").json() == "done"


@pytest.mark.parametrize("depth", [300, 480, 900, 2_000, 8_000])
def test_json_of_any_depth_is_refused_in_words(tmp_path, depth):
    body = b'{"name":' + b"[" * depth + b"]" * depth + b',"password":"x"}'
    told = serve(tmp_path).client().post("/api/login", content=body[:16_000], headers={"Content-Type": "application/json"})
    assert told.status_code in (400, 422)


def logged(write) -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneLine("%(levelname)s %(message)s"))
    log = logging.Logger("test")
    log.addHandler(handler)
    write(log)
    return stream.getvalue()


@pytest.mark.parametrize("said", ["a\nERROR forged", "a\r\nb", "a\u2028b", "\x1b[2Jx", "a\u202eb"])
def test_log_injection_an_entry_is_one_line_whatever_it_is_told(said):
    told = logged(lambda log: log.error("refused %s", said))
    assert told.count("\n") == 1 and told.isprintable() is False and told[:-1].isprintable()


def test_an_exception_in_the_log_quotes_nobody():
    def write(log):
        try:
            raise KeyError(PATIENT)
        except KeyError:
            log.exception("it broke")

    assert PATIENT not in logged(write) and "KeyError" in logged(write)


def test_libraries_that_quote_are_silent_in_a_server():
    script = (
        "import logging, warnings\n"
        "from panlesion.aid.guard.logs import QUOTING, log_to_stderr\n"
        "log_to_stderr()\n"
        f"[logging.getLogger(name).error('{PATIENT}') for name in QUOTING]\n"
        f"warnings.warn('Invalid value for VR PN: {PATIENT}')\n"
        "logging.getLogger('panlesion.aid').info('ours')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ)
    assert PATIENT not in done.stderr and "ours" in done.stderr and "pydicom" in QUOTING
    assert warnings.filters, "this process warns as before"


@pytest.mark.parametrize(("before", "after"), [(0o755, 0o750), (0o777, 0o750), (0o700, 0o700), (0o750, 0o750), (None, 0o700)])
def test_the_data_folder_is_closed_to_other_accounts(tmp_path, before, after):
    data = tmp_path / "data"
    if before is not None:
        data.mkdir()
        data.chmod(before)
    open_data(data)
    assert stat.S_IMODE(data.stat().st_mode) == after


def test_what_is_made_in_private_is_its_owners(tmp_path):
    before = os.umask(0o022)
    try:
        with private():
            (tmp_path / "a").write_text("x")
        (tmp_path / "b").write_text("x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o644
