"""Whoever is at work when a server dies: uploads, an association, a reader. Each remembers what it was told as done."""

import gzip
import io
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import numpy as np
import pydicom
from pynetdicom import AE, AllStoragePresentationContexts, evt
from server_made import PASSWORD
from sqlalchemy import select
from study_made import Room, write_study
from survivors_made import Grounds, body_of

from panlesion.aid.reads.masks import read_mask
from panlesion.aid.store.files import content_sha256
from panlesion.aid.tables import Instance, Reading, Version
from panlesion.aid.vocabulary import ReadingState

SAVES = 2


@dataclass(kw_only=True)
class Sender:
    """Brings the images of one study, as a zip, file by file or by C-STORE; `told` are those that were told as taken."""

    paths: list[Path]
    told: set[Path] = field(default_factory=set)

    def zip(self, client: httpx2.Client) -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in self.paths:
                archive.write(path, path.name)
        answer = client.post("/api/studies", files={"files": ("study.zip", packed.getvalue())})
        assert answer.status_code == 200 and not answer.json()["rejected"], answer.text
        self.told.update(self.paths)

    def singly(self, client: httpx2.Client) -> None:
        for path in self.paths:
            answer = client.post("/api/studies", files={"files": (path.name, path.read_bytes())})
            assert answer.status_code == 200 and not answer.json()["rejected"], answer.text
            self.told.add(path)

    def store(self, port: int) -> list[int]:
        """The statuses told, until the association was lost."""
        entity = AE(ae_title="SCANNER")
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
        entity.add_requested_context(pydicom.dcmread(self.paths[0]).SOPClassUID)
        assoc = entity.associate("127.0.0.1", port, ae_title="PANLESION")
        statuses: list[int] = []
        for path in self.paths:
            told = assoc.send_c_store(path) if assoc.is_established else {}
            if "Status" not in told:
                break
            statuses.append(int(told.Status))
            if told.Status == 0:
                self.told.add(path)
        assoc.release()
        return statuses

    def check(self, room: Room) -> None:
        """What was told as taken is there, and what is there is whole."""
        with room.sessions() as session:
            kept = {row.sop_uid: row for row in session.scalars(select(Instance))}
        for path in self.paths:
            row = kept.get(str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID))
            assert row is not None or path not in self.told, f"{path} was told as taken and is lost"
            if row is not None:
                assert content_sha256(room.settings.data / row.path) == content_sha256(path)


def sender(folder: Path, content: int) -> Sender:
    return Sender(paths=write_study(folder, change=body_of(content)))


