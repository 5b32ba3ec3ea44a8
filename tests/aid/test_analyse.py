"""An analysis: what is found begins the reading, and whatever happens meanwhile, nothing of a person's is lost."""

from datetime import UTC, datetime, timedelta

import pytest
from dicom_made import lesion_mask
from queue_made import study_now
from reading_made import made_findings, organs_of
from sqlalchemy import func, select
from study_made import open_room, write_study

from panlesion.aid.jobs import analyse
from panlesion.aid.jobs.worker import Worker
from panlesion.aid.reads.begin import begin_by_hand
from panlesion.aid.store.arrival import settle
from panlesion.aid.tables import AuditEntry, Instance, Job, Reading, Study, User
from panlesion.aid.vocabulary import Action, JobKind, JobState, ReadingState, Role, StudyState
from panlesion.ct.dicom import read_dicom
from panlesion.infer.predict import Predicted


@pytest.fixture
def room(tmp_path):
    return open_room(tmp_path, quiet_s=0)


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """A network that finds the same in every scan; what it does before can be told."""

    class Network:
        def meanwhile(self):
            pass

    made = Network()

    def predicted(folder, _case, _model, _told, *, progress, **_):
        ct = read_dicom(folder)
        progress(1, 2)
        made.meanwhile()
        progress(2, 2)
        return Predicted(ct=ct.volume, source=ct, organs=organs_of(ct), lesions=lesion_mask(ct), findings=made_findings())

    monkeypatch.setattr(analyse, "loaded", lambda *_: (None, None, None))
    monkeypatch.setattr(analyse, "predict_ct", predicted)
    return made


def arrived(room, folder, **how):
    for path in write_study(folder, **how):
        study = room.take(path).study_id
    while not settle(room.sessions, room.settings):
        pass
    return study


def work(room) -> Job:
    assert Worker(room.sessions, room.settings, [JobKind.ANALYSE]).run_next()
    with room.sessions() as session:
        return session.scalars(select(Job).order_by(Job.started_at.desc()).limit(1)).one_or_none()


def reading_now(room, study):
    with room.sessions() as session:
        return session.get(Reading, study)


def results(room, study):
    return sorted(path.name for path in (room.settings.data / "results" / str(study)).iterdir())


def test_what_is_found_begins_the_reading_and_the_worklist_tells_of_it(room, tmp_path):
    study = arrived(room, tmp_path / "ct")
    job = work(room)
    found = made_findings()
    told, reading = study_now(room.sessions, study), reading_now(room, study)
    assert (job.state, job.answer["findings"]) == (JobState.DONE, 3)
    assert (told.state, told.findings, told.suspicion) == (StudyState.READY, 3, found.suspicion["overall"])
    assert (reading.state, reading.version) == (ReadingState.READY, 1)
    assert [one["tracking_uid"] for one in reading.document["findings"]] == [one.tracking_uid for one in found.lesions]
    assert reading.original_path == f"results/{study}/{job.id}-1"
    kept = {path.name for path in (room.settings.data / reading.original_path).iterdir()}
    assert {"findings.json", "lesions.nii.gz", "organs.nii.gz", "seg.dcm", "sr.dcm", "grid.json", "ct.npy"} <= kept
    with room.sessions() as session:
        line = session.scalars(select(AuditEntry).where(AuditEntry.action == Action.ANALYSED)).one()
    assert (line.study_id, line.detail) == (study, {"job": str(job.id), "findings": 3})


def test_what_earlier_attempts_left_goes(room, tmp_path):
    study = arrived(room, tmp_path / "ct")
    with room.sessions() as session:
        job = session.scalars(select(Job)).one()
    for left in (f"{job.id}-0", f".{job.id}-0.partial-99", "another-job-3"):
        (room.settings.data / "results" / str(study) / left).mkdir(parents=True)
    work(room)
    assert results(room, study) == [f"{job.id}-1"]


def test_a_reading_that_was_begun_by_hand_meanwhile_stays(room, network, tmp_path):
    study = arrived(room, tmp_path / "ct")
    reader = User(name="r", display_name="R", role=Role.READER)

    def begin():
        with room.sessions.begin() as session:
            session.add(reader)
            session.flush()
            begin_by_hand(session, room.settings, session.get_one(Study, study), reader)

    network.meanwhile = begin
    job = work(room)
    reading = reading_now(room, study)
    assert job.state is JobState.DONE
    assert (reading.state, reading.version, reading.document["findings"]) == (ReadingState.DRAFT, 1, [])
    assert study_now(room.sessions, study).state is StudyState.DRAFT
    assert (room.settings.data / reading.original_path).is_dir()


def test_a_study_that_is_deleted_meanwhile_is_gone_and_the_worker_goes_on(room, network, tmp_path):
    study = arrived(room, tmp_path / "ct")

    def delete():
        with room.sessions.begin() as session:
            session.delete(session.get_one(Study, study))

    network.meanwhile = delete
    assert work(room) is None and reading_now(room, study) is None
    network.meanwhile = lambda: None
    other = arrived(room, tmp_path / "other")
    work(room)
    assert reading_now(room, other) is not None


def test_the_latest_earlier_study_of_the_patient_is_its_prior(room, tmp_path):
    at = datetime(2026, 1, 1, tzinfo=UTC)
    studies = []
    for number, days in enumerate((0, 20, 10)):
        studies.append(arrived(room, tmp_path / str(number)))
        with room.sessions.begin() as session:
            study = session.get_one(Study, studies[-1])
            study.study_at, study.patient_id = at + timedelta(days=days), "P-1"
        work(room)
    assert [study_now(room.sessions, study).prior_id for study in studies] == [None, studies[0], studies[0]]


def test_an_image_without_a_row_is_taken_in_before_the_scan_is_read(room, tmp_path):
    study = arrived(room, tmp_path / "ct")
    with room.sessions.begin() as session:
        session.delete(session.scalars(select(Instance).limit(1)).one())
    work(room)
    with room.sessions() as session:
        assert session.scalar(select(func.count()).select_from(Instance)) == 7
    assert reading_now(room, study) is not None


def test_images_that_are_gone_fail_the_study_with_the_reason(room, tmp_path):
    study = arrived(room, tmp_path / "ct")
    for path in room.files():
        path.unlink()
    job = work(room)
    told = study_now(room.sessions, study)
    assert (job.state, told.state) == (JobState.FAILED, StudyState.FAILED)
    assert told.problem == job.cause and str(room.settings.data) not in job.cause and job.cause
