import hashlib
import io
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pydicom
import pytest
from dicom_made import check_with_dcentvfy, check_with_dciodvfy, laid_over
from report_made import document, finding, read_study, sign
from server_made import serve
from sqlalchemy import event, select, update
from sqlalchemy.exc import OperationalError

from panlesion.aid.reads import sign as signing
from panlesion.aid.reads.masks import read_mask
from panlesion.aid.tables import AuditEntry, Job, Login, Reading, Study, User, now
from panlesion.aid.vocabulary import ReadingState, Role, StudyState

FILES = {"document.json", "mask.gz", "report.html", "report.pdf", "fhir.json", "seg.dcm", "sr.dcm", "pdf.dcm"}


def test_signing_freezes_the_reading_and_writes_all_that_leaves(tmp_path):
    served = serve(tmp_path)
    made = read_study(served)
    client = served.client(Role.READER)
    told = sign(client, made)
    assert told.status_code == 200, told.text
    with served.app.state.sessions() as session:
        reading, study = session.get(Reading, made.study.id), session.get(Study, made.study.id)
        assert (reading.state, study.state) == (ReadingState.SIGNED, StudyState.SIGNED)
        folder = served.settings.data / reading.signed_path
        assert session.scalar(select(AuditEntry).where(AuditEntry.action == "sign")).study_id == made.study.id
    assert {path.name for path in folder.iterdir()} == FILES
    signed = (folder / "document.json").read_bytes() + (folder / "mask.gz").read_bytes()
    assert reading.signed_sha256 == hashlib.sha256(signed).hexdigest() == told.json()["sha256"]
    assert (read_mask(served.settings, str(folder / "mask.gz"), made.mask.shape) == made.mask).all()
    assert (laid_over(folder / "seg.dcm", made.ct) == made.mask).all()
    for name in ("seg.dcm", "sr.dcm", "pdf.dcm"):
        check_with_dciodvfy(folder / name)
    check_with_dcentvfy(folder / "seg.dcm", folder / "sr.dcm", folder / "pdf.dcm", *(ref.path for ref in made.ct.slices[:1]))
    again = sign(client, made)
    assert again.status_code == 409 and "signed already" in again.text


def state_of(served, made):
    with served.app.state.sessions() as session:
        reading, jobs = session.get(Reading, made.study.id), session.scalars(select(Job)).all()
    folder = served.settings.data / "signed" / str(made.study.id)
    left = list(folder.rglob("*")) if folder.exists() else []
    return reading.state, left, jobs


def assert_draft(served, made):
    assert state_of(served, made) == (ReadingState.DRAFT, [], [])


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (document(finding(1, decision="open"), finding(2), finding(3, decision="open")), "findings 1, 3 are not decided"),
        (document(finding(1), finding(2), finding(3, size=None)), "accepted findings 3 have no outline"),
        (document(finding(1), finding(2), finding(3), finding(4)), "accepted findings 4 have no outline"),
        (document(finding(1), finding(2)), "labels 3 of no finding"),
    ],
)
def test_what_is_not_finished_is_not_signed(tmp_path, told, words):
    served = serve(tmp_path)
    made = read_study(served, told)
    answer = sign(served.client(Role.READER), made)
    assert answer.status_code == 422 and words in answer.json()["detail"]
    assert_draft(served, made)


def test_only_a_reader_who_proves_it_signs_the_version_that_was_looked_at(tmp_path):
    served = serve(tmp_path, attempts_per_15_min=2)
    made = read_study(served)
    client = served.client(Role.READER)
    assert sign(client, made, version=None).status_code == 428
    assert sign(client, made, version='"x"').status_code == 400
    stale = sign(client, made, version='"6"')
    assert stale.status_code == 412 and stale.json()["detail"]["version"] == 7
    assert sign(served.client(Role.MANAGER), made).status_code == 403
    assert served.client().post(f"/api/studies/{made.study.id}/sign", json={}).status_code == 401
    wrong = [sign(client, made, password="not it").status_code for _ in range(3)]
    assert wrong == [403, 403, 429]
    assert sign(client, made).status_code == 429
    assert_draft(served, made)
    assert served.client(Role.READER).get("/api/session").status_code == 200  # logging in is counted apart


def test_an_account_of_an_identity_provider_signs_soon_after_logging_in(tmp_path):
    served = serve(tmp_path)
    made = read_study(served)
    client = served.client(Role.READER)
    with served.app.state.sessions.begin() as session:
        session.execute(update(User).values(password_hash=None))
        session.execute(update(Login).values(created_at=now() - timedelta(minutes=16)))
    assert sign(client, made, password="").status_code == 403
    with served.app.state.sessions.begin() as session:
        session.execute(update(Login).values(created_at=now()))
    assert sign(client, made, password="").status_code == 200


def test_of_two_who_sign_at_once_one_does(tmp_path):
    served = serve(tmp_path)
    made = read_study(served)
    clients = [served.client(Role.READER), served.client(Role.READER)]
    with ThreadPoolExecutor(2) as pool:
        codes = sorted(answer.status_code for answer in pool.map(lambda client: sign(client, made), clients))
    assert codes == [200, 409]
    state, left, _ = state_of(served, made)
    assert state is ReadingState.SIGNED
    assert len([path for path in left if path.is_dir()]) == 1


