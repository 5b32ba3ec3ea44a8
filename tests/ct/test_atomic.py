"""A file is there whole or not at all."""

import pytest

from panlesion.ct.atomic import replacing


def test_content_appears_under_the_name_and_nothing_else_stays(tmp_path):
    with replacing(tmp_path / "a.bin") as stream:
        stream.write(b"new")
        assert not (tmp_path / "a.bin").exists()
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_file(tmp_path, error):
    (tmp_path / "a.bin").write_bytes(b"old")
    with pytest.raises(error), replacing(tmp_path / "a.bin") as stream:
        stream.write(b"half")
        raise error
    assert (tmp_path / "a.bin").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_half_written_files_are_found_by_no_glob_for_data(tmp_path):
    with replacing(tmp_path / "ct.nii.gz") as stream:
        stream.write(b"half")
        assert not list(tmp_path.glob("*.nii.gz"))
        assert not list(tmp_path.glob("ct*"))
