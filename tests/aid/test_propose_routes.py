import threading
import time

from reading_made import read_study
from sqlalchemy import select

from panlesion.aid.jobs.runner import Outcome
from panlesion.aid.reads import asking
from panlesion.aid.reads.proposal import run_proposal
from panlesion.aid.tables import Job
from panlesion.aid.vocabulary import JobKind, JobState, Role


def work_once(read, run=run_proposal) -> None:
    """A worker that waits for one question and answers it."""
    sessions = read.served.app.state.sessions
    for _ in range(200):
        with sessions() as session:
            job = session.scalar(select(Job).where(Job.kind == JobKind.PROPOSE, Job.state == JobState.QUEUED))
        if job is not None:
            break
        time.sleep(0.02)
    assert job is not None
    done = run(sessions, read.served.settings, job, lambda share, stage: None)
    with sessions.begin() as session:
        session.get(Job, job.id).answer, session.get(Job, job.id).state = done.answer, JobState.DONE


def ask(read, role=Role.READER, **told):
    return read.client(role).post(f"{read.path}/propose", json=told)


def test_a_click_is_answered_by_a_worker_with_an_outline_that_holds_it(tmp_path):
    read = read_study(tmp_path)
    read.client()
    worker = threading.Thread(target=work_once, args=(read,))
    worker.start()
    answer = ask(read, point_ijk=[20, 20, 3])
    worker.join()
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert sum(told["runs"]) == told["shape"][0] * told["shape"][1] * told["shape"][2]
    assert sum(told["runs"][1::2]) > 0 and 0 <= told["probability"] <= 1
    assert all(0 <= a and a + n <= size for a, n, size in zip(told["start_ijk"], told["shape"], (48, 40, 7), strict=True))
