"""Files that were made to harm: nothing is lost by them, and nothing is written outside its folder."""

import io
import struct
import zipfile

import pydicom
import pytest
from images_made import put_study, slices, url_of, written
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless
from server_made import serve
from sqlalchemy import select

from panlesion.aid.store import intake
from panlesion.aid.tables import Instance, Rejected
from panlesion.aid.vocabulary import Role

OTHER = "1.2.840.10008.5.1.4.1.1.7"


@pytest.fixture
def served(tmp_path):
    return serve(tmp_path, max_file_bytes=4 << 20, max_upload_bytes=16 << 20)


def picture(**values) -> FileDataset:
    """An object that is no CT, and is held to fewer rules."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = OTHER, "2.25.5"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    told = {"SOPClassUID": OTHER, "SOPInstanceUID": "2.25.5", "StudyInstanceUID": "2.25.1", "SeriesInstanceUID": "2.25.2"}
    for keyword, value in (told | {"Modality": "OT", "PatientID": "P"} | values).items():
        setattr(ds, keyword, value)
    return ds


def upload(served, *files):
    return served.client(Role.MANAGER).post("/api/studies", files=[("files", file) for file in files])


def reasons(told) -> str:
    assert told.status_code == 200, told.text
    return " | ".join(one["reason"] for one in told.json()["rejected"])


def tree(served) -> set[str]:
    """Every file of the server, and beside its folder."""
    root = served.settings.data.parent
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "name", ["../../evil.dcm", "/etc/evil.dcm", "..\\evil.dcm", "C:\\evil.dcm", "a/\u202e/../x", "\x1b[2Jx"]
)
def test_path_traversal_by_names_of_files_and_of_members_writes_nothing_elsewhere(served, name):
    (ds,) = slices(1)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), written(ds))
    before = tree(served)
    upload(served, (name, written(ds)), (f"{name}.zip", packed.getvalue()))
    new = {one for one in tree(served) - before if not one.startswith("data/aid.sqlite") and "audit" not in one}
    assert len(new) == 1 and next(iter(new)).startswith("data/dicom/")


@pytest.mark.parametrize("uid", ["../../../1.2", "1.2/../../3", "1..2", "/1.2", "1.2\\..\\3", "1.2\n3", ""])
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_path_traversal_by_uids_is_refused(served, keyword, uid):
    raw = written(picture())
    old = {"SOPInstanceUID": b"2.25.5", "SeriesInstanceUID": b"2.25.2", "StudyInstanceUID": b"2.25.1"}[keyword]
    tag = struct.pack("<HH", *divmod(pydicom.datadict.tag_for_keyword(keyword), 1 << 16)) + b"UI"
    at = raw.index(tag)
    value = uid.encode() + b"\0" * (len(uid) % 2)
    assert raw[at + 8 : at + 8 + len(old)] == old
    length = struct.unpack("<H", raw[at + 6 : at + 8])[0]
    bad = raw[: at + 6] + struct.pack("<H", len(value)) + value + raw[at + 8 + length :]
    if keyword == "SOPInstanceUID" and not uid:
        assert upload(served, ("a", bad)).json()["taken"] == 1  # its file meta still names it
    else:
        assert keyword in reasons(upload(served, ("a", bad)))
        assert not list((served.settings.data / "dicom").glob("**/*.dcm"))


def lzma_zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.dcm", bytes(range(256)) * 99)
    data = bytearray(packed.getvalue())
    data[60:90] = bytes(30)
    return bytes(data)


def nested(levels: int) -> bytes:
    data = bytes(1 << 20)
    for _ in range(levels):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.zip" if _ else "zeros", data)
        data = packed.getvalue()
    return data


def overlapping() -> bytes:
    """Many names of one and the same member."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(3 << 20))
    data = packed.getvalue()
    at, end = data.index(b"PK\x01\x02"), data.rindex(b"PK\x05\x06")
    entry, times = data[at:end], 1000
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, times, times, times * len(entry), at, 0)
    return data[:at] + entry * times + tail


@pytest.mark.parametrize(
    ("bomb", "words"),
    [
        (lzma_zip(), "method 14"),
        (nested(4), "a zip in a zip in a zip"),
        (overlapping(), "would unpack to"),
        (b"PK\x05\x06" + bytes(18), ""),
    ],
    ids=["lzma", "nested", "overlapping", "empty"],
)
def test_zip_bombs_are_refused_and_leave_nothing(served, bomb, words):
    told = upload(served, ("a.zip", bomb))
    assert told.status_code == 200 and words in reasons(told) and told.json()["taken"] == 0
    assert list((served.settings.data / "incoming").iterdir()) == []


