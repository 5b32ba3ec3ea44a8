import csv

import numpy as np
import pytest

from panlesion.ct.nifti import write_labels
from panlesion.ct.volume import Grid, LabelMap
from panlesion.data.sources.kits_masks import MASKS, TABLE, Sex, TStage, named_cases, read_clinical, read_mask
from panlesion.data.standins.kits_masks import write_kits_masks
from panlesion.errors import ReadError, StoreError

GRID = Grid(shape=(12, 10, 14), affine=np.diag([2.0, 2.0, -2.0, 1.0]))  # not the standard frame
ROW = {
    "case_id": "case_1", "age_at_nephrectomy": "61", "gender": "male", "bmi": "27.5", "vital_status": "censored",
    "vital_days_after_surgery": "900", "malignant": "True", "pathology_t_stage": "1a", "pathology_n_stage": "0",
    "pathology_m_stage": "x", "tumor_histologic_subtype": "clear_cell_rcc", "tumor_isup_grade": "2", "tumor_necrosis": "False",
    "radiographic_size": "3.1", "pathologic_size": "",
}  # fmt: skip
ROWS = [
    ROW,
    ROW | {"case_id": "case_2", "malignant": "False", "pathology_t_stage": "na", "bmi": "", "gender": "female"},
    ROW | {"case_id": "case_3", "tumor_histologic_subtype": "transitional_cell_carcinoma", "pathology_t_stage": "3"},
    ROW | {"case_id": "case_4", "vital_status": "dead", "pathology_t_stage": "4", "gender": "transgender_male_to_female"},
]


def write_table(root, rows):
    with (root / TABLE).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_mask(root, name, values=(1, 2, 3)):
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    for n, value in enumerate(values):
        labels[2:6, 2:6, 2 + 3 * n : 5 + 3 * n] = value
    write_labels(root / MASKS / f"{name}.nii.gz", LabelMap(labels=labels, grid=GRID))


@pytest.fixture
def root(tmp_path):
    (tmp_path / MASKS).mkdir()
    for row in ROWS:
        write_mask(tmp_path, row["case_id"])
    write_table(tmp_path, ROWS)
    return tmp_path


def test_every_patient_comes_with_what_is_known(root):
    found = read_clinical(root)
    one, benign, urothelial, dead = found.patients
    assert found.bad == ()
    assert (one.age, one.sex, one.bmi, one.dead, one.days) == (61, Sex.MALE, 27.5, False, 900)
    assert (one.t_stage, one.nodes, one.metastases, one.pathologic_cm) == (TStage.T1A, False, None, None)
    assert (benign.malignant, benign.t_stage, benign.bmi, benign.sex) == (False, None, None, Sex.FEMALE)
    assert [patient.staged for patient in found.patients] == [TStage.T1A, None, None, TStage.T4]
    assert urothelial.t_stage is TStage.T3
    assert (dead.dead, dead.sex) == (True, Sex.MALE_TO_FEMALE)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("age_at_nephrectomy", "", "age_at_nephrectomy is '': could not convert"),
        ("age_at_nephrectomy", "610", "must lie between 0 and 120"),
        ("age_at_nephrectomy", "nan", "must lie between"),
        ("vital_days_after_surgery", "-3", "must lie between"),
        ("vital_status", "lost", "'lost': must be one of dead, censored"),
        ("gender", "m", "must be one of male, female"),
        ("pathology_t_stage", "1c", "'1c': must be one of 1a, 1b"),
        ("malignant", "yes", "must be one of True, False"),
        ("radiographic_size", "31 mm", "could not convert"),
        ("bmi", "inf", "must lie between"),
    ],
)
def test_a_row_that_breaks_a_rule_is_listed_with_it_and_left_out(root, column, value, says):
    write_table(root, [ROWS[0] | {column: value}, *ROWS[1:]])
    found = read_clinical(root)
    assert [one.case for one in found.patients] == ["case_2", "case_3", "case_4"]
    (line,) = found.bad
    assert line.startswith("case_1: ")
    assert says in line


def spoil_column(root):
    write_table(root, [{key: value for key, value in row.items() if key != "bmi"} for row in ROWS])


def spoil_twice(root):
    write_table(root, [*ROWS, ROWS[0]])


