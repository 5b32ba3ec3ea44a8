"""What a kill leaves in the folder is taken in or taken away, and never what somebody still needs."""

import shutil
from uuid import uuid4

import pytest
from sqlalchemy import delete, select
from study_made import open_room, write_study

from panlesion.aid.audit import record
from panlesion.aid.jobs.results import sweep_results
from panlesion.aid.store.arrival import settle
from panlesion.aid.store.files import landing
from panlesion.aid.store.recover import adopt_unnamed, sweep
from panlesion.aid.tables import Instance, Job, Series, Study
from panlesion.aid.vocabulary import Action, StudyState


@pytest.fixture
def room(tmp_path):
    return open_room(tmp_path, quiet_s=0)


def forget(room, *tables):
    """As if the transaction that wrote these rows had not been committed."""
    with room.sessions.begin() as session:
        for table in tables:
            session.execute(delete(table))
        if Study not in tables:
            for study in session.scalars(select(Study)):
                study.images = 0


def kept(room):
    with room.sessions() as session:
        return sorted(room.settings.data / path for path in session.scalars(select(Instance.path)))


@pytest.mark.parametrize("rows", [(Instance,), (Instance, Series)])
def test_an_image_that_got_its_place_but_no_row_is_taken_in_before_its_series_is_read(room, tmp_path, rows):
    paths = write_study(tmp_path / "ct")
    for path in paths:
        room.take(path)
    forget(room, *rows)
    assert kept(room) == []
    while not settle(room.sessions, room.settings):
        pass
    assert len(kept(room)) == len(paths) and kept(room) == room.files()
    with room.sessions() as session:
        study = session.scalars(select(Study)).one()
        assert (study.images, study.state) == (len(paths), StudyState.QUEUED)
        assert session.scalars(select(Job)).one().study_id == study.id


def test_a_study_that_was_never_written_down_is_taken_in_at_the_next_start(room, tmp_path):
    paths = write_study(tmp_path / "ct", slices=2)
    for path in paths:
        room.take(path)
    before = {path.read_bytes() for path in room.files()}
    forget(room, Instance, Series, Study)
    sweep(room.sessions, room.settings)
    assert kept(room) == room.files() and {path.read_bytes() for path in room.files()} == before


def test_what_a_deletion_left_is_deleted_and_not_taken_in(room, tmp_path):
    study = room.take(write_study(tmp_path / "ct", slices=1)[0]).study_id
    forget(room, Instance, Series, Study)
    with room.sessions.begin() as session:
        record(session, Action.DELETED, by=None, study_id=study)
    (room.settings.data / "readings" / str(study)).mkdir(parents=True)
    sweep(room.sessions, room.settings)
    assert room.files() == [] and not (room.settings.data / "readings" / str(study)).exists()


def test_an_image_that_came_again_in_another_place_is_kept_once(room, tmp_path):
    path = write_study(tmp_path / "ct", slices=1)[0]
    study = room.take(path).study_id
    twin = room.settings.data / "dicom" / str(study) / str(uuid4()) / room.files()[0].name
    twin.parent.mkdir()
    shutil.copy(room.files()[0], twin)
    assert adopt_unnamed(room.sessions, room.settings, study) == 1
    assert kept(room) == room.files() and len(room.files()) == 1


def test_what_is_no_image_does_not_stay_in_a_folder_that_is_read(room, tmp_path):
    study = room.take(write_study(tmp_path / "ct", slices=1)[0]).study_id
    room.files()[0].with_name("strange.dcm").write_bytes(b"half of something")
    adopt_unnamed(room.sessions, room.settings, study)
    assert kept(room) == room.files()


def test_files_on_their_way_in_go_at_a_start_unless_somebody_writes_them(room):
    incoming = room.settings.data / "incoming"
    incoming.mkdir()
    (incoming / "dead.part").write_bytes(b"half")
    (incoming / "folder").mkdir()
    (room.settings.data / "outgoing" / "export-1").mkdir(parents=True)
    with landing(room.settings, name="a worker's") as alive:
        alive.write(b"half of what a worker pulls")
        sweep(room.sessions, room.settings)
        assert list(incoming.iterdir()) == [alive.path] and not (room.settings.data / "outgoing").exists()
        alive.finish()
        sweep(room.sessions, room.settings)
        assert alive.path.read_bytes() == b"half of what a worker pulls"
    assert list(incoming.iterdir()) == []


def test_beside_an_older_database_nothing_is_tidied_away(room, tmp_path):
    file, older = room.settings.data / "aid.sqlite", tmp_path / "older"
    room.sessions.kw["bind"].dispose()
    shutil.copy(file, older)
    study = room.take(write_study(tmp_path / "ct", slices=1)[0]).study_id
    results = room.settings.data / "results" / str(study) / "some-job-1"
    results.mkdir(parents=True)
    room.sessions.kw["bind"].dispose()
    shutil.copy(older, file)
    sweep(room.sessions, room.settings)
    assert sweep_results(room.sessions, room.settings) == []
    assert results.is_dir() and len(room.files()) == 1


def test_strange_folders_are_left_alone(room):
    strange = room.settings.data / "dicom" / "lost+found"
    strange.mkdir(parents=True)
    sweep(room.sessions, room.settings)
    assert strange.is_dir()
