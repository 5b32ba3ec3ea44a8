import errno
from pathlib import Path

import pytest

from panlesion.data.publish import DiskFullError, publishing, remove_partials, write_text


def test_a_folder_appears_with_everything_in_it(tmp_path):
    target = tmp_path / "Liver" / "Tumor" / "one"
    with publishing(target) as partial:
        (partial / "a.txt").write_text("a")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["a.txt"]
    assert [path.name for path in target.parent.iterdir()] == ["one"]


def test_an_error_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), publishing(tmp_path / "one") as partial:
        (partial / "a.txt").write_text("a")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_two_writers_wins(tmp_path):
    with publishing(tmp_path / "one") as partial:
        (partial / "a.txt").write_text("second")
        (tmp_path / "one").mkdir()
        (tmp_path / "one" / "a.txt").write_text("first")
    assert (tmp_path / "one" / "a.txt").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path):
    with pytest.raises(DiskFullError, match=r"one: No space left.*free some space"), publishing(tmp_path / "one") as partial:
        (partial / "a.txt").write_text("a")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / "Liver" / ".case.partial-123").mkdir(parents=True)
    (tmp_path / "Liver" / ".case.partial-123" / "img.nii.gz").write_text("half")
    (tmp_path / ".manifest.csv.77-0123abcd.part").write_text("half")
    (tmp_path / "Liver" / "case").mkdir()
    (tmp_path / ".hidden").write_text("mine")
    assert len(remove_partials(tmp_path)) == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".hidden", "Liver", "case"]


def test_a_writer_whose_partial_was_removed_publishes_nothing(tmp_path):
    with pytest.raises(FileNotFoundError), publishing(tmp_path / "one") as partial:
        (partial / "a.txt").write_text("a")
        assert remove_partials(tmp_path) == [partial]
        assert not partial.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_partial_that_its_writer_publishes_meanwhile_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / ".case.partial-123").mkdir()
    (tmp_path / ".case.partial-123" / "a.txt").write_text("a")
    rename = Path.rename

    def slower_than_the_writer(path, target):
        rename(path, tmp_path / "case")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", slower_than_the_writer)
    assert remove_partials(tmp_path) == []
    assert (tmp_path / "case" / "a.txt").read_text() == "a"


def test_text_is_replaced_whole(tmp_path):
    write_text(tmp_path / "a.csv", "one\n")
    write_text(tmp_path / "a.csv", "two\n")
    assert (tmp_path / "a.csv").read_bytes() == b"two\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]
