import csv

import numpy as np
import pytest

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.volume import Grid, LabelMap, Volume
from panlesion.data.sources.lidc_nodules import INDEX, LIDC_NODULES, Score, read_lidc
from panlesion.errors import ReadError, StoreError

GRID = Grid(shape=(10, 12, 8), affine=np.diag([1.0, 1.0, 1.0, 1.0]))  # R, A, S: not the standard frame
SCORES = {"subtlety": "5", "sphericity": "4.0", "margin": "3.5", "lobulation": "2", "spiculation": "1.0", "texture": "5",
          "malignancy": "3"}  # fmt: skip
ROWS = [
    {"file": "a_n0.nii.gz", "lidc_patient": "P1", "readers": "4"} | SCORES,
    {"file": "a_n1.nii.gz", "lidc_patient": "P1", "readers": "3"} | SCORES | {"margin": "1"},
    {"file": "b_n0.nii.gz", "lidc_patient": "P2", "readers": "0"} | dict.fromkeys(SCORES, ""),
]


def write_index(root, rows):
    with (root / INDEX).open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def write_nodule(root, name, *, value=1, grid=GRID):
    hu = np.full(GRID.shape, -850, dtype=np.int16)
    labels = np.zeros(grid.shape, dtype=np.uint8)
    hu[1:4, 2:6, 3:5], labels[1:4, 2:6, 3:5] = 40, value
    write_volume(root / "image" / name, Volume(hu=hu, grid=GRID))
    write_labels(root / "label" / name, LabelMap(labels=labels, grid=grid))


@pytest.fixture
def root(tmp_path):
    (tmp_path / "image").mkdir()
    (tmp_path / "label").mkdir()
    for row in ROWS:
        write_nodule(tmp_path, row["file"])
    write_index(tmp_path, ROWS)
    return tmp_path


def test_every_nodule_comes_with_its_patient_and_the_scores_it_has(root):
    first, second, unscored = read_lidc(root, spacing_mm=1.0)
    assert [one.id for one in (first, second, unscored)] == ["a_n0", "a_n1", "b_n0"]
    assert [one.patient for one in (first, second, unscored)] == ["P1", "P1", "P2"]
    assert set(first.scores) == set(Score)
    assert (first.scores[Score.MARGIN], second.scores[Score.MARGIN]) == (3.5, 1.0)
    assert (unscored.readers, unscored.scores) == (0, {})


def test_image_and_mask_stand_in_the_standard_frame_at_the_spacing(root):
    for spacing in (1.0, 2.0):
        case = next(read_lidc(root, spacing_mm=spacing))
        assert case.ct.grid.axes == "LPS"
        assert case.ct.grid.same_as(case.label.grid)
        assert case.ct.grid.spacing_mm == pytest.approx((spacing,) * 3)
    fine = next(read_lidc(root, spacing_mm=1.0))
    assert np.array_equal(fine.label.labels > 0, fine.ct.hu == 40)


def spoil_spare(root):
    write_nodule(root, "c_n0.nii.gz")


def spoil_lost(root):
    (root / "label" / "a_n1.nii.gz").unlink()


def spoil_twice(root):
    write_index(root, [*ROWS, ROWS[0]])


def spoil_column(root):
    write_index(root, [{key: value for key, value in row.items() if key != "texture"} for row in ROWS])


def spoil_index(root):
    (root / INDEX).unlink()


def spoil_rows(root):
    (root / INDEX).write_text(",".join(ROWS[0]) + "\n")


def spoil_bytes(root):
    (root / INDEX).write_bytes(b"\xff\xfe" * 40)


def spoil_blank(root):
    (root / INDEX).write_bytes(b"")


def spoil_torn(root):
    text = (root / INDEX).read_text().splitlines()
    (root / INDEX).write_text("\n".join([*text[:2], text[2][:9], *text[3:]]))


def spoil_grid(root):
    write_nodule(root, "a_n1.nii.gz", grid=Grid(shape=GRID.shape, affine=np.diag([1.0, 1.0, 1.5, 1.0])))


def spoil_label(root):
    write_nodule(root, "a_n1.nii.gz", value=3)


def spoil_empty(root):
    write_nodule(root, "a_n1.nii.gz", value=0)


def spoil_patient(root):
    write_index(root, [ROWS[0], ROWS[1] | {"lidc_patient": ""}, ROWS[2]])


def spoil_score(root):
    write_index(root, [ROWS[0], ROWS[1] | {"margin": "7"}, ROWS[2]])


def spoil_number(root):
    write_index(root, [ROWS[0], ROWS[1] | {"texture": "solid"}, ROWS[2]])


@pytest.mark.parametrize(
    ("spoil", "error", "says"),
    [
        (spoil_spare, StoreError, "c_n0.*no patient to split by"),
        (spoil_lost, StoreError, "label lacks a_n1"),
        (spoil_twice, StoreError, "a_n0.nii.gz more than once"),
        (spoil_column, StoreError, "lacks the columns texture"),
        (spoil_index, StoreError, "index.csv is missing"),
        (spoil_rows, StoreError, "has no rows"),
        (spoil_bytes, StoreError, "cannot be read .*UTF-8"),
        (spoil_blank, StoreError, "lacks the columns"),
        (spoil_torn, StoreError, "line 3 has another number of cells"),
        (spoil_grid, ReadError, "a_n1: .*one grid"),
        (spoil_label, ReadError, r"a_n1: label holds \[0, 3\]"),
        (spoil_empty, ReadError, r"a_n1: label holds \[0\]"),
        (spoil_patient, ReadError, "a_n1: lidc_patient is empty"),
        (spoil_score, ReadError, "a_n1: margin is 7 .*between 1 and 5"),
        (spoil_number, ReadError, "a_n1: .*solid.*numbers or blank"),
    ],
)
def test_a_wrong_tree_is_refused_with_the_rule_it_breaks(root, spoil, error, says):
    spoil(root)
    with pytest.raises(error, match=says):
        list(read_lidc(root, spacing_mm=1.0))


@pytest.mark.realdata
def test_the_real_index_is_whole(shared_data):
    nodules = list(read_lidc(shared_data / "lidc_nodules", spacing_mm=5.0))
    assert (len(nodules), len({one.patient for one in nodules})) == (125, 98)
    assert sum(bool(one.scores) for one in nodules) == 120


def test_as_a_source_each_nodule_keeps_its_own_grid_and_its_scores_are_facts(root):
    cases = LIDC_NODULES.find(root)
    assert [case.id for case in cases] == ["a_n0", "a_n1", "b_n0"]
    assert cases[0].facts["spiculation"] == "1.0"
    for own, standard in zip(LIDC_NODULES.stream(root), read_lidc(root, spacing_mm=1.0), strict=True):
        assert own.ct.grid.same_as(GRID)
        assert (own.id, own.patient, own.readers, own.scores) == (
            standard.id, standard.patient, standard.readers, standard.scores,
        )  # fmt: skip
