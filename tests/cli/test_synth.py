import fake_compose
import pytest
from hosts_made import write_hosts
from typer.testing import CliRunner

from panlesion.cli import synth as synth_module
from panlesion.cli.main import app
from panlesion.synth import cohort as cohort_module


def run(*args):
    return CliRunner().invoke(app, ["synth", *map(str, args)], env={"COLUMNS": "200"})


@pytest.fixture
def fake(monkeypatch):
    """The whole command with a composer that needs no anatomy."""
    whole = cohort_module.synth_cohort

    def synth_cohort(recipe, out, **options):
        return whole(recipe, out, compose=fake_compose.compose, **options)

    monkeypatch.setattr(cohort_module, "synth_cohort", synth_cohort)


OPTIONS = ("--types", "liver_cyst", "--per-type", "2", "--seed", "1", "--spacing", "3", "--size", "40")


@pytest.mark.usefixtures("fake")
def test_a_cohort_is_made_with_its_gallery_and_told(tmp_path):
    write_hosts(tmp_path / "hosts")
    result = run("--hosts", tmp_path / "hosts", *OPTIONS, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "liver_cyst" in result.output
    assert "2 cases made" in result.output
    assert (tmp_path / "out" / "gallery.html").is_file()
    again = run("--hosts", tmp_path / "hosts", *OPTIONS, tmp_path / "out")
    assert again.exit_code == 0
    assert "0 cases made" in again.output
    assert "2 in the folder" in again.output


@pytest.mark.usefixtures("fake")
def test_failures_are_told_and_make_exit_code_1(tmp_path):
    write_hosts(tmp_path / "hosts", count=2)
    (tmp_path / "hosts" / "h1" / "organs.nii.gz").unlink()
    result = run("--hosts", tmp_path / "hosts", *OPTIONS, tmp_path / "out")
    assert result.exit_code == 1
    assert "host h1: ReadError" in result.output
    assert "failures.csv" in result.output


@pytest.mark.usefixtures("fake")
def test_a_wrong_recipe_in_an_old_folder_is_one_clear_line(tmp_path):
    write_hosts(tmp_path / "hosts", count=1)
    run("--hosts", tmp_path / "hosts", *OPTIONS, tmp_path / "out")
    result = run("--hosts", tmp_path / "hosts", *OPTIONS, "--seed", "2", tmp_path / "out")
    assert result.exit_code == 1
    assert "seed was 1, is now 2" in result.output


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--types", "liver_tumour"), "known are all, lung_tumor"),
        (("--types", ","), "types is empty"),
        (("--lesions", "many"), "a range such as 1-3"),
        (("--lesions", "3-1"), "the smaller first"),
        (("--size", "5"), "at least 32"),
        (("--format", "zip"), "zip"),
        (("--organ-labels", "v3"), "v3"),
        (("--per-type", "0"), "per-type"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_exit_code_2(tmp_path, options, told):
    result = run("--hosts", "phantom", *options, tmp_path / "out")
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


def test_a_range_of_lesions_and_all_types_are_understood():
    assert synth_module._range("2") == (2, 2)
    assert synth_module._range("1-3") == (1, 3)
    assert len(synth_module._types("all")) == 15


def test_help_shows_an_example():
    result = run("--help")
    assert result.exit_code == 0
    assert "panlesion synth --hosts phantom" in result.output
