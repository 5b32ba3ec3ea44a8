"""A study that was analysed, on a server: a DICOM CT series in the data folder, its rows, and a reading of three findings."""

import gzip
import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from dicom_made import complete, lesion_mask
from dicom_making import write_series
from fastapi.testclient import TestClient
from records_made import ALGORITHM, lesion
from records_made import findings as findings_of
from server_made import PASSWORD, Served

from panlesion.aid.reads.document import Document
from panlesion.aid.schemas.reading import Attribute, Caliper, DoubtOut, FindingOut, Size
from panlesion.aid.tables import Instance, Reading, Series, Study
from panlesion.aid.vocabulary import Decision, Origin, ReadingState, StudySource, StudyState
from panlesion.ct.dicom import DicomCT, read_dicom
from panlesion.infer.record import Findings, write_findings

NAME, PATIENT = "Müster^Erika", "P-4711-X"


@dataclass(kw_only=True)
class Made:
    """The study with its series, and its CT and mask as they lie on disk."""

    study: Study
    series: Series
    ct: DicomCT
    mask: np.ndarray
    results: Path


def attributes() -> dict[str, Attribute]:
    return {
        "shape": Attribute(value="Irregular", by=Origin.AI, ai="Irregular", probability=0.7, measured="Irregular"),
        "density": Attribute(value="Hypodense", by=Origin.READER, ai="Isodense", probability=0.6, measured="Hypodense"),
        "surface": Attribute(value=None, by=Origin.AI),
    }


def finding(number: int, **changes: Any) -> FindingOut:
    """A finding of the network that a reader accepted."""
    record = lesion(number)
    long, short = (
        Caliper(length_mm=one.length_mm, ends_ijk=one.ends_ijk, ends_xyz=one.ends_xyz) for one in (record.long, record.short)
    )
    size = Size(
        volume_ml=3.2,
        long=long,
        short=short,
        extent_mm=record.extent_mm,
        centre_ijk=record.centre_ijk,
        centre_xyz=record.centre_xyz,
        mean_hu=38.0,
        sd_hu=14.0,
    )
    made: dict[str, Any] = {
        "number": number,
        "tracking_uid": f"2.25.77{number}",
        "origin": Origin.AI,
        "decision": Decision.ACCEPTED,
        "type": "liver_tumor",
        "organ": "liver",
        "side": "",
        "location": "segment VII",
        "probability": 0.83,
        "size": size,
        "attributes": attributes(),
        "mask_edited": False,
        "note": "",
        "sentence": f"24 × 15 mm irregular lesion in segment VII of the liver, number {number}.",
        "ai": {"number": number, "tracking_uid": f"2.25.77{number}"},
    }
    return FindingOut(**(made | changes))


def document(*found: FindingOut, **changes: Any) -> Document:
    """By default three findings: the network's accepted, the network's edited, a reader's own."""
    made: dict[str, Any] = {
        "findings": list(found)
        or [
            finding(1, note="Ask for an MR."),
            finding(2, type="kidney_cyst", organ="kidney_left", side="left", location="left upper pole", mask_edited=True),
            finding(3, origin=Origin.READER, probability=None, ai=None, type="other_mass", attributes={}),
        ],
        "impression": ["Lesion of 24 × 15 mm in segment VII of the liver, suspicious of a liver tumour (finding 1)."],
        "comment": "Read after the tumour board.",
        "doubts": [DoubtOut(code="thick_slices", words="Slices are 5 mm apart; small lesions may be missed.")],
        "suspicion": {"overall": 0.83, "liver": 0.83},
        "operating_point": "from 30 % on",
        "algorithm": "panlesion",
    }
    return Document(**(made | changes))


def ai_findings(ct: DicomCT) -> Findings:
    grid = ct.volume.grid
    return replace(findings_of(lesion(1), kind="dicom"), shape=grid.shape, spacing_mm=grid.spacing_mm, algorithm=ALGORITHM)


def read_study(served: Served, told: Document | None = None, *, uid: str = "2.25.1111", **changes: Any) -> Made:
    """Insert a study with files and a draft; `changes` are of the study's row."""
    data = served.settings.data
    row: dict[str, Any] = {
        "study_uid": uid,
        "state": StudyState.DRAFT,
        "source": StudySource.UPLOAD,
        "patient_id": PATIENT,
        "patient_name": NAME,
        "birth_date": date(1960, 1, 2),
        "sex": "F",
        "accession": "ACC-90125",
        "description": "CT trunk",
        "study_at": datetime(2025, 3, 4, 10, 11, 12, tzinfo=UTC),
    }
    study = Study(**(row | changes))
    with served.app.state.sessions.begin() as session:
        session.add(study)
        session.flush()
        series = Series(study_id=study.id, series_uid="", number=2, modality="CT", description="Body 3.0")
        series.series_uid = "2.25.8888"
        session.add(series)
        session.flush()
        study.primary_series = series.series_uid
        folder = data / "dicom" / str(study.id) / str(series.id)
        _write_images(folder, study)
        for path in sorted(folder.iterdir()):
            session.add(instance_of(path, data, series))
        ct = read_dicom(folder)
        mask = lesion_mask(ct).labels
        results = data / "results" / str(study.id) / "job-1"
        results.mkdir(parents=True)
        write_findings(results / "findings.json", ai_findings(ct))
        kept = data / "readings" / str(study.id) / "mask-7-abc.gz"
        kept.parent.mkdir(parents=True)
        kept.write_bytes(gzip.compress(mask.tobytes(order="F"), 1))
        session.add(
            Reading(
                study_id=study.id,
                state=ReadingState.DRAFT,
                version=7,
                document=(told or document()).model_dump(mode="json"),
                mask_path=kept.relative_to(data).as_posix(),
                original_path=results.relative_to(data).as_posix(),
            )
        )
    return Made(study=study, series=series, ct=ct, mask=mask, results=results)


def _write_images(folder: Path, study: Study) -> None:
    def change(index: int, ds: pydicom.Dataset) -> None:
        complete(ds)
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.PatientName, ds.PatientID, ds.AccessionNumber = study.patient_name, study.patient_id, study.accession
        ds.StudyInstanceUID = study.study_uid
        uid = f"2.25.99{index}{int(study.study_uid.rpartition('.')[2]) % 10**6}"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid

    write_series(folder, series="2.25.8888", change=change, suffix=".dcm")


def instance_of(path: Path, data: Path, series: Series) -> Instance:
    header = pydicom.dcmread(path, stop_before_pixels=True)
    return Instance(
        sop_uid=header.SOPInstanceUID,
        series_id=series.id,
        sop_class=header.SOPClassUID,
        transfer_syntax=header.file_meta.TransferSyntaxUID,
        number=header.InstanceNumber,
        rows=header.Rows,
        columns=header.Columns,
        path=path.relative_to(data).as_posix(),
        bytes=path.stat().st_size,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def sign(client: TestClient, made: Made, version: str | None = '"7"', password: str = PASSWORD) -> Any:
    headers = {} if version is None else {"If-Match": version}
    return client.post(f"/api/studies/{made.study.id}/sign", json={"password": password}, headers=headers)
