"""Finding DICOM among other files, and not falling for zips made to harm."""

import os
import zipfile

import pytest
from dicom_making import write_series

from panlesion.ct.dicom_source import dicom_sources
from panlesion.errors import ReadError


def names(path):
    with dicom_sources(path) as sources:
        return [os.path.basename(source.name) for source in sources]  # noqa: PTH119


def test_only_dicom_is_taken_and_a_dicomdir_is_not(tmp_path):
    write_series(tmp_path / "s")
    (tmp_path / "notes.txt").write_text("x" * 300)
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM" + bytes(20))
    assert names(tmp_path) == [f"I{n:03d}" for n in range(7)]


def test_a_data_set_without_preamble_is_known(tmp_path):
    (tmp_path / "old").write_bytes(b"\x08\x00\x05\x00" + bytes(60))
    assert names(tmp_path) == ["old"]


@pytest.mark.parametrize(("content", "words"), [({}, "it is empty"), ({"a.txt": b"x", "b.jpg": b"\xff\xd8"}, "2 other files")])
def test_a_folder_without_dicom_says_what_it_holds(tmp_path, content, words):
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ReadError, match=f"no DICOM file.*{words}"):
        names(tmp_path)


def test_links_are_followed_and_rings_end(tmp_path):
    write_series(tmp_path / "real")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "study" / "ring").symlink_to(tmp_path / "study")
    (tmp_path / "study" / "broken").symlink_to(tmp_path / "nothing")
    assert len(names(tmp_path / "study")) == 7


def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ReadError, match="no DICOM"):
        names(tmp_path)


def test_a_zip_that_would_unpack_beyond_measure_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("panlesion.ct.dicom_source.MAX_ZIP_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", bytes(128) + b"DICM" + bytes(2 << 20))
    with pytest.raises(ReadError, match="would unpack to"):
        names(tmp_path / "bomb.zip")


def test_a_file_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("panlesion.ct.dicom_source.MAX_FILE_BYTES", 1000)
    (tmp_path / "large").write_bytes(bytes(128) + b"DICM" + bytes(2000))
    with dicom_sources(tmp_path) as sources, pytest.raises(ReadError, match="larger than 1000 bytes"):
        sources[0].read()


def test_damaged_zips_and_missing_paths_are_read_errors(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("slice", bytes(128) + b"DICM" + bytes(range(256)) * 20)
    raw = bytearray((tmp_path / "a.zip").read_bytes())
    raw[300] ^= 0xFF
    (tmp_path / "a.zip").write_bytes(raw)
    with dicom_sources(tmp_path / "a.zip") as sources, pytest.raises(ReadError, match="cannot be read"):
        sources[0].read()
    with pytest.raises(ReadError, match="no such file"):
        names(tmp_path / "nothing")


def test_a_deflated_data_set_is_refused_before_it_is_unpacked(tmp_path):
    (tmp_path / "d").write_bytes(bytes(128) + b"DICM" + b"1.2.840.10008.1.2.1.99" + bytes(50))
    with pytest.raises(ReadError, match="deflated"):
        names(tmp_path)
