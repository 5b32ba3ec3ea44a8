from dataclasses import replace

import pytest
from cases_made import REPORT, make_case_in, make_host

from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.data.case import voxel_checks, write_case
from panlesion.data.check import check_case, check_cases, check_report
from panlesion.data.store import iterate_cases
from panlesion.lesion.taxonomy import LesionType


@pytest.fixture
def case():
    case, _ = make_case_in(*make_host())
    checks = list(voxel_checks(case.image.hu, case.label.labels, case.organs.labels))
    return replace(case, record={**case.record, "checks": checks})


def test_a_good_case_has_no_problems(case):
    assert check_case(case, LesionType.LIVER_TUMOR) == []


def test_changed_voxels_are_noticed(case):
    hu = case.image.hu.copy()
    hu[0, 0, 0] += 1
    (problem,) = check_case(replace(case, image=Volume(hu=hu, grid=case.image.grid)), LesionType.LIVER_TUMOR)
    assert "img.nii.gz" in problem
    assert "changed" in problem


def test_a_label_out_of_place_is_noticed(case):
    grid = standard_grid(case.image.grid.shape, 1.0)
    (problem,) = check_case(replace(case, label=LabelMap(labels=case.label.labels, grid=grid)), LesionType.LIVER_TUMOR)
    assert "another grid" in problem


def test_wrong_values_are_noticed(case):
    label = case.label.labels.copy()
    label[label == 2] = 3
    organs = case.organs.labels.copy()
    organs[0, 0, 0] = 105
    record = {key: value for key, value in case.record.items() if key != "checks"}
    wrong = replace(
        case,
        label=LabelMap(labels=label, grid=case.label.grid),
        organs=LabelMap(labels=organs, grid=case.organs.grid),
        record=record,
    )
    problems = check_case(wrong, LesionType.LIVER_TUMOR)
    assert [problem.split(" holds ")[1][:5] for problem in problems] == ["[3]; ", "no le", "[105]"]


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ({}, "empty"),
        ({"2": REPORT["5"]}, "key '2'"),
        ({"5": ["round"]}, "is a list"),
        ({"5": {**REPORT["5"], "Shape": "Round"}}, "Shape 'Round'"),
        ({"5": {key: value for key, value in REPORT["5"].items() if key != "Density"}}, "Density None"),
    ],
)
def test_what_the_public_loader_cannot_read_is_noticed(report, expected):
    (problem,) = check_report(report, LesionType.LIVER_TUMOR)
    assert expected in problem


def test_every_case_of_a_folder_is_told_including_incomplete_and_damaged_ones(tmp_path, case):
    for name in ("a", "b", "c"):
        write_case(tmp_path / "Liver" / "Tumor" / name, case)
    (tmp_path / "Liver" / "Tumor" / "b" / "img.nii.gz").unlink()
    path = tmp_path / "Liver" / "Tumor" / "c" / "label.nii.gz"
    path.write_bytes(path.read_bytes()[:40])
    problems = {found.id: told for found, told in check_cases(list(iterate_cases(tmp_path)), tmp_path)}
    assert problems["a"] == []
    assert problems["b"] == ["img.nii.gz is missing"]
    assert "label.nii.gz" in problems["c"][0]


def test_foreign_cases_are_checked_without_a_record(case):
    assert check_case(replace(case, record={}), None) == []
