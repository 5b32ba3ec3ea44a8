"""A server with an analysed study: a DICOM series on disk, what the analysis left of it, and its reading begun."""

import atexit
import gzip
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from dicom_made import lesion_mask, read_series
from records_made import findings, lesion
from server_made import Served, serve
from sqlalchemy.orm import Session

from panlesion.aid.reads.begin import begin_reading
from panlesion.aid.reads.scan import keep_scan
from panlesion.aid.tables import Reading, Series, Study
from panlesion.aid.vocabulary import Role, StudySource, StudyState
from panlesion.ct.dicom import DicomCT
from panlesion.ct.nifti import write_labels
from panlesion.ct.volume import LabelMap
from panlesion.infer.record import FINDINGS_FILE, LESIONS_FILE, ORGANS_FILE, Findings, write_findings


def made_findings(**changes: Any) -> Findings:
    """Of `dicom_made.lesion_mask`: a liver tumour, a kidney cyst, a gallstone."""
    return findings(
        lesion(1),
        lesion(2, type="kidney_cyst", organ="kidney_left", side="left", location="left upper pole", probability=0.5),
        lesion(3, type="gallstone", organ="gallbladder", location="", probability=0.4),
        kind="dicom",
        shape=(48, 40, 7),
        plain=False,
        **changes,
    )


@dataclass(kw_only=True)
class Read:
    """A server with one study in it."""

    served: Served
    study_id: UUID
    ct: DicomCT
    results: Path
    clients: dict[Role, Any] = field(default_factory=dict)

    @property
    def session(self) -> Session:
        return self.served.app.state.sessions()

    @property
    def path(self) -> str:
        return f"/api/studies/{self.study_id}"

    def client(self, role: Role = Role.READER):
        if role not in self.clients:
            self.clients[role] = self.served.client(role)
        return self.clients[role]

    def get(self) -> dict[str, Any]:
        answer = self.client().get(f"{self.path}/reading")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def change(self, *changes: dict[str, Any], version: int | None = None):
        based_on = self.get()["version"] if version is None else version
        return self.client().patch(
            f"{self.path}/reading", json={"changes": list(changes)}, headers={"If-Match": f'"{based_on}"'}
        )

    def mask(self, **how: Any) -> np.ndarray:
        answer = self.client().get(f"{self.path}/mask", params=how)
        assert answer.status_code == 200, answer.text
        i, j, k = map(int, answer.headers["X-Shape"].split(","))
        return np.frombuffer(answer.content, dtype=np.uint8).reshape(k, j, i).transpose(2, 1, 0)

    def paint(self, planes: np.ndarray, first_k: int, *, version: int | None = None):
        based_on = self.get()["version"] if version is None else version
        return self.client().put(
            f"{self.path}/mask",
            params={"first_k": first_k, "last_k": first_k + planes.shape[2] - 1},
            content=gzip.compress(planes.tobytes(order="F")),
            headers={"If-Match": f'"{based_on}"'},
        )


def add_study(served: Served, *, state: StudyState = StudyState.READY, **fields: Any) -> tuple[UUID, DicomCT]:
    """A study with a series of seven images on disk; not analysed."""
    study_id, series_id = uuid4(), uuid4()
    ct = read_series(served.settings.data / "dicom" / str(study_id) / str(series_id))
    told = {"patient_id": "P-1", "patient_name": "Muster^Erika", "images": 7} | fields
    with served.app.state.sessions.begin() as session:
        session.add(
            Study(id=study_id, study_uid=f"1.2.{study_id.int}"[:64], state=state, source=StudySource.UPLOAD,
                  primary_series=ct.series_uid, **told)
        )  # fmt: skip
        session.flush()
        session.add(Series(id=series_id, study_id=study_id, series_uid=ct.series_uid, modality="CT", images=7))
    return study_id, ct


def analysed(served: Served, study_id: UUID, ct: DicomCT, found: Findings, mask: LabelMap) -> Path:
    """What the analysis leaves, and the reading it begins."""
    results = served.settings.data / "results" / str(study_id) / str(uuid4())
    results.mkdir(parents=True)
    write_findings(results / FINDINGS_FILE, found)
    write_labels(results / LESIONS_FILE, mask)
    write_labels(results / ORGANS_FILE, organs_of(ct))
    keep_scan(results, ct.volume, ct)
    with served.app.state.sessions.begin() as session:
        study = session.get(Study, study_id)
        begin_reading(session, served.settings, study, results)
    return results


def organs_of(ct: DicomCT) -> LabelMap:
    """Two organs that are whole in the scan."""
    labels = np.zeros(ct.volume.grid.shape, dtype=np.uint8)
    labels[8:22, 4:16, 1:6] = 5
    labels[28:36, 20:34, 1:6] = 1
    return LabelMap(labels=labels, grid=ct.volume.grid)


_CLIENTS: dict[Role, Any] = {}


@cache
def shared() -> Served:
    """One server for all tests that do not need their own: migrations and passwords take longer than tests do."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return serve(folder)


def read_study(served: Served | None = None) -> Read:
    """An analysed study of three findings, of a patient of its own."""
    mine = shared() if served is None else served
    study_id, ct = add_study(mine, patient_id=uuid4().hex)
    results = analysed(mine, study_id, ct, made_findings(), lesion_mask(ct))
    return Read(served=mine, study_id=study_id, ct=ct, results=results, clients=_CLIENTS if served is None else {})


def read_of(study_id: UUID, ct: DicomCT, results: Path | None = None) -> Read:
    """A study of the shared server."""
    return Read(served=shared(), study_id=study_id, ct=ct, results=results or Path(), clients=_CLIENTS)


def row(read: Read) -> Reading:
    with read.session as session:
        found = session.get(Reading, read.study_id)
        assert found is not None
        return found
