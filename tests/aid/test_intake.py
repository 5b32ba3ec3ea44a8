"""Uploads over the wire: what is taken, what is refused and listed, who may."""

from server_made import serve
from study_made import write_study

from panlesion.aid.store.arrival import settle
from panlesion.aid.tables import Job, Study
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
