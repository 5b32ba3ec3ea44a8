"""A reading room at work: 10,000 studies, 20 readers who look at the list and open series; p95 of every kind of request.

    OMP_NUM_THREADS=1 python benchmarks/bench_load.py FOLDER [--studies 10000] [--readers 20] [--seconds 60]

FOLDER is that of `bench_images.py`, whose 300-slice series is the one that is opened; the other studies are rows without files.
Every reader asks for the list of studies every 2 seconds, and opens a series every minute: metadata, then all its
images by 6 connections. The clients run in two processes beside the server, on the same cores. Goals: list 100 ms, first image
1 s, all images 5 s.
"""

import argparse
import http.client
import json
import multiprocessing
import random
import sys
import threading
import time
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from bench_images import Ask, ask, draw, fill, frames, free_port, log_in, serve, timed, wait_for

LIST, SEARCH = "/api/studies?sort=suspicion&desc=true&limit=100", "/dicomweb/studies?limit=100"
LIST_S, OPEN_S, CLIENTS = 2.0, 60.0, 2
GOALS = {"list": 0.1, "search (QIDO)": 0.1, "metadata": 0.2, "first image": 1.0, "all images": 5.0}


SURNAMES = (
    *("Müller", "Schmidt", "Özdemir", "García", "Nguyễn", "Kowalska", "Øverland", "O'Neill", "von der Heide", "Šimić", "Li"),
    *("Johnson", "Fernández", "Dubois", "Rossi", "Andersson", "Papadopoulos", "Ivanov", "Tanaka", "Okafor", "Haddad", "Weiß"),
)
GIVEN = ("Anna", "Jürgen", "Mehmet", "José", "Thị Hoa", "Zoë", "Åse", "Marta^Ewa", "Luca", "Ifeoma", "Björn", "Eleni", "John")
DESCRIPTIONS = ("CT Thorax/Abdomen KM", "CT chest abdomen pelvis", "CT Abdomen portalvenös", "CT thorax low dose", "Staging CT")
STATES = {"arriving": 1, "queued": 3, "ready": 28, "draft": 6, "signed": 60, "failed": 2}
"""In a hundred studies."""
RESTRICTED = 0.03


def fill_list(settings: Any, count: int) -> None:
    """Rows of so many studies, without files: names as there are, states as in a room that has been at work for months."""
    from sqlalchemy import func, insert, select

    from panlesion.aid.db import open_engine, open_sessions
    from panlesion.aid.tables import Series, Study

    engine = open_engine(settings.database)
    with open_sessions(engine, settings.data).begin() as session:
        there = session.scalar(select(func.count()).select_from(Study)) or 0
        if there < count:
            draws = random.Random(0)
            studies = [_study(draws, n) for n in range(there, count)]
            session.execute(insert(Study), studies)
            told = [
                {"study_id": s["id"], "series_uid": f"{s['study_uid']}.1", "modality": "CT", "images": 300} for s in studies
            ]
            session.execute(insert(Series), told)
    engine.dispose()


def _study(draws: random.Random, n: int) -> dict[str, Any]:
    from panlesion.aid.tables import now
    from panlesion.aid.vocabulary import StudySource, StudyState

    (state,) = draws.choices([StudyState(name) for name in STATES], weights=list(STATES.values()))
    analysed = state in (StudyState.READY, StudyState.DRAFT, StudyState.SIGNED)
    received = now() - timedelta(minutes=16 * n)
    return {
        "id": uuid4(),
        "study_uid": f"1.2.3.{n}",
        "state": state,
        "source": StudySource.STORE,
        "problem": "no series of this study can be read as a CT: planes are missing" if state is StudyState.FAILED else "",
        "patient_id": f"P{draws.randrange(7000):05d}",
        "patient_name": f"{draws.choice(SURNAMES)}^{draws.choice(GIVEN)}",
        "birth_date": date(draws.randrange(1930, 2005), 1 + n % 12, 1 + n % 28),
        "sex": draws.choice("FM"),
        "accession": f"A{2_600_000 + n}",
        "description": draws.choice(DESCRIPTIONS),
        "images": 300,
        "suspicion": draws.betavariate(0.6, 1.2) if analysed else None,
        "findings": draws.choice((0, 0, 1, 1, 2, 3, 7)) if analysed else None,
        "restricted": draws.random() < RESTRICTED,
        "study_at": received - timedelta(minutes=30),
        "received_at": received,
        "changed_at": received,
    }


