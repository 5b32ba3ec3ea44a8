import hashlib

from dicom_made import check_with_dcentvfy, check_with_dciodvfy, laid_over
from report_made import read_study, sign
from server_made import serve
from sqlalchemy import select

from panlesion.aid.reads.report import read_mask
from panlesion.aid.tables import AuditEntry, Reading, Study
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
    assert (read_mask(folder / "mask.gz", made.mask.shape) == made.mask).all()
    assert (laid_over(folder / "seg.dcm", made.ct) == made.mask).all()
    for name in ("seg.dcm", "sr.dcm", "pdf.dcm"):
        check_with_dciodvfy(folder / name)
    check_with_dcentvfy(folder / "seg.dcm", folder / "sr.dcm", folder / "pdf.dcm", *(ref.path for ref in made.ct.slices[:1]))
    again = sign(client, made)
    assert again.status_code == 409 and "signed already" in again.text
