"""How long the worklist takes: 10,000 studies and 20 readers at work on it, with two workers' progress coming in.

    OMP_NUM_THREADS=1 python benchmarks/bench_worklist.py FOLDER [--database-url URL] [--seconds 60] [--orthanc]

The server is `panlesion aid serve`, a process of its own. A reader keeps the stream of events open, and every 2 seconds does
what the page does: the first page by suspicion or by time (200 rows), one far down the list, a search letter by letter as
the page's pause of 0.2 s lets it through, one or two states; or opens a study with its reading, sometimes saves a change. Every
reader is an account. Viewers of other makers search by QIDO-RS (100 rows) now and then. Two workers in this process tell their
progress once a second, as real ones do. The readers run in two processes on the server's cores.

Beside it, in the same run: the page's SQL itself, asked of SQLite without us, and with `--orthanc` the same studies in Orthanc,
searched by 20 clients at the same pace. Goal: p95 of every kind 100 ms. FOLDER is filled at the first call, a PostgreSQL at
the first call with its URL.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import numpy as np
from bench_images import NAME, PASSWORD, Ask, ask, free_port, log_in, wait_for
from bench_load import GIVEN, STATES, SURNAMES, fill_list

PAGE, CLIENTS, PACE_S, READ, GOAL_S = 200, 2, 2.0, 40, 0.1
KINDS = {
    "by suspicion": 30, "by time": 12, "far down": 10, "search": 12, "state": 12, "flagged": 4,
    "QIDO": 6, "open": 10, "save": 4,
}  # fmt: skip
"""What a reader does, in a hundred times."""


def fill(folder: Path, database: str, studies: int, readers: int) -> Any:
    """Studies, accounts, and readings that can be opened and changed."""
    from sqlalchemy import func, select

    from panlesion.aid.db import migrate, open_engine, open_sessions
    from panlesion.aid.reads.document import Document
    from panlesion.aid.schemas.studies import GridOut
    from panlesion.aid.secrets import hash_password
    from panlesion.aid.settings import Settings
    from panlesion.aid.tables import Reading, Study, User
    from panlesion.aid.vocabulary import Role, StudyState

    settings = Settings(data=folder / "data", database_url=database, workers=0)
    settings.data.mkdir(parents=True, exist_ok=True)
    migrate(settings.database)
    fill_list(settings, studies)
    engine, secret = open_engine(settings.database), hash_password(PASSWORD)
    grid = GridOut(shape=(4, 4, 4), spacing_mm=(1, 1, 1), affine=np.eye(4).tolist(), sops=[f"1.{n}" for n in range(4)])
    with open_sessions(engine, settings.data).begin() as session:
        there = session.scalar(select(func.count()).select_from(User)) or 0
        for n in range(there, readers):
            session.add(User(name=name_of(n), display_name=f"Dr {n}", role=Role.READER, password_hash=secret))
        if not session.scalar(select(func.count()).select_from(Reading)):
            open_to_all = select(Study.id).where(Study.state == StudyState.READY, Study.restricted.is_(False))
            for study_id in session.scalars(open_to_all.order_by(Study.received_at.desc()).limit(READ)):
                results = f"results/{study_id}/{uuid4()}"
                (settings.data / results).mkdir(parents=True)
                (settings.data / results / "grid.json").write_text(grid.model_dump_json())
                document = Document().model_dump(mode="json")
                session.add(Reading(study_id=study_id, document=document, mask_path="", original_path=results))
        studies_read = [str(one) for one in session.scalars(select(Reading.study_id))]
    engine.dispose()
    return settings, studies_read


def name_of(number: int) -> str:
    return f"{NAME}-{number}"


def pages(draws: random.Random, kind: str, studies: int) -> list[str]:
    """What the page asks for: one request, or one for each pause in typing."""
    told: dict[str, Any] = {"sort": "suspicion", "desc": "true", "limit": PAGE, "offset": 0}
    several = [told]
    if kind == "by time":
        told["sort"] = "time"
    elif kind == "far down":
        told |= {"sort": draws.choice(("suspicion", "time", "patient")), "offset": draws.randrange(studies // 2, studies, PAGE)}
    elif kind == "state":
        told["state"] = draws.sample(list(STATES), draws.choice((1, 2)))
    elif kind == "flagged":
        told["flagged"] = "true"
    elif kind == "search":
        word = draws.choice(
            (draws.choice(SURNAMES), f"{draws.choice(GIVEN)} {draws.choice(SURNAMES)}", f"P0{draws.randrange(700)}")
        )
        several = [{**told, "q": word[:3]}, {**told, "q": word.lower()}]
    elif kind == "QIDO":
        name = draws.choice(SURNAMES)
        return [
            draws.choice(
                ("/dicomweb/studies?limit=100", "/dicomweb/studies?" + urlencode({"PatientName": f"{name}*", "limit": 100}))
            )
        ]
    return [f"/api/studies?{urlencode(one, doseq=True)}" for one in several]


class Reader:
    """One account in one browser."""

    def __init__(self, server: Ask, number: int, told: dict[str, Any], waits: dict[str, list[float]]) -> None:
        self.host, self.port, self.headers = server
        self.draws, self.number, self.told, self.waits = random.Random(number), number, told, waits

    def listen(self, until: float) -> None:
        """The stream of events, read to its end; how many came is among the results."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        connection.request("GET", "/api/events", headers=self.headers)
        answer = connection.getresponse()
        while time.monotonic() < until:
            line = answer.readline()
            assert line, "the stream of events has ended"
            if line.startswith(b"event: study"):
                self.waits["events"].append(0.0)
        connection.close()

    def work(self, until: float) -> None:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        time.sleep(PACE_S * self.number / self.told["readers"])
        while time.monotonic() < until:
            begin = time.monotonic()
            (kind,) = self.draws.choices(list(KINDS), weights=list(KINDS.values()))
            for path in self._paths(connection, kind):
                asked = time.perf_counter()
                ask(connection, path, self.headers)
                self.waits[kind].append(time.perf_counter() - asked)
                time.sleep(0.2 if kind == "search" else 0.0)
            time.sleep(max(0.0, PACE_S * self.draws.uniform(0.6, 1.4) - (time.monotonic() - begin)))
        connection.close()

    def _paths(self, connection: http.client.HTTPConnection, kind: str) -> Iterator[str]:
        if kind not in ("open", "save"):
            yield from pages(self.draws, kind, self.told["studies"])
            return
        # a study of one's own each, so that nobody is refused for having been slower
        mine = self.told["read"][self.number % len(self.told["read"])]
        if kind == "open":
            yield f"/api/studies/{mine}"
            yield f"/api/studies/{mine}/reading"
            return
        version = json.loads(ask(connection, f"/api/studies/{mine}/reading", self.headers))["version"]
        change = {"changes": [{"op": "write", "field": "comment", "text": f"seen {time.monotonic()}"}]}
        headers = {**self.headers, "If-Match": f'"{version}"', "Content-Type": "application/json"}
        asked = time.perf_counter()
        connection.request("PATCH", f"/api/studies/{mine}/reading", json.dumps(change), headers)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said
        self.waits["save"].append(time.perf_counter() - asked)


