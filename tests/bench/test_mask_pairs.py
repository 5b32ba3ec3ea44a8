import re

import numpy as np
import pytest
from masks_made import drawn, write_folders

from panlesion.bench.mask_pairs import ScoredClass, check_pairs, find_pairs
from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.standardise import standardise_labels
from panlesion.ct.volume import Box, Grid, LabelMap, Volume
from panlesion.errors import StoreError


@pytest.fixture
def folders(tmp_path):
    return write_folders(tmp_path)


def problems_of(folders, names=None, **more):
    pairs, problems = find_pairs(*folders, more.pop("patients", None))
    return problems + list(check_pairs(pairs, names or {}, **more).problems)


def test_masks_of_one_name_are_a_pair_in_any_form(folders):
    predicted, truth = folders
    (predicted / "case_1").mkdir()
    (predicted / "case_1.nii.gz").rename(predicted / "case_1" / "lesions.nii.gz")
    (truth / "case_2").mkdir()
    (truth / "case_2.nii.gz").rename(truth / "case_2" / "label.nii.gz")
    write_labels(truth / "case_3.nii", drawn(3))
    (truth / "case_3.nii.gz").unlink()
    (truth / "notes.txt").write_text("read by one reader")
    (predicted / ".case_9.nii.gz.1-00000000.part").write_bytes(b"left by a kill")
    pairs, problems = find_pairs(predicted, truth)
    assert problems == []
    assert [pair.case for pair in pairs] == [pair.patient for pair in pairs] == [f"case_{n}" for n in range(4)]
    assert pairs[1].predicted.name == "lesions.nii.gz" and pairs[2].truth.name == "label.nii.gz"
    assert problems_of(folders) == []


def test_classes_are_what_the_truth_holds_or_what_is_named(folders):
    pairs, _ = find_pairs(*folders)
    assert check_pairs(pairs, {}).classes == (ScoredClass(name="class_1", value=1), ScoredClass(name="class_2", value=2))
    named = check_pairs(pairs, {2: "cyst", 1: "tumour", 3: "stone"}).classes
    assert [one.name for one in named] == ["tumour", "cyst", "stone"]
    assert check_pairs(pairs, {}, merge=True).classes == (ScoredClass(name="lesion", value=None),)


def test_healthy_scans_are_scored_by_what_is_predicted(tmp_path):
    predicted, truth = write_folders(tmp_path, 2)
    for n in range(2):
        write_labels(truth / f"case_{n}.nii.gz", drawn(n, values=()))
    pairs, _ = find_pairs(predicted, truth)
    checked = check_pairs(pairs, {})
    assert checked.problems == () and [one.value for one in checked.classes] == [1, 2]
    for n in range(2):
        write_labels(predicted / f"case_{n}.nii.gz", drawn(n, values=()))
    assert check_pairs(pairs, {}).problems == ("no mask holds anything above 0; there is nothing to score",)
    assert check_pairs(pairs, {1: "tumour"}).problems == ()


def test_a_turned_prediction_is_turned_back(folders):
    predicted, truth = folders
    straight = drawn(0, shift=1)
    grid = straight.grid
    affine = grid.affine.copy()
    affine[:3, 0] *= -1
    affine[:3, 3] = grid.to_xyz((grid.shape[0] - 1, 0, 0))
    affine = affine[:, [2, 1, 0, 3]]
    turned = np.ascontiguousarray(straight.labels[::-1].transpose(2, 1, 0))
    write_labels(predicted / "case_0.nii.gz", LabelMap(labels=turned, grid=Grid(shape=turned.shape, affine=affine)))
    pairs, problems = find_pairs(predicted, truth)
    said, true = pairs[0].read()
    assert problems == [] and said.grid.same_as(true.grid)
    np.testing.assert_array_equal(said.labels, straight.labels)


def shifted(label, by_mm):
    affine = label.grid.affine.copy()
    affine[0, 3] += by_mm
    return LabelMap(labels=label.labels, grid=Grid(shape=label.grid.shape, affine=affine))