@dataclass(kw_only=True)
class Reader:
    """Paints, decides and signs one study; `masks` are those that were told as saved, by version, `last` the version told."""

    study: UUID
    shape: tuple[int, int, int]
    version: int = 1
    masks: dict[int, np.ndarray] = field(default_factory=dict)
    signed: bool = False

    def planes(self, version: int) -> np.ndarray:
        """What is painted on the first plane as this version; label 1 is a finding's."""
        plane = np.zeros((*self.shape[:2], 1), dtype=np.uint8)
        plane[10 : 12 + version, 10:14] = 1
        return plane

    @property
    def path(self) -> str:
        return f"/api/studies/{self.study}"

    @property
    def based_on(self) -> dict[str, str]:
        return {"If-Match": f'"{self.version}"'}

    def paint(self, client: httpx2.Client) -> httpx2.Response:
        planes = self.planes(self.version + 1)
        answer = client.put(
            f"{self.path}/mask",
            params={"first_k": 0, "last_k": 0},
            content=gzip.compress(planes.tobytes(order="F")),
            headers=self.based_on,
        )
        if answer.status_code == 200:
            self.version = answer.json()["version"]
            self.masks[self.version] = planes[:, :, 0]
        return answer

    def sign(self, client: httpx2.Client) -> httpx2.Response:
        answer = client.post(f"{self.path}/sign", json={"password": PASSWORD}, headers=self.based_on)
        self.signed = answer.status_code == 200
        return answer

    def read(self, client: httpx2.Client) -> None:
        for _ in range(SAVES):
            answer = self.paint(client)
            assert answer.status_code == 200, answer.text
        self.decide_and_sign(client)

    def decide_and_sign(self, client: httpx2.Client) -> None:
        """From whatever version is there; nothing where it is signed."""
        if self.decide(client):
            answer = self.sign(client)
            assert answer.status_code == 200, answer.text

    def decide(self, client: httpx2.Client) -> bool:
        """Accept what is not decided; False where the reading is signed."""
        present = client.get(f"{self.path}/reading").json()
        self.version = present["version"]
        if present["state"] == ReadingState.SIGNED:
            return False
        undecided = [one["number"] for one in present["findings"] if one["decision"] == "open"]
        if undecided:
            changes = [{"op": "decide", "number": number, "decision": "accepted"} for number in undecided]
            answer = client.patch(f"{self.path}/reading", json={"changes": changes}, headers=self.based_on)
            assert answer.status_code == 200, answer.text
            self.version = answer.json()["version"]
        return True

    def check(self, room: Room, client: httpx2.Client) -> None:
        """Every version that was told is there with its mask; the reading is signed wholly or a draft."""
        with room.sessions() as session:
            reading = session.get_one(Reading, self.study)
            past = session.scalars(select(Version).where(Version.study_id == self.study)).all()
        masks = {one.version: one.mask_path for one in past} | {reading.version: reading.mask_path}
        assert sorted(masks) == list(range(1, reading.version + 1)) and reading.version >= self.version
        for version, plane in self.masks.items():
            assert np.array_equal(read_mask(room.settings, masks[version], self.shape)[:, :, 0], plane)
        assert not self.signed or reading.state is ReadingState.SIGNED
        if reading.state is ReadingState.SIGNED:
            for what in ("report.pdf", "seg.dcm", "sr.dcm", "fhir"):
                answer = client.get(f"{self.path}/{what}")
                assert answer.status_code == 200 and answer.content, (what, answer.text)


@dataclass(kw_only=True)
class Busy:
    """All of them at once."""

    zipped: Sender
    single: Sender
    stored: Sender
    reader: Reader

    def work(self, grounds: Grounds, url: str, port: int) -> None:
        """Until all have done, or the server is gone."""
        with grounds.client(url) as client, ThreadPoolExecutor(4) as pool:
            jobs: list[Any] = [
                pool.submit(self.zipped.zip, client),
                pool.submit(self.single.singly, client),
                pool.submit(self.stored.store, port),
                pool.submit(self.reader.read, client),
            ]
        for job in jobs:
            error = job.exception()
            if error is not None and not isinstance(error, httpx2.TransportError):
                raise error

    def check(self, grounds: Grounds, room: Room, url: str) -> None:
        for one in (self.zipped, self.single, self.stored):
            one.check(room)
        with grounds.client(url) as client:
            self.reader.check(room, client)

    def send_again(self, grounds: Grounds, url: str, port: int) -> None:
        """As senders do that got no answer; afterwards all is there."""
        with grounds.client(url) as client:
            self.zipped.zip(client)
            self.single.singly(client)
            self.stored.store(port)
            self.reader.decide_and_sign(client)
        for one in (self.zipped, self.single, self.stored):
            assert one.told == set(one.paths)


class Pacs:
    """A PACS that keeps what it is sent by UID, and counts how often each came."""

    def __enter__(self):
        self.came: Counter[str] = Counter()
        entity = AE(ae_title="PACS")
        entity.supported_contexts = AllStoragePresentationContexts
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        self.port = self.server.server_address[1]
        return self

    def _store(self, event):
        self.came[event.request.AffectedSOPInstanceUID] += 1
        return 0x0000

    def __exit__(self, *_):
        self.server.shutdown()
