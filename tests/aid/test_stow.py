"""STOW-RS: what another system posts, and the account it gets."""

import pydicom
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from study_made import open_room, write_study

from panlesion.aid.store import files
from panlesion.aid.store.stow import DICOM_JSON, stow

KIND = 'multipart/related; type="application/dicom"; boundary=B'


def posting(room):
    app = FastAPI()

    @app.post("/studies")
    @app.post("/studies/{study_uid}")
    async def post(request: Request, study_uid: str | None = None):
        return await stow(request, room.sessions, room.settings, by=None, study_uid=study_uid)

    return TestClient(app)


def body_of(*parts):
    return b"".join(b"--B\r\nContent-Type: application/dicom\r\n\r\n" + part + b"\r\n" for part in parts) + b"--B--\r\n"


def post(client, path, *parts, kind=KIND):
    return client.post(path, content=body_of(*parts), headers={"Content-Type": kind})


def test_posted_images_are_kept_and_named_in_the_answer(tmp_path):
    room = open_room(tmp_path)
    paths = write_study(tmp_path / "ct", study="2.25.7", slices=3)
    answer = post(posting(room), "/studies", *(p.read_bytes() for p in paths))
    assert answer.status_code == 200 and answer.headers["content-type"].startswith(DICOM_JSON)
    told = pydicom.Dataset.from_json(answer.json())
    assert [item.ReferencedSOPInstanceUID for item in told.ReferencedSOPSequence] == [
        pydicom.dcmread(path).SOPInstanceUID for path in paths
    ]
    assert {p.read_bytes() for p in room.files()} == {p.read_bytes() for p in paths}


@pytest.mark.parametrize(("good", "status"), [(1, 202), (0, 409)])
def test_what_is_refused_is_named_with_its_reason(tmp_path, good, status):
    room = open_room(tmp_path)
    image = write_study(tmp_path / "ct", slices=1)[0].read_bytes()
    answer = post(posting(room), "/studies", *[image] * good, b"no image")
    (failed,) = answer.json()["00081198"]["Value"]
    assert answer.status_code == status
    assert failed["00081197"]["Value"] == [0xC000] and "no DICOM" in failed["00000902"]["Value"][0]


def test_images_of_another_study_than_the_address_names_are_refused(tmp_path):
    room = open_room(tmp_path)
    image = write_study(tmp_path / "ct", study="2.25.7", slices=1)[0].read_bytes()
    client = posting(room)
    assert post(client, "/studies/2.25.8", image).status_code == 409 and room.files() == []
    assert post(client, "/studies/2.25.7", image).status_code == 200


def test_other_bodies_too_much_and_a_full_disk_are_told_by_the_status(tmp_path, monkeypatch):
    room = open_room(tmp_path, max_upload_bytes=6000)
    image = write_study(tmp_path / "ct", slices=1)[0].read_bytes()
    client = posting(room)
    assert post(client, "/studies", image, kind="application/dicom").status_code == 400
    assert client.post("/studies", content=body_of(image)[:-20], headers={"Content-Type": KIND}).status_code == 400
    assert post(client, "/studies", image, image).status_code == 413
    monkeypatch.setattr(files, "KEEP_FREE_BYTES", 1 << 62)
    assert post(client, "/studies", image).status_code == 507
    assert not list((room.settings.data / "incoming").iterdir())
