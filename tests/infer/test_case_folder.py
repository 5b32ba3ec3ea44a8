from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_made import laid_over, read_series
from records_made import ALGORITHM
from report_scans_made import made_report

from panlesion.ct.nifti import read_labels
from panlesion.ct.volume import LabelMap
from panlesion.errors import StoreError
from panlesion.infer import case_folder as room
from panlesion.infer.case_folder import Case, finished, name_cases, write_case
from panlesion.infer.predict import Predicted, Settings
from panlesion.infer.record import OperatingPoint, read_findings


def made(**changes):
    report, ct, labels = made_report()
    organs = LabelMap(labels=np.full(labels.labels.shape, 5, np.uint8), grid=labels.grid)
    return Predicted(ct=ct, source=None, organs=organs, lesions=labels, findings=replace(report, **changes))


SETTINGS = Settings(point=made().findings.operating_point, algorithm=ALGORITHM)


def test_a_case_of_nifti_has_masks_findings_and_report(tmp_path):
    done = made()
    folder = write_case(tmp_path, done)
    assert folder == tmp_path / done.findings.case
    assert {file.name for file in folder.iterdir()} == {"lesions.nii.gz", "organs.nii.gz", "findings.json", "report.html"}
    assert np.array_equal(read_labels(folder / "lesions.nii.gz").labels, done.lesions.labels)
    assert np.array_equal(read_labels(folder / "organs.nii.gz").labels, done.organs.labels)
    assert read_findings(folder / "findings.json") == done.findings


def test_a_case_of_dicom_has_seg_and_sr_and_the_seg_is_the_mask(tmp_path):
    source = read_series(tmp_path / "ct")
    report, _, _ = made_report()
    labels = np.zeros(source.volume.grid.shape, dtype=np.uint8)
    labels[2:5, 3:6, 1:4] = 1
    lesions = LabelMap(labels=labels, grid=source.volume.grid)
    told = replace(report, lesions=report.lesions[:1], shape=source.volume.grid.shape, case="dicom case")
    folder = write_case(
        tmp_path / "out", Predicted(ct=source.volume, source=source, organs=lesions, lesions=lesions, findings=told)
    )
    assert {"seg.dcm", "sr.dcm"} <= {file.name for file in folder.iterdir()}
    assert np.array_equal(laid_over(folder / "seg.dcm", source), read_labels(folder / "lesions.nii.gz").labels)


def test_what_fails_half_way_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room, "write_findings", full)
    with pytest.raises(StoreError, match="No space left"):
        write_case(tmp_path, made())
    assert list(tmp_path.iterdir()) == []


def test_a_finished_case_is_known_again(tmp_path):
    done = made()
    case = Case(id=done.findings.case, path=Path("ct.nii.gz"))
    assert finished(tmp_path, case, SETTINGS) is None
    write_case(tmp_path, done)
    assert finished(tmp_path, case, SETTINGS) == done.findings


@pytest.mark.parametrize(
    "other",
    [
        replace(SETTINGS, point=OperatingPoint(least_probability=0.01)),
        replace(SETTINGS, algorithm=replace(ALGORITHM, weights_sha256="cd" * 32)),
    ],
)
def test_results_of_other_settings_are_not_taken_for_these(tmp_path, other):
    done = made()
    write_case(tmp_path, done)
    with pytest.raises(StoreError, match="--overwrite"):
        finished(tmp_path, Case(id=done.findings.case, path=Path("ct.nii.gz")), other)


def test_a_foreign_folder_is_not_overwritten(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "thesis.txt").write_text("mine")
    with pytest.raises(StoreError, match="holds no finished case"):
        finished(tmp_path, Case(id="one", path=Path("one.nii.gz")), SETTINGS)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a/chest.nii.gz", "chest"),
        ("a/chest.NII", "chest"),
        ("patient_7/ct.nii.gz", "patient_7"),
        ("patient_7/ct", "patient_7"),
        ("a/study.zip", "study"),
        ("a/v1.2.scan", "v1.2.scan"),
        ("a/we ird:na*me", "we_ird_na_me"),
        ("a/...", "case"),
        ("/", "case"),
    ],
)
def test_cases_are_called_after_their_files(path, name):
    assert [case.id for case in name_cases([Path(path)])] == [name]


def test_a_name_is_never_a_path():
    for path in ("a/..", "..", "a/.hidden", "a/x/../.."):
        (case,) = name_cases([Path(path)])
        assert "/" not in case.id and case.id not in ("", ".", "..") and not case.id.startswith(".")


def test_two_cases_of_one_name_are_refused():
    with pytest.raises(ValueError, match="would both be called 'chest'"):
        name_cases([Path("a/chest.nii.gz"), Path("b/chest.nii")])
    assert len(name_cases([Path("a/ct.nii.gz"), Path("b/ct.nii.gz")])) == 2
