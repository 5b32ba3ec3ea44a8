import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from queue_made import DATABASES, add_study, clear, job_now, queue, rooms, study_now
from sqlalchemy import select, update
from study_made import Room

from panlesion.aid.jobs.queue import LeaseLostError, beat, claim, enqueue, fail, finish, release, requeue_lapsed, retry
from panlesion.aid.jobs.runner import Outcome
from panlesion.aid.tables import Job, Reading, Study, now
from panlesion.aid.vocabulary import JobKind, JobState, ReadingState, StudyState

ALL = list(JobKind)


@pytest.fixture(scope="module", params=DATABASES)
def room(request, tmp_path_factory):
    with rooms(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture(autouse=True)
def empty(room):
    clear(room.sessions)


def lapse(room: Room, job: Job) -> None:
    """Let a lease run out, as time would."""
    with room.sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job.id).values(lease_until=now() - timedelta(seconds=1)))


def let_wait_pass(room: Room) -> None:
    with room.sessions.begin() as session:
        session.execute(update(Job).values(not_before=now() - timedelta(seconds=1)))


def take(room: Room, kinds=ALL) -> Job:
    job = claim(room.sessions, room.settings, kinds)
    assert job is not None
    return job


def test_a_job_is_claimed_by_one_of_many_workers(room):
    jobs = {queue(room.sessions).id for _ in range(24)}
    begin = threading.Barrier(6)

    def work() -> list[UUID]:
        begin.wait()
        mine = []
        while (job := claim(room.sessions, room.settings, ALL)) is not None:
            mine.append(job.id)
            finish(room.sessions, job, Outcome(answer={"by": str(job.lease)}))
        return mine

    with ThreadPoolExecutor(6) as pool:
        done = [job for future in [pool.submit(work) for _ in range(6)] for job in future.result()]
    assert Counter(done) == Counter(jobs)
    with room.sessions() as session:
        assert all(job.state is JobState.DONE and job.attempts == 1 for job in session.scalars(select(Job)))


def test_one_key_makes_one_job_however_many_queue_it_at_once(room):
    begin = threading.Barrier(8)

    def wish() -> UUID:
        begin.wait()
        return queue(room.sessions, key="analyse:7").id

    with ThreadPoolExecutor(8) as pool:
        made = [future.result() for future in [pool.submit(wish) for _ in range(8)]]
    assert len(set(made)) == 1
    job = take(room)
    assert queue(room.sessions, key="analyse:7").id == job.id
    finish(room.sessions, job, Outcome())
    assert queue(room.sessions, key="analyse:7").id != job.id


def test_a_failed_job_gives_its_key_to_the_next(room):
    first = queue(room.sessions, key="send:1")
    fail(room.sessions, room.settings, take(room), "no such PACS", for_good=True)
    second = queue(room.sessions, key="send:1")
    assert second.id != first.id
    assert job_now(room.sessions, first).cause == "no such PACS"


def test_higher_priority_then_short_work_then_the_oldest_goes_first(room):
    study = add_study(room.sessions, f"1.2.{uuid4().int % 10**9}")
    wanted = [
        queue(room.sessions, JobKind.ANALYSE, study_id=study, priority=0),
        queue(room.sessions, JobKind.PULL, priority=0),
        queue(room.sessions, JobKind.SEND, priority=0),
        queue(room.sessions, JobKind.ANALYSE, study_id=study, priority=5),
        queue(room.sessions, JobKind.SEND, priority=-5),
    ]
    order = [wanted[n].id for n in (3, 1, 2, 0, 4)]
    assert [take(room).id for _ in order] == order
    assert claim(room.sessions, room.settings, ALL) is None


def test_a_worker_gets_the_kinds_it_asks_for(room):
    queue(room.sessions, JobKind.PROPOSE)
    assert claim(room.sessions, room.settings, [JobKind.ANALYSE, JobKind.SEND]) is None
    assert take(room, [JobKind.PROPOSE]).kind is JobKind.PROPOSE


@pytest.mark.parametrize("end", ["beat", "finish", "fail", "release"])
def test_who_lost_the_lease_writes_nothing(room, end):
    study = add_study(room.sessions, f"1.2.{uuid4().int % 10**9}", problem="")
    queue(room.sessions, JobKind.ANALYSE, study_id=study)
    lost = take(room)
    lapse(room, lost)
    assert requeue_lapsed(room.sessions, room.settings) == [lost.id]
    holder = take(room)
    assert holder.id == lost.id and holder.lease != lost.lease

    def late(session):
        session.get_one(Study, study).problem = "written by a worker that lost its lease"

    with pytest.raises(LeaseLostError):
        if end == "beat":
            beat(room.sessions, room.settings, lost, 0.9, "late")
        elif end == "finish":
            finish(room.sessions, lost, Outcome(answer={"late": True}, commit=late))
        elif end == "fail":
            fail(room.sessions, room.settings, lost, "late", for_good=True)
        else:
            release(room.sessions, lost)
    told = job_now(room.sessions, holder)
    assert (told.state, told.lease, told.answer, told.cause, told.stage) == (JobState.RUNNING, holder.lease, None, "", "")
    assert study_now(room.sessions, study).problem == ""


