import json
from dataclasses import replace

import pytest
import torch
from few_shot_made import DARK, TASK
from runs_made import TINY, tiny_fit

from panlesion.bench import few_shot, transfer
from panlesion.bench.few_shot import FewShot, run_few_shot
from panlesion.bench.few_shot_table import few_shot_tables
from panlesion.bench.task import Arm
from panlesion.nets.checkpoint import load_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo
from panlesion.train.finetune import Finetune

PLAN = FewShot(
    shots=(1,), seeds=2, arms=(Arm.FINETUNED, Arm.TRANSFERRED), finetune=Finetune(fit=tiny_fit(3), patch_voxels=16)
)  # fmt: skip


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16)).eval()


def test_only_training_patients_are_seen_on_the_related_task(model, tmp_path, monkeypatch):
    seen = []
    tune = few_shot.tuned_on_related

    def watched(task, start, cases, config, file):
        seen.append((config.fit.seed, {case.id for case in cases()}))
        return tune(task, start, cases, config, file)

    monkeypatch.setattr(few_shot, "tuned_on_related", watched)
    rows = run_few_shot(DARK, tmp_path, model, PLAN, tmp_path)
    splits = {split["seed"]: split for split in json.loads((tmp_path / "splits.json").read_text())}
    assert seen
    for seed, names in seen:
        assert names == set(splits[seed]["train"]) and not names & set(splits[seed]["test"])
    mine = {(row.shots, row.seed) for row in rows if row.arm is Arm.TRANSFERRED}
    assert mine == {(0, 0), (1, 0), (0, 1), (1, 1)}  # without any label of the task itself, and with one
    for seed in (0, 1):
        tuned = load_checkpoint(tmp_path / "related" / f"tuned_{seed}.safetensors")
        assert tuned.classes.group("lesions").classes == ("none", "box")
    (paired,) = few_shot_tables(DARK, rows)[1:]
    assert any(line[0].startswith(f"{Arm.TRANSFERRED} over {Arm.FINETUNED}") for line in paired.rows)


def test_a_repetition_that_was_tuned_is_not_tuned_again(model, tmp_path, monkeypatch):
    first = run_few_shot(DARK, tmp_path, model, PLAN, tmp_path)
    (tmp_path / "results.jsonl").unlink()
    monkeypatch.setattr("panlesion.bench.transfer.adapted", lambda *_: pytest.fail("tuned again"))
    assert run_few_shot(DARK, tmp_path, model, PLAN, tmp_path) == first


def test_two_jobs_of_a_repetition_may_tune_at_once(model, tmp_path, monkeypatch):
    tune, depth = transfer.finetune_segment, []
    cases = [few_shot._labelled(case) for case in DARK.related.cases(tmp_path)]
    file = tmp_path / "related" / "tuned_0.safetensors"

    def interrupted(start, labelled, config, run):
        tuned = tune(start, labelled, config, run)
        left = sorted(run.rglob("*"))
        if not depth:
            depth.append(run)
            transfer.tuned_on_related(DARK.related, model, lambda: cases, PLAN.finetune, file)
            assert sorted(run.rglob("*")) == left != []
        return tuned

    monkeypatch.setattr(transfer, "finetune_segment", interrupted)
    transfer.tuned_on_related(DARK.related, model, lambda: cases, PLAN.finetune, file)
    assert list(file.parent.iterdir()) == [file]


def test_a_task_alone_has_no_such_arm():
    assert Arm.TRANSFERRED not in TASK.arms and Arm.TRANSFERRED in DARK.arms
    assert replace(DARK, related=None).arms == TASK.arms
    assert DARK.at(2.0).related.working_mm == 2.0
