"""PACS nodes over the wire: who may, what is refused, and passwords that are told to nobody."""

import http.server
import json
import threading
from contextlib import contextmanager

import pytest
from orthanc_made import NAME, PASSWORD, free_port, running_orthanc
from server_made import serve
from study_made import write_study

from panlesion.aid.tables import AuditEntry, Job, Node
from panlesion.aid.vocabulary import JobKind, Role

SECRET = "a very secret word"
WEB = {"name": "PACS", "kind": "dicomweb", "url": "http://127.0.0.1:9/dicom-web", "user": "u", "password": SECRET}
DIMSE = {"name": "OLD", "kind": "dimse", "host": "127.0.0.1", "port": 9, "ae_title": "OLD"}


# pynetdicom leaves the socket of a refused connection to the garbage collector
leaking = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def served(tmp_path):
    return serve(tmp_path)


@contextmanager
def web_server(answer):
    """A server on loopback whose every answer is written by `answer(handler)`; yields its address and the requests."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, dict(self.headers)))
            answer(self)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_an_admin_lists_changes_and_removes_nodes_and_the_log_tells_without_the_password(served):
    admin = served.client(Role.ADMIN)
    made = admin.post("/api/nodes", json=WEB)
    assert made.status_code == 201
    node = made.json()["id"]
    assert admin.post("/api/nodes", json=WEB).status_code == 409
    renamed = admin.put(f"/api/nodes/{node}", json={**WEB, "name": "NEW", "password": None})
    assert renamed.json()["name"] == "NEW"
    with served.app.state.sessions() as session:
        assert session.query(Node).one().password == SECRET
    said = [made.text, renamed.text, admin.get("/api/nodes").text, admin.post(f"/api/nodes/{node}/echo").text]
    assert admin.delete(f"/api/nodes/{node}").status_code == 204 and admin.get("/api/nodes").json() == []
    with served.app.state.sessions() as session:
        said += [json.dumps(entry.detail) for entry in session.query(AuditEntry)]
        assert [e.detail["what"] for e in session.query(AuditEntry) if e.action == "node changed"] == [
            "made",
            "changed",
            "removed",
        ]
    assert SECRET not in "".join(said) and "password" not in "".join(said)


def test_an_old_password_is_not_sent_to_a_new_address(served):
    admin = served.client(Role.ADMIN)
    node = admin.post("/api/nodes", json=WEB).json()["id"]
    elsewhere = {**WEB, "url": "http://127.0.0.1:10/elsewhere", "password": None}
    assert admin.put(f"/api/nodes/{node}", json=elsewhere).status_code == 422
    assert admin.put(f"/api/nodes/{node}", json={**elsewhere, "password": "new"}).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"url": "file:///etc/passwd"},
        {"url": "ftp://127.0.0.1/"},
        {"url": "http://"},
        {"url": "http://u:p@127.0.0.1/"},
        {"url": "http://127.0.0.1/?x=1"},
        {"url": "http://127.0.0.1:99999/"},
        {"url": "http://127.0.0.1/ x"},
        {**DIMSE, "host": "http://x"},
        {**DIMSE, "host": ""},
        {**DIMSE, "port": 0},
        {**DIMSE, "ae_title": ""},
        {**DIMSE, "ae_title": "a\\b"},
        {**DIMSE, "ae_title": " x"},
    ],
)
def test_addresses_that_cannot_be_asked_are_refused(served, change):
    assert served.client(Role.ADMIN).post("/api/nodes", json={**WEB, **change}).status_code == 422


@leaking
def test_readers_have_nothing_to_do_with_nodes_and_managers_only_ask(served):
    node = served.client(Role.ADMIN).post("/api/nodes", json=DIMSE).json()["id"]
    reader, manager = served.client(Role.READER), served.client(Role.MANAGER)
    for client, asks in ((reader, 403), (manager, 200)):
        assert client.get("/api/nodes").status_code == asks
        assert client.post(f"/api/nodes/{node}/echo").status_code == asks
        assert client.post("/api/nodes", json=DIMSE).status_code == 403
        assert client.delete(f"/api/nodes/{node}").status_code == 403
    assert reader.post("/api/pull", json={"node_id": node, "study_uid": "1.2.3"}).status_code == 403
    answer = manager.post("/api/pull", json={"node_id": node, "study_uid": "1.2.3"})
    again = manager.post("/api/pull", json={"node_id": node, "study_uid": "1.2.3"})
    assert answer.status_code == 202 and answer.json()["id"] == again.json()["id"]
    with served.app.state.sessions() as session:
        job = session.query(Job).one()
        assert (job.kind, job.payload) == (JobKind.PULL, {"node_id": node, "study_uid": "1.2.3"})


def test_a_real_pacs_is_tried_and_what_is_here_already_is_marked(tmp_path, served):
    paths = write_study(tmp_path / "ct", study="2.25.7", slices=2)
    with running_orthanc(tmp_path / "orthanc") as orthanc:
        for path in paths:
            orthanc.upload(path)
        admin = served.client(Role.ADMIN)
        told = {**WEB, "url": orthanc.dicomweb, "user": NAME, "password": PASSWORD}
        node = admin.post("/api/nodes", json=told).json()["id"]
        assert admin.post(f"/api/nodes/{node}/echo").json()["ok"]
        assert [s["here"] for s in admin.get(f"/api/nodes/{node}/studies?q=muster").json()] == [False]
        served.client(Role.READER).post("/api/studies", files=[("files", ("a", paths[0].read_bytes()))])
        assert [s["here"] for s in admin.get(f"/api/nodes/{node}/studies").json()] == [True]
        admin.put(f"/api/nodes/{node}", json={**told, "password": "wrong"})
        refused = admin.post(f"/api/nodes/{node}/echo").json()
        assert not refused["ok"] and "401" in refused["words"]


@leaking
def test_a_pacs_that_is_not_there_is_told_in_words(served):
    admin = served.client(Role.ADMIN)
    for told in ({**WEB, "url": f"http://127.0.0.1:{free_port()}"}, {**DIMSE, "port": free_port()}):
        node = admin.post("/api/nodes", json=told).json()["id"]
        answer = admin.post(f"/api/nodes/{node}/echo").json()
        assert not answer["ok"] and "cannot be reached" in answer["words"]
        assert admin.get(f"/api/nodes/{node}/studies").status_code == 502


def _redirects(handler):
    handler.send_response(302)
    handler.send_header("Location", "http://127.0.0.1:1/elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def _says(body):
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/dicom+json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (_redirects, "redirect"),
        (_says(b"<html>hello</html>"), "no DICOMweb"),
        (_says(b'[{"0020000D": 7}]'), "PACS"),
        (_says(b'{"a": 1}'), "PACS"),
    ],
)
def test_what_answers_otherwise_than_a_pacs_is_told_and_not_followed(served, answer, words):
    admin = served.client(Role.ADMIN)
    with web_server(answer) as (url, asked):
        node = admin.post("/api/nodes", json={**WEB, "url": url}).json()["id"]
        told = admin.get(f"/api/nodes/{node}/studies?q=x")
    assert told.status_code == 502 and words in told.json()["detail"] and SECRET not in told.text
    assert len(asked) == 1


def test_an_answer_without_end_is_cut_off(served, monkeypatch):
    monkeypatch.setattr("panlesion.aid.store.remote.MOST_JSON_BYTES", 1 << 16)
    admin = served.client(Role.ADMIN)
    with web_server(_says(b" " * (1 << 20))) as (url, _):
        node = admin.post("/api/nodes", json={**WEB, "url": url}).json()["id"]
        assert "does not end" in admin.get(f"/api/nodes/{node}/studies").json()["detail"]
