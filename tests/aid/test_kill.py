"""Kill -9 of workers and servers: nothing that was told as done is lost, and nothing is done twice."""

import random
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace

import httpx2
import pytest
from killed_made import Forker, forking
from senders_made import Busy, Pacs, Reader, sender
from sqlalchemy import func, select
from survivors_made import (
    CONTENTS,
    DYING_S,
    KILLS,
    Grounds,
    Truth,
    check_analysed_once,
    check_files,
    close,
    free_port,
    make_grounds,
    put_study,
    truth_of,
)
from waiting_made import waited

from panlesion.aid.audit import verify
from panlesion.aid.audit_head import read_head
from panlesion.aid.jobs.queue import requeue_lapsed
from panlesion.aid.reads.delivery import queue_send
from panlesion.aid.tables import AuditEntry, Job, Node, Reading, User
from panlesion.aid.vocabulary import Action, JobState, NodeKind, Parcel

# pynetdicom leaves the socket of a peer that is gone to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


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
    chosen = [effects.index("committed") + 2, named + 2, last, last + 1]
    rng = random.Random(18)
    return chosen + [rng.randrange(1, len(effects) + 1) for _ in range(max(2, KILLS - len(chosen)))]


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


@pytest.mark.parametrize("seed", range(max(2, KILLS)))
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


def test_a_first_start_that_is_killed_at_any_moment_is_made_up_for_by_the_next(forker, tmp_path):
    def settings(name):
        return {"data": tmp_path / name, "workers": 0, "port": 0}

    server, url = forker.server(settings("undisturbed"))
    server.end()
    effects = len(server.effects())
    assert url and effects > 30
    for at in random.Random(5).sample(range(1, effects + 1), min(effects, KILLS or 2)):
        forker.server(settings(str(at)), die_at=at)[0].gone()
        again, url = forker.server(settings(str(at)))
        assert url, again.log.read_text()
        again.end()
        room = Grounds(data=tmp_path / str(at), cookie="", csrf="").room()
        with room.sessions() as session:
            assert [user.name for user in session.scalars(select(User))] == ["admin"]
        check_files(room)
        close(room)


def test_a_signature_is_whole_or_not_at_all_at_whatever_moment_the_server_dies(forker, undisturbed, tmp_path):
    def signs(folder, *, die_after=None):
        grounds = undisturbed.grounds.copied(folder)
        reader = busy(undisturbed, folder).reader
        server, url = forker.server(grounds.settings())
        with grounds.client(url) as client:
            reader.decide(client)
            before = len(server.effects())
            if die_after is not None:
                server.dies_after(die_after)
            with suppress(httpx2.TransportError):
                reader.sign(client)
        effects = server.effects()[before:]
        server.kill()
        return grounds, reader, effects

    _, reader, effects = signs(tmp_path / "undisturbed")
    assert reader.signed
    commit = len(effects) - effects[::-1].index("commit")
    for at in range(1, len(effects) + 1) if len(effects) <= KILLS else [commit, commit + 1]:
        grounds, reader, _ = signs(tmp_path / str(at), die_after=at)
        server, url = forker.server(grounds.settings())
        room = grounds.room()
        with grounds.client(url) as client:
            reader.check(room, client)
            assert not reader.signed or at > commit
            reader.decide_and_sign(client)
            reader.check(room, client)
            assert reader.sign(client).status_code == 409
        server.end()
        with room.sessions() as session:
            assert session.scalar(select(func.count()).where(AuditEntry.action == Action.SIGN)) == 1
        check_files(room)
        close(room)


def test_a_worker_killed_while_it_sends_leaves_it_to_the_next_and_a_pacs_has_each_instance_once(forker, undisturbed, tmp_path):
    grounds = undisturbed.grounds.copied(tmp_path / "data")
    room, study = grounds.room(lease_s=DYING_S), undisturbed.studies[0]
    with Pacs() as pacs:
        with room.sessions.begin() as session:
            node = Node(name="PACS", kind=NodeKind.DIMSE, host="127.0.0.1", port=pacs.port, ae_title="PACS")
            session.add(node)
            session.flush()
            folder = session.get_one(Reading, study).original_path

        def send(number: int, die_at: int | None = None):
            with room.sessions.begin() as session:
                queued = queue_send(session, study, node, folder, ["seg.dcm", "sr.dcm"], what=Parcel.AI).id
            worker = forker.worker(grounds.settings(lease_s=DYING_S), "send", die_at=die_at)
            if die_at is not None:
                worker.gone()
                waited(lambda: requeue_lapsed(room.sessions, room.settings) or is_in(queued) is not JobState.RUNNING, "held")
                worker = forker.worker(grounds.settings(), "send")
            waited(lambda: is_in(queued) is JobState.DONE, "it is not sent")
            worker.end()
            with room.sessions() as session:
                assert session.scalar(select(func.count()).where(AuditEntry.action == Action.SENT)) == number
            return worker.effects()

        def is_in(queued):
            with room.sessions() as session:
                return session.get_one(Job, queued).state

        effects = send(1)
        sent = dict(pacs.came)
        assert sorted(sent.values()) == [1, 1]
        commit = len(effects) - effects[::-1].index("INSERT INTO audit") + 1
        connect = effects.index("connect") + 1
        for number, at in enumerate(range(1, len(effects) + 1) if len(effects) <= KILLS else [connect + 1, commit + 1], 2):
            before = dict(pacs.came)
            send(number, at)
            again = {uid: count - before[uid] for uid, count in pacs.came.items()}
            assert again.keys() == sent.keys() and set(again.values()) <= {1, 2}
    with room.sessions() as session:
        assert verify(session, read_head(grounds.data)) is None
    close(room)


