import io
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pydicom
import pytest
from dicom_made import check_with_dciodvfy, laid_over
from orthanc_made import NAME, PASSWORD, free_port, running_orthanc
from pydicom.uid import Comprehensive3DSRStorage, SegmentationStorage
from pynetdicom import AE, evt
from report_made import read_study, sign
from server_made import serve
from sqlalchemy import select, update

from panlesion.aid.reads.delivery import DeliveryRefusedError, UnreachableError, queue_preliminary, run_send
from panlesion.aid.tables import AuditEntry, Job, Node
from panlesion.aid.vocabulary import JobState, NodeKind, Role


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


def test_an_addendum_goes_where_the_report_went_as_a_whole_new_document_that_names_the_one_before(tmp_path, orthanc):
    orthanc.clear()
    served = serve(tmp_path, organisation="Klinik")
    made, client = read_study(served), served.client(Role.READER)
    web(served, orthanc)
    assert sign(client, made).status_code == 200
    add_node(served, name="later", kind=NodeKind.DIMSE)
    ask = f"/api/studies/{made.study.id}"
    said = ["Seen <b>again</b>.\nTwice.", "x" * 3000]
    for text in said:
        assert client.post(f"{ask}/addenda", json={"text": text}).status_code == 201
    assert [one["what"] for one in client.get(f"{ask}/deliveries").json()] == ["addendum", "addendum", "signed"]
    documents = []
    for job in jobs(served):
        outcome = send(served, job)
        assert send(served, job).answer == outcome.answer
        documents.append(pydicom.dcmread(io.BytesIO(orthanc.fetch(outcome.answer["sent"]["sr.dcm"]))))
    assert len(orthanc.instances(made.study.study_uid)) == 4
    signed, first, second = documents
    assert "PredecessorDocumentsSequence" not in signed
    for before, after in ((signed, first), (first, second)):
        (named,) = after.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence
        assert named.ReferencedSOPInstanceUID == before.SOPInstanceUID
        assert after.SeriesInstanceUID == before.SeriesInstanceUID and after.InstanceNumber == before.InstanceNumber + 1
        assert (after.VerificationFlag, after.CompletionFlag, after.PreliminaryFlag) == ("VERIFIED", "COMPLETE", "FINAL")
        assert len(after.VerifyingObserverSequence) == len(before.VerifyingObserverSequence) + 1
        assert words_of(after)[: len(words_of(before))] == words_of(before)
    told = "".join(words_of(second)[len(words_of(signed)) :])
    assert "by Dr reader: Seen <b>again</b>. Twice." in told and "x" * 2000 in told
    newest = client.get(f"{ask}/sr.dcm").content
    assert pydicom.dcmread(io.BytesIO(newest)).SOPInstanceUID == second.SOPInstanceUID
    (tmp_path / "sr.dcm").write_bytes(newest)
    check_with_dciodvfy(tmp_path / "sr.dcm")


def words_of(report):
    """Every comment of a report's summary."""
    return [str(item.TextValue) for item in report.ContentSequence[-1].ContentSequence if "TextValue" in item]


def test_an_addendum_is_not_lost_when_the_signed_sr_is_and_nothing_half_stays(tmp_path):
    served = serve(tmp_path)
    made, client = read_study(served), served.client(Role.READER)
    assert sign(client, made).status_code == 200
    (path,) = (served.settings.data / "signed" / str(made.study.id)).glob("*/sr.dcm")
    path.write_bytes(b"gone")
    told = client.post(f"/api/studies/{made.study.id}/addenda", json={"text": "More."})
    assert told.status_code == 422 and "report that is added to" in told.json()["detail"]
    assert [one.name for one in path.parent.parent.iterdir()] == [path.parent.name]
    assert jobs(served) == [] and client.get(f"/api/studies/{made.study.id}/report.html").status_code == 200


class _Elsewhere(BaseHTTPRequestHandler):
    """Sends whoever posts on to another address, and notes who came there."""

    came: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.came.append(self.path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(307)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_a_report_is_not_sent_on_to_where_an_answer_leads(tmp_path):
    served = serve(tmp_path)
    with HTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/dicom-web"
        _, _, job = failing_job(served, kind=NodeKind.DICOMWEB, url=url)
        with pytest.raises(DeliveryRefusedError, match="redirect, which is not followed"):
            send(served, job)
        server.shutdown()
    assert _Elsewhere.came == ["/dicom-web/studies"]


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "[fe80::1]", "[::ffff:169.254.169.254]"])
def test_no_report_goes_to_where_clouds_keep_their_secrets(tmp_path, host):
    served = serve(tmp_path)
    _, _, job = failing_job(served, kind=NodeKind.DICOMWEB, url=f"http://{host}/dicom-web")
    with pytest.raises(UnreachableError, match="link-local"):
        send(served, job)


