import base64
import hashlib
import io
import json
import re
import subprocess
import zipfile

import pydicom
import pytest
from dicom_made import _said, check_with_dcentvfy, check_with_dciodvfy, laid_over
from report_made import NAME, PATIENT, document, finding, instance_of, read_study, sign
from server_made import serve

from panlesion.aid.reads.export import prepare, series_of
from panlesion.aid.reads.report import report_of
from panlesion.aid.tables import Series
from panlesion.aid.vocabulary import RESEARCH_USE, Role
from panlesion.ct.dicom import read_dicom

SECRETS = (
    "Müster",
    "Erika",
    PATIENT,
    "ACC-90125",
    "2.25.1111",
    "2.25.8888",
    "2.25.771",
    "Dr reader",
    "Ruth",
    "19600102",
    "1960-01",
)


def told_document():
    """Everything that a reader can type names the patient."""
    hostile = f"{NAME} {PATIENT} was seen by Dr reader, ACC-90125"
    return document(
        finding(1, note=hostile, location="Erika's upper pole", sentence="Lesion in Erika's upper pole."),
        finding(2, mask_edited=True),
        finding(3, attributes={}),
        impression=[f"Lesion; compared with {PATIENT} of 2024-05-06."],
        impression_text=hostile,
        comment=hostile,
    )


def archive(client, made, **params):
    answer = client.get(f"/api/studies/{made.study.id}/export.zip", params=params)
    assert answer.status_code == 200, answer.text
    return zipfile.ZipFile(io.BytesIO(answer.content))


def errors_of(path):
    return {line for line in _said("dciodvfy", path) if line.startswith("Error")}


def pdf_text(tmp_path, data):
    path = tmp_path / "one.pdf"
    path.write_bytes(data)
    done = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True)
    return done.stdout.decode()


def test_an_archive_has_images_and_reports_as_they_are(tmp_path):
    served = serve(tmp_path)
    made = read_study(served)
    client = served.client(Role.READER)
    assert sign(client, made).status_code == 200
    held = archive(client, made)
    assert held.testzip() is None
    names = set(held.namelist())
    assert {"README.txt", "report.pdf", "report.html", "seg.dcm", "sr.dcm", "fhir.json", "document.json", "mask.gz"} <= names
    assert RESEARCH_USE in held.read("README.txt").decode()
    images = sorted(name for name in names if name.startswith("images/"))
    kept = {hashlib.sha256(ref.path.read_bytes()).hexdigest() for ref in made.ct.slices}
    assert {hashlib.sha256(held.read(name)).hexdigest() for name in images} == kept
    assert list((served.settings.data / "outgoing").iterdir()) == []


@pytest.mark.parametrize("signed", [False, True])
def test_nothing_of_the_patient_is_in_a_deidentified_archive(tmp_path, signed):
    served = serve(tmp_path)
    made = read_study(served, told_document())
    client = served.client(Role.READER)
    if signed:
        assert sign(client, made).status_code == 200
    held = archive(client, made, deidentify=True)
    secret = [*SECRETS, *(ref.sop_instance for ref in made.ct.slices), str(made.study.id)]
    for name in held.namelist():
        # letters of pictures and PDFs may spell anything; the PDF is looked into by itself
        data = re.sub(rb'(base64,|"(data|hash)": ")[A-Za-z0-9+/=]+', b"", held.read(name))
        shown = pdf_text(tmp_path, data).encode() if name.endswith(".pdf") else data
        for word in secret:
            for encoded in (word.encode(), word.encode("latin-1"), word.encode("utf-16-le"), word.encode("utf-16-be")):
                # a new UID may begin as an old one does that is short
                found = re.compile(re.escape(encoded.lower()) + (rb"(?![0-9])" if word.startswith("2.25.") else b""))
                assert not found.search(data.lower()), (name, word)
                assert not found.search(shown.lower()), (name, word)
            assert word not in name
    fhir = json.loads(held.read("fhir.json"))
    assert fhir["status"] == ("final" if signed else "preliminary")
    if signed:
        assert base64.b64decode(fhir["presentedForm"][0]["data"]) == held.read("report.pdf")