def read(port: int, made: dict[str, Any], number: int, seconds: float, ready: Any, out: Any) -> None:
    """So many readers at work, in a process of their own."""
    waits: dict[str, list[float]] = defaultdict(list)
    logins = [log_in(port) for _ in range(number)]
    ready.wait()
    until = time.monotonic() + seconds
    series = f"/dicomweb/studies/{made['study']}/series/{made['series']}"

    def list_studies(server: Ask, n: int) -> None:
        connection = http.client.HTTPConnection(server[0], server[1], timeout=120)
        time.sleep(LIST_S * n / number)
        while time.monotonic() < until:
            begin = time.monotonic()
            kind, path = ("list", LIST) if made["list"] else ("search (QIDO)", SEARCH)
            ask(connection, path, server[2])
            waits[kind].append(time.monotonic() - begin)
            time.sleep(max(0.0, LIST_S - (time.monotonic() - begin)))
        connection.close()

    def open_series(server: Ask, n: int) -> None:
        time.sleep(OPEN_S * n / number)
        while time.monotonic() < until:
            begin = time.monotonic()
            waits["metadata"].append(timed(server, f"{series}/metadata")[0])
            first, whole, _ = frames(server, "/dicomweb", made)
            waits["first image"].append(first)
            waits["all images"].append(whole)
            time.sleep(max(0.0, OPEN_S - (time.monotonic() - begin)))

    threads = [
        threading.Thread(target=work, args=(server, n))
        for n, server in enumerate(logins)
        for work in (list_studies, open_series)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.put(dict(waits))


def main(argv: list[str]) -> None:
    from panlesion.aid.settings import Settings

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    told = parser.parse_args(argv)
    told.folder.mkdir(parents=True, exist_ok=True)
    made = draw(told.folder, 300)
    fill(told.folder, made)
    fill_list(Settings(data=told.folder / "data", workers=0), told.studies)
    context, port = multiprocessing.get_context("spawn"), free_port()
    server = context.Process(target=serve, args=(str(told.folder / "data"), port), daemon=True)
    server.start()
    try:
        wait_for(port, server)
        made["list"] = has_list(log_in(port))
        ready, out = context.Event(), context.Queue()
        shares = [told.readers // CLIENTS + (n < told.readers % CLIENTS) for n in range(CLIENTS)]
        readers = [
            context.Process(target=read, args=(port, made, n, told.seconds, ready, out), daemon=True) for n in shares if n
        ]
        for reader in readers:
            reader.start()
        time.sleep(3 + told.readers * 0.3)
        ready.set()
        report([out.get(timeout=told.seconds + 120) for _ in readers], told)
    finally:
        server.terminate()
        server.join()


def has_list(server: Ask) -> bool:
    connection = http.client.HTTPConnection(server[0], server[1], timeout=60)
    connection.request("GET", LIST, headers=server[2])
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status == 200 and "total" in json.loads(data)


def report(found: list[dict[str, list[float]]], told: argparse.Namespace) -> None:
    print(f"{told.studies} studies, {told.readers} readers, {told.seconds:g} s")
    print(f"{'kind':16s} {'asked':>6s} {'median':>8s} {'p95':>8s} {'worst':>8s} {'goal':>6s}   seconds")
    for kind, goal in GOALS.items():
        waits = [wait for one in found for wait in one.get(kind, [])]
        if waits:
            middle, late = np.percentile(waits, [50, 95])
            print(f"{kind:16s} {len(waits):6d} {middle:8.3f} {late:8.3f} {max(waits):8.3f} {goal:6.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
