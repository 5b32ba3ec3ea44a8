"""STOW-RS: what is taken is kept and found again, what is not is named with its reason, and nothing breaks the server."""

import zlib

import pytest
from images_made import parts_of, slices, url_of, written
from pydicom.uid import generate_uid
from server_made import serve

from panlesion.aid.vocabulary import Role

BOUNDARY = "a-boundary"
KIND = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    return serve(tmp_path_factory.mktemp("stow"))


@pytest.fixture(scope="module")
def reader(served):
    return served.client(Role.READER)


def body(*files: bytes) -> bytes:
    parts = [f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode() + data + b"\r\n" for data in files]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


def uids(said, tag):
    return [item["00081155"]["Value"][0] for item in said.get(tag, {}).get("Value", [])]


def left_over(served):
    return list((served.settings.data / "incoming").glob("*"))


def test_what_is_stored_comes_back_as_it_was(served, reader):
    images = slices(3, seed=20)
    answer = reader.post("/dicomweb/studies", content=body(*map(written, images)), headers=KIND)
    assert answer.status_code == 200
    assert uids(answer.json(), "00081199") == [ds.SOPInstanceUID for ds in images]
    accept = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
    for ds, item in zip(images, answer.json()["00081199"]["Value"], strict=True):
        assert item["00081190"]["Value"] == [url_of(ds)]
        assert parts_of(reader.get(item["00081190"]["Value"][0], headers=accept))[0][1] == written(ds)
    again = reader.post(f"/dicomweb/studies/{images[0].StudyInstanceUID}", content=body(written(images[0])), headers=KIND)
    assert again.status_code == 200
    (study,) = reader.get(f"/dicomweb/studies?StudyInstanceUID={images[0].StudyInstanceUID}").json()
    assert study["00201208"]["Value"] == [3] and left_over(served) == []


def test_parts_that_cannot_be_kept_are_named_and_the_others_taken(served, reader):
    (good,), (other,) = slices(1, seed=21), slices(1, seed=22)
    study = good.StudyInstanceUID
    sent = body(written(good), b"no DICOM at all", written(other), written(good)[:700])
    answer = reader.post(f"/dicomweb/studies/{study}", content=sent, headers=KIND)
    said = answer.json()
    assert answer.status_code == 202 and uids(said, "00081199") == [good.SOPInstanceUID]
    assert uids(said, "00081198") == [other.SOPInstanceUID]
    assert said["00081198"]["Value"][0]["00081197"]["Value"] == [0xA900]
    assert len(said["0008119A"]["Value"]) == 2
    assert reader.get(url_of(other, "/metadata")).status_code == 404 and left_over(served) == []
    refused = [row["reason"] for row in reader.get("/api/rejected").json()]
    assert any("in the request" in reason for reason in refused) and any("DICM" in reason for reason in refused)


def test_where_nothing_is_kept_it_is_a_conflict(reader):
    answer = reader.post("/dicomweb/studies", content=body(b"x" * 500), headers=KIND)
    assert answer.status_code == 409 and "00081199" not in answer.json()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n" * 100,
        b"--other\r\n\r\nx\r\n--other--",
        f"--{BOUNDARY}--\r\n".encode(),
        f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\nbreaks off".encode(),
        f"--{BOUNDARY}\r\n".encode() + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
        f"--{BOUNDARY}\r\nno header at all\r\n\r\n".encode(),
        b"\0" * 1000,
    ],
)
def test_bodies_that_are_none_are_refused_in_words(served, reader, content):
    answer = reader.post("/dicomweb/studies", content=content, headers=KIND)
    assert answer.status_code == 400 and answer.json()["detail"] and left_over(served) == []


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/related", "multipart/form-data; boundary=x", "", "text/html; ;;"]
)
def test_other_kinds_of_bodies_are_not_supported(reader, kind):
    assert reader.post("/dicomweb/studies", content=b"{}", headers={"Content-Type": kind}).status_code == 415


def test_too_much_is_refused_and_what_was_taken_stays(tmp_path):
    served = serve(tmp_path, max_files=2, max_file_bytes=20_000, max_upload_bytes=60_000)
    reader, images = served.client(Role.READER), slices(3, seed=24)
    answer = reader.post("/dicomweb/studies", content=body(*map(written, images)), headers=KIND)
    assert answer.status_code == 413 and left_over(served) == []
    assert len(reader.get("/dicomweb/instances").json()) == 2
    assert reader.post("/dicomweb/studies", content=body(b"x" * 70_000), headers=KIND).status_code == 413
    mixed = reader.post("/dicomweb/studies", content=body(b"x" * 30_000, written(images[2])), headers=KIND)
    assert mixed.status_code == 202 and uids(mixed.json(), "00081199") == [images[2].SOPInstanceUID]


def test_a_deflated_bomb_is_no_image(served, reader):
    (ds,) = slices(1, seed=25)
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    head = written(ds)
    cut = 144 + int.from_bytes(head[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(b"\x08\x00\x16\x00UI\x02\x001\x00" + bytes(50 << 20)) + packer.flush()
    answer = reader.post(f"/dicomweb/studies/{generate_uid()}", content=body(head[:cut] + bomb), headers=KIND)
    assert answer.status_code == 409 and left_over(served) == []
    answer = reader.post("/dicomweb/studies", content=body(head[:cut] + bomb), headers=KIND)
    assert answer.status_code == 409 and left_over(served) == []


def test_storing_needs_an_account_and_the_token_of_its_session(served, reader):
    (ds,) = slices(1, seed=26)
    sent = body(written(ds))
    assert served.client().post("/dicomweb/studies", content=sent, headers=KIND).status_code == 401
    assert served.client(Role.ADMIN).post("/dicomweb/studies", content=sent, headers=KIND).status_code == 403
    forged = reader.post("/dicomweb/studies", content=sent, headers={**KIND, "X-CSRF-Token": "x"})
    assert forged.status_code == 403 and reader.get(url_of(ds, "/metadata")).status_code == 404
