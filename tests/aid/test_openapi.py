"""The whole OpenAPI is asked with what it allows and what it does not: whatever comes, the server answers, never with 5xx.

`PANLESION_FUZZ_SECONDS` gives it more time than the few seconds of a test run.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from images_made import put_study, slices
from schemathesis import Case, GenerationMode
from server_made import Served, serve
from starlette.testclient import TestClient, httpx

from panlesion.aid.vocabulary import Role

SECONDS = float(os.environ.get("PANLESION_FUZZ_SECONDS", "6"))
ENDLESS = {"/api/events": "a stream that ends with the connection", "/api/studies/{study_id}/propose": "waits for a worker"}
"""Not asked here, and why; each has tests of its own."""
BATCH = 4
ROLES: tuple[Role | None, ...] = (Role.READER, Role.MANAGER, Role.ADMIN, None)
FAST = settings(
    max_examples=BATCH,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@schemathesis.serializer("multipart/related", "application/gzip")
def of_parts(_context: Any, value: Any) -> bytes:
    """What stands in the one part that `ask` makes of it."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Served:
    return serve(tmp_path_factory.mktemp("fuzz"), attempts_per_15_min=1_000_000)  # it guesses passwords, too


def operations(served: Served) -> dict[str, Any]:
    schema = schemathesis.openapi.from_dict(served.app.openapi())
    found = [operation.ok() for operation in schema.get_all_operations()]
    return {f"{operation.method.upper()} {operation.path}": operation for operation in found}


def ask(client: TestClient, case: Case) -> int:
    """Send a case as it is, and whatever no client would send is sent still as near as HTTP lets it."""
    told = case.as_transport_kwargs(base_url="http://127.0.0.1")
    headers = {
        name: value for name, value in (told.get("headers") or {}).items() if value.isascii() and value.isprintable() and name
    }
    body: dict[str, Any] = {key: told[key] for key in ("json", "files") if told.get(key) is not None}
    data = told.get("data")
    if data is not None:
        body = {"content": data if isinstance(data, (bytes, str)) else repr(data)}
    if case.media_type == "multipart/related":
        headers["Content-Type"] = 'multipart/related; type="application/dicom"; boundary=x'
        sent = body.get("content", b"")
        sent = sent if isinstance(sent, bytes) else str(sent).encode(errors="replace")
        body = {"content": b"--x\r\nContent-Type: application/dicom\r\n\r\n" + sent + b"\r\n--x--\r\n"}
    if not isinstance(body.get("files", []), (list, dict)):
        body = {}
    url = told["url"].encode("ascii", "surrogatepass") if told["url"].isascii() else quote(told["url"], safe="/:%?&=")
    url = url if isinstance(url, str) else url.decode()
    try:
        return client.request(case.method, url, params=told.get("params"), headers=headers, **body).status_code
    except httpx.InvalidURL:
        return 414  # longer than the client sends


def real(served: Served, draw: Callable[[Any], Any], case: Case) -> None:
    """Half of the time, a path names a study that is there."""
    if draw(st.booleans()):
        images = slices(1, seed=draw(st.integers(0, 3)))
        study = put_study(served, images)
        known = {"study_id": study.id, "study": study.study_uid, "series": images[0].SeriesInstanceUID}
        known |= {"instance": images[0].SOPInstanceUID, "frames": "1"}
        for name, value in known.items():
            if name in (case.path_parameters or {}):
                case.path_parameters[name] = str(value)


def a_few(served: Served, operation: Any, client: TestClient, number: int, mode: GenerationMode) -> int:
    """Ask an operation a few times; returns how often."""
    codes: list[int] = []

    @seed(number)
    @FAST
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def once(case, data):
        real(served, data.draw, case)
        codes.append(ask(client, case))
        assert codes[-1] < 500, f"{case.method} {case.path}: {codes[-1]}"

    with suppress(Unsatisfiable):  # of an operation without parameters nothing can be wrong
        once()
    return len(codes)


def test_no_request_breaks_the_server(served):
    found = operations(served)
    asked = {name: operation for name, operation in found.items() if operation.path not in ENDLESS}
    assert len(asked) > 20
    counts, until, turn = dict.fromkeys(asked, 0), time.monotonic() + SECONDS, 0
    clients = {role: served.client(role) for role in ROLES}
    while turn == 0 or time.monotonic() < until:
        for number, (name, operation) in enumerate(asked.items()):
            role = ROLES[(number + turn) % len(ROLES)]
            mode = GenerationMode.NEGATIVE if turn % 3 == 2 else GenerationMode.POSITIVE
            counts[name] += a_few(served, operation, clients[role], 1000 * turn + number, mode)
            if operation.path == "/api/logout":
                clients[role] = served.client(role)
            if turn > 0 and time.monotonic() > until:
                break
        turn += 1
    assert min(counts.values()) > 0


def test_every_operation_tells_of_itself(served):
    for name, operation in operations(served).items():
        told = operation.definition.raw
        assert told.get("summary") and told.get("tags"), name
