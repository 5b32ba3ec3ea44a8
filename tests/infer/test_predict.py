from dataclasses import replace

import numpy as np
import pytest
from patients_made import made_patient, seeing_all

from panlesion.ct.modality import Modality
from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.organ_files import OrganNumbering
from panlesion.ct.volume import Grid, LabelMap, Volume
from panlesion.errors import CheckpointError, OrganMapError
from panlesion.infer import predict as room
from panlesion.infer.predict import Settings, algorithm_of, predict_ct, suspicion_of
from panlesion.infer.record import OperatingPoint, read_findings, write_findings
from panlesion.infer.report_page import report_html
from panlesion.measure.overlap import dice
from panlesion.measure.size import measure_size
from panlesion.nets.checkpoint import load_model


@pytest.fixture(scope="module")
def patient():
    return made_patient()


@pytest.fixture(scope="module")
def model():
    return load_model("nano")


def turned(array):
    """The axes of most NIfTI files: R, A, S; every third plane along z."""
    return np.ascontiguousarray(array[::-1, ::-1, 1::3])


@pytest.fixture(scope="module")
def scan(patient, tmp_path_factory):
    """The patient as a scanner's file: other axes, thicker slices."""
    folder = tmp_path_factory.mktemp("scan")
    affine = patient.ct.grid.affine.copy()
    i, j, _ = patient.ct.hu.shape
    affine[:3, 3] = patient.ct.grid.to_xyz((i - 1, j - 1, 1))
    affine[:3, :2] *= -1
    affine[:3, 2] *= 3
    hu, lesions, organs = (turned(a) for a in (patient.ct.hu, patient.lesions.labels, patient.organs.labels))
    grid = Grid(shape=hu.shape, affine=affine)
    write_volume(folder / "ct.nii.gz", Volume(hu=hu, grid=grid))
    write_labels(folder / "organs.nii.gz", LabelMap(labels=organs, grid=grid))
    return folder, LabelMap(labels=lesions, grid=grid)


def predicted(path, patient, model, monkeypatch, least=0.3, sure=(0.9, 0.6), **changes):
    monkeypatch.setattr(room, "find_lesions", seeing_all(patient, sure))
    settings = Settings(point=OperatingPoint(least_probability=least), algorithm=algorithm_of("nano", model))
    numbers = iter(range(1, 100))
    return predict_ct(path, "one", model, replace(settings, **changes), uid=lambda: f"1.2.{next(numbers)}")


def test_findings_are_measured_on_the_grid_of_the_file(scan, patient, model, monkeypatch):
    folder, truth = scan
    done = predicted(folder / "ct.nii.gz", patient, model, monkeypatch)
    assert done.lesions.grid.same_as(truth.grid) and done.organs.grid.same_as(truth.grid)
    assert done.source is None and done.findings.kind == "nifti"
    tumour, cyst = done.findings.lesions
    assert (tumour.type, cyst.type) == ("liver_tumor", "kidney_cyst")
    assert (tumour.number, cyst.number) == (1, 2) and tumour.probability > cyst.probability
    for record in (tumour, cyst):
        mine = truth.labels == record.number
        assert dice(done.lesions.labels == record.number, mine) > 0.85
        size = measure_size(mine, truth.grid)
        fine_ml = np.count_nonzero(patient.lesions.labels == record.number) * patient.lesions.grid.voxel_ml
        assert record.volume_ml == pytest.approx(fine_ml, rel=0.1)
        assert record.long.length_mm == pytest.approx(size.axial_long.length_mm, abs=5.0)
        assert np.linalg.norm(np.subtract(record.centre_xyz, size.centre_xyz)) < 3.0
        for ends, where in ((record.long.ends_ijk, record.long.ends_xyz), (record.short.ends_ijk, record.short.ends_xyz)):
            assert np.allclose(truth.grid.to_xyz(np.array(ends, float)), where, atol=1e-3)
            assert ends[0][2] == ends[1][2]  # in one axial slice
            assert all(done.lesions.labels[tuple(end)] == record.number for end in ends)
    ct = done.ct.hu
    assert tumour.mean_hu == pytest.approx(ct[done.lesions.labels == 1].mean())


def test_place_and_attributes(scan, patient, model, monkeypatch):
    tumour, cyst = predicted(scan[0] / "ct.nii.gz", patient, model, monkeypatch).findings.lesions
    assert tumour.organ == "liver" and tumour.side == ""
    assert cyst.organ == f"kidney_{cyst.side}" and cyst.side in ("left", "right")
    assert cyst.attributes["density"].measured == "Hypodense"
    for record in (tumour, cyst):
        assert set(record.attributes) == {"shape", "density", "heterogeneity", "surface", "invasion"}
        assert all(one.read is not None and 0 < one.probability <= 1 for one in record.attributes.values())
    assert abs(tumour.organ_mean_hu - patient.ct.hu[(patient.organs.labels == 5) & (patient.lesions.labels == 0)].mean()) < 12


