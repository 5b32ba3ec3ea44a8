"""Databases that die in the middle of a write: what was committed is there, the log is whole, and the server goes on."""

import os
import random
import shutil
import signal
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from postgres_made import running_postgres
from queue_made import job_now, queue
from server_made import serve
from sqlalchemy import event, func, select
from study_made import open_room, write_study
from survivors_made import KILLS, body_of

from panlesion.aid import backup_database
from panlesion.aid.app import create_app
from panlesion.aid.audit import record, verify
from panlesion.aid.audit_head import read_head
from panlesion.aid.bring_up import belongs
from panlesion.aid.db import open_engine, open_sessions
from panlesion.aid.jobs import worker as working
from panlesion.aid.jobs.runner import Outcome
from panlesion.aid.jobs.supervise import Supervisor
from panlesion.aid.tables import AuditEntry, Instance, Study
from panlesion.aid.vocabulary import Action, JobKind, JobState, Role, StudySource


def write_for_ever(settings, told: int, *, writes_back: bool) -> None:
    """Commits as fast as it can: a study, and a line of the log; tells the number of each once it is committed."""
    engine = open_engine(settings.database)
    if not writes_back:
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA wal_autocheckpoint=0"))
    sessions = open_sessions(engine, settings.data)
    with sessions() as session:
        number = session.scalar(select(func.count()).select_from(Study)) or 0
    while True:
        with sessions.begin() as session:
            session.add(Study(study_uid=f"1.2.{number}", source=StudySource.UPLOAD, description="x" * random.randrange(256)))
            record(session, Action.RECEIVED, by=None, number=number)
        os.write(told, b"%d\n" % number)
        number += 1


def killed_writer(settings, after_s: float, least: int = 1) -> list[int]:
    """The numbers that a writer told before it was killed, so long after it had told so many."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write_for_ever(settings, into, writes_back=least == 1)
        finally:
            os._exit(1)
    os.close(into)
    with os.fdopen(out, "rb") as told:
        first = [told.readline() for _ in range(least)]
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return [int(line) for line in [*first, *told.readlines()] if line.endswith(b"\n")]


def look(settings) -> tuple[list[int], int | None, int | None]:
    """Numbers of the studies, the first bad line of the log by itself, and the first one by what was noted beside it."""
    with closing(sqlite3.connect(settings.data / "aid.sqlite")) as opened:
        assert opened.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert opened.execute("PRAGMA foreign_key_check").fetchall() == []
    engine = open_engine(settings.database)
    with open_sessions(engine)() as session:
        numbers = [int(uid.rpartition(".")[2]) for uid in session.scalars(select(Study.study_uid))]
        assert session.scalar(select(func.count()).select_from(AuditEntry)) == len(numbers)
        alone, noted = verify(session), verify(session, read_head(settings.data))
    engine.dispose()
    return sorted(numbers), alone, noted


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A database whose writer was killed again and again, with its log unwritten back; and the last number that was told."""
    room = open_room(tmp_path_factory.mktemp("written"))
    room.sessions.kw["bind"].dispose()
    rng, told = random.Random(7), []
    rounds = max(6, KILLS)
    for n in range(rounds):
        if n == rounds - 1:  # written back, so that the log that is left holds this writer's transactions alone
            with closing(sqlite3.connect(room.settings.data / "aid.sqlite")) as opened:
                opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            told += killed_writer(room.settings, 0.0, least=40)
        else:
            told += killed_writer(room.settings, rng.uniform(0.0, 0.15))
        assert told == list(range(len(told))), "a number was lost, or written twice"
        copy = room.settings.model_copy(update={"data": room.settings.data.with_name("looked")})
        shutil.rmtree(copy.data, ignore_errors=True)
        shutil.copytree(room.settings.data, copy.data)
        numbers, alone, noted = look(copy)
        # one may have been committed and not been told
        assert numbers in (told, [*told, len(told)]) and alone is None and noted is None
        told = numbers
    return room.settings, told


def test_a_writer_killed_again_and_again_loses_nothing_that_it_told(written):
    settings, told = written
    assert len(told) > 20 and (settings.data / "aid.sqlite-wal").stat().st_size > 0


