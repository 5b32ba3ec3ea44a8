"""Studies settle when nothing comes any more: the CT with most images is chosen, and its analysis queued once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from pydicom.uid import MRImageStorage, generate_uid
from study_made import open_room, write_study

from panlesion.aid.store.arrival import settle
from panlesion.aid.tables import Job, Reading, Series, Study, now
from panlesion.aid.vocabulary import JobKind, JobState, ReadingState, StudyState

STUDY = "2.25.7"


@pytest.fixture
def room(tmp_path):
    return open_room(tmp_path, quiet_s=0)


def take(room, folder, **how):
    for path in write_study(folder, study=STUDY, **how):
        taken = room.take(path)
    return taken.study_id


def study_of(room):
    with room.sessions() as session:
        return session.query(Study).one()


def jobs_of(room):
    with room.sessions() as session:
        return session.query(Job).all()


def problems(room):
    with room.sessions() as session:
        return {series.series_uid: series.problem for series in session.query(Series)}


def as_mr(_, ds):
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
    ds.Modality = "MR"


def gapped(index, ds):
    if index > 2:
        ds.ImagePositionPatient = [*ds.ImagePositionPatient[:2], float(ds.ImagePositionPatient[2]) + 7.7 * index]


def scout(_, ds):
    ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def test_a_study_waits_until_it_was_quiet_for_long_enough(tmp_path):
    room = open_room(tmp_path, quiet_s=30)
    study_id = take(room, tmp_path / "ct")
    assert settle(room.sessions, room.settings) == []
    with room.sessions.begin() as session:
        session.get_one(Study, study_id).last_image_at = now() - timedelta(seconds=31)
    assert settle(room.sessions, room.settings) == [study_id]


def test_the_readable_ct_with_most_images_is_chosen_and_the_others_say_why_not(room, tmp_path):
    take(room, tmp_path / "a", series="2.25.1", slices=4)
    take(room, tmp_path / "b", series="2.25.2", slices=6)
    take(room, tmp_path / "c", series="2.25.3", slices=7, change=gapped)
    take(room, tmp_path / "d", series="2.25.4", slices=7, change=as_mr)
    take(room, tmp_path / "e", series="2.25.5", slices=1, change=scout)
    assert len(settle(room.sessions, room.settings)) == 1
    study = study_of(room)
    assert (study.state, study.primary_series, study.images) == (StudyState.QUEUED, "2.25.2", 25)
    told = problems(room)
    assert [bool(told[f"2.25.{n}"]) for n in range(1, 6)] == [False, False, True, True, True]
    assert "only CT" in told["2.25.4"] and "localizer" in told["2.25.5"]
    assert str(room.settings.data) not in "".join(told.values())


@pytest.mark.parametrize("change", [as_mr, gapped, scout])
def test_without_a_readable_ct_a_study_fails_with_the_reason_and_one_that_comes_later_mends_it(room, tmp_path, change):
    study_id = take(room, tmp_path / "a", change=change)
    assert settle(room.sessions, room.settings) == [study_id]
    failed = study_of(room)
    assert (failed.state, failed.primary_series, jobs_of(room)) == (StudyState.FAILED, None, [])
    assert failed.problem and str(room.settings.data) not in failed.problem
    assert settle(room.sessions, room.settings) == []
    take(room, tmp_path / "b", series=generate_uid())
    assert settle(room.sessions, room.settings) == [study_id]
    assert (study_of(room).state, study_of(room).problem, len(jobs_of(room))) == (StudyState.QUEUED, "", 1)


def test_two_that_settle_at_once_queue_one_job(room, tmp_path):
    take(room, tmp_path / "a")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: settle(room.sessions, room.settings), range(4)))
    assert sum(map(len, done)) == 1 == len(jobs_of(room))


def test_an_image_that_comes_while_the_files_are_looked_at_puts_it_off(room, tmp_path, monkeypatch):
    study_id = take(room, tmp_path / "a", series="2.25.1", slices=3)
    from panlesion.aid.store import arrival

    real = arrival.list_dicom

    def slow(folder):
        monkeypatch.setattr(arrival, "list_dicom", real)
        take(room, tmp_path / "b", series="2.25.1", slices=5)
        return real(folder)

    monkeypatch.setattr(arrival, "list_dicom", slow)
    assert settle(room.sessions, room.settings) == [] and study_of(room).state is StudyState.ARRIVING
    assert settle(room.sessions, room.settings) == [study_id]


@pytest.mark.parametrize(("reading", "back"), [(ReadingState.READY, True), (ReadingState.DRAFT, False)])
def test_images_that_came_during_the_analysis_have_it_done_anew_unless_someone_reads(room, tmp_path, reading, back):
    study_id = take(room, tmp_path / "a", series="2.25.1", slices=3)
    settle(room.sessions, room.settings)
    with room.sessions.begin() as session:
        job = session.query(Job).one()
        job.state, job.started_at = JobState.RUNNING, now()
        session.get_one(Study, study_id).state = StudyState.RUNNING
    late = write_study(tmp_path / "b", study=STUDY, series="2.25.1", slices=4)[3]
    room.take(late)
    assert study_of(room).state is StudyState.RUNNING and settle(room.sessions, room.settings) == []
    with room.sessions.begin() as session:
        session.query(Job).one().state = JobState.DONE
        session.add(Reading(study_id=study_id, document={}, mask_path="", state=reading))
        state = StudyState.READY if reading is ReadingState.READY else StudyState.DRAFT
        session.get_one(Study, study_id).state = state
    assert settle(room.sessions, room.settings) == ([study_id] if back else [])
    queued = [job for job in jobs_of(room) if job.state is JobState.QUEUED and job.kind is JobKind.ANALYSE]
    assert len(queued) == int(back)
    assert settle(room.sessions, room.settings) == []