def test_all_problems_are_listed_at_once(folders):
    predicted, _ = folders
    (predicted / "case_0.nii.gz").unlink()
    write_labels(predicted / "extra.nii.gz", drawn(9))
    write_labels(predicted / "case_1.nii.gz", shifted(drawn(1), 1.5))
    write_labels(predicted / "case_2.nii.gz", LabelMap(labels=drawn(2).labels * 4, grid=drawn(2).grid))
    half = (predicted / "case_3.nii.gz").read_bytes()
    (predicted / "case_3.nii.gz").write_bytes(half[: len(half) // 2])
    (predicted / "case_5").mkdir()
    found = problems_of(folders, {1: "tumour", 2: "cyst"})
    for words in (
        "case_0: no prediction in",
        "extra: no truth in",
        "case_5: " + str(predicted / "case_5") + " holds neither lesions.nii.gz nor label.nii.gz",
        "case_1: prediction and truth lie 1.50 mm apart (limit 0.1)",
        "case_2: the prediction holds the value 4; the classes are 1 tumour, 2 cyst",
        "case_2: the prediction holds the value 8",
        "case_3: " + str(predicted / "case_3.nii.gz") + ": ",
    ):
        assert any(problem.startswith(words) for problem in found), (words, found)
    assert len(found) == 7


def test_values_that_are_no_named_class_are_told_with_their_cases(folders):
    found = problems_of(folders, {1: "tumour"})
    assert len(found) == 2
    assert found[0].startswith("case_0, case_1, case_2, case_3: the truth holds the value 2; the classes are 1 tumour.")
    assert "--merge" in found[1] and "the prediction" in found[1]
    assert problems_of(folders, merge=True) == []


def test_values_of_a_truth_that_cannot_be_read_are_not_called_unknown(folders):
    predicted, truth = folders
    write_labels(predicted / "case_0.nii.gz", LabelMap(labels=drawn(0).labels * 4, grid=drawn(0).grid))
    assert len(problems_of(folders)) == 2  # values 4 and 8
    (truth / "case_0.nii.gz").write_bytes(b"")
    (problem,) = problems_of(folders)
    assert problem.startswith("case_0: ") and "truth" in problem


def test_many_cases_of_one_problem_are_one_line(tmp_path):
    folders = write_folders(tmp_path, 13)
    assert problems_of(folders, {1: "tumour"})[0].startswith("case_0, case_1, case_10, case_11")
    assert " and 3 more: the truth holds" in problems_of(folders, {1: "tumour"})[0]


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda path: path.write_bytes(b""), "case_1.nii.gz: "),
        (lambda path: path.write_bytes(b"\x1f\x8b" + bytes(300)), "case_1.nii.gz: "),
        (lambda path: path.write_text("<html>not found</html>" * 40), "case_1.nii.gz: "),
        (lambda path: write_labels(path, drawn(1).crop(Box(start=(0, 0, 0), stop=(19, 18, 16)))),
         "the prediction has 19 x 18 x 16 voxels, the truth 20 x 18 x 16"),
        (lambda path: write_volume(path, Volume(hu=np.full((20, 18, 16), -1000, np.int16), grid=drawn(1).grid)),
         "labels from -1000 to -1000"),
    ],
    ids=["empty", "broken gzip", "web page", "other shape", "a CT"],
)  # fmt: skip
def test_a_file_that_is_no_mask_of_the_scan_is_named(folders, write, says):
    write(folders[0] / "case_1.nii.gz")
    (problem,) = problems_of(folders)
    assert problem.startswith("case_1: ") and says in problem


def test_a_case_in_two_forms_is_a_problem(folders):
    write_labels(folders[0] / "case_1.nii", drawn(1))
    (problem,) = problems_of(folders)
    assert "case_1.nii and " in problem and "remove one" in problem


def test_folders_that_cannot_be_compared_are_refused(folders, tmp_path):
    predicted, truth = folders
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(truth)
    for pair, says in (
        ((tmp_path / "absent", truth), "absent is no folder; --predicted takes"),
        ((predicted, tmp_path / "empty"), "empty holds no mask; --truth takes"),
        ((truth, tmp_path / "link"), "given as prediction and as truth"),
        ((predicted / "case_0.nii.gz", truth), "is no folder"),
    ):
        with pytest.raises(StoreError, match=says):
            find_pairs(*pair)


def test_patients_are_read_from_a_table(folders, tmp_path):
    table = tmp_path / "patients.csv"
    table.write_text("﻿case,patient,age\n" + "".join(f"case_{n}, P{n // 2} ,7\n" for n in range(5)), encoding="utf-8")
    pairs, problems = find_pairs(*folders, table)
    assert problems == []
    assert [pair.patient for pair in pairs] == ["P0", "P0", "P1", "P1"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("case,patient\ncase_0,a\ncase_1,\ncase_2,c\ncase_3,d\n", "case_1: .* names no patient"),
        ("case,patient\ncase_0,a\ncase_1,a\ncase_2,c\n", "case_3: .* names no patient"),
        ("case,patient\n" + "case_0,a\n" * 2 + "case_1,a\ncase_2,c\ncase_3,d\n", "case_0: .* names it 2 times"),
    ],
)
def test_a_table_that_leaves_cases_open_is_a_problem(folders, tmp_path, text, says):
    (tmp_path / "patients.csv").write_text(text)
    (problem,) = problems_of(folders, patients=tmp_path / "patients.csv")
    assert re.match(says, problem)


@pytest.mark.parametrize("content", [b"name;who\ncase_0;a\n", b"\xff\xfe\x00", b"case,patient\ncase_0\n", None])
def test_a_table_that_cannot_be_read_is_refused(folders, tmp_path, content):
    if content is not None:
        (tmp_path / "patients.csv").write_bytes(content)
    with pytest.raises(StoreError, match=r"patients\.csv cannot be read"):
        find_pairs(*folders, tmp_path / "patients.csv")


def test_an_empty_table_leaves_every_case_open(folders, tmp_path):
    (tmp_path / "patients.csv").write_bytes(b"")
    assert len(problems_of(folders, patients=tmp_path / "patients.csv")) == 4


def test_progress_names_every_case(folders):
    pairs, _ = find_pairs(*folders)
    told = []
    check_pairs(pairs, {}, progress=lambda *step: told.append(step))
    assert told == [(n, 4, f"case_{n}") for n in range(4)]


def test_a_mask_off_its_axes_is_refused_not_resampled(folders):
    standard = standardise_labels(drawn(1), 1.0)
    write_labels(folders[0] / "case_1.nii.gz", standard)
    (problem,) = problems_of(folders)
    assert "voxels, the truth 20 x 18 x 16; bring it onto the truth's grid" in problem
