"""A folder whose database is gone, empty, damaged or another's is never begun anew."""

import shutil
import sqlite3

import pytest
from postgres_made import running_postgres
from study_made import open_room, write_study

from panlesion.aid.app import create_app
from panlesion.aid.bring_up import belongs, bring_up
from panlesion.aid.db import open_engine, open_sessions
from panlesion.aid.settings import Settings
from panlesion.errors import StoreError


@pytest.fixture
def room(tmp_path):
    """With one image, at rest."""
    made = open_room(tmp_path)
    made.take(write_study(tmp_path / "ct", slices=1)[0])
    made.sessions.kw["bind"].dispose()
    return made


def everything(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def gone(file):
    file.unlink()


def empty(file):
    file.write_bytes(b"")


def without_tables(file):
    file.unlink()
    with sqlite3.connect(file) as made:
        made.execute("PRAGMA user_version = 3")
    made.close()


def cut(file):
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size // 2 + 100)


def overwritten_head(file):
    with file.open("r+b") as stream:
        stream.write(b"not a database at all")


def overwritten_middle(file):
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.seek(4096 * 5)
        stream.write(b"\xa5" * min(4096 * 30, size - 4096 * 5))


def text(file):
    file.write_text("once upon a time\n" * 1000)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (gone, "is gone, but the folder holds dicom/, audit.head"),
        (empty, "is empty, but the folder holds"),
        (without_tables, "has no tables, but the folder holds"),
        (cut, "is damaged"),
        (overwritten_head, "is damaged: file is not a database"),
        (overwritten_middle, "is damaged"),
        (text, "is damaged: file is not a database"),
    ],
)
def test_a_folder_without_its_database_is_left_as_it_is_and_said_so(room, harm, words):
    file = room.settings.data / "aid.sqlite"
    harm(file)
    before = everything(room.settings.data)
    with pytest.raises(StoreError, match=words) as told:
        create_app(room.settings)
    assert str(file) in str(told.value) and "panlesion aid restore" in str(told.value)
    assert everything(room.settings.data) == before


def test_a_sound_database_is_brought_up_as_often_as_one_likes(room):
    for _ in range(2):
        bring_up(room.settings, look_through=True)
    assert belongs(room.sessions, room.settings.data)


@pytest.mark.parametrize("left", ["nothing", "an empty file", "an empty file with a journal"])
def test_a_new_folder_gets_a_database_also_after_a_kill_in_its_first_moment(tmp_path, left):
    settings = Settings(data=tmp_path / "new")
    settings.data.mkdir()
    if left != "nothing":
        (settings.data / "aid.sqlite").touch()
    if left.endswith("journal"):
        (settings.data / "aid.sqlite-journal").write_bytes(b"\0" * 512)
    bring_up(settings, look_through=True)
    assert (settings.data / "aid.sqlite").stat().st_size > 0


def test_the_log_of_a_database_without_its_file_is_not_taken_for_a_new_folder(tmp_path):
    settings = Settings(data=tmp_path)
    (tmp_path / "aid.sqlite-wal").write_bytes(b"\0" * 32)
    with pytest.raises(StoreError, match=r"aid\.sqlite is gone"):
        bring_up(settings)


def test_an_empty_postgresql_is_no_database_of_a_used_folder(room):
    with running_postgres() as cluster:
        other = Settings(data=room.settings.data, database_url=cluster.database())
        with pytest.raises(StoreError, match=r"is empty, but .* holds dicom/"):
            create_app(other)
        fresh = Settings(data=room.settings.data / "fresh", database_url=other.database_url)
        fresh.data.mkdir()
        bring_up(fresh)


def test_an_older_copy_of_the_database_does_not_belong_to_the_folder(room, tmp_path):
    file = room.settings.data / "aid.sqlite"
    shutil.copy(file, tmp_path / "older")
    room.take(write_study(tmp_path / "more", slices=1)[0])
    assert belongs(room.sessions, room.settings.data)
    room.sessions.kw["bind"].dispose()
    shutil.copy(tmp_path / "older", file)
    assert not belongs(open_sessions(open_engine(room.settings.database)), room.settings.data)
