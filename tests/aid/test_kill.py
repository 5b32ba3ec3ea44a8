"""Kill -9 of workers and servers: nothing that was told as done is lost, and nothing is done twice."""

import random
import socket
from dataclasses import dataclass

import pytest
from killed_made import Forker, forking, waited
from senders_made import Busy, Reader, sender
from sqlalchemy import select
from survivors_made import (
    CONTENTS,
    DYING_S,
    KILLS,
    Grounds,
    Truth,
    check_analysed_once,
    check_files,
    close,
    make_grounds,
    put_study,
    truth_of,
)

from panlesion.aid.tables import Job
from panlesion.aid.vocabulary import JobState


@pytest.fixture(scope="module")
def forker(tmp_path_factory):
    with forking(tmp_path_factory.mktemp("forker")) as made:
        yield made


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """A room where a study of each content was analysed, and what was found; `effects` is what lasts of one analysis."""

    grounds: Grounds
    truths: list[Truth]
    studies: list
    effects: list[str]


@pytest.fixture(scope="module")
def undisturbed(forker: Forker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    grounds = make_grounds(folder)
    room = grounds.room()
    studies = [put_study(room, folder / f"ct-{content}", content) for content in range(CONTENTS)]
    worker = forker.worker(grounds.settings(workers=1))
    wait_done(room)
    worker.end()
    truths = [truth_of(room, study) for study in studies]
    for study, truth in zip(studies, truths, strict=True):
        check_analysed_once(room, study, truth)
    check_files(room)
    close(room)
    ends = [n for n, what in enumerate(worker.effects()) if what == "open " + str(grounds.data / ".audit.head.lock")]
    return Undisturbed(grounds=grounds, truths=truths, studies=studies, effects=worker.effects()[ends[-2] + 3 : ends[-1] + 3])


def wait_done(room, within_s=90.0):
    def ended():
        with room.sessions() as session:
            states = {job.state for job in session.scalars(select(Job))}
        assert JobState.FAILED not in states, [job.cause for job in room.sessions().scalars(select(Job))]
        return states == {JobState.DONE}

    waited(ended, "a job does not end", within_s)


def moments(effects: list[str]) -> list[int]:
    """How many effects a worker may have before it dies: after the claim, as results get their name, around the last commit."""
    named = next(n for n, what in enumerate(effects) if what.startswith("os.rename") and ".partial-" not in what)
    last = len(effects) - effects[::-1].index("commit")
    chosen = [effects.index("committed") + 2, named + 1, named + 2, last, last + 1]
    rng = random.Random(18)
    return chosen + [rng.randrange(1, len(effects) + 1) for _ in range(max(1, KILLS - len(chosen)))]


def test_workers_killed_at_any_moment_leave_their_analyses_to_others_who_do_them_once(forker, undisturbed, tmp_path):
    grounds = make_grounds(tmp_path)
    (grounds.data / "cache").symlink_to(undisturbed.grounds.data / "cache")
    room = grounds.room()
    deaths = moments(undisturbed.effects)
    studies = [put_study(room, tmp_path / f"ct-{n}", n % CONTENTS) for n in range(len(deaths))]
    for at in deaths:
        forker.worker(grounds.settings(lease_s=DYING_S), die_at=at).gone()
    assert all(not child.alive for child in forker.children)
    server, _ = forker.server(grounds.settings())
    workers = [forker.worker(grounds.settings()) for _ in range(2)]
    wait_done(room, 60 + 2 * len(deaths))
    for worker in workers:
        worker.end()
    server.end()
    for n, study in enumerate(studies):
        check_analysed_once(room, study, undisturbed.truths[n % CONTENTS])
    check_files(room)
    close(room)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def busy(undisturbed: Undisturbed, folder) -> Busy:
    truth = undisturbed.truths[0]
    return Busy(
        zipped=sender(folder / "zipped", 1),
        single=sender(folder / "single", 2),
        stored=sender(folder / "stored", 3),
        reader=Reader(study=undisturbed.studies[0], shape=truth.labels.shape),
    )


@pytest.fixture(scope="module")
def busy_effects(forker, undisturbed, tmp_path_factory):
    """How many effects a server has, start and end apart, while all work at once and nobody is killed."""
    folder = tmp_path_factory.mktemp("busy")
    grounds, port = undisturbed.grounds.copied(folder / "data"), free_port()
    server, url = forker.server(grounds.settings(dicom_port=port))
    before = len(server.effects())
    work = busy(undisturbed, folder)
    work.work(grounds, url, port)
    effects = len(server.effects()) - before
    assert work.reader.signed and work.stored.told == set(work.stored.paths)
    room = grounds.room()
    work.check(grounds, room, url)
    server.end()
    check_files(room)
    close(room)
    return effects


@pytest.mark.parametrize("seed", range(max(3, KILLS)))
def test_a_server_killed_at_work_keeps_what_it_told_and_takes_the_rest_when_it_comes_again(
    forker, undisturbed, busy_effects, tmp_path, seed
):
    grounds, port = undisturbed.grounds.copied(tmp_path / "data"), free_port()
    work, room = busy(undisturbed, tmp_path), grounds.room()
    server, url = forker.server(grounds.settings(dicom_port=port))
    server.dies_after(random.Random(seed).randrange(1, busy_effects))
    work.work(grounds, url, port)
    server.kill()
    again, url = forker.server(grounds.settings(dicom_port=port))
    work.check(grounds, room, url)
    work.send_again(grounds, url, port)
    work.check(grounds, room, url)
    again.end()
    check_files(room)
    close(room)
