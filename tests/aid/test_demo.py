"""Demo patients: the same files each time, valid DICOM, taken in as any study is and once."""

from datetime import datetime

import numpy as np
import pydicom
import pytest
from dicom_made import check_with_dcentvfy, check_with_dciodvfy
from study_made import open_room

from panlesion.aid.demo import studies as demo
from panlesion.aid.demo.series import Patient, write_series
from panlesion.aid.demo.studies import add_demo, draw_demo
from panlesion.aid.tables import Instance, Study
from panlesion.aid.vocabulary import StudySource
from panlesion.ct.read import read_ct
from panlesion.ct.volume import STANDARD_AXES, Grid, Volume


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """Drawn on a grid of 4.5 mm, which takes a twentieth of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "SPACING_MM", 4.5)
        yield


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_demo(tmp_path_factory.mktemp("drawn"), 0)


def small(seed: int = 0) -> Volume:
    rng = np.random.default_rng(seed)
    affine = np.diag([-2.0, -2.0, 3.0, 1.0])
    affine[:3, 3] = 10, 20, -30
    hu = rng.integers(-1024, 3000, (6, 8, 4)).astype(np.int16)
    return Volume(hu=hu, grid=Grid(shape=(6, 8, 4), affine=affine))


def patient(**changes) -> Patient:
    told = {"name": "Demo^Ä", "id": "D-1", "birth_date": "19510115", "sex": "F", "description": "drawn", "accession": "D001"}
    return Patient(**told | {"at": datetime(2026, 1, 12, 9, 30)} | changes)


def test_the_same_patient_is_drawn_again_byte_for_byte(drawn, tmp_path):
    again = draw_demo(tmp_path, 0)
    assert [path.name for path in again] == [path.name for path in drawn] and len(drawn) > 50
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(drawn, again, strict=True))


def test_no_two_patients_and_no_two_images_share_a_uid(tmp_path):
    found = []
    for entropy in ("a", "b"):
        (tmp_path / entropy).mkdir()
        images = [pydicom.dcmread(path) for path in write_series(tmp_path / entropy, small(), patient(), entropy=entropy)]
        found += [images[0].StudyInstanceUID, images[0].SeriesInstanceUID, images[0].FrameOfReferenceUID]
        found += [image.SOPInstanceUID for image in images]
    assert len(set(found)) == len(found) == 14 and all(uid.is_valid for uid in found)


def test_demo_images_are_valid_dicom(drawn):
    for path in (drawn[0], drawn[len(drawn) // 2], drawn[-1]):
        check_with_dciodvfy(path)
    check_with_dcentvfy(*drawn[:: len(drawn) // 5])


def test_what_is_written_is_read_back_where_it_was(tmp_path):
    ct = small()
    write_series(tmp_path, ct, patient(), entropy="x")
    read = read_ct(tmp_path)
    assert read.grid.axes == STANDARD_AXES and np.allclose(read.grid.affine, ct.grid.affine, atol=1e-3)
    assert (read.hu == ct.hu).all()


def test_axes_that_are_no_standard_ones_are_refused_before_a_file_is_written(tmp_path):
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    turned = Volume(hu=np.zeros((4, 4, 4), dtype=np.int16), grid=Grid(shape=(4, 4, 4), affine=affine))
    with pytest.raises(ValueError, match="axes are"):
        write_series(tmp_path, turned, patient(), entropy="x")
    assert not list(tmp_path.iterdir())


def test_demo_studies_are_taken_in_once_and_say_that_they_are(tmp_path, monkeypatch):
    monkeypatch.setattr(
        demo, "draw_demo", lambda folder, n: write_series(folder, small(n), patient(id=f"D-{n}"), entropy=str(n))
    )
    room, steps = open_room(tmp_path), []
    assert add_demo(room.sessions, room.settings, 2, lambda *step: steps.append(step)) == 8
    assert add_demo(room.sessions, room.settings, 2) == 0
    with room.sessions() as session:
        assert {study.source for study in session.query(Study)} == {StudySource.DEMO}
        assert session.query(Study).count() == 2 and session.query(Instance).count() == 8
    assert steps[0][:2] == (0, 2) and steps[-1][:2] == (1, 2) and len(room.files()) == 8