def test_deidentified_files_belong_together_and_are_named_alike_every_time(tmp_path):
    served = serve(tmp_path)
    made = read_study(served)
    client = served.client(Role.READER)
    assert sign(client, made).status_code == 200
    held, again = archive(client, made, deidentify=True), archive(client, made, deidentify=True)
    folder = tmp_path / "out"
    held.extractall(folder)
    ct = read_dicom(folder / "images" / "01")
    assert (ct.volume.hu == made.ct.volume.hu).all()
    assert (laid_over(folder / "seg.dcm", ct) == made.mask).all()
    check_with_dciodvfy(folder / "seg.dcm")
    check_with_dciodvfy(folder / "sr.dcm")
    # the made CT itself lacks what only a scanner knows
    assert errors_of(folder / "images/01/0001.dcm") <= errors_of(made.ct.slices[0].path)
    for name in ("seg.dcm", "sr.dcm", "images/01/0001.dcm"):
        first, second = pydicom.dcmread(folder / name), pydicom.dcmread(io.BytesIO(again.read(name)))
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientID"):
            assert first[keyword] == second[keyword]
        assert first.PatientIdentityRemoved == "YES"
        assert first.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
    check_with_dcentvfy(folder / "seg.dcm", folder / "sr.dcm", folder / "images/01/0001.dcm")
    seg, sr = pydicom.dcmread(folder / "seg.dcm"), pydicom.dcmread(folder / "sr.dcm")
    images = {
        pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID for path in (folder / "images/01").iterdir()
    }
    assert {one.ReferencedSOPInstanceUID for one in seg.SourceImageSequence} == images
    assert seg.SOPInstanceUID in str(sr)
    key = served.settings.data / "deidentify.key"
    assert key.stat().st_mode & 0o777 == 0o600 and len(key.read_bytes()) == 32


def test_an_archive_lists_what_is_left_out_and_goes_on(tmp_path):
    served = serve(tmp_path)
    made = read_study(served)
    paths = [ref.path for ref in made.ct.slices]
    client = served.client(Role.READER)
    assert sign(client, made).status_code == 200
    paths[2].unlink()
    held = archive(client, made)
    assert held.testzip() is None
    assert len([name for name in held.namelist() if name.startswith("images/")]) == len(paths) - 1
    told = held.read("left_out.txt").decode()
    assert "No such file" in told and str(served.settings.data) not in told


def test_an_image_that_may_show_a_name_is_not_in_a_deidentified_archive(tmp_path):
    served = serve(tmp_path)
    made = read_study(served)
    with served.app.state.sessions.begin() as session:
        other = Series(study_id=made.study.id, series_uid="2.25.4242", number=9, modality="CT", images=1)
        session.add(other)
        session.flush()
        image = pydicom.dcmread(made.ct.slices[0].path)
        image.SeriesInstanceUID, image.BurnedInAnnotation = "2.25.4242", "YES"
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = "2.25.4243"
        path = served.settings.data / "dicom" / str(made.study.id) / str(other.id) / "2.25.4243.dcm"
        path.parent.mkdir(parents=True)
        image.save_as(path)
        session.add(instance_of(path, served.settings.data, other))
    held = archive(served.client(Role.READER), made, deidentify=True)
    assert not any(name.startswith("images/02") for name in held.namelist())
    assert "images/02/0001.dcm, CT: says that something is written into its pixels" in held.read("left_out.txt").decode()


def test_an_archive_that_is_given_up_leaves_nothing(tmp_path):
    served = serve(tmp_path)
    made = read_study(served)
    with served.app.state.sessions() as session:
        report = report_of(session, served.settings, made.study)
        series = series_of(session, served.settings, made.study.id)
    stream = prepare(served.settings, report, series, of_nobody=True).stream()
    next(stream)
    stream.close()
    assert list((served.settings.data / "outgoing").iterdir()) == []
    assert max(map(len, prepare(served.settings, report, series, of_nobody=False).stream())) < 2 << 20