def test_a_change_while_signing_wins_and_nothing_half_signed_is_left(tmp_path, monkeypatch):
    served = serve(tmp_path)
    made = read_study(served)
    write = signing._write

    def slow(*args):
        with served.app.state.sessions.begin() as session:
            session.execute(update(Reading).values(version=8))
        return write(*args)

    monkeypatch.setattr(signing, "_write", slow)
    answer = sign(served.client(Role.READER), made)
    assert answer.status_code == 412 and answer.json()["detail"]["version"] == 8
    assert_draft(served, made)


def test_a_signature_whose_commit_was_not_answered_keeps_what_it_signed(tmp_path, monkeypatch):
    served = serve(tmp_path)
    made = read_study(served)
    freeze, lost = signing._freeze, []

    def lose(_session):
        if lost:
            lost.clear()
            raise OperationalError("COMMIT", {}, Exception("server closed the connection unexpectedly"))

    def frozen(*told):
        freeze(*told)
        lost.append(True)

    monkeypatch.setattr(signing, "_freeze", frozen)
    client = served.client(Role.READER)
    event.listen(served.app.state.sessions, "after_commit", lose)
    assert sign(client, made).status_code == 503
    assert sign(client, made).status_code == 409
    assert client.get(f"/api/studies/{made.study.id}/report.pdf").content.startswith(b"%PDF")


def test_images_that_are_gone_are_told_and_nothing_is_signed(tmp_path):
    served = serve(tmp_path)
    made = read_study(served)
    made.ct.slices[3].path.unlink()
    client = served.client(Role.READER)
    assert sign(client, made).status_code == 422
    assert_draft(served, made)


def test_rejected_findings_do_not_leave(tmp_path):
    served = serve(tmp_path)
    made = read_study(served, document(finding(1), finding(2, decision="rejected", sentence="REJECTED ONE."), finding(3)))
    client = served.client(Role.READER)
    assert sign(client, made).status_code == 200
    ask = f"/api/studies/{made.study.id}"
    seg = pydicom.dcmread(io.BytesIO(client.get(f"{ask}/seg.dcm").content))
    assert [str(one.TrackingUID) for one in seg.SegmentSequence] == ["2.25.771", "2.25.773"]
    for name in ("sr.dcm", "report.html", "fhir"):
        body = client.get(f"{ask}/{name}").content
        assert b"REJECTED ONE" not in body and b"reject" in body
    with served.app.state.sessions() as session:
        exported = [entry.detail["what"] for entry in session.scalars(select(AuditEntry).where(AuditEntry.action == "export"))]
    assert exported == ["seg.dcm", "sr.dcm", "report.html", "fhir"]


def test_without_an_accepted_finding_there_is_a_report_and_no_seg(tmp_path):
    served = serve(tmp_path)
    made = read_study(served, document(*(finding(n, decision="rejected") for n in (1, 2, 3)), impression=["No lesion."]))
    client = served.client(Role.READER)
    assert sign(client, made).status_code == 200
    ask = f"/api/studies/{made.study.id}"
    assert client.get(f"{ask}/seg.dcm").status_code == 404
    sr = client.get(f"{ask}/sr.dcm")
    (tmp_path / "sr.dcm").write_bytes(sr.content)
    check_with_dciodvfy(tmp_path / "sr.dcm")
    assert "rejected 3 findings" in client.get(f"{ask}/report.html").text
    assert client.get(f"{ask}/report.pdf").content[:4] == b"%PDF"


def test_addenda_are_added_to_a_signed_report_and_to_nothing_else(tmp_path):
    served = serve(tmp_path)
    made = read_study(served)
    client = served.client(Role.READER)
    ask = f"/api/studies/{made.study.id}"
    text = "Seen again <b>with</b> the surgeon."
    assert client.post(f"{ask}/addenda", json={"text": text}).status_code == 409
    assert sign(client, made).status_code == 200
    before = client.get(f"{ask}/report.html").text
    told = client.post(f"{ask}/addenda", json={"text": text})
    assert told.status_code == 201 and told.json()["by"] == "Dr reader"
    assert client.post(f"{ask}/addenda", json={"text": " \n"}).status_code == 422
    after = client.get(f"{ask}/report.html").text
    assert "surgeon" not in before and "&lt;b&gt;with&lt;/b&gt; the surgeon" in after
    fhir = client.get(f"{ask}/fhir").json()
    assert fhir["status"] == "appended" and text in fhir["conclusion"]
    assert sign(client, made).status_code == 409


def test_what_was_signed_is_known_again_and_a_changed_file_is_found(tmp_path):
    served = serve(tmp_path)
    made = read_study(served)
    client = served.client(Role.READER)
    sign(client, made)
    with served.app.state.sessions.begin() as session:
        session.execute(update(Study).values(patient_name="Somebody^Else"))
    assert "MÜSTER" in client.get(f"/api/studies/{made.study.id}/report.html").text
    with served.app.state.sessions() as session:
        path = served.settings.data / session.get(Reading, made.study.id).signed_path / "document.json"
    path.write_bytes(path.read_bytes().replace("Müster".encode(), b"Master!"))
    told = client.get(f"/api/studies/{made.study.id}/report.html")
    assert told.status_code == 422 and "not those that were signed" in told.json()["detail"]
