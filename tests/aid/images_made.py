"""DICOM files put into a server's data folder with their rows, as they lie there once received."""

import hashlib
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes, policy

import numpy as np
from dicom_making import ct_slice
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from server_made import Served
from sqlalchemy import select
from starlette.testclient import httpx

from panlesion.aid.tables import Instance, Series, Study
from panlesion.aid.vocabulary import StudySource, StudyState


def slices(count: int = 3, *, series: str | None = None, shape: tuple[int, int] = (12, 16), seed: int = 1) -> list[Dataset]:
    """CT images of noise, no two alike, of one series."""
    rng = np.random.default_rng(seed)
    series, study, frame = series or generate_uid(), generate_uid(), generate_uid()
    made = [ct_slice(index, series, hu=rng.normal(0, 200, shape).round()) for index in range(count)]
    for ds in made:
        ds.StudyInstanceUID, ds.FrameOfReferenceUID, ds.SeriesNumber = study, frame, 2
        ds.PatientName, ds.PatientID, ds.StudyDate, ds.StudyTime = "Muster^Erika", "P-1", "20250304", "101112"
    return made


def written(ds: Dataset) -> bytes:
    """The bytes of its file."""
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def url_of(ds: Dataset, below: str = "") -> str:
    """Where an image is retrieved, or something below it."""
    return f"/dicomweb/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}/instances/{ds.SOPInstanceUID}{below}"


def parts_of(answer: httpx.Response) -> list[tuple[str, bytes]]:
    """Media type and bytes of every part of a multipart answer."""
    assert answer.status_code == 200, answer.text
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content, policy=policy.compat32)
    return [(part["content-type"], part.get_payload(decode=True)) for part in message.get_payload()]


def put_study(served: Served, images: Sequence[Dataset], *, study: Study | None = None, **columns: object) -> Study:
    """Keep images, of one study and any series, as if they had been received; more columns of the study by name.

    `study`: they come to one that is there.
    """
    first = images[0]
    told = {
        "study_uid": str(first.StudyInstanceUID),
        "state": StudyState.READY,
        "source": StudySource.STORE,
        "patient_id": str(first.get("PatientID", "")),
        "patient_name": str(first.get("PatientName", "")),
        "study_at": datetime(2025, 3, 4, 10, 11, 12, tzinfo=UTC),
        "images": len(images),
        "primary_series": str(first.SeriesInstanceUID),
    }
    study = Study(**{**told, **columns}) if study is None else study
    with served.app.state.sessions.begin() as session:
        session.add(study)
        session.flush()
        for uid in dict.fromkeys(str(ds.SeriesInstanceUID) for ds in images):
            mine = [ds for ds in images if ds.SeriesInstanceUID == uid]
            found = select(Series).where(Series.study_id == study.id, Series.series_uid == uid)
            series = session.scalar(found) or Series(
                study_id=study.id, series_uid=uid, modality=mine[0].Modality, number=2, images=0
            )
            series.images += len(mine)
            session.add(series)
            session.flush()
            session.add_all(_instance(served, study, series, ds) for ds in mine)
    return study


def _instance(served: Served, study: Study, series: Series, ds: Dataset) -> Instance:
    path = f"dicom/{study.id}/{series.id}/{ds.SOPInstanceUID}.dcm"
    file = served.settings.data / path
    file.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(file, enforce_file_format=True)
    data = file.read_bytes()
    return Instance(
        sop_uid=str(ds.SOPInstanceUID),
        series_id=series.id,
        sop_class=str(ds.SOPClassUID),
        transfer_syntax=str(ds.file_meta.TransferSyntaxUID),
        number=ds.get("InstanceNumber"),
        rows=ds.get("Rows", 0),
        columns=ds.get("Columns", 0),
        frames=int(ds.get("NumberOfFrames", 1)),
        path=path,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
    )
