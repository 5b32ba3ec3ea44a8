"""The paper's rows on drawn cases in the layouts of the public datasets: the whole way from files to scores."""

import pytest
import torch
from runs_made import TINY

from panlesion.bench import lesion_free
from panlesion.bench.paper import Group, paper_tasks
from panlesion.bench.protocol import STAND_IN, Asked, Choices, Protocol
from panlesion.bench.registry import ROWS
from panlesion.bench.scores import read_scores
from panlesion.bench.whole_case_rows import ASKED
from panlesion.ct.modality import Modality
from panlesion.data.sources.registry import SOURCES
from panlesion.data.standins.drawn import draw_case
from panlesion.data.standins.registry import STANDINS
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo

# one row for each public dataset: the few-shot row where there is one; rows about whole cases have their own tests
PUBLIC = {
    task.data.id: task
    for task in reversed(paper_tasks().values())
    if task.id in ROWS and not task.data.own and task.group is not Group.FULL and task.group not in ASKED
}

SEVERAL = {"rider_lung", "covid1920"}
"""Sets with several scans of a patient."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_checkpoint(path, Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16)))
    return str(path)


@pytest.mark.parametrize("data", sorted(PUBLIC))
def test_a_public_row_runs_on_stand_ins_and_says_that_its_numbers_mean_nothing(tmp_path, checkpoint, monkeypatch, data):
    row, source = ROWS[PUBLIC[data].id], SOURCES[data]
    cases = [
        draw_case(f"c{n}", source.classes, n, shape=(24, 24, 20), modality=_modality(data))
        for n in range(10 if data in SEVERAL else 5)
    ]
    STANDINS[data](tmp_path / PUBLIC[data].data.folder, cases)
    (tmp_path / PUBLIC[data].data.folder / STAND_IN).touch()
    monkeypatch.setattr(lesion_free, "find_lesions", lambda *_: (None, None, []))
    chosen = {Protocol.FEW_SHOT: {"arms": ("ball",), "shots": (1,), "seeds": 1}, Protocol.FOLDS: {"arms": ("ball",)}}
    choices = Choices(**chosen.get(row.protocol, {}))
    row.measure(Asked(root=tmp_path, checkpoint=checkpoint, out=tmp_path / "out", choices=choices), lambda *_: None)
    scores = read_scores(tmp_path / "out")
    assert scores
    assert all(one.stand_in for one in scores)
    assert "its numbers mean nothing" in (tmp_path / "out" / "table.md").read_text()


def _modality(data):
    return Modality.MR if data == "atlas_liver" else Modality.CT