def read(port: int, numbers: list[int], told: dict[str, Any], ready: Any, begin: Any, out: Any) -> None:
    """Some of the readers, in a process of their own."""
    waits: dict[str, list[float]] = defaultdict(list)
    readers = [Reader(log_in(port, name_of(n)), n, told, waits) for n in numbers]
    ready.put(len(readers))
    begin.wait()
    until = time.monotonic() + told["seconds"]
    threads = [threading.Thread(target=does, args=(until,)) for one in readers for does in (one.listen, one.work)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.put(dict(waits))


def work(settings: Any, stop: threading.Event, told: list[int]) -> None:
    """A worker that tells its progress, job after job, and makes nothing."""
    from sqlalchemy import select

    from panlesion.aid.db import open_engine, open_sessions
    from panlesion.aid.jobs.queue import beat, claim, enqueue, finish
    from panlesion.aid.jobs.runner import Outcome
    from panlesion.aid.tables import Study
    from panlesion.aid.vocabulary import JobKind, StudyState

    engine = open_engine(settings.database)
    sessions = open_sessions(engine, settings.data)
    while not stop.is_set():
        with sessions.begin() as session:
            next_one = select(Study.id).where(Study.state == StudyState.QUEUED).order_by(Study.received_at).limit(5)
            for study_id in session.scalars(next_one).all():
                enqueue(session, JobKind.ANALYSE, study_id=study_id, key=f"analyse:{study_id}")
        job = claim(sessions, settings, [JobKind.ANALYSE])
        for second in range(20):
            if job is None or stop.wait(1.0):
                break
            beat(sessions, settings, job, second / 20, f"window {second} of 20")
            told.append(second)
        if job is not None:
            study_id = job.study_id

            def done(session: Any, study_id: Any = study_id) -> None:
                study = session.get(Study, study_id)
                study.state, study.suspicion, study.findings = StudyState.READY, 0.5, 1

            finish(sessions, job, Outcome(commit=done))
    engine.dispose()


@contextmanager
def served(settings: Any) -> Iterator[tuple[int, int]]:
    """The port and process of `panlesion aid serve`, stopped afterwards."""
    port = free_port()
    command = [sys.executable, "-c", "from panlesion.cli.main import app; app()", "aid", "serve"]
    options = ["--data", str(settings.data), "--port", str(port), "--workers", "0", "--database-url", settings.database_url]
    with (settings.data.parent / "server.log").open("wb") as log:
        server = subprocess.Popen([*command, *options], stdout=log, stderr=log)
        try:
            wait_for(port, server)
            yield port, server.pid
        finally:
            server.terminate()
            server.wait(30)


def cpu_s(pid: int) -> float:
    """What a process has used, by itself."""
    used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(used[11]) + int(used[12])) / os.sysconf("SC_CLK_TCK")


