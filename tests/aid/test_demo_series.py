from datetime import datetime

import numpy as np
import pydicom
import pytest

from panlesion.aid.demo.series import Patient, write_series
from panlesion.ct.volume import Grid, Volume

PATIENT = Patient(
    name="Demo^Ada", id="D", birth_date="19510101", sex="F", description="CT", accession="A", at=datetime(2026, 1, 2, 3, 4)
)


def uids(folder, entropy: str) -> list[tuple[str, str, str]]:
    folder.mkdir()
    ct = Volume(hu=np.zeros((4, 5, 3), dtype=np.int16), grid=Grid(shape=(4, 5, 3), affine=np.diag([-1.0, -1.0, 1.0, 1.0])))
    files = [pydicom.dcmread(path) for path in write_series(folder, ct, PATIENT, entropy=entropy)]
    return [(str(one.StudyInstanceUID), str(one.SeriesInstanceUID), str(one.SOPInstanceUID)) for one in files]


def test_a_patient_who_is_drawn_again_is_the_same_study_and_another_is_another(tmp_path):
    first = uids(tmp_path / "a", "1")
    assert uids(tmp_path / "b", "1") == first
    assert not set(sum(uids(tmp_path / "c", "2"), ())) & set(sum(first, ()))
    assert len({sop for _, _, sop in first}) == 3 and len({study for study, _, _ in first}) == 1
    assert all(pydicom.uid.UID(one).is_valid for image in first for one in image)


def test_a_grid_without_axial_planes_is_refused(tmp_path):
    ct = Volume(hu=np.zeros((2, 2, 2), dtype=np.int16), grid=Grid(shape=(2, 2, 2), affine=np.eye(4)))
    with pytest.raises(ValueError, match="axial planes"):
        write_series(tmp_path, ct, PATIENT, entropy="1")
