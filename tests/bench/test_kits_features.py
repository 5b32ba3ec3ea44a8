import json

import numpy as np
import pytest
from kits_made import mask, row, write_kits

from panlesion.bench import kits_features
from panlesion.bench.kits_features import (
    DEMOGRAPHY,
    PATHOLOGY,
    READER_SIZE,
    SHAPE,
    SIZE,
    SIZES,
    bad_lines,
    columns,
    measured_cases,
)
from panlesion.ct.nifti import write_labels
from panlesion.ct.volume import LabelMap
from panlesion.data.sources.kits_masks import MASKS, read_clinical
from panlesion.errors import StoreError


@pytest.fixture
def root(tmp_path):
    masks = {"case_1": mask(10.0), "case_2": mask(14.0, cyst=True)}
    return write_kits(tmp_path, [row("case_1"), row("case_2", stage="na", malignant="False")], masks)


def silent(*_):
    pass


def test_every_column_an_arm_may_ask_for_is_there_and_known(root, tmp_path):
    cases, refused = measured_cases(read_clinical(root), root, tmp_path / "out", silent)
    assert refused == []
    found = columns(cases)
    assert {*SIZE, *SIZES, *SHAPE, *DEMOGRAPHY, *READER_SIZE, *PATHOLOGY} == set(found)
    assert all(values.shape == (2,) for values in found.values())
    assert np.exp(found["log diameter"]) == pytest.approx([20, 28], abs=2)
    assert found["log cysts"] == pytest.approx(np.log1p([0, 1]))
    assert np.isnan(found["stage"]).tolist() == [False, True]
    # kidneys without a hollow have no hilum
    assert [name for name in (*SIZES, *SHAPE) if not np.isfinite(found[name]).all()] == ["hilum"]


def test_what_is_measured_is_measured_once(root, tmp_path, monkeypatch):
    clinical = read_clinical(root)
    first, _ = measured_cases(clinical, root, tmp_path / "out", silent, most=1)
    monkeypatch.setattr(
        kits_features, "read_mask", lambda _root, case: pytest.fail(f"{case} is read") if case == "case_1" else mask(14.0)
    )
    both, _ = measured_cases(clinical, root, tmp_path / "out", silent)
    assert [case.patient.case for case in both] == ["case_1", "case_2"]
    assert both[0].numbers == first[0].numbers


def test_a_killed_run_goes_on_with_its_whole_lines(root, tmp_path):
    clinical = read_clinical(root)
    whole, _ = measured_cases(clinical, root, tmp_path / "out", silent)
    path = tmp_path / "out" / "shapes.jsonl"
    path.write_text(path.read_text()[:-30])
    again, _ = measured_cases(clinical, root, tmp_path / "out", silent)
    assert [case.numbers for case in again] == [case.numbers for case in whole]


def test_a_mask_that_cannot_be_used_is_listed_and_the_others_are_measured(root, tmp_path):
    spoiled = mask(10.0)
    write_labels(root / MASKS / "case_1.nii.gz", LabelMap(labels=(spoiled.labels == 1).astype(np.uint8), grid=spoiled.grid))
    for _ in range(2):  # measured, then remembered
        cases, refused = measured_cases(read_clinical(root), root, tmp_path / "out", silent)
        assert [case.patient.case for case in cases] == ["case_2"]
        assert refused[0].startswith("case_1: ")
    assert "case_1" in bad_lines([], refused)[0]
    assert bad_lines([], []) == []


def test_a_folder_of_other_measurements_is_refused(root, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "settings.json").write_text(json.dumps({"measures": 0}))
    with pytest.raises(StoreError, match="another measures"):
        measured_cases(read_clinical(root), root, out, silent)
