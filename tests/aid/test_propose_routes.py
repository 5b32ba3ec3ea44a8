import threading
import time
from datetime import timedelta

import pytest
from reading_made import Read, read_study
from sqlalchemy import select

from panlesion.aid.jobs.runner import Outcome
from panlesion.aid.reads import asking, proposal
from panlesion.aid.reads.proposal import Looker, run_proposal
from panlesion.aid.schemas.reading import ProposeIn
from panlesion.aid.tables import Job, now
from panlesion.aid.vocabulary import JobKind, JobState, Role
from panlesion.errors import PanlesionError
from panlesion.nets.checkpoint import load_model
from panlesion.nets.engines import TorchEngine


@pytest.fixture(scope="module", autouse=True)
def plain_engine():
    """Torch itself: choosing an engine takes longer than these tests."""
    model = load_model("nano")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proposal, "looker_of", lambda *_: Looker(model=model, engine=TorchEngine(model, bf16=False)))
        yield


@pytest.fixture
def read() -> Read:
    return read_study()


def queued(read: Read) -> Job:
    for _ in range(500):
        with read.session as session:
            wanted = select(Job).where(Job.kind == JobKind.PROPOSE, Job.study_id == read.study_id, Job.state == JobState.QUEUED)
            job = session.scalar(wanted.order_by(Job.created_at.desc()))
        if job is not None:
            return job
        time.sleep(0.01)
    raise AssertionError("nothing was asked")


def work_once(read: Read) -> None:
    """A worker that waits for one question and answers it."""
    job = queued(read)
    fields = {"state": JobState.DONE}
    try:
        done = run_proposal(read.served.app.state.sessions, read.served.settings, job, lambda _share, _stage: None)
        fields["answer"] = done.answer
    except PanlesionError as error:
        fields = {"state": JobState.FAILED, "cause": str(error)}
    with read.served.app.state.sessions.begin() as session:
        for name, value in fields.items():
            setattr(session.get(Job, job.id), name, value)


def ask(read: Read, role: Role = Role.READER, **told):
    return read.client(role).post(f"{read.path}/propose", json=told)


def answered(read: Read, **told):
    read.client()
    worker = threading.Thread(target=work_once, args=(read,))
    worker.start()
    answer = ask(read, **told)
    worker.join()
    return answer


@pytest.mark.parametrize("asked", [{"point_ijk": [20, 20, 3]}, {"box_ijk": [[14, 14, 1], [30, 28, 6]]}])
def test_a_worker_answers_with_an_outline_on_the_grid_of_the_study(read, asked):
    answer = answered(read, **asked)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert sum(told["runs"]) == told["shape"][0] * told["shape"][1] * told["shape"][2]
    assert sum(told["runs"][1::2]) > 0 and 0 <= told["probability"] <= 1
    assert all(a >= 0 and a + n <= size for a, n, size in zip(told["start_ijk"], told["shape"], (48, 40, 7), strict=True))
    assert told["way"] in ("network", "faint", "density")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"point_ijk": [48, 0, 0]}, "i is 48; the scan has i from 0 to 47"),
        ({"point_ijk": [0, -1, 0]}, "j is -1"),
        ({"box_ijk": [[0, 0, 0], [4, 4, 8]]}, "k runs from 0 to 8"),
        ({"box_ijk": [[4, 4, 4], [4, 5, 5]]}, "i runs from 4 to 4"),
        ({}, "a point or a box"),
        ({"point_ijk": [1, 1, 1], "box_ijk": [[0, 0, 0], [4, 4, 4]]}, "a point or a box"),
    ],
)
def test_what_is_not_in_the_scan_is_not_asked(read, asked, says):
    refused = ask(read, **asked)
    assert refused.status_code == 422 and says in refused.json()["detail"]
    with read.session as session:
        assert session.scalar(select(Job).where(Job.study_id == read.study_id)) is None


def test_when_no_worker_answers_the_question_is_taken_back_and_nothing_else_had_to_wait(read, monkeypatch):
    monkeypatch.setattr(asking, "PATIENCE_S", 0.6)
    begun = time.monotonic()
    answers = []
    asker = threading.Thread(target=lambda: answers.append(ask(read, point_ijk=[20, 20, 3])))
    read.client()
    asker.start()
    job = queued(read)
    assert read.change({"op": "write", "field": "comment", "text": "meanwhile"}).status_code == 200
    asker.join()
    assert answers[0].status_code == 503 and "no worker answered" in answers[0].json()["detail"]
    assert time.monotonic() - begun < 10
    with read.session as session:
        assert session.get(Job, job.id).state is JobState.FAILED


def test_a_workers_failure_is_told(read):
    for image in (read.served.settings.data / "dicom" / str(read.study_id)).rglob("I*"):
        image.unlink()
    (read.results / "ct.npy").unlink()
    answer = answered(read, point_ijk=[20, 20, 3])
    assert answer.status_code == 503 and "no proposal could be made" in answer.json()["detail"]


def test_a_question_that_nobody_waits_for_is_not_worked_on(read):
    sessions = read.served.app.state.sessions
    user = read.served.made[Role.READER] if read.client() else None
    with sessions.begin() as session:
        first = asking.ask(session, read.study_id, user.id, ProposeIn(point_ijk=(1, 1, 1)))
        second = asking.ask(session, read.study_id, user.id, ProposeIn(point_ijk=(2, 2, 2)))
    with pytest.raises(asking.NoProposalError, match="nobody waits"):
        asking.answer_of(sessions, first)
    with sessions.begin() as session:
        job = session.get(Job, second)
        job.payload = job.payload | {"until": (now() - timedelta(seconds=1)).isoformat()}
    assert run_proposal(sessions, read.served.settings, job, lambda _share, _stage: None) == Outcome(answer={"expired": True})
