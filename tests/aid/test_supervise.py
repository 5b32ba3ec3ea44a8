"""The server as it is run: its workers are replaced when they die, end with it, and never do the work of another's twice."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import psutil
import pytest
from sqlalchemy import select
from survivors_made import check_analysed_once, check_files, close, make_grounds, put_study, truth_of
from waiting_made import waited

from panlesion.aid.jobs.supervise import ANALYSING, Supervisor, variables
from panlesion.aid.settings import Settings
from panlesion.aid.tables import Job
from panlesion.aid.vocabulary import JobState

COMMAND = [sys.executable, "-c", "from panlesion.cli.main import app; app()"]


@contextmanager
def serving(grounds, *options):
    """`panlesion aid serve`, and the process that it is."""
    words = ["aid", "serve", "--data", str(grounds.data), "--port", "0", "--quiet-s", "0", *options]
    with (grounds.data.parent / "server.log").open("a") as log:
        process = subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=log, text=True)
        with process:
            try:
                said = iter(process.stdout)
                assert any(re.search("the reading room is at", line) for line in said)
                yield process
            finally:
                process.terminate()
                process.wait(30)


def workers_of(server) -> list[psutil.Process]:
    return psutil.Process(server.pid).children()


def state_of(room, study):
    with room.sessions() as session:
        job = session.scalars(select(Job).where(Job.study_id == study)).one_or_none()
        return (None, 0) if job is None else (job.state, job.attempts)


def test_workers_are_replaced_when_killed_and_outlive_a_killed_server_only_to_finish_what_they_do(tmp_path):
    grounds = make_grounds(tmp_path)
    room = grounds.room()
    first = put_study(room, tmp_path / "first", 0)
    with serving(grounds, "--workers", "1", "--lease-s", "4") as server:
        waited(lambda: state_of(room, first)[0] is JobState.RUNNING, "nobody begins")
        killed = workers_of(server)
        for worker in killed:
            worker.kill()
        waited(lambda: len(workers_of(server)) == 2 and not set(workers_of(server)) & set(killed), "they are not replaced")
        waited(lambda: state_of(room, first)[0] is JobState.DONE, "nobody does it again")
        assert state_of(room, first) == (JobState.DONE, 2)
        second = put_study(room, tmp_path / "second", 1, settled=False)
        waited(lambda: state_of(room, second)[0] is JobState.RUNNING, "nobody begins the second")
        orphans = workers_of(server)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    with serving(grounds, "--workers", "0"):
        waited(lambda: not any(orphan.is_running() for orphan in orphans), "workers without a server go on for ever")
    # the work that had been begun was finished, by whoever had begun it, while another server looked after the queue
    assert state_of(room, second) == (JobState.DONE, 1)
    for study in (first, second):
        check_analysed_once(room, study, truth_of(room, study))
    assert truth_of(room, first) != truth_of(room, second)
    check_files(room)
    close(room)


def test_the_supervisor_looks_after_the_queue_without_workers_of_its_own(tmp_path):
    grounds = make_grounds(tmp_path)
    room = grounds.room()
    supervisor = Supervisor(room.settings, room.sessions)
    supervisor.start()
    try:
        assert supervisor.pids == []
        study = put_study(room, tmp_path / "ct", 0, settled=False)
        waited(lambda: room.sessions().scalar(select(Job.state).where(Job.study_id == study)) is JobState.QUEUED, "not queued")
    finally:
        supervisor.stop()
    close(room)


@pytest.mark.parametrize("failing", ["requeue_lapsed", "settle"])
def test_a_database_that_is_away_does_not_end_the_watch(tmp_path, monkeypatch, failing):
    from panlesion.aid.jobs import supervise

    grounds = make_grounds(tmp_path)
    room = grounds.room()
    real, calls = getattr(supervise, failing), []

    def away(*told):
        calls.append(told)
        if len(calls) == 1:
            raise OSError("away")
        return real(*told)

    monkeypatch.setattr(supervise, failing, away)
    monkeypatch.setattr(supervise, "EVERY_S", 0.01)
    supervisor = Supervisor(room.settings, room.sessions)
    supervisor.start()
    assert waited(lambda: len(calls) > 2, "the watch ended")
    supervisor.stop()
    close(room)


def test_workers_are_told_what_they_need_and_no_secret(tmp_path):
    settings = Settings(data=tmp_path, oidc_issuer="https://i.example", oidc_client_id="x", oidc_client_secret="do not tell")
    told = variables(settings)
    assert "do not tell" not in "".join(told.values())
    assert Settings.model_validate({name.removeprefix("PANLESION_AID_").lower(): value for name, value in told.items()})
    assert {"analyse", "send", "pull"} == set(ANALYSING)
