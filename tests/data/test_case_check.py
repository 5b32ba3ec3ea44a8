import numpy as np
import pytest
from tabled_made import rows_made, scan, write_scans, write_table, write_tabled

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.region import Framing, Region
from panlesion.ct.volume import Grid, LabelMap
from panlesion.data.sources.case_check import check_table
from panlesion.data.sources.case_table import read_case_table
from panlesion.lesion.case_task import CaseTask

FRAMING = Framing(region=Region.LESION, side=16, spacing_mm=4.0)
STAGES = ("I", "II", "III")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tabled(tmp_path_factory.mktemp("cases") / "data", 12).parent


def checked(folder, rows, task="detect", folds=3, framing=FRAMING, seed=0, name="changed.csv"):
    path = write_table(folder, rows, name)
    table = read_case_table(path, CaseTask(task), stages=STAGES if task == "stage" else (), need_label=True)
    return check_table(table, CaseTask(task), framing, folds=folds, seed=seed)


@pytest.mark.parametrize("task", list(CaseTask))
def test_sound_cases_are_in_one_fold_each_and_every_fold_is_mixed(folder, task):
    found = checked(folder, rows_made(12), task)
    assert found.problems == ()
    assert found.folds == ("1", "2", "3")
    assert sorted(row.fold for row in found.rows) == [0] * 4 + [1] * 4 + [2] * 4
    if task is CaseTask.DETECT:
        for fold in range(3):
            assert {row.case.targets.present for row in found.rows if row.fold == fold} == {True, False}


def test_volumes_are_those_of_the_labels(folder):
    found = checked(folder, rows_made(12))
    first = next(row for row in found.rows if row.case.id == "c00")
    label = scan(0, ball_hu=0, radius=2.0)[1]
    assert first.volume_ml == pytest.approx(int(label.labels.sum()) * 4.0**3 / 1000, abs=1e-4)


def test_folds_are_those_of_the_seed_and_patients_stay_together(folder):
    rows = rows_made(12)
    rows[1]["patient"] = rows[5]["patient"] = rows[10]["patient"] = "one"
    first, again, other = (checked(folder, rows, seed=seed) for seed in (0, 0, 1))
    assert [row.fold for row in first.rows] == [row.fold for row in again.rows]
    assert [row.fold for row in first.rows] != [row.fold for row in other.rows]
    assert len({row.fold for row in first.rows if row.case.patient == "one"}) == 1


def test_folds_of_the_table_are_used_and_checked(folder):
    rows = [row | {"fold": "abc"[n % 3]} for n, row in enumerate(rows_made(12))]
    found = checked(folder, rows, folds=5)
    assert found.folds == ("a", "b", "c")
    assert [row.fold for row in found.rows] == [n % 3 for n in range(12)]
    rows[1]["patient"] = rows[0]["patient"]
    assert "patient p00 is in folds a, b" in checked(folder, rows).problems[0]
    assert "fold is empty in some rows" in checked(folder, [rows[0] | {"fold": ""}, *rows[2:]]).problems[0]
    assert "fold is x everywhere" in checked(folder, [row | {"fold": "x"} for row in rows_made(4)]).problems[0]
    assert (
        "no name for a folder"
        in checked(folder, [row | {"fold": f"../{n % 2}"} for n, row in enumerate(rows_made(8))]).problems[0]
    )
    assert checked(folder, rows_made(4), folds=0).folds == ()


@pytest.mark.parametrize(
    ("task", "change", "says"),
    [
        ("detect", {"present": "1"}, "all have present 1; examples of 0 and of 1 are needed"),
        ("stage", {"stage": "II"}, "stage I, III in no row"),
        ("survive", {"event": "0"}, "none has an event"),
        ("describe", {"density": "Isodense"}, "no attribute has examples of two words"),
    ],
)
def test_targets_that_teach_nothing_are_refused(folder, task, change, says):
    found = checked(folder, [row | change for row in rows_made(6)], task, folds=2)
    assert len(found.problems) == 1
    assert says in found.problems[0]


def test_a_class_that_is_in_one_fold_alone_is_refused(folder):
    rows = [row | {"present": str(int(n == 3)), "fold": str(n % 2)} for n, row in enumerate(rows_made(6))]
    assert "present 1 is in fold 1 alone" in checked(folder, rows).problems[0]


def test_more_folds_than_patients_are_refused(folder):
    assert "--folds is 5 for 4 patients" in checked(folder, rows_made(4), folds=5).problems[0]
    assert "--folds is 1 for" in checked(folder, rows_made(4), folds=1).problems[0]


def test_what_is_wrong_with_images_and_rows_is_one_list(tmp_path):
    rows = rows_made(6)
    write_scans(tmp_path, rows)
    (tmp_path / rows[0]["image"]).write_bytes(b"no image")
    grid = scan(1)[1].grid
    write_labels(tmp_path / rows[1]["label"], LabelMap(labels=np.zeros(grid.shape, dtype=np.uint8), grid=grid))
    moved = Grid(shape=grid.shape, affine=grid.affine + _shift(9))
    write_labels(tmp_path / rows[2]["label"], LabelMap(labels=scan(2)[1].labels, grid=moved))
    rows[5]["present"] = "7"
    found = checked(tmp_path, rows)
    assert len(found.problems) == 4
    for said, wanted in zip(found.problems, ("present is 7", "c00: ", "c01: no label voxel above 0", "c02: "), strict=True):
        assert wanted in said
    assert "apart" in found.problems[3]


def _shift(mm):
    out = np.zeros((4, 4))
    out[0, 3] = mm
    return out


def test_the_same_scan_of_two_patients_is_refused_and_of_one_is_not(tmp_path):
    rows = rows_made(6)
    write_scans(tmp_path, rows)
    image, label = scan(0, ball_hu=0, radius=2.0)
    write_volume(tmp_path / rows[3]["image"], image)
    write_labels(tmp_path / rows[3]["label"], label)
    assert "c03: image and label of c00, but of another patient" in checked(tmp_path, rows, folds=2).problems[0]
    rows[3]["patient"] = rows[0]["patient"]
    assert checked(tmp_path, rows, folds=2).problems == ()


def test_a_lesion_wider_than_the_cube_is_worth_a_note(folder):
    found = checked(folder, rows_made(6), framing=Framing(region=Region.LESION, side=4, spacing_mm=4.0), folds=2)
    assert found.problems == ()
    hit = np.argwhere(scan(4, ball_hu=0, radius=5.5)[1].labels)
    widest = 4 * (np.ptp(hit, axis=0) + 1).max()
    assert f"c04: the lesion is {widest} mm wide, the cube shows 16 mm of it" in found.notes
