"""The paper's rows on drawn cases in the layouts of the public datasets: the whole way from files to scores."""

from dataclasses import replace

import pytest
import torch
from runs_made import TINY

from panlesion.bench import lesion_free
from panlesion.bench.paper import Group, paper_tasks
from panlesion.bench.protocol import STAND_IN, Asked, Choices, Protocol
from panlesion.bench.registry import ROWS
from panlesion.bench.scores import read_scores
from panlesion.bench.stand_ins import StandIn, lay_out, stand_in_of, tiny_settings
from panlesion.bench.whole_case_rows import ASKED
from panlesion.ct.modality import Modality
from panlesion.data.sources.registry import SOURCES
from panlesion.data.standins.drawn import draw_case
from panlesion.data.standins.registry import STANDINS
from panlesion.errors import StoreError
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


def test_every_row_that_does_not_draw_its_data_has_a_stand_in_and_settings_that_it_takes():
    for row in ROWS.values():
        assert set(tiny_settings(row).given()) <= row.takes
        assert row.data is None or stand_in_of(row) is not None, row.id


OWN = next(task for task in paper_tasks().values() if task.data.own and task.id in ROWS)


@pytest.mark.parametrize(
    "id",
    [
        "sts",
        "sts-mr",
        "lidc-malignancy",
        "kits-stage",
        "real",
        OWN.id,
        "chaos",
        "lung-survival",
        "bladder-staging",
        "gallbladder-detection",
        "shape-attribute",
    ],
)
def test_a_stand_in_is_what_its_row_looks_for_and_is_written_once(tmp_path, id):
    row, one = ROWS[id], stand_in_of(ROWS[id])
    lay_out(one, row.data.folders, tmp_path)
    assert row.data.check(tmp_path) == one.cases
    assert {path.name for path in tmp_path.iterdir()} == set(row.data.folders)
    held = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    lay_out(one, row.data.folders, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == held


def test_two_stand_ins_share_a_folder_and_a_cut_one_is_written_again(tmp_path):
    few = StandIn(name="few", cases=1, write=lambda root: _write(root, "few"))
    lay_out(few, ["scans"], tmp_path)

    def cut(root):
        _write(root, "more")
        raise OSError("killed")

    with pytest.raises(OSError, match="killed"):
        lay_out(StandIn(name="more", cases=2, write=cut), ["scans"], tmp_path)
    assert not (tmp_path / "scans" / "more").exists()
    lay_out(StandIn(name="more", cases=2, write=lambda root: _write(root, "more")), ["scans"], tmp_path)
    assert sorted(path.name for path in (tmp_path / "scans").iterdir()) == [STAND_IN, "few", "more"]
    assert [path.name for path in tmp_path.iterdir()] == ["scans"]
    with pytest.raises(StoreError, match=r"scans holds 1 drawn cases of few, not 3; remove"):
        lay_out(replace(few, cases=3), ["scans"], tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"trees": [1]}', '{"trees": {"few": "two"}}'])
def test_a_damaged_mark_is_refused_and_nothing_is_written(tmp_path, content):
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / STAND_IN).write_text(content)
    with pytest.raises(StoreError, match=r"STAND_IN.*; remove .*scans"):
        lay_out(StandIn(name="few", cases=1, write=lambda root: _write(root, "few")), ["scans"], tmp_path)
    assert [path.name for path in (tmp_path / "scans").iterdir()] == [STAND_IN]


def test_a_stand_in_must_have_every_folder_of_its_row(tmp_path):
    with pytest.raises(FileNotFoundError, match="masks"):
        lay_out(StandIn(name="few", cases=1, write=lambda root: _write(root, "few")), ["scans", "masks"], tmp_path)


def _write(root, name):
    (root / "scans").mkdir(parents=True)
    (root / "scans" / name).write_text(name)


def _modality(data):
    return Modality.MR if data == "atlas_liver" else Modality.CT
