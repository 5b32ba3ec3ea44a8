"""A worker runs one job after another, and whatever happens to it or to the job, the queue knows in the end."""

import os
import threading
import time
from datetime import timedelta

import pytest
from queue_made import add_study, job_now, queue, study_now
from sqlalchemy import update
from sqlalchemy.exc import OperationalError
from study_made import open_room
from waiting_made import waited

from panlesion.aid.jobs import worker as working
from panlesion.aid.jobs.queue import requeue_lapsed
from panlesion.aid.jobs.runner import Outcome, RetryError
from panlesion.aid.jobs.worker import RUNNERS, Worker, runner_of
from panlesion.aid.tables import Job, now
from panlesion.aid.vocabulary import JobKind, JobState, StudyState
from panlesion.data.publish import DiskFullError
from panlesion.errors import ReadError


@pytest.fixture
def room(tmp_path):
    return open_room(tmp_path, lease_s=0.6)


@pytest.fixture
def runs(monkeypatch):
    """`runs(f)`: what every job does from now on."""
    return lambda run: monkeypatch.setattr(working, "runner_of", lambda _kind: run)


def worker_of(room) -> Worker:
    return Worker(room.sessions, room.settings, list(JobKind))


def test_every_kind_has_a_runner_that_can_be_imported():
    assert set(RUNNERS) == set(JobKind)
    assert all(callable(runner_of(kind)) for kind in JobKind)


def test_what_a_runner_comes_to_is_the_end_of_its_job(room, runs):
    runs(lambda *_: Outcome(answer={"a": 1}, blob=b"b"))
    job = queue(room.sessions)
    assert worker_of(room).run_next() and not worker_of(room).run_next()
    told = job_now(room.sessions, job)
    assert (told.state, told.answer, told.blob, told.progress) == (JobState.DONE, {"a": 1}, b"b", 1.0)


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (ReadError("slice 7 is missing"), JobState.FAILED, "slice 7 is missing"),
        (RetryError("the PACS is not there"), JobState.QUEUED, "the PACS is not there"),
        (DiskFullError("no room"), JobState.QUEUED, "no room"),
        (ZeroDivisionError("Muster^Erika"), JobState.QUEUED, "ZeroDivisionError in analyse"),
        (MemoryError(), JobState.QUEUED, "MemoryError in analyse"),
    ],
)
def test_what_goes_wrong_is_told_with_its_cause_and_tried_again_only_where_that_may_help(room, runs, error, state, words):
    def run(*_):
        raise error

    runs(run)
    study = add_study(room.sessions, "1.2.3")
    job = queue(room.sessions, JobKind.ANALYSE, study_id=study)
    assert worker_of(room).run_next()
    told = job_now(room.sessions, job)
    assert told.state is state and words in told.cause and "Muster" not in told.cause and told.lease is None
    assert study_now(room.sessions, study).state is (StudyState.FAILED if state is JobState.FAILED else StudyState.QUEUED)


def test_paths_of_the_server_are_in_no_cause(room, runs):
    def run(*_):
        raise ReadError(f"{room.settings.data}/dicom/x: damaged")

    runs(run)
    job = queue(room.sessions)
    worker_of(room).run_next()
    assert job_now(room.sessions, job).cause == "dicom/x: damaged"


def test_a_long_job_keeps_its_lease_by_beating_and_tells_how_far_it_is(room, runs):
    seen = []

    def run(_sessions, _settings, job, progress):
        progress(0.5, "half")
        waited(lambda: job_now(room.sessions, job).progress == 0.5, "nothing is told")
        for _ in range(8):
            time.sleep(0.2)
            seen.append(requeue_lapsed(room.sessions, room.settings))
        return Outcome()

    runs(run)
    job = queue(room.sessions)
    worker_of(room).run_next()
    assert seen == [[]] * 8 and job_now(room.sessions, job).state is JobState.DONE


def test_who_lost_the_lease_is_stopped_at_its_next_word_and_writes_nothing(room, runs):
    def run(_sessions, _settings, _job, progress):
        with room.sessions.begin() as session:
            session.execute(update(Job).values(lease="another's", lease_until=now() + timedelta(minutes=1)))
        until = time.monotonic() + 10
        while time.monotonic() < until:
            progress(0.5, "at it")
            time.sleep(0.05)
        return Outcome(answer={"late": True})

    runs(run)
    job = queue(room.sessions)
    assert worker_of(room).run_next()
    told = job_now(room.sessions, job)
    assert (told.state, told.lease, told.answer) == (JobState.RUNNING, "another's", None)


def test_a_worker_that_is_ended_gives_its_job_back_at_once_and_uncounted(room, runs):
    def run(*_):
        raise SystemExit(0)

    runs(run)
    job = queue(room.sessions)
    with pytest.raises(SystemExit):
        worker_of(room).run_next()
    told = job_now(room.sessions, job)
    assert (told.state, told.attempts, told.lease) == (JobState.QUEUED, 0, None)


@pytest.mark.parametrize("end", ["finish", "fail"])
def test_a_result_waits_for_a_database_that_is_away(room, runs, monkeypatch, end):
    real, calls = getattr(working, end), []

    def away(*told, **more):
        calls.append(1)
        if len(calls) < 3:
            raise OperationalError("UPDATE", {}, Exception("gone"))
        return real(*told, **more)

    def run(*_):
        if end == "fail":
            raise ReadError("broken")
        return Outcome()

    monkeypatch.setattr(working, end, away)
    monkeypatch.setattr(working, "AWAY_S", 0.01)
    runs(run)
    job = queue(room.sessions)
    worker_of(room).run_next()
    assert len(calls) == 3
    assert job_now(room.sessions, job).state is (JobState.DONE if end == "finish" else JobState.FAILED)


def test_a_worker_whose_parent_is_gone_ends_after_its_job(room, runs):
    runs(lambda *_: Outcome())
    job = queue(room.sessions)
    Worker(room.sessions, room.settings, list(JobKind), parent=os.getppid() + 1).run()
    assert job_now(room.sessions, job).state is JobState.QUEUED
    worker = Worker(room.sessions, room.settings, list(JobKind), parent=os.getppid())
    thread = threading.Thread(target=worker.run)
    thread.start()
    waited(lambda: job_now(room.sessions, job).state is JobState.DONE, "it does not work")
    worker.stopping.set()
    thread.join(10)
    assert not thread.is_alive()