def test_what_an_outcome_commits_and_the_end_of_its_job_are_one_transaction(room):
    study = add_study(room.sessions, f"1.2.{uuid4().int % 10**9}")
    queue(room.sessions, JobKind.ANALYSE, study_id=study)
    job = take(room)

    def half(session):
        session.get_one(Study, study).findings = 3
        session.flush()
        raise RuntimeError("killed here")

    with pytest.raises(RuntimeError):
        finish(room.sessions, job, Outcome(commit=half))
    assert job_now(room.sessions, job).state is JobState.RUNNING
    assert study_now(room.sessions, study).findings is None


def test_a_lapsed_job_is_tried_again_so_often_and_then_fails_with_its_study(room):
    study = add_study(room.sessions, f"1.2.{uuid4().int % 10**9}")
    job = queue(room.sessions, JobKind.ANALYSE, study_id=study)
    for attempt in range(1, room.settings.max_attempts + 1):
        held = take(room)
        assert held.attempts == attempt
        assert study_now(room.sessions, study).state is StudyState.RUNNING
        lapse(room, held)
        assert requeue_lapsed(room.sessions, room.settings) == [job.id]
    told = job_now(room.sessions, job)
    assert told.state is JobState.FAILED and "stopped without a word" in told.cause and told.finished_at is not None
    failed = study_now(room.sessions, study)
    assert failed.state is StudyState.FAILED and failed.problem == told.cause
    assert claim(room.sessions, room.settings, ALL) is None


def test_a_job_that_beats_is_not_taken_away(room):
    queue(room.sessions)
    job = take(room)
    lapse(room, job)
    beat(room.sessions, room.settings, job, 0.5, "half")
    assert requeue_lapsed(room.sessions, room.settings) == []
    told = job_now(room.sessions, job)
    assert (told.progress, told.stage) == (0.5, "half")


class Meanwhile:
    """Sessions that let something else happen before the first transaction that writes."""

    def __init__(self, sessions, happens):
        self.sessions, self.happens = sessions, happens

    def __call__(self):
        return self.sessions()

    def begin(self):
        happens, self.happens = self.happens, lambda: None
        happens()
        return self.sessions.begin()


@pytest.mark.parametrize("how", ["finishes", "beats"])
def test_a_worker_that_is_heard_of_while_lapsed_jobs_are_looked_for_keeps_its_job(room, how):
    queue(room.sessions)
    job = take(room)
    lapse(room, job)
    told = {
        "finishes": lambda: finish(room.sessions, job, Outcome(answer={"done": 1})),
        "beats": lambda: beat(room.sessions, room.settings, job, 0.5, ""),
    }[how]
    assert requeue_lapsed(Meanwhile(room.sessions, told), room.settings) == []
    assert job_now(room.sessions, job).state is (JobState.DONE if how == "finishes" else JobState.RUNNING)


def test_a_job_that_keeps_failing_waits_longer_each_time_and_lets_others_pass(room):
    poison = queue(room.sessions, JobKind.SEND, priority=5)
    waits = []
    for _ in range(room.settings.max_attempts - 1):
        job = take(room)
        assert job.id == poison.id
        fail(room.sessions, room.settings, job, "the PACS is not there", for_good=False)
        other = queue(room.sessions, JobKind.SEND)
        assert take(room).id == other.id
        waits.append((job_now(room.sessions, poison).not_before - now()).total_seconds())
        let_wait_pass(room)
    assert all(wait > 0 for wait in waits) and waits == sorted(waits) and waits[-1] > 1.5 * waits[0]
    fail(room.sessions, room.settings, take(room), "the PACS is not there", for_good=False)
    assert job_now(room.sessions, poison).state is JobState.FAILED


def test_a_job_given_back_is_taken_at_once_and_its_attempt_is_not_counted(room):
    queue(room.sessions)
    for _ in range(room.settings.max_attempts + 2):
        job = take(room)
        assert job.attempts == 1
        release(room.sessions, job)


