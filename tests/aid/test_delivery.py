import io

import pydicom
import pytest
from dicom_made import laid_over
from orthanc_made import NAME, PASSWORD, running_orthanc
from report_made import read_study, sign
from server_made import serve
from sqlalchemy import select

from panlesion.aid.reads.delivery import run_send
from panlesion.aid.tables import AuditEntry, Job, Node
from panlesion.aid.vocabulary import NodeKind, Role


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


def add_node(served, **told):
    node = Node(**({"name": "pacs", "sends_to": True} | told))
    with served.app.state.sessions.begin() as session:
        session.add(node)
    return node


def web(served, orthanc, **told):
    return add_node(served, kind=NodeKind.DICOMWEB, url=orthanc.dicomweb, user=NAME, password=PASSWORD, **told)


def dimse(served, orthanc, **told):
    where = {"host": orthanc.host, "port": orthanc.dicom_port, "ae_title": orthanc.ae_title}
    return add_node(served, kind=NodeKind.DIMSE, **(where | told))


def jobs(served):
    with served.app.state.sessions() as session:
        return list(session.scalars(select(Job).order_by(Job.created_at)))


def send(served, job):
    return run_send(served.app.state.sessions, served.settings, job, lambda *_: None)


@pytest.mark.parametrize("way", [web, dimse])
def test_a_signed_report_arrives_in_a_real_pacs_once_however_often_it_is_sent(tmp_path, orthanc, way):
    orthanc.clear()
    served = serve(tmp_path)
    made = read_study(served)
    way(served, orthanc, sends_pdf=True)
    assert sign(served.client(Role.READER), made).json()["deliveries"] == 1
    (job,) = jobs(served)
    outcome = send(served, job)
    assert send(served, job).answer == outcome.answer
    sent = outcome.answer["sent"]
    assert set(sent) == {"seg.dcm", "sr.dcm", "pdf.dcm"}
    assert set(orthanc.instances(made.study.study_uid)) == set(sent.values())
    with served.app.state.sessions.begin() as session:
        outcome.commit(session)
        entry = session.scalar(select(AuditEntry).where(AuditEntry.action == "sent"))
    assert entry.detail["files"] == ["seg.dcm", "sr.dcm", "pdf.dcm"]
    kept = pydicom.dcmread(io.BytesIO(orthanc.fetch(sent["seg.dcm"])))
    path = tmp_path / "back.dcm"
    kept.save_as(path)
    assert (laid_over(path, made.ct) == made.mask).all()