def spoil_nameless(root):
    write_table(root, [*ROWS, ROWS[0] | {"case_id": ""}])


def spoil_empty(root):
    (root / TABLE).write_text(",".join(ROW) + "\n")


def spoil_table(root):
    (root / TABLE).unlink()


def spoil_bytes(root):
    (root / TABLE).write_bytes(b"\xff\xfe\x00case")


def spoil_absent(root):
    (root / MASKS / "case_2.nii.gz").unlink()


def spoil_spare(root):
    write_mask(root, "case_9")


def spoil_all(root):
    write_table(root, [row | {"gender": "?"} for row in ROWS])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoil_column, "lacks the columns bmi"),
        (spoil_twice, "case_1 more than once"),
        (spoil_nameless, "an empty case_id"),
        (spoil_empty, "has no rows"),
        (spoil_table, "clinical.csv is missing"),
        (spoil_bytes, "is no table"),
        (spoil_absent, r"lacks case_2 \(1 in all\)"),
        (spoil_spare, "case_9.*does not name"),
        (spoil_all, "no row that can be used; the first: case_1: gender"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(root, spoil, says):
    spoil(root)
    with pytest.raises(StoreError, match=says):
        read_clinical(root)


def test_a_short_row_is_listed_not_taken_for_unknown(root):
    text = (root / TABLE).read_text().splitlines()
    (root / TABLE).write_text("\n".join([*text[:-1], "case_4,61,male"]) + "\n")
    assert "vital_status is ''" in read_clinical(root).bad[0]


def test_a_mask_comes_in_the_standard_frame_with_its_volumes(root):
    mask = read_mask(root, "case_1")
    assert mask.grid.axes == "LPS"
    assert mask.grid.spacing_mm == pytest.approx((2.0,) * 3)
    assert np.bincount(mask.labels.ravel())[1:].tolist() == [48, 48, 48]


@pytest.mark.parametrize("values", [(1,), (2,), (1, 2, 4)])
def test_a_mask_without_kidney_or_tumour_or_with_a_foreign_label_is_refused(root, values):
    write_mask(root, "case_1", values)
    with pytest.raises(ReadError, match=r"case_1: .*has labels"):
        read_mask(root, "case_1")


def test_a_half_written_mask_names_its_case(root):
    path = root / MASKS / "case_1.nii.gz"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ReadError, match=r"^case_1: "):
        read_mask(root, "case_1")


@pytest.mark.realdata
def test_the_real_table_is_whole(shared_data):
    found = read_clinical(shared_data / "kits23")
    assert (len(found.patients), found.bad) == (489, ())
    assert sum(one.dead for one in found.patients) == 77
    assert sum(one.staged is not None for one in found.patients) == 413
    mask = read_mask(shared_data / "kits23", found.patients[0].case)
    assert set(np.unique(mask.labels)) <= {0, 1, 2, 3}


def test_a_stand_in_is_read_whole_and_has_every_stage_and_enough_deaths(tmp_path):
    found = read_clinical(write_kits_masks(tmp_path, 48))
    assert (found.bad, tuple(one.case for one in found.patients)) == ((), named_cases(tmp_path))
    followed = [one for one in found.patients if one.malignant]
    stages = [one.staged for one in followed]
    assert min(stages.count(stage) for stage in (TStage.T1A, TStage.T1B, TStage.T2A, TStage.T3)) >= 5
    assert 20 <= sum(one.dead for one in followed) < len(followed)
    volumes = [np.count_nonzero(read_mask(tmp_path, f"case_{n:05d}").labels == 2) for n in range(4)]
    assert volumes == sorted(volumes)
    again = tmp_path / "again"
    write_kits_masks(again, 2)
    assert (again / MASKS / "case_00001.nii.gz").read_bytes() == (tmp_path / MASKS / "case_00001.nii.gz").read_bytes()


def test_cases_are_named_without_judging_their_rows(root):
    write_table(root, [ROWS[0] | {"age_at_nephrectomy": "old"}, *ROWS[1:]])
    assert named_cases(root) == ("case_1", "case_2", "case_3", "case_4")
    (root / MASKS / "case_4.nii.gz").unlink()
    with pytest.raises(StoreError, match=r"masks_2mm lacks case_4"):
        named_cases(root)
