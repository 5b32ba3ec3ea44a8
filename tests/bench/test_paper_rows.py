from dataclasses import replace

import pytest
import torch
from bench_sources_made import Tracked, made_source
from runs_made import TINY

from panlesion.bench.few_shot import ALL
from panlesion.bench.few_shot_table import shown_shots
from panlesion.bench.paper import Group, paper_tasks
from panlesion.bench.paper_rows import FOLDS, SHOTS, bench_task, few_shot_plan, fold_plan, paper_rows
from panlesion.bench.protocol import Asked, Choices, Protocol
from panlesion.bench.registry import ROWS
from panlesion.bench.scores import read_scores
from panlesion.data.sources.registry import SOURCES
from panlesion.errors import StoreError
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import LESIONS, OTHER_MASS, pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo

TASKS = paper_tasks()


def test_every_task_has_a_row_of_its_protocol():
    assert not [task.id for task in TASKS.values() if task.id not in ROWS]
    for task in TASKS.values():
        if task.group is Group.FEW_SHOT:
            assert ROWS[task.id].protocol is Protocol.FEW_SHOT
        if task.group in {Group.FULL, Group.PLAIN, Group.PAN_CANCER}:
            assert ROWS[task.id].protocol is Protocol.FOLDS
        if task.group is Group.LESION_FREE:
            assert ROWS[task.id].protocol is Protocol.LESION_FREE


def test_public_data_are_sources_and_their_lesions_are_classes_of_them():
    for task in TASKS.values():
        if not task.data.own:
            assert task.data.id in SOURCES
            assert not task.lesion or task.lesion in SOURCES[task.data.id].classes
        assert not task.type or task.type in pan_tumour_classes().group(LESIONS).classes


def test_a_public_task_without_its_source_has_no_row_but_a_private_one_has():
    rows = paper_rows(TASKS, {})
    assert "gallstone-few" in rows
    assert "kidney_tumor-few" not in rows
    assert "chaos" not in rows


def test_the_plans_are_the_papers_shots_and_folds():
    assert few_shot_plan().shots == SHOTS == (1, 2, 4, 8, 16)
    assert (fold_plan().seeds, fold_plan().cross_validated) == (FOLDS, True)
    assert [shown_shots(shots) for shots in (4, ALL)] == ["4", "all"]


def test_a_head_starts_from_its_type_or_from_any_mass():
    def reader(_root, **_spacing):
        yield from ()

    assert bench_task(TASKS["kidney_tumor-few"], reader).start_from == "kidney_tumor"
    assert bench_task(TASKS["flare23"], reader).start_from == OTHER_MASS


@pytest.mark.parametrize("task", ["kidney_tumor-few", "gallstone-full", "chaos"])
def test_missing_data_are_told_with_source_place_and_layout(tmp_path, task):
    row = ROWS[task]
    with pytest.raises(StoreError) as caught:
        row.check(Asked(root=tmp_path, checkpoint="nano", out=tmp_path / "out", choices=Choices()))
    for words in (row.data.folders[0], row.data.get, row.data.layout):
        assert words in str(caught.value)
    (tmp_path / row.data.folders[0]).mkdir()
    with pytest.raises(StoreError, match="Get ") as caught:
        row.check(Asked(root=tmp_path, checkpoint="nano", out=tmp_path / "out", choices=Choices()))
    assert not (tmp_path / "out").exists()


def run_made(tmp_path, group, source, **choices):
    """A made task of the paper through its row, with the arms that need no training."""
    kidney = TASKS["kidney_tumor-few"]
    data = replace(kidney.data, id="made", folder="made")
    task = replace(kidney, id="made", group=group, spacing_mm=3.0, data=data)
    torch.manual_seed(0)
    model = Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=3.0, patch_voxels=16))
    save_checkpoint(tmp_path / "tiny.safetensors", model)
    (tmp_path / "made").mkdir(exist_ok=True)
    row = paper_rows({"made": task}, {"made": source})["made"]
    asked = Asked(
        root=tmp_path, checkpoint=str(tmp_path / "tiny.safetensors"), out=tmp_path / "out", choices=Choices(**choices)
    )
    row.measure(asked, lambda *_: None)
    return read_scores(tmp_path / "out")


def test_folds_test_every_patient_once(tmp_path):
    scores = run_made(tmp_path, Group.FULL, made_source(11), arms=("ball", "zero"))
    ball, zero = scores
    assert (ball.arm, ball.n, ball.shots, ball.repetitions) == ("centre ball", 11, None, 1)
    assert (zero.arm, zero.n) == ("no real label", 11)
    assert 0 < ball.value < 1


def test_a_cut_reading_goes_on_and_changed_data_are_refused(tmp_path):
    tracked = Tracked()
    run_made(tmp_path, Group.FEW_SHOT, made_source(6, tracked=tracked), arms=("ball",), shots=(1,), seeds=1)
    run_made(tmp_path, Group.FEW_SHOT, made_source(6, tracked=tracked), arms=("ball",), shots=(1, 2), seeds=1)
    assert len(tracked.read) == 6
    with pytest.raises(StoreError, match="holds other cases than the results began with"):
        run_made(tmp_path, Group.FEW_SHOT, made_source(7), arms=("ball",), shots=(1,), seeds=1)


def test_a_dataset_without_the_lesion_is_refused(tmp_path):
    with pytest.raises(StoreError, match="holds 3 cases, none of them with a lesion"):
        run_made(tmp_path, Group.FEW_SHOT, made_source(3, values=dict.fromkeys(range(3), (1,))), arms=("ball",))
