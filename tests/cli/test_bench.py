import re
from dataclasses import replace

import pytest
from few_shot_made import TASK
from runs_made import TINY
from typer.testing import CliRunner

from panlesion.bench import registry
from panlesion.bench.few_shot_table import run_task
from panlesion.bench.protocol import BenchRow, Dataset, Protocol
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
    for word in ("sts", "lidc", "phantoms", "real", "attributes", "--shots", "sarcoma"):
        assert word in said


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
