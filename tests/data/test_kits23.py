import json

import numpy as np
import pytest
from sources_made import relabel, tiny

from panlesion.data.sources.kits23 import FACTS, KITS23
from panlesion.data.standins.nifti import write_kits23
from panlesion.errors import ReadError, StoreError


@pytest.fixture
def root(tmp_path):
    return write_kits23(tmp_path, tiny(KITS23.classes))


def change_rows(root, change):
    path = root / "dataset" / FACTS
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def test_the_clone_its_dataset_folder_or_the_folder_above_may_be_given(tmp_path):
    write_kits23(tmp_path / "kits23", tiny(KITS23.classes))
    found = [KITS23.find(root) for root in (tmp_path, tmp_path / "kits23", tmp_path / "kits23" / "dataset")]
    assert found[0] == found[1] == found[2]
    assert [case.id for case in found[0]] == ["case_00000", "case_00001"]


def test_arrays_that_lie_slice_first_keep_their_place_in_the_world(root):
    (drawn, _), (read, _) = tiny(KITS23.classes), KITS23.stream(root)
    assert read.ct.grid.shape == drawn.ct.grid.shape[::-1]
    assert read.ct.grid.axes == drawn.ct.grid.axes[::-1]
    np.testing.assert_array_equal(read.ct.hu.transpose(2, 1, 0), drawn.ct.hu)
    np.testing.assert_array_equal(read.label.labels.transpose(2, 1, 0), drawn.label.labels)


def test_facts_are_those_of_the_table_and_the_unknown_is_left_out(root):
    facts = KITS23.find(root)[0].facts
    assert (facts["vital_status"], facts["vital_days_after_surgery"]) == ("censored", "400")
    assert (facts["pathology_t_stage"], facts["malignant"]) == ("1a", "True")
    assert facts["comorbidities.copd"] == "False"
    assert "aua_risk_score" not in facts  # null in the table
    assert "case_id" not in facts


def spoil_imaging(root):
    (root / "dataset" / "case_00001" / "imaging.nii.gz").unlink()


def spoil_segmentation(root):
    (root / "dataset" / "case_00000" / "segmentation.nii.gz").unlink()


def spoil_facts(root):
    (root / "dataset" / FACTS).unlink()


def spoil_row(root):
    change_rows(root, lambda rows: rows[:1])


def spoil_twice(root):
    change_rows(root, lambda rows: [rows[0], rows[0]])


def spoil_nameless(root):
    change_rows(root, lambda rows: [*rows, {"gender": "male"}])


def spoil_no_list(root):
    change_rows(root, lambda rows: {"rows": rows})


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_imaging, r"1 of 2 cases lack imaging.nii.gz \(case_00001\); run kits23_download_data"),
        (spoil_segmentation, r"1 of 2 cases lack segmentation.nii.gz \(case_00000\)"),
        (spoil_facts, "kits23.json is missing"),
        (spoil_row, "no row for case_00001"),
        (spoil_twice, "case_id is 'case_00000' in a row"),
        (spoil_nameless, "case_id is None in a row"),
        (spoil_no_list, "must be a list of rows"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(root, spoil, says):
    spoil(root)
    with pytest.raises(StoreError, match=says):
        KITS23.find(root)


def test_an_unknown_value_is_refused(root):
    relabel(root / "dataset" / "case_00001" / "segmentation.nii.gz", 4)
    with pytest.raises(ReadError, match=r"case_00001: .*label value 4; .* 1 kidney, 2 tumor, 3 cyst"):
        list(KITS23.stream(root))