def at_work(port: int, pid: int, settings: Any, told: dict[str, Any]) -> dict[str, list[float]]:
    """How long everything took, by kind."""
    context = multiprocessing.get_context("spawn")
    ready, begin, out = context.Queue(), context.Event(), context.Queue()
    shares = [list(range(n, told["readers"], CLIENTS)) for n in range(CLIENTS)]
    clients = [context.Process(target=read, args=(port, share, told, ready, begin, out), daemon=True) for share in shares]
    for client in clients:
        client.start()
    for _ in clients:
        ready.get(timeout=120)
    stop, beats = threading.Event(), list[int]()
    workers = [threading.Thread(target=work, args=(settings, stop, beats)) for _ in range(2)]
    for worker in workers:
        worker.start()
    before = cpu_s(pid)
    begin.set()
    found = [out.get(timeout=told["seconds"] + 120) for _ in clients]
    used = cpu_s(pid) - before
    stop.set()
    for one in (*workers, *clients):
        one.join()
    asked = sum(len(waits) for one in found for kind, waits in one.items() if kind != "events")
    events = sum(len(one["events"]) for one in found)
    print(
        f"load {os.getloadavg()[0]:.1f}; {len(beats)} beats of workers, {events} events told; "
        f"the server used {used:.1f} s of a core for {asked} requests"
    )
    return {kind: [wait for one in found for wait in one.get(kind, [])] for kind in KINDS}


def report(name: str, waits: dict[str, list[float]]) -> None:
    print(f"{name:22s} {'asked':>6s} {'p50':>7s} {'p95':>7s} {'p99':>7s} {'worst':>7s}   ms (goal: p95 {GOAL_S * 1000:.0f})")
    for kind, taken in waits.items():
        if taken:
            told = " ".join(f"{1000 * one:7.1f}" for one in (*np.percentile(taken, [50, 95, 99]), max(taken)))
            print(f"  {kind:20s} {len(taken):6d} {told}", flush=True)


def bare(settings: Any) -> None:
    """The page's rows and counts by SQL alone, from a database at rest: what no server can be faster than."""
    from sqlalchemy import text

    from panlesion.aid.db import open_engine

    engine = open_engine(settings.database)
    shown = "FROM studies WHERE restricted = false"
    questions = {
        "by suspicion": f"SELECT * {shown} ORDER BY suspicion DESC NULLS LAST, received_at DESC, id LIMIT 200",
        "far down": f"SELECT * {shown} ORDER BY suspicion DESC NULLS LAST, received_at DESC, id LIMIT 200 OFFSET 8000",
        "search": f"SELECT * {shown} AND lower(patient_name) LIKE '%schmi%' ORDER BY suspicion DESC NULLS LAST LIMIT 200",
        "counts": f"SELECT state, count(*) {shown} GROUP BY state",
    }
    waits: dict[str, list[float]] = defaultdict(list)
    with engine.connect() as connection:
        for kind, question in questions.items():
            for _ in range(20):
                begin = time.perf_counter()
                connection.execute(text(question)).all()
                waits[kind].append(time.perf_counter() - begin)
    engine.dispose()
    report("SQL alone", waits)