OUT_OF_RESOURCES, MB = 0xA700, 1 << 20


def test_a_full_disk_is_told_by_all_harms_nothing_and_is_forgotten_when_there_is_room(forker, undisturbed, tmp_path):
    disk = forker.disk
    if disk is None:
        pytest.skip("nobody may have a disk of his own here (unshare --mount)")
    before = undisturbed.grounds.copied(tmp_path / "before")
    room = before.room()
    waiting = put_study(room, tmp_path / "waiting", 4)
    close(room)
    shutil.rmtree(before.data / "cache")
    shutil.copytree(before.data, disk.outside / "data")
    (disk.outside / "data" / "cache").symlink_to(undisturbed.grounds.data / "cache")
    grounds, port = replace(before, data=disk.inside / "data"), free_port()
    images, work = sender(tmp_path / "images", 5), busy(undisturbed, tmp_path)
    reader = work.reader
    server, url = forker.server(grounds.settings(dicom_port=port, max_attempts=1))
    with grounds.client(url) as client:
        file = {"files": ("image.dcm", images.paths[0].read_bytes())}

        def refuses_images(words: str) -> None:
            answer = client.post("/api/studies", files=file)
            assert answer.status_code == 507 and words in answer.json()["detail"], answer.text
            assert str(disk.inside) not in answer.text
            assert images.store(port) == [OUT_OF_RESOURCES] * len(images.paths)

        disk.give(300 * MB)  # images are refused before readings are
        refuses_images("are free")
        assert reader.paint(client).status_code == 200
        assert reader.decide(client)

        disk.give(0)
        refuses_images("are free")
        for refused in (reader.paint(client), reader.sign(client)):
            assert refused.status_code == 507 and "full" in refused.json()["detail"], refused.text
        assert client.get(f"{reader.path}/reading").json()["version"] == reader.version
        assert "No space left" in forker.command("backup", disk.inside / "backup.zip", "--data", grounds.data)
        worker = forker.worker(grounds.settings(max_attempts=1))
        waited(lambda: "full" in worker.log.read_text() or state_of(client, waiting) == "failed", "the worker says nothing")
        assert state_of(client, waiting) in {"queued", "running", "failed"}
        assert not list((disk.outside).glob("**/*.part*")) and not (disk.outside / "backup.zip").exists()
        assert not list((disk.outside / "data" / "results" / str(waiting)).glob("*"))

        disk.give(700 * MB)
        assert reader.paint(client).status_code == 200
        assert reader.sign(client).status_code == 200
        assert client.post("/api/studies", files=file).status_code == 200
        assert images.store(port) == [0] * len(images.paths)
        waited(lambda: state_of(client, waiting) in {"failed", "ready"}, "the waiting study waits on")
        if state_of(client, waiting) == "failed":
            assert client.post(f"/api/studies/{waiting}/analyse").status_code in {200, 202}
        waited(lambda: state_of(client, waiting) == "ready", "the waiting study is not analysed")
        assert "files" in forker.command("backup", disk.inside / "backup.zip", "--data", grounds.data)
    worker.end()
    server.end()
    shutil.copytree(disk.outside / "data", tmp_path / "after")
    after = replace(before, data=tmp_path / "after").room()
    assert truth_of(after, waiting) == undisturbed.truths[4]
    images.check(after)
    check_files(after)
    close(after)


def state_of(client, study) -> str:
    """As the worklist tells it, which anyone may look at without a line in the log."""
    rows = client.get("/api/studies", params={"limit": 100}).json()["items"]
    return next(row["state"] for row in rows if row["id"] == str(study))