def failing_job(served, **told):
    """A job for a node that is not Orthanc's."""
    made = read_study(served)
    node = add_node(served, **told)
    assert sign(served.client(Role.READER), made).status_code == 200
    (job,) = jobs(served)
    return made, node, job


# pynetdicom forgets to close a socket whose connection was refused
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "told",
    [
        {"kind": NodeKind.DICOMWEB, "url": "http://127.0.0.1:{port}/dicom-web"},
        {"kind": NodeKind.DIMSE, "host": "127.0.0.1", "port": "{port}", "ae_title": "NOBODY"},
    ],
)
def test_a_pacs_that_is_not_there_is_tried_again(tmp_path, told):
    served = serve(tmp_path)
    port = free_port()
    filled = {key: value.format(port=port) if isinstance(value, str) else value for key, value in told.items()}
    filled |= {"port": port} if "port" in told else {}
    _, node, job = failing_job(served, **filled)
    with pytest.raises(UnreachableError, match="pacs does not answer"):
        send(served, job)
    with served.app.state.sessions.begin() as session:
        session.get(Node, node.id).active = False
    with pytest.raises(DeliveryRefusedError, match="switched off"):
        send(served, job)


def test_a_wrong_password_is_told_for_every_instance_and_not_tried_again(tmp_path, orthanc):
    served = serve(tmp_path)
    _, _, job = failing_job(served, kind=NodeKind.DICOMWEB, url=orthanc.dicomweb, user=NAME, password="wrong")
    with pytest.raises(DeliveryRefusedError, match=r"seg\.dcm: HTTP 401.*sr\.dcm: HTTP 401.*Taken: nothing"):
        send(served, job)


@contextmanager
def scripted_pacs(statuses):
    """A C-STORE receiver that answers by SOP class."""
    entity = AE(ae_title="SCRIPTED")
    entity.add_supported_context(SegmentationStorage)
    entity.add_supported_context(Comprehensive3DSRStorage)

    def answer(event):
        return statuses["seg.dcm" if event.request.AffectedSOPClassUID == SegmentationStorage else "sr.dcm"]

    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def test_what_a_pacs_refuses_is_named_and_what_it_has_already_is_no_failure(tmp_path):
    served = serve(tmp_path)
    statuses = {"seg.dcm": 0xA700, "sr.dcm": 0}
    with scripted_pacs(statuses) as port:
        _, _, job = failing_job(served, kind=NodeKind.DIMSE, host="127.0.0.1", port=port, ae_title="SCRIPTED")
        with pytest.raises(UnreachableError, match=r"seg\.dcm: out of resources \(0xA700\)\. Taken: sr\.dcm"):
            send(served, job)
        statuses["seg.dcm"] = 0xC000
        with pytest.raises(DeliveryRefusedError, match=r"seg\.dcm: refused \(0xC000\)\. Taken: sr\.dcm"):
            send(served, job)
        for fine in (0x0111, 0xB000):
            statuses["seg.dcm"] = fine
            assert set(send(served, job).answer["sent"]) == {"seg.dcm", "sr.dcm"}


def test_what_the_ai_found_goes_to_nodes_that_want_it_once(tmp_path):
    served = serve(tmp_path)
    made = read_study(served)
    wanted = add_node(served, kind=NodeKind.DIMSE, auto_sends=True, sends_to=False)
    add_node(served, name="other", kind=NodeKind.DIMSE)
    with served.app.state.sessions.begin() as session:
        first = queue_preliminary(session, made.study)
        assert [job.id for job in queue_preliminary(session, made.study)] == [job.id for job in first]
    (job,) = jobs(served)
    assert job.payload["node"] == str(wanted.id)
    assert job.payload["folder"] == made.results.relative_to(served.settings.data).as_posix()
    with pytest.raises(DeliveryRefusedError, match="nothing is left to send"):
        send(served, job)


def test_a_failed_delivery_is_listed_and_sent_again_by_a_reader(tmp_path):
    served = serve(tmp_path)
    made, _, job = failing_job(served, kind=NodeKind.DIMSE)
    client = served.client(Role.READER)
    ask = f"/api/studies/{made.study.id}/deliveries"
    assert [one["state"] for one in client.get(ask).json()] == ["queued"]
    assert client.post(f"{ask}/{job.id}/retry").status_code == 409
    with served.app.state.sessions.begin() as session:
        session.execute(update(Job).values(state=JobState.FAILED, cause="no room", attempts=3))
    (told,) = client.get(ask).json()
    assert (told["node"], told["cause"], told["attempts"]) == ("pacs", "no room", 3)
    again = client.post(f"{ask}/{job.id}/retry")
    assert again.status_code == 200 and again.json()["state"] == "queued" and again.json()["attempts"] == 0
    assert client.post(f"{ask}/{made.study.id}/retry").status_code == 404
    assert served.client(Role.MANAGER).post(f"{ask}/{job.id}/retry").status_code == 403
