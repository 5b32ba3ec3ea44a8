"""Uploads over the wire: what is taken, what is refused and listed, who may."""

from datetime import timedelta

from server_made import serve
from study_made import write_study

from panlesion.aid.store import files
from panlesion.aid.store.arrival import settle
from panlesion.aid.tables import Job, Login, Study, now
from panlesion.aid.vocabulary import JobKind, Role, StudyState


def upload(client, *files):
    return client.post("/api/studies", files=[("files", (name, data, "application/dicom")) for name, data in files])


def sent(paths):
    return [(path.name, path.read_bytes()) for path in paths]


def test_an_uploaded_study_is_queued_once_it_is_whole_and_a_second_upload_changes_nothing(tmp_path):
    served = serve(tmp_path, quiet_s=0)
    client = served.client(Role.READER)
    paths = write_study(tmp_path / "ct")
    told = upload(client, *sent(paths), ("notes.txt", b"hello")).json()
    assert told["taken"] == len(paths) and told["again"] == 0
    assert [(r["name"], "no DICOM" in r["reason"]) for r in told["rejected"]] == [("notes.txt", True)]
    (study_id,) = settle(served.app.state.sessions, served.settings)
    assert told["study_ids"] == [str(study_id)]
    assert settle(served.app.state.sessions, served.settings) == []
    again = upload(client, *sent(paths)).json()
    assert again["taken"] == 0 and again["again"] == len(paths)
    with served.app.state.sessions() as session:
        study = session.get(Study, study_id)
        assert (study.state, study.images, study.patient_name) == (StudyState.QUEUED, len(paths), "Muster^Erika")
        (job,) = session.query(Job).all()
        assert (job.kind, job.study_id) == (JobKind.ANALYSE, study_id)


def test_who_may_upload_and_who_sees_what_was_refused(tmp_path):
    served = serve(tmp_path)
    reader, manager, admin = (served.client(role) for role in (Role.READER, Role.MANAGER, Role.ADMIN))
    assert [upload(client, (f"{n}.txt", b"x")).status_code for n, client in enumerate((reader, manager, admin))] == [
        200,
        200,
        403,
    ]
    assert upload(served.client(), ("a", b"x")).status_code == 401
    assert [row["name"] for row in reader.get("/api/rejected").json()] == ["0.txt"]
    assert [row["name"] for row in manager.get("/api/rejected").json()] == ["1.txt", "0.txt"]
    assert admin.get("/api/rejected").status_code == 403


def test_bodies_that_are_none_or_too_much_and_a_full_disk_are_told_by_the_status(tmp_path, monkeypatch):
    served = serve(tmp_path, max_upload_bytes=10_000)
    client = served.client(Role.READER)
    path = write_study(tmp_path / "ct", slices=1)[0]
    assert client.post("/api/studies", json={}).status_code == 415
    kind = {"Content-Type": "multipart/form-data; boundary=B"}
    assert client.post("/api/studies", content=b"--B\r\nbroken", headers=kind).status_code == 400
    assert upload(client, ("a", bytes(20_000))).status_code == 413
    assert upload(client, *sent([path])).json()["taken"] == 1
    monkeypatch.setattr(files, "KEEP_FREE_BYTES", 1 << 62)
    assert upload(client, *sent([path])).status_code == 507
    assert not list((served.settings.data / "incoming").iterdir())


def test_an_upload_does_not_wait_for_the_login_that_it_came_with(tmp_path):
    # the login's own change, when it was last seen, must not hold the database while images are written down
    served = serve(tmp_path)
    client = served.client(Role.READER)
    with served.app.state.sessions.begin() as session:
        session.query(Login).one().seen_at = now() - timedelta(minutes=5)
    assert upload(client, *sent(write_study(tmp_path / "ct", slices=1))).json()["taken"] == 1
    with served.app.state.sessions() as session:
        assert now() - session.query(Login).one().seen_at < timedelta(minutes=1)