def test_a_log_cut_at_any_byte_opens_with_all_that_was_before_and_tells_what_is_missing(written, tmp_path):
    settings, told = written
    rng, log = random.Random(3), settings.data / "aid.sqlite-wal"
    size, kept = log.stat().st_size, set()
    head = read_head(settings.data)
    # the writer may have been killed between its last commit and the note of it beside the database
    assert head is not None and len(told) - 1 <= head.seq <= len(told)
    for n, cut in enumerate([0, size, *(rng.randrange(size) for _ in range(max(8, KILLS)))]):
        copy = settings.model_copy(update={"data": tmp_path / str(n)})
        shutil.copytree(settings.data, copy.data)
        with (copy.data / log.name).open("r+b") as stream:
            stream.truncate(cut)
        numbers, alone, noted = look(copy)
        assert numbers == told[: len(numbers)] and alone is None
        assert noted == (None if len(numbers) >= head.seq else len(numbers) + 1)
        kept.add(len(numbers))
    assert len(kept) > 3 and max(kept) == len(told)


def test_a_server_goes_on_with_a_log_that_was_cut(written, tmp_path):
    settings, _ = written
    copy = settings.model_copy(update={"data": tmp_path / "data"})
    shutil.copytree(settings.data, copy.data)
    log = copy.data / "aid.sqlite-wal"
    with log.open("r+b") as stream:
        stream.truncate(log.stat().st_size // 4)
    sessions = create_app(copy).state.sessions
    assert not belongs(sessions, copy.data)
    with sessions.begin() as session:
        record(session, Action.BACKUP, by=None)
        assert verify(session) is None
    sessions.kw["bind"].dispose()


def test_a_backup_of_a_database_whose_writer_was_killed_has_all_of_it(written, tmp_path):
    settings, told = written
    backup_database.copy_database(settings.database, tmp_path / "aid.sqlite")
    with closing(sqlite3.connect(tmp_path / "aid.sqlite")) as copy:
        assert copy.execute("SELECT count(*) FROM studies").fetchone() == (len(told),)


class Uploading:
    """Brings studies to a server until it is told to stop; `told` are the images that were told as taken."""

    def __init__(self, client, folder: Path) -> None:
        self.client, self.folder = client, folder
        self.told: list[Path] = []
        self.answers: set[int] = set()
        self.stop = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.stop.is_set():
            for path in write_study(self.folder / str(number), slices=2, change=body_of(0)):
                self.send(path)
            number += 1

    def send(self, path: Path) -> None:
        while True:
            answer = self.client.post("/api/studies", files={"files": (path.name, path.read_bytes())})
            self.answers.add(answer.status_code)
            if answer.status_code == 200:
                assert not answer.json()["rejected"], answer.text
                self.told.append(path)
                return
            assert "try again" in answer.json()["detail"]
            time.sleep(0.1)


def test_a_postgresql_that_dies_is_found_again_and_nothing_is_lost_or_done_twice(tmp_path, monkeypatch):
    runs, running = [], threading.Event()

    def run_slowly(_sessions, _settings, job, progress):
        runs.append(job.id)
        running.set()
        for step in range(20):
            progress(step / 20, "at it")
            time.sleep(0.1)
        return Outcome(answer={"run": len(runs)}, commit=lambda session: record(session, Action.SENT, by=None))

    monkeypatch.setattr(working, "runner_of", lambda _kind: run_slowly)
    with running_postgres() as cluster, ThreadPoolExecutor(2) as pool:
        served = serve(tmp_path, database_url=cluster.database(), quiet_s=0)
        sessions, settings = served.app.state.sessions, served.settings
        client = served.client(Role.READER)
        supervisor = Supervisor(settings, sessions)
        supervisor.start()
        worker = working.Worker(sessions, settings, [JobKind.SEND])
        job = queue(sessions, JobKind.SEND)
        uploading = Uploading(client, tmp_path)
        jobs = [pool.submit(worker.run), pool.submit(uploading.run)]
        try:
            assert running.wait(20)
            for _ in range(2):
                time.sleep(0.3)
                cluster.crash()
                time.sleep(0.5)
                cluster.start()
            until = time.monotonic() + 30
            while job_now(sessions, job).state is not JobState.DONE and time.monotonic() < until:
                time.sleep(0.1)
        finally:
            uploading.stop.set()
            worker.stopping.set()
            supervisor.stop()
        for one in jobs:
            one.result()
        assert (job_now(sessions, job).state, job_now(sessions, job).attempts, runs) == (JobState.DONE, 1, [job.id])
        assert uploading.answers == {200, 503}
        with sessions() as session:
            assert session.scalar(select(func.count()).where(AuditEntry.action == Action.SENT)) == 1
            kept = {(settings.data / path).read_bytes() for path in session.scalars(select(Instance.path))}
            assert verify(session, read_head(settings.data)) is None
        assert {path.read_bytes() for path in uploading.told} == kept
        sessions.kw["bind"].dispose()