def test_oversized_uploads_are_refused_by_every_door(served):
    manager = served.client(Role.MANAGER)
    big = bytes(5 << 20)
    assert "one file may have" in reasons(upload(served, ("a", picture_bytes(big))))
    for path in ("/api/studies", "/dicomweb/studies", "/dicomweb/studies/1.2"):
        assert manager.post(path, content=b"x" * ((16 << 20) + 1)).status_code == 413
    assert list((served.settings.data / "incoming").iterdir()) == []


def picture_bytes(pixels: bytes) -> bytes:
    """Of 256 columns."""
    told = {"Rows": len(pixels) // 256, "Columns": 256, "BitsAllocated": 8, "SamplesPerPixel": 1}
    ds = picture(**told, PhotometricInterpretation="MONOCHROME2", PixelData=pixels)
    ds["PixelData"].VR = "OB"
    return written(ds)


def deep(depth: int) -> bytes:
    """Sequences within sequences, none of which ends."""
    begins = struct.pack("<HH", 0x0040, 0xA730) + b"SQ\0\0" + b"\xff" * 4 + b"\xfe\xff\x00\xe0" + b"\xff" * 4
    return written(picture()) + begins * depth


@pytest.mark.parametrize("depth", [100, 5_000, 50_000])
def test_malformed_dicom_that_nests_without_end_is_refused(served, depth):
    assert "damaged" in reasons(upload(served, ("deep.dcm", deep(depth))))


@pytest.mark.parametrize("door", ["upload", "stow"])
def test_malformed_dicom_of_any_length_and_any_flipped_byte_is_taken_or_refused_in_words(served, door):
    (ds,) = slices(1)
    whole = written(ds)
    manager = served.client(Role.MANAGER)
    cut = [whole[:n] for n in range(0, len(whole), 97)]
    flipped = [whole[:n] + bytes([whole[n] ^ 0xFF]) + whole[n + 1 :] for n in range(132, len(whole) - 400, 61)]
    for data in [*cut, *flipped]:
        if door == "upload":
            told = manager.post("/api/studies", files={"files": ("a.dcm", data)})
            assert told.status_code == 200
        else:
            body = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--x--\r\n"
            kind = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}
            told = manager.post("/dicomweb/studies", content=body, headers=kind)
            assert told.status_code in (200, 202, 409)
    assert list((served.settings.data / "incoming").iterdir()) == []
    with served.app.state.sessions() as session:
        for path in session.scalars(select(Instance.path)):
            assert (served.settings.data / path).is_file()


@pytest.mark.parametrize("road", ["/rendered", "/thumbnail", "/frames/1/rendered"])
def test_an_image_of_countless_single_bits_is_kept_and_makes_no_picture(served, road):
    side = 5800  # 4 MiB of bits, a gigabyte once they are grey levels
    told = picture(
        Rows=side, Columns=side, BitsAllocated=1, BitsStored=1, HighBit=0, PixelRepresentation=0, SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2", PixelData=bytes(side * side // 8),
    )  # fmt: skip
    told["PixelData"].VR = "OB"
    put_study(served, [told])
    answer = served.client(Role.READER).get(url_of(told, road))
    assert answer.status_code == 406 and "pictures are made of at most" in answer.json()["detail"]


def test_a_compressed_frame_larger_than_it_says_is_not_decoded(served):
    """A codestream of JPEG 2000 that claims 65,000 pixels a side, in an image of 16 x 12."""
    (ds,) = slices(1)
    sizes = struct.pack(">HIIIIIIII", 0, 65_000, 65_000, 0, 0, 65_000, 65_000, 0, 0) + struct.pack(">HBBB", 1, 15, 1, 1)
    stream = b"\xff\x4f\xff\x51" + struct.pack(">H", len(sizes) + 2) + sizes + b"\xff\xd9"
    ds.PixelData = pydicom.encaps.encapsulate([stream])
    ds["PixelData"].is_undefined_length = True
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    put_study(served, [ds])
    asked = served.client(Role.READER).get(url_of(ds, "/frames/1"), headers={"Accept": "application/octet-stream"})
    assert asked.status_code == 406 and "cannot be decoded" in asked.json()["detail"]


def test_the_list_of_refused_files_does_not_grow_for_ever(served, monkeypatch):
    monkeypatch.setattr(intake, "MOST_REFUSED", 3)
    for _ in range(5):
        upload(served, ("a", b"nothing"))
    with served.app.state.sessions() as session:
        assert len(session.scalars(select(Rejected.id)).all()) == 3
