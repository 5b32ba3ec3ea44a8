import json
import re
from dataclasses import replace

import pytest
from few_shot_made import TASK
from labelled_made import write_pairs
from results_made import few_shot
from runs_made import TINY
from typer.testing import CliRunner

from panlesion.bench import registry, stand_ins
from panlesion.bench.few_shot_table import run_task
from panlesion.bench.paper import paper_tasks
from panlesion.bench.protocol import STAND_IN, BenchRow, Dataset, Protocol
from panlesion.bench.stand_ins import StandIn
from panlesion.cli import bench
from panlesion.cli.main import app
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo


def run(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done, " ".join(re.sub(r"[│╭╮╰╯─]", " ", done.output).split())


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A root with the made task's folder, a checkpoint in it, and the task in the table."""
    data = Dataset(folders=("made",), source="drawn", get="nothing", layout="made/")
    row = BenchRow(
        id="made", title="Boxes", protocol=Protocol.FEW_SHOT, run=lambda asked, watch: run_task(TASK, asked, watch),
        takes=registry.FEW_SHOT_CHOICES, data=data,
    )  # fmt: skip
    monkeypatch.setattr(registry, "ROWS", {"made": row, "bare": replace(row, id="bare", takes=frozenset({"workers"}))})
    (tmp_path / "made").mkdir()
    model = Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16))
    save_checkpoint(tmp_path / "tiny.safetensors", model)
    return tmp_path


def test_every_row_is_listed_with_its_protocol_and_data():
    _, said = run("bench", "list")
    for word in ("sts", "lidc", "phantoms", "real", "attributes", "kidney_tumor-few", "sarcoma"):
        assert word in said


@pytest.mark.parametrize("width", ["100", "160"])
def test_the_list_fits_its_console_and_cuts_no_id(monkeypatch, width, tmp_path):
    monkeypatch.setattr(bench.console, "_width", int(width))
    done, said = run("bench", "list", "--root", tmp_path)
    assert max(len(line.rstrip()) for line in done.output.splitlines()) <= int(width)
    assert "…" not in said
    for task in paper_tasks().values():
        assert task.id in said
    for number in ("0.814 (0.80)", "0.25→0.67 (0.08→0.34)", "0.31→0.62 (?→0.46)", "≤0.12", "no data"):
        assert number in said
    assert "no runner yet" not in said


def test_the_list_is_filtered_by_group_and_word(tmp_path):
    _, said = run("bench", "list", "kidney", "--group", "few-shot", "--root", tmp_path)
    assert "kidney_stone-few" in said
    assert "gallstone-few" not in said
    assert "kidney_tumor-full" not in said
    done, said = run("bench", "list", "--group", "brains")
    assert done.exit_code == 2
    assert "is no group; use one of full, few-shot" in said


def test_the_list_as_json_has_every_number_and_what_is_ready(tmp_path):
    write_pairs(tmp_path / "gallstone", 2)
    (tmp_path / "kits23").mkdir()
    done, _ = run("bench", "list", "--json", "--root", tmp_path)
    rows = {row["id"]: row for row in json.loads(done.output)}
    assert set(rows) == set(paper_tasks()) | set(registry.ROWS)
    few = rows["gallstone-few"]
    assert (few["ready"], few["here"]) == (True, "ready: 2 cases")
    (tmp_path / "gallstone" / STAND_IN).touch()
    done, _ = run("bench", "list", "gallstone-few", "--json", "--root", tmp_path)
    assert json.loads(done.output)[0]["here"] == "ready: 2 stand-ins"
    assert [one["shots"] for one in few["published"]] == [1, 2, 4, 8, 16]
    assert (rows["kidney_tumor-full"]["ready"], rows["kidney_tumor-full"]["here"]) == (False, "laid out otherwise")
    assert rows["bone_metastasis-few"]["published"][0] | {"paper": 0} == {
        "metric": "dice", "shots": 1, "paper": 0, "rival": 0.12, "rival_is_bound": True, "error": 0.01
    }  # fmt: skip
    assert rows["lung-survival"]["runner"] is True
    assert rows["phantoms"]["ready"] is True


