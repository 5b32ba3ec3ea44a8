"""What people upload: folders, zips, zips in zips, and zips that were made to harm."""

import stat
import struct
import zipfile

import pytest
from study_made import open_room, write_study

from panlesion.aid.store import archive
from panlesion.aid.store.archive import TooMuchError
from panlesion.aid.store.intake import Outcome
from panlesion.aid.store.multipart import Part
from panlesion.aid.store.upload import Upload


@pytest.fixture
def paths(tmp_path):
    return write_study(tmp_path / "ct", slices=3)


def uploaded(room, *files):
    """Names and bytes, as a form brings them, in pieces."""
    upload = Upload(sessions=room.sessions, settings=room.settings, by=None)
    try:
        for name, data in files:
            upload.begin(Part(headers={"content-disposition": f'form-data; name="files"; filename="{name}"'}))
            for at in range(0, len(data), 5000):
                upload.data(data[at : at + 5000])
            upload.end()
    finally:
        upload.drop()
    return upload


def zipped(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as made:
        for name, data in members:
            made.writestr(name, data)
    return path.read_bytes()


def reasons(upload):
    return {t.name: t.reason for t in upload.results if t.outcome is Outcome.REFUSED}


def test_a_zip_of_a_folder_gives_its_images_and_names_what_is_none(tmp_path, paths):
    room = open_room(tmp_path)
    members = [(f"CD/DICOM/{p.name}", p.read_bytes()) for p in paths] + [("CD/README.TXT", b"hello"), ("CD/empty", b"")]
    upload = uploaded(room, ("cd.zip", zipped(tmp_path / "a.zip", members)))
    assert upload.count(Outcome.TAKEN) == len(paths) == len(room.files())
    assert set(reasons(upload)) == {"cd.zip/CD/README.TXT", "cd.zip/CD/empty"}
    assert len(upload.study_ids) == 1


def test_a_zip_in_a_zip_is_opened_and_one_in_that_is_not(tmp_path, paths):
    room = open_room(tmp_path)
    third = zipped(tmp_path / "c.zip", [("c.dcm", paths[2].read_bytes())])
    second = zipped(tmp_path / "b.zip", [("b.dcm", paths[1].read_bytes()), ("c.zip", third)])
    upload = uploaded(room, ("a.zip", zipped(tmp_path / "a.zip", [("a.dcm", paths[0].read_bytes()), ("b.zip", second)])))
    assert upload.count(Outcome.TAKEN) == 2
    assert list(reasons(upload)) == ["a.zip/b.zip/c.zip"]


def test_names_that_leave_the_folder_links_and_encrypted_members_are_refused_and_the_rest_is_taken(tmp_path, paths):
    room = open_room(tmp_path)
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    image = paths[0].read_bytes()
    bad = ["../../escape.dcm", "/etc/escape.dcm", "C:\\escape.dcm", "..\\..\\escape.dcm"]
    data = bytearray(zipped(tmp_path / "a.zip", [*((name, image) for name in bad), (link, b"/etc/passwd"), ("locked", image)]))
    at = data.rindex(b"PK\x01\x02")
    data[at + 8] |= 1
    before = sorted(tmp_path.rglob("*escape*"))
    upload = uploaded(room, ("a.zip", bytes(data)), ("good.dcm", image))
    told = reasons(upload)
    assert upload.count(Outcome.TAKEN) == 1 and len(told) == len(bad) + 2
    assert told["a.zip/link"].startswith("a link") and told["a.zip/locked"].startswith("encrypted")
    assert sum("leaves the folder" in reason for reason in told.values()) == len(bad)
    assert sorted(tmp_path.rglob("*escape*")) == before == []


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.95])
def test_a_truncated_or_damaged_zip_is_refused_and_nothing_is_lost_beside_it(tmp_path, paths, keep):
    room = open_room(tmp_path)
    data = zipped(tmp_path / "a.zip", [(p.name, p.read_bytes()) for p in paths])
    upload = uploaded(room, ("a.zip", data[: int(len(data) * keep)]), (paths[0].name, paths[0].read_bytes()))
    assert list(reasons(upload)) == ["a.zip"]
    assert upload.count(Outcome.TAKEN) == 1 == len(room.files())


