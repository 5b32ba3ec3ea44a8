import json
import re
import subprocess
import sys

import pytest
from masks_made import drawn, write_folders
from typer.testing import CliRunner

from panlesion.bench.evaluate import TOLERANCE_MM
from panlesion.cli.main import app
from panlesion.ct.nifti import write_labels


def run(*words):
    done = CliRunner().invoke(app, ["evaluate", *map(str, words)])
    return done, " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.output).split())


@pytest.fixture
def words(tmp_path):
    predicted, truth = write_folders(tmp_path, 3)
    return ["--predicted", predicted, "--truth", truth, "--out", tmp_path / "out"]


def test_masks_are_scored_and_results_left(words, tmp_path):
    done, said = run(*words, "--classes", "tumour,cyst", "--tolerance", "1")
    assert done.exit_code == 0, said
    assert "tumour" in said and "Written:" in said
    record = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert record["nsd_tolerance_mm"] == 1.0
    assert [one["name"] for one in record["classes"]] == ["tumour", "cyst"]
    again, said = run(*words)
    assert again.exit_code == 1 and "--overwrite" in said
    assert run(*words, "--overwrite")[0].exit_code == 0
    record = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert record["nsd_tolerance_mm"] == TOLERANCE_MM


def test_all_problems_are_shown_and_nothing_is_left(words, tmp_path):
    (tmp_path / "predicted" / "case_0.nii.gz").unlink()
    (tmp_path / "truth" / "case_1.nii.gz").write_bytes(b"no mask")
    write_labels(tmp_path / "predicted" / "more.nii.gz", drawn(7))
    done, said = run(*words, "--classes", "tumour")
    assert done.exit_code == 1
    for part in (
        "case_0: no prediction",
        "case_1: ",
        "more: no truth",
        "case_2: the truth holds the value 2",
        "nothing was scored",
    ):
        assert part in said
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_never_replaced(words, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    done, said = run(*words, "--overwrite")
    assert done.exit_code == 1 and "mine.txt" in said
    assert (tmp_path / "out" / "mine.txt").read_text() == "x"


@pytest.mark.parametrize(
    ("more", "says", "code"),
    [
        (("--merge", "--classes", "a"), "say --merge or --classes", 2),
        (("--classes", "a,a"), "must differ", 2),
        (("--iou", "0"), "at_least is 0.0", 2),
        (("--tolerance", "-1"), "--tolerance", 2),
        (("--tolerance", "nan"), "--tolerance", 2),
        (("--tolerance", "inf"), "tolerance is inf", 2),
        (("--patients", "nowhere.csv"), "nowhere.csv cannot be read", 1),
        (("--truth", "nowhere"), "nowhere is no folder", 1),
    ],
)
def test_what_cannot_be_done_is_said(words, tmp_path, more, says, code):
    done, said = run(*words, *more)
    assert (done.exit_code, says in said) == (code, True), said
    assert not (tmp_path / "out").exists()


def test_merging_scores_foreign_values(words, tmp_path):
    write_labels(tmp_path / "predicted" / "case_0.nii.gz", type(drawn(0))(labels=drawn(0).labels * 7, grid=drawn(0).grid))
    assert run(*words)[0].exit_code == 1
    assert run(*words, "--merge")[0].exit_code == 0


def test_no_torch_is_loaded(words):
    code = f"""
import sys
from panlesion.cli.main import app
try:
    app({["evaluate", *map(str, words)]!r})
except SystemExit as end:
    assert not end.code
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