def with_orthanc(folder: Path, told: dict[str, Any]) -> dict[str, list[float]]:
    """The same studies in Orthanc, one small image each, searched at the same pace."""
    import base64

    from bench_load import _study
    from pydicom.dataset import Dataset
    from pydicom.uid import CTImageStorage, generate_uid

    home, port = folder / "orthanc", free_port()
    fresh = not home.exists()
    home.mkdir(exist_ok=True)
    config = {
        "StorageDirectory": str(home), "IndexDirectory": str(home), "HttpPort": port, "DicomServerEnabled": False,
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "AuthenticationEnabled": True, "RegisteredUsers": {NAME: PASSWORD}, "RemoteAccessAllowed": False,
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(config))
    headers = {"Authorization": "Basic " + base64.b64encode(f"{NAME}:{PASSWORD}".encode()).decode()}
    find = {"Level": "Study", "Expand": True, "Limit": PAGE}
    with (folder / "orthanc.log").open("wb") as log:
        run = subprocess.Popen(["Orthanc", str(folder / "orthanc.json")], stdout=log, stderr=log)
        try:
            wait_for(port, run)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            draws = random.Random(0)
            for n in range(told["studies"] if fresh else 0):
                row, ds = _study(draws, n), Dataset()
                ds.SOPClassUID, ds.SOPInstanceUID, ds.Modality = CTImageStorage, generate_uid(), "CT"
                ds.StudyInstanceUID, ds.SeriesInstanceUID = row["study_uid"], f"{row['study_uid']}.1"
                ds.PatientName, ds.PatientID, ds.AccessionNumber = row["patient_name"], row["patient_id"], row["accession"]
                ds.SpecificCharacterSet, ds.StudyDescription = "ISO_IR 192", row["description"]
                connection.request("POST", "/instances", _file_of(ds), headers)
                assert connection.getresponse().read()
            asks: dict[str, Callable[[random.Random], tuple[str, str, str | None]]] = {
                "tools/find": lambda _d: ("POST", "/tools/find", json.dumps({**find, "Query": {}})),
                "tools/find search": lambda d: (
                    "POST", "/tools/find", json.dumps({**find, "Query": {"PatientName": f"*{d.choice(SURNAMES)}*"}}),
                ),
                "QIDO": lambda _d: ("GET", "/dicom-web/studies?limit=100", None),
            }  # fmt: skip
            return _paced(port, headers, asks, told)
        finally:
            run.terminate()
            run.wait(60)


def _file_of(ds: Any) -> bytes:
    from io import BytesIO

    from pydicom import dcmwrite
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    out = BytesIO()
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def _paced(port: int, headers: dict[str, str], asks: dict[str, Any], told: dict[str, Any]) -> dict[str, list[float]]:
    waits: dict[str, list[float]] = defaultdict(list)
    until = time.monotonic() + told["seconds"] / 2

    def client(n: int) -> None:
        draws = random.Random(n)
        time.sleep(PACE_S * n / told["readers"])
        while (begin := time.monotonic()) < until:
            kind = draws.choice(list(asks))
            method, path, body = asks[kind](draws)
            # one a request: it closes those that rest for a second
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
            connection.request(method, path, None if body is None else body.encode(), headers)
            answer = connection.getresponse()
            assert answer.status == 200 and answer.read()
            waits[kind].append(time.monotonic() - begin)
            connection.close()
            time.sleep(max(0.0, PACE_S * draws.uniform(0.6, 1.4) - (time.monotonic() - begin)))

    threads = [threading.Thread(target=client, args=(n,)) for n in range(told["readers"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return waits


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--database-url", default="")
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--orthanc", action="store_true")
    told = parser.parse_args(argv)
    told.folder.mkdir(parents=True, exist_ok=True)
    settings, studies_read = fill(told.folder, told.database_url, told.studies, told.readers)
    run = {"studies": told.studies, "readers": told.readers, "seconds": told.seconds, "read": studies_read}
    database = "PostgreSQL" if told.database_url else "SQLite"
    print(
        f"{told.studies} studies, {told.readers} readers, {told.seconds:g} s, {database}; load {os.getloadavg()[0]:.1f} before"
    )
    bare(settings)
    for n in range(told.repeats):
        with served(settings) as (port, pid):
            report(f"{database}, run {n + 1}", at_work(port, pid, settings, run))
    if told.orthanc:
        report("Orthanc", with_orthanc(told.folder, run))


if __name__ == "__main__":
    main(sys.argv[1:])
