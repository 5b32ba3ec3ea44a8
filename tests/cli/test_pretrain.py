import json

import pytest
from cases_made import write_delta_cohort
from typer.testing import CliRunner

from panlesion.cli.main import app
from panlesion.nets.checkpoint import load_model
from panlesion.recipes import pretrain as room


def run(*words):
    done = CliRunner().invoke(app, ["pretrain", *map(str, words)])
    # the error box may break lines anywhere
    return done.exit_code, " ".join(done.output.replace("│", " ").split())


@pytest.fixture
def cases(tmp_path):
    write_delta_cohort(tmp_path / "cases")
    return tmp_path / "cases"


def test_a_run_on_a_folder_of_cases_leaves_a_model_and_goes_on_with_the_same_words(tmp_path, cases, monkeypatch):
    # Fitting offsets draws bodies for minutes and has tests of its own.
    monkeypatch.setattr(room, "fit_offsets", lambda model, _blocks, **_: (0.0,) * len(model.classes))
    out = tmp_path / "run"
    code, told = run("--steps", 1, "--data", cases, "--seed", 3, "--accelerator", "cpu", out)
    assert code == 0, told
    assert "Trained 1 steps" in told
    code, told = run("--steps", 2, "--data", cases, "--seed", 3, "--accelerator", "cpu", out)
    assert code == 0, told
    steps = [row["step"] for row in map(json.loads, (out / "journal.jsonl").read_text().splitlines()) if "loss" in row]
    assert steps == [1, 2]
    assert "2 cases of the folder 'cases'" in load_model(out / "model.safetensors").info.provenance["data"]
    code, told = run("--steps", 2, "--data", cases, "--seed", 4, "--accelerator", "cpu", out)
    assert code == 1
    assert "holds a run of another recipe" in told


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--data", "a", "--hosts", "b"), "two ways of training"),
        (("--hosts", ".", "--hosts-share", 0), "must be above 0"),
        (("--hosts", ".", "--organ-labels", "v7"), "v7"),
        (("--hosts", "nowhere"), "nowhere"),
        (("--data", "nowhere"), "nowhere is no folder"),
        (("--stage", 2, "--start-from", "nano", "--data", "."), "draws its own lesions"),
        (("--stage", 3, "--start-from", "nano", "--hosts", "."), "stage 3 draws its own lesions"),
        (("--stage", 3), "stage 3 needs a network"),
        (("--stage", 3, "--start-from", "absent.safetensors"), "absent.safetensors"),
        (("--stage", 3, "--start-from", "nano", "--recipe", "pasta"), "'pasta' is no recipe; use one of nano"),
        (("--stage", 3, "--start-from", "nano", "--devices", 2), "use --workers"),
        (("--start-from", "absent.safetensors"), "absent.safetensors"),
        (("--accelerator", "abacus"), "abacus"),
        (("--precision", "64-bits"), "64-bits"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_written(tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    code, told = run(*words, "out")
    assert code in (1, 2)
    assert says in told
    assert not (tmp_path / "out").exists()


def test_a_start_of_another_size_is_refused(tmp_path, cases):
    code, told = run("--steps", 1, "--recipe", "small", "--data", cases, "--start-from", "nano", tmp_path / "out")
    assert code == 1
    assert "nano is a 'nano' network, the recipe trains 'small'" in told
    assert not (tmp_path / "out").exists()


def test_help_shows_how_it_is_called():
    code, told = run("--help")
    assert code == 0
    assert "Example: panlesion pretrain --recipe nano" in told