def test_a_failed_analysis_is_retried_unless_a_later_one_took_its_place(room):
    study = add_study(room.sessions, f"1.2.{uuid4().int % 10**9}")
    first = queue(room.sessions, JobKind.ANALYSE, study_id=study, key=f"analyse:{study}")
    fail(room.sessions, room.settings, take(room), "no", for_good=True)
    with room.sessions.begin() as session:
        assert retry(session, session.get_one(Job, first.id))
        assert not retry(session, session.get_one(Job, first.id))  # it waits already
    assert study_now(room.sessions, study).state is StudyState.QUEUED
    fail(room.sessions, room.settings, take(room), "no", for_good=True)
    queue(room.sessions, JobKind.ANALYSE, study_id=study, key=f"analyse:{study}")
    with room.sessions.begin() as session:
        assert not retry(session, session.get_one(Job, first.id))


def test_what_a_person_began_to_read_is_not_taken_away_by_a_job(room):
    study = add_study(room.sessions, f"1.2.{uuid4().int % 10**9}", state=StudyState.DRAFT)
    with room.sessions.begin() as session:
        session.add(Reading(study_id=study, state=ReadingState.DRAFT, document={}, mask_path="m", original_mask="m"))
    queue(room.sessions, JobKind.ANALYSE, study_id=study)
    job = take(room)
    assert study_now(room.sessions, study).state is StudyState.DRAFT
    fail(room.sessions, room.settings, job, "no", for_good=True)
    assert study_now(room.sessions, study).state is StudyState.DRAFT


def test_a_job_queued_in_a_transaction_that_fails_was_never_there(room):
    with pytest.raises(RuntimeError), room.sessions.begin() as session:
        enqueue(session, JobKind.PULL, key="pull:1")
        raise RuntimeError
    with room.sessions() as session:
        assert session.scalar(select(Job).limit(1)) is None


@dataclass
class Held:
    """What the model knows of a job: the lease that counts, and how often each lease tried to write."""

    lease: str | None = None
    done: bool = False
    effects: list[str] = field(default_factory=list)


class Interleaving(RuleBasedStateMachine):
    """Workers that claim, beat, finish, die and come back too late, in any order."""

    room: Room

    def __init__(self) -> None:
        super().__init__()
        clear(self.room.sessions)
        self.jobs: dict[UUID, Held] = {}
        self.workers: list[Job] = []

    @precondition(lambda self: len(self.jobs) < 3)
    @rule(priority=st.integers(-1, 1))
    def add(self, priority):
        self.jobs[queue(self.room.sessions, priority=priority).id] = Held()

    @rule()
    def take(self):
        job = claim(self.room.sessions, self.room.settings, ALL)
        if job is not None:
            assert self.jobs[job.id].lease is None and not self.jobs[job.id].done
            self.jobs[job.id].lease = job.lease
            self.workers.append(job)

    @precondition(lambda self: self.workers)
    @rule(which=st.integers(0, 99))
    def end(self, which):
        job = self.workers[which % len(self.workers)]
        held = self.jobs[job.id]
        try:
            finish(self.room.sessions, job, Outcome(answer={"lease": job.lease}))
        except LeaseLostError:
            assert held.lease != job.lease
        else:
            assert held.lease == job.lease
            held.effects.append(job.lease)
            held.lease, held.done = None, True

    @precondition(lambda self: self.workers)
    @rule(which=st.integers(0, 99), for_good=st.booleans())
    def give_up(self, which, for_good):
        job = self.workers[which % len(self.workers)]
        held = self.jobs[job.id]
        try:
            fail(self.room.sessions, self.room.settings, job, "broken", for_good=for_good)
        except LeaseLostError:
            assert held.lease != job.lease
        else:
            assert held.lease == job.lease
            held.lease = None
            held.done = job_now(self.room.sessions, job).state is JobState.FAILED
            assert held.done or not for_good
        let_wait_pass(self.room)

    @precondition(lambda self: self.workers)
    @rule(which=st.integers(0, 99))
    def fall_silent(self, which):
        job = self.workers[which % len(self.workers)]
        held = self.jobs[job.id]
        if held.lease == job.lease:
            lapse(self.room, job)
            assert requeue_lapsed(self.room.sessions, self.room.settings) == [job.id]
            held.lease = None
            held.done = job_now(self.room.sessions, job).state is JobState.FAILED

    @invariant()
    def one_holder_and_one_effect(self):
        with self.room.sessions() as session:
            rows = {job.id: job for job in session.scalars(select(Job))}
        assert rows.keys() == self.jobs.keys()
        for key, held in self.jobs.items():
            row = rows[key]
            assert row.lease == held.lease and (row.state is JobState.RUNNING) == (held.lease is not None)
            assert (row.state in (JobState.DONE, JobState.FAILED)) == held.done
            assert len(held.effects) <= 1 and row.attempts <= self.room.settings.max_attempts
            assert (row.answer or {}).get("lease") == (held.effects[0] if held.effects else None)


def test_no_order_of_claims_deaths_and_late_ends_lets_two_workers_write(room):
    machine = type("Here", (Interleaving,), {"room": room})
    checks = list(HealthCheck)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=checks, derandomize=True
        ),
    )