def test_a_damaged_member_is_refused_and_the_others_are_taken(tmp_path, paths):
    room = open_room(tmp_path)
    data = bytearray(zipped(tmp_path / "a.zip", [(p.name, p.read_bytes()) for p in paths]))
    data[1000] ^= 0xFF
    upload = uploaded(room, ("a.zip", bytes(data)))
    assert upload.count(Outcome.TAKEN) == 2 and list(reasons(upload)) == [f"a.zip/{paths[0].name}"]


def test_bombs_are_refused_before_they_unpack(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "SLACK_BYTES", 1 << 16)
    room = open_room(tmp_path, max_zip_ratio=100)
    bomb = zipped(tmp_path / "a.zip", [("zeros", bytes(4 << 20))])
    assert len(bomb) < 1 << 13
    upload = uploaded(room, ("a.zip", bomb))
    assert "would unpack to" in reasons(upload)["a.zip"]
    room = open_room(tmp_path / "b", max_upload_bytes=1 << 20)
    assert "would unpack to" in reasons(uploaded(room, ("a.zip", bomb)))["a.zip"]


def test_a_zip_that_lies_about_its_sizes_unpacks_no_more_than_it_said(tmp_path):
    room = open_room(tmp_path, max_upload_bytes=1 << 20)
    data = bytearray(zipped(tmp_path / "a.zip", [("zeros", bytes(8 << 20))]))
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 1000)
    told = reasons(uploaded(room, ("a.zip", bytes(data))))
    assert len(told) == 1 and room.files() == []


def test_a_directory_too_large_to_be_read_is_refused_unread(tmp_path, paths):
    room = open_room(tmp_path)
    data = bytearray(zipped(tmp_path / "a.zip", [(p.name, p.read_bytes()) for p in paths]))
    at = data.rindex(b"PK\x05\x06")
    data[at + 12 : at + 16] = struct.pack("<I", 1 << 30)
    assert "directory" in reasons(uploaded(room, ("a.zip", bytes(data))))["a.zip"]


def test_more_files_or_bytes_than_allowed_end_the_upload_and_what_was_taken_stays(tmp_path, paths):
    room = open_room(tmp_path, max_files=2)
    with pytest.raises(TooMuchError, match="more files"):
        uploaded(room, *((p.name, p.read_bytes()) for p in paths))
    assert len(room.files()) == 2
    room = open_room(tmp_path / "b", max_upload_bytes=int(paths[0].stat().st_size * 1.5))
    with pytest.raises(TooMuchError, match="more bytes"):
        uploaded(room, *((p.name, p.read_bytes()) for p in paths))
    assert len(room.files()) == 1
    upload = uploaded(
        open_room(tmp_path / "c", max_files=2), ("a.zip", zipped(tmp_path / "a.zip", [(p.name, b"x") for p in paths]))
    )
    assert "3 files" in reasons(upload)["a.zip"]


def test_a_file_larger_than_allowed_is_refused(tmp_path, paths):
    room = open_room(tmp_path, max_file_bytes=1000)
    told = reasons(uploaded(room, ("a.dcm", paths[0].read_bytes()), ("z.zip", zipped(tmp_path / "z", [("a", bytes(2000))]))))
    assert set(told) == {"a.dcm", "z.zip/a"} and all("1000" in reason for reason in told.values())


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("ct.nii.gz", b"\x1f\x8b123", "`panlesion predict` reads NIfTI"),
        ("ct.img", bytes(344) + b"n+1\0", "`panlesion predict` reads NIfTI"),
        ("a.tar.gz", b"\x1f\x8b123", "gzip"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "7z"),
        ("a.dcm", b"", "empty"),
        ("a.dcm", b"MZ" * 200, "no DICOM"),
        ("evil\u202e\x1b/../../x.dcm", b"hello", "no DICOM"),
    ],
)
def test_what_is_no_dicom_is_refused_with_what_to_do(tmp_path, name, data, reason):
    room = open_room(tmp_path)
    ((told, why),) = reasons(uploaded(room, (name, data))).items()
    assert reason in why and "\x1b" not in told and "\u202e" not in told
    assert room.files() == []