def test_a_suite_runs_what_the_data_allow_and_tells_of_the_rest(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("suite")
    words = ("bench", "run", "--suite", "local", "--root", root, "--checkpoint", root / "tiny.safetensors", "--out", out / "o",
             "--results", out / "results.md", "--minutes", "0")  # fmt: skip
    done, said = run(*words)
    assert done.exit_code == 1  # nothing begins without a budget
    assert "made: not started" in said
    assert (out / "results.md").read_text() == (out / "o" / "results.md").read_text()


def test_a_suite_on_stand_ins_tells_what_ran_and_what_did_not(root, tmp_path_factory, monkeypatch):
    out = tmp_path_factory.mktemp("suite")
    words = ("bench", "run", "--suite", "stand-ins", "--checkpoint", root / "tiny.safetensors", "--out", out / "o",
             "--results", out / "page.md")  # fmt: skip
    done, said = run(*words)
    assert done.exit_code == 1
    assert "made: no stand-in" in said and "lung-survival: no runner" in said
    monkeypatch.setattr("panlesion.bench.paper.paper_tasks", dict)
    rows = {"made": replace(registry.ROWS["made"], run=lambda *_: [])}
    monkeypatch.setattr(registry, "ROWS", rows)
    made = StandIn(name="made", cases=2, write=lambda to: (to / "made").mkdir(parents=True))
    monkeypatch.setattr(stand_ins, "BY_ROW", {"made": made})
    done, said = run(*words)
    assert done.exit_code == 0, said
    assert "1 of 1 rows ran end to end on stand-ins" in said
    assert (out / "page.md").read_text() == (out / "o" / "standins.md").read_text()


def test_results_are_compared(root):
    few_shot(root / "results")
    done, said = run("bench", "compare", root / "results", "--out", root / "compared")
    assert done.exit_code == 0, said
    assert (root / "compared" / "compare.html").stat().st_size > 1000
    done, said = run("bench", "compare", root / "made", "--out", root / "compared")
    assert done.exit_code == 1
    assert "holds no scores.json" in said


def test_a_run_shows_its_table_and_leaves_it(root):
    out = root / "out"
    words = ("bench", "run", "made", "--root", root, "--checkpoint", root / "tiny.safetensors", "--out", out, "--shots", "1,2",
             "--repetitions", "1", "--arms", "ball,zero")  # fmt: skip
    done, said = run(*words)
    assert done.exit_code == 0, said
    assert "centre ball" in said
    page = (out / "table.md").read_text()
    assert "| centre ball | 2 |" in page
    assert "n = 2" in page
    again, _ = run(*words)
    assert again.exit_code == 0
    assert (out / "table.md").read_text() == page


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("made", "--shots", "one"), "list of numbers"),
        (("brains",), "use one of made, bare"),
        (("bare", "--shots", "1", "--steps", "3"), "takes no --shots or --steps; it takes --workers"),
        (("made", "--arms", "magic"), "magic is no arm"),
        (("made", "--root", "elsewhere"), "elsewhere/made not found"),
        (("shape-attribute",), "cases.csv with the columns case, patient, image, label, shape"),
        ((), "say which row to run, or --suite local"),
        (("--suite", "everything"), "there is local and stand-ins"),
        (("made", "--suite", "local"), "has rows and settings of its own"),
        (("--suite", "local", "--steps", "3"), "give --workers alone"),
        (("made", "--arms", "ball,nnunet"), "nnunet needs nnU-Net in an environment of its own"),
        (("made", "--nnunet-venv", "."), "bin/python is not there"),
        (("made", "--arms", "rival"), "supervised_suprem_unet_2100.pth from"),
        (("made", "--rival", "w.pth"), "w.pth has no --rival-kind"),
        (("made", "--rival", "w.pth", "--rival-kind", "suprem-unet"), "w.pth cannot be read"),
        (("made", "--arms", "ball", "--rival", "w.pth"), "--rival is for the arm rival, which --arms leaves out"),
        (("made", "--arms", "ball", "--nnunet-epochs", "2"), "--nnunet-epochs is for the arm nnunet"),
        (("bare", "--rival-kind", "monai-unet"), "takes no --rival-kind"),
    ],
)
def test_what_cannot_be_done_is_said(root, monkeypatch, words, says):
    monkeypatch.chdir(root)
    options = {"--root": ".", "--checkpoint": "tiny.safetensors", "--out": "out"}
    done, said = run("bench", "run", *words, *(part for pair in options.items() if pair[0] not in words for part in pair))
    assert done.exit_code in (1, 2)
    assert says in said


def test_a_clinical_row_without_its_library_says_what_to_install(root, monkeypatch):
    monkeypatch.setattr(registry, "ROWS", {"made": replace(registry.ROWS["made"], protocol=Protocol.CLINICAL)})
    monkeypatch.setattr("panlesion.cli._extras._BENCH", ("a_library_nobody_has",))
    done, said = run("bench", "run", "made", "--root", root, "--out", root / "out")
    assert done.exit_code == 1
    assert "bench run made needs a_library_nobody_has" in said
    assert "panlesion[bench]" in said
