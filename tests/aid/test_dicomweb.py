"""WADO-RS and QIDO-RS against files that lie in the data folder."""

import io

import numpy as np
import pydicom
import pytest
from images_made import parts_of, put_study, slices, written
from pydicom.dataset import Dataset
from server_made import Served, serve

from panlesion.aid.vocabulary import Role

DICOM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Served:
    return serve(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def reader(served):
    return served.client(Role.READER)


@pytest.fixture(scope="module")
def images(served) -> list[Dataset]:
    made = slices(3)
    put_study(served, made)
    return made


def series_of(images, *, below: str = "") -> str:
    return f"/dicomweb/studies/{images[0].StudyInstanceUID}/series/{images[0].SeriesInstanceUID}{below}"


def test_a_series_comes_back_as_the_bytes_that_were_received(served, reader, images):
    answer = reader.get(series_of(images), headers={"Accept": DICOM})
    assert answer.status_code == 200 and int(answer.headers["content-length"]) == len(answer.content)
    found = {pydicom.dcmread(io.BytesIO(data)).SOPInstanceUID: data for _, data in parts_of(answer)}
    assert set(found) == {ds.SOPInstanceUID for ds in images}
    for ds in images:
        (file,) = served.settings.data.glob(f"dicom/*/*/{ds.SOPInstanceUID}.dcm")
        assert found[ds.SOPInstanceUID] == file.read_bytes()


def test_frames_are_the_pixels_of_the_file(reader, images):
    for ds in images:
        url = series_of(images, below=f"/instances/{ds.SOPInstanceUID}/frames/1")
        answer = reader.get(url, headers={"Accept": OCTETS})
        ((media, data),) = parts_of(answer)
        assert data == ds.PixelData and media.startswith("application/octet-stream")
        single = reader.get(url, headers={"Accept": "application/octet-stream"})
        assert single.content == ds.PixelData


def test_metadata_say_what_the_files_say(reader, images):
    told = {d["00080018"]["Value"][0]: d for d in reader.get(series_of(images, below="/metadata")).json()}
    for ds in images:
        read = Dataset.from_json(told[ds.SOPInstanceUID], lambda *_, data=ds.PixelData: data)
        del read.AvailableTransferSyntaxUID
        wanted = pydicom.dcmread(io.BytesIO(written(ds)))
        assert np.array_equal(read.PixelData, wanted.PixelData)
        del read.PixelData, wanted.PixelData
        assert read == wanted


def test_studies_are_found_by_what_they_are(reader, images):
    uid = images[0].StudyInstanceUID
    for query in ("PatientID=P-1", "PatientName=muster*", "StudyDate=20250301-20250304", f"StudyInstanceUID=1.2,{uid}"):
        assert uid in [s["0020000D"]["Value"][0] for s in reader.get(f"/dicomweb/studies?{query}").json()], query
    for query in ("PatientID=P-2", "PatientName=must", "StudyDate=-20250303", "ModalitiesInStudy=MR"):
        assert reader.get(f"/dicomweb/studies?{query}").json() == [], query
    (series,) = reader.get(f"/dicomweb/studies/{uid}/series").json()
    assert series["00201209"]["Value"] == [3]
    assert len(reader.get(series_of(images, below="/instances")).json()) == 3