def test_only_what_reaches_the_operating_point_counts_and_suspicion_knows_the_rest(scan, patient, model, monkeypatch):
    done = predicted(scan[0] / "ct.nii.gz", patient, model, monkeypatch, least=0.7)
    assert [one.type for one in done.findings.lesions] == ["liver_tumor"]
    assert set(np.unique(done.lesions.labels)) == {0, 1}
    told = done.findings.suspicion
    assert told["kidney"] == pytest.approx(0.6, abs=0.01) and told["overall"] == told["liver"] == pytest.approx(0.9, abs=0.01)
    assert told["lung"] == 0
    assert predicted(scan[0] / "ct.nii.gz", patient, model, monkeypatch, least=1.0).findings.lesions == ()


def test_the_most_certain_comes_first(scan, patient, model, monkeypatch):
    done = predicted(scan[0] / "ct.nii.gz", patient, model, monkeypatch, sure=(0.5, 0.8))
    assert [one.type for one in done.findings.lesions] == ["kidney_cyst", "liver_tumor"]
    assert [one.tracking_uid for one in done.findings.lesions] == ["1.2.1", "1.2.2"]


def test_the_users_organ_map_is_used_and_kept(scan, patient, model, monkeypatch):
    folder, _ = scan
    done = predicted(
        folder / "ct.nii.gz", patient, model, monkeypatch, organs=folder / "organs.nii.gz", numbering=OrganNumbering.V1
    )
    assert np.array_equal(done.organs.labels, turned(patient.organs.labels))
    assert done.findings.lesions[0].organ == "liver"


def test_an_organ_map_of_another_ct_is_refused(scan, patient, model, monkeypatch, tmp_path):
    labels = np.ones((5, 5, 5), dtype=np.uint8)
    write_labels(tmp_path / "organs.nii.gz", LabelMap(labels=labels, grid=Grid(shape=labels.shape, affine=np.eye(4))))
    with pytest.raises(OrganMapError):
        predicted(scan[0] / "ct.nii.gz", patient, model, monkeypatch, organs=tmp_path / "organs.nii.gz")


def test_suspicion_of_nothing_is_none():
    told = suspicion_of([])
    assert set(told.values()) == {0.0} and "overall" in told and len(told) == 11


def test_an_mr_is_predicted_without_hu(patient, monkeypatch, tmp_path):
    taught = load_model("nano")
    taught.info = replace(taught.info, modality=Modality.MR)
    brightness = np.clip(patient.ct.hu + 1000, 0, None).astype(np.int16)
    path = tmp_path / "mr.nii.gz"
    write_volume(path, Volume(hu=brightness, grid=patient.ct.grid))
    done = predicted(path, patient, taught, monkeypatch, modality=Modality.MR)
    assert [one.type for one in done.findings.lesions] == ["liver_tumor", "kidney_cyst"]
    assert done.findings.modality is Modality.MR and done.findings.plain is None
    for one in done.findings.lesions:
        assert (one.mean_hu, one.sd_hu, one.organ_mean_hu) == (None, None, None)
        assert all(reading.measured is None for reading in one.attributes.values())
        assert "HU" not in one.sentence and one.volume_ml > 0
    page = report_html(done.findings, done.ct, done.lesions)
    assert "MR lesion report" in page and "An MR has no HU" in page and "full range of brightness" in page
    assert f"{done.findings.lesions[0].long.length_mm:.0f}" in page
    path = tmp_path / "findings.json"
    write_findings(path, done.findings)
    assert read_findings(path) == done.findings


def test_a_scan_of_a_kind_the_model_never_saw_is_refused(scan, patient, model, monkeypatch):
    with pytest.raises(CheckpointError, match="taught CT, the images are MR"):
        predicted(scan[0] / "ct.nii.gz", patient, model, monkeypatch, modality=Modality.MR)
    taught = load_model("nano")
    taught.info = replace(taught.info, modality=Modality.MR)
    with pytest.raises(CheckpointError, match="say --mr"):
        predicted(scan[0] / "ct.nii.gz", patient, taught, monkeypatch)


def test_of_organs_the_network_has_no_class_for_no_suspicion_is_told():
    assert suspicion_of([], ["none", "sarcoma"]) == {"overall": 0.0}
    assert suspicion_of([], ["none", "kidney_tumor", "kidney_cyst"]) == {"overall": 0.0, "kidney": 0.0}
