import pytest
from cases_made import make_case_in, make_host, write_delta_cohort
from typer.testing import CliRunner

from panlesion.cli.main import app
from panlesion.data.case import write_case
from panlesion.data.manifest import write_cohort
from panlesion.data.sources.registry import SOURCES
from panlesion.data.standins.drawn import draw_case
from panlesion.data.standins.nifti import write_kits23, write_nnunet

RECIPE = {"version": "1", "hosts": "phantom", "types": ["liver_tumor"], "seed": 1, "spacing_mm": 1.0, "size_voxels": 0}


def run(*args):
    return CliRunner().invoke(app, ["data", *map(str, args)], env={"COLUMNS": "200"})


@pytest.fixture
def cohort(tmp_path):
    write_delta_cohort(tmp_path / "delta")
    write_cohort(tmp_path / "delta", RECIPE | {"format": "delta"})
    return tmp_path / "delta"


def test_list_counts_cases_by_type(cohort):
    result = run("list", cohort)
    assert result.exit_code == 0
    assert "liver_tumor" in result.output
    assert "delta" in result.output


def test_list_each_is_for_scripts(cohort):
    lines = run("list", cohort, "--each").output.splitlines()
    assert lines[0].split("\t")[:4] == ["liver_tumor_00000", "liver_tumor", "delta", "complete"]
    assert len(lines) == 2


def test_incomplete_cases_are_named_and_make_exit_code_1(cohort):
    (cohort / "Liver" / "Tumor" / "liver_tumor_00001" / "type.json").unlink()
    for options in ([], ["--each"]):
        result = run("list", cohort, *options)
        assert result.exit_code == 1
        assert "lacks type.json" in result.output


def test_check_tells_good_from_damaged(cohort):
    good = run("check", cohort)
    assert good.exit_code == 0
    assert "2 of 2 cases are good" in good.output
    (cohort / "Liver" / "Tumor" / "liver_tumor_00001" / "type.json").write_text('{"5": {}}')
    bad = run("check", cohort)
    assert bad.exit_code == 1
    assert "liver_tumor_00001: type.json" in bad.output
    assert "1 of 2 cases are good" in bad.output


def test_expand_restores_what_check_approves(cohort, tmp_path):
    assert run("expand", cohort, tmp_path / "full").exit_code == 0
    assert run("check", tmp_path / "full").exit_code == 0
    (cohort / "Liver" / "Tumor" / "liver_tumor_00000" / "delta.npz").write_bytes(b"x")
    again = run("expand", cohort, tmp_path / "other")
    assert again.exit_code == 1
    assert "liver_tumor_00000: " in again.output


def test_foreign_cases_without_record_can_be_listed_and_checked(tmp_path):
    case, _ = make_case_in(*make_host())
    write_case(tmp_path / "Liver" / "Tumor" / "a", case)
    (tmp_path / "Liver" / "Tumor" / "a" / "record.json").unlink()
    assert run("list", tmp_path).exit_code == 0
    assert run("check", tmp_path).exit_code == 0


@pytest.mark.parametrize("command", ["list", "check"])
def test_a_folder_without_cases_is_told(tmp_path, command):
    result = run(command, tmp_path)
    assert result.exit_code == 1
    assert "holds no case" in result.output


@pytest.mark.realdata
def test_the_public_samples_lack_their_images(shared_data):
    result = run("check", shared_data / "pastagen_samples")
    assert result.exit_code == 1
    assert result.output.count("img.nii.gz is missing") == 2


def test_every_source_is_listed_with_its_licence_and_where_to_get_it():
    result = run("sources")
    assert result.exit_code == 0
    for source in SOURCES.values():
        assert f"{source.id}  {source.title}" in result.output
        assert source.licence in result.output
        assert source.get in result.output


def test_a_tree_is_checked_without_reading_voxels(tmp_path):
    write_kits23(tmp_path, [draw_case("a", ("kidney", "tumor", "cyst"), seed, shape=(12, 12, 10)) for seed in range(2)])
    for image in tmp_path.glob("dataset/*/imaging.nii.gz"):
        image.write_bytes(b"")
    result = run("sources", "--check", "kits23", tmp_path)
    assert result.exit_code == 0
    assert "cases: 2 of 489 published, patients: 2, case_00000 … case_00001" in result.output
    assert "pathology_t_stage" in result.output


def test_any_folder_of_nnunet_is_a_source(tmp_path):
    write_nnunet(tmp_path, [draw_case("a", ("liver", "tumor"), 1, shape=(12, 12, 10))], classes=("liver", "tumor"))
    result = run("sources", "--check", "nnunet", tmp_path)
    assert result.exit_code == 0
    assert "cases: 1, patients: 1, case_000 … case_000" in result.output
    assert "classes: liver, tumor" in result.output


def test_a_wrong_tree_names_the_rule_and_the_layout(tmp_path):
    result = run("sources", "--check", "kits23", tmp_path)
    assert result.exit_code == 1
    assert "holds no case_*" in result.output
    assert "dataset/case_00000/imaging.nii.gz" in result.output


def test_an_unknown_source_is_an_error_of_the_command_line(tmp_path):
    result = run("sources", "--check", "kits19", tmp_path)
    assert result.exit_code == 2
    assert "kits23" in result.output
