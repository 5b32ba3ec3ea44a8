"""Data folders to kill servers and workers on, what undisturbed runs make of them, and whether all is whole afterwards."""

import gzip
import hashlib
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import numpy as np
from pydicom.dataset import FileDataset
from server_made import serve
from sqlalchemy import func, select
from study_made import Room, write_study
from waiting_made import waited

from panlesion.aid.audit import verify
from panlesion.aid.audit_head import read_head
from panlesion.aid.db import open_engine, open_sessions
from panlesion.aid.deps import CSRF_HEADER
from panlesion.aid.reads.masks import read_mask
from panlesion.aid.settings import Settings
from panlesion.aid.store.arrival import settle
from panlesion.aid.tables import AuditEntry, Instance, Job, Reading, Series, Study, Version
from panlesion.aid.vocabulary import Action, JobKind, JobState, ReadingState, Role, StudyState
from panlesion.infer.record import FINDINGS_FILE, LESIONS_FILE

KILLS = int(os.environ.get("PANLESION_KILLS", "0"))
"""How many moments are tried of each kind, instead of the few of a usual run."""
DYING_S = 1.0
"""The lease of workers that are going to die, so that it lapses soon; others have the usual one, since machines may be busy."""
_BALLS = (
    ((-8, 6, 0), 9.0),
    ((10, -10, 0), 9.0),
    ((0, 16, 2), 7.0),
    ((-12, -14, -2), 8.0),
    ((14, 8, 2), 10.0),
    ((-2, -2, 0), 11.0),
)
CONTENTS = len(_BALLS)


def body_of(content: int):
    """A change of `study_slice`: soft tissue with a cyst, at another place and of another size for each content."""
    at, radius = _BALLS[content]

    def change(index: int, ds: FileDataset) -> None:
        j, i = np.indices((ds.Rows, ds.Columns))
        x, y, z = (i - 23.5) * 1.5, (j - 19.5) * 2.5, (index - 3) * 3.0
        hu = np.where((x / 32) ** 2 + (y / 42) ** 2 <= 1, 90.0, -1000.0)
        hu[(x - at[0]) ** 2 + (y - at[1]) ** 2 + (z - at[2]) ** 2 <= radius**2] = 5
        hu += np.random.default_rng([content, index]).normal(0, 8, hu.shape)
        ds.PixelData = (hu + 1024).clip(0, 4095).astype("<u2").tobytes()
        ds.PatientID = f"P-{content}"

    return change


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """A data folder at rest; `cookie` and `csrf` are of a reader who is logged in."""

    data: Path
    cookie: str
    csrf: str

    def copied(self, folder: Path) -> "Grounds":
        shutil.copytree(self.data, folder)
        return Grounds(data=folder, cookie=self.cookie, csrf=self.csrf)

    def settings(self, **more: Any) -> dict[str, Any]:
        return {"data": self.data, "workers": 0, "port": 0, "quiet_s": 0} | more

    def room(self, **more: Any) -> Room:
        settings = Settings.model_validate(self.settings(**more))
        return Room(settings=settings, sessions=open_sessions(open_engine(settings.database), settings.data))

    def client(self, url: str, **how: Any) -> httpx2.Client:
        headers = {"Cookie": f"panlesion_session={self.cookie}", CSRF_HEADER: self.csrf}
        return httpx2.Client(base_url=url, headers=headers, trust_env=False, timeout=60, **how)


def make_grounds(folder: Path) -> Grounds:
    """An empty reading room with a reader."""
    served = serve(folder)
    client = served.client(Role.READER)
    made = Grounds(
        data=served.settings.data,
        cookie=next(cookie.value for cookie in client.cookies.jar),
        csrf=str(client.headers[CSRF_HEADER]),
    )
    served.app.state.sessions.kw["bind"].dispose()
    return made


def put_study(room: Room, folder: Path, content: int, *, settled: bool = True) -> UUID:
    """Take a study of a content in; returns its id."""
    for path in write_study(folder, change=body_of(content)):
        taken = room.take(path)
    assert taken.study_id is not None
    if settled:
        waited(lambda: settle(room.sessions, room.settings), "the study is not whole")
    return taken.study_id


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def close(room: Room) -> None:
    room.sessions.kw["bind"].dispose()


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """What the network found in a study when nothing came between: findings without what is new each time, and the mask."""

    findings: dict[str, Any]
    labels: np.ndarray

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Truth) and self.findings == other.findings and np.array_equal(self.labels, other.labels)


def truth_of(room: Room, study_id: UUID) -> Truth:
    """Of the present reading: its results, its first mask and its document agree, or this fails."""
    import json

    from panlesion.ct.nifti import read_labels

    with room.sessions() as session:
        reading = session.get_one(Reading, study_id)
    results = room.settings.data / reading.original_path
    told = json.loads((results / FINDINGS_FILE).read_text())
    labels = read_labels(results / LESIONS_FILE).labels
    assert np.array_equal(read_mask(room.settings, reading.original_mask, labels.shape), labels)
    assert [one["tracking_uid"] for one in reading.document["findings"]] == [one["tracking_uid"] for one in told["lesions"]]
    for one in told["lesions"]:
        del one["tracking_uid"]
    return Truth(findings={key: value for key, value in told.items() if key not in {"case", "seconds"}}, labels=labels)


def results_left(room: Room, study_id: UUID) -> list[str]:
    folder = room.settings.data / "results" / str(study_id)
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def check_analysed_once(room: Room, study_id: UUID, truth: Truth) -> None:
    """One job, done; one reading; one line of the log; one folder, which the reading names; and the findings of its own CT."""
    with room.sessions() as session:
        study, reading = session.get_one(Study, study_id), session.get_one(Reading, study_id)
        jobs = session.scalars(select(Job).where(Job.study_id == study_id, Job.kind == JobKind.ANALYSE)).all()
        lines = session.scalar(
            select(func.count()).where(AuditEntry.study_id == study_id, AuditEntry.action == Action.ANALYSED)
        )
        versions = session.scalars(select(Version).where(Version.study_id == study_id)).all()
    assert [job.state for job in jobs] == [JobState.DONE], [(job.state, job.cause) for job in jobs]
    assert (study.state, reading.state, reading.version) == (StudyState.READY, ReadingState.READY, 1)
    assert lines == 1 and versions == [] and study.findings == len(truth.findings["lesions"])
    assert results_left(room, study_id) == [Path(reading.original_path).name]
    assert truth_of(room, study_id) == truth


def check_files(room: Room) -> None:
    """Every row's file is there and whole, every file has a row, and the log is as it was written."""
    data = room.settings.data
    with room.sessions() as session:
        rows = {row.path: row for row in session.scalars(select(Instance))}
        for study in session.scalars(select(Study)):
            counted = select(func.count()).join(Series).where(Series.study_id == study.id).select_from(Instance)
            assert study.images == session.scalar(counted)
        masks = list(session.scalars(select(Reading.mask_path)))
        masks += list(session.scalars(select(Version.mask_path)))
        folders = session.scalars(select(Reading.original_path)).all() + session.scalars(select(Reading.signed_path)).all()
        assert verify(session, read_head(data)) is None
    for path, row in rows.items():
        kept = (data / path).read_bytes()
        assert len(kept) == row.bytes and hashlib.sha256(kept).hexdigest() == row.sha256
    assert {path.relative_to(data).as_posix() for path in (data / "dicom").rglob("*.*") if path.is_file()} == set(rows)
    for path in masks:
        gzip.decompress((data / path).read_bytes())
    assert all((data / path).is_dir() for path in folders if path)
    assert list((data / "incoming").iterdir()) == []
