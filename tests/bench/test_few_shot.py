import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from few_shot_made import TASK
from runs_made import TINY, tiny_fit

from panlesion.bench.baselines import centre_ball
from panlesion.bench.few_shot import FewShot, Row, read_rows, run_few_shot
from panlesion.bench.few_shot_table import gain, summary
from panlesion.bench.registry import STS
from panlesion.bench.task import Arm
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo
from panlesion.train.finetune import Finetune


def plan(**changes):
    return FewShot(**({"shots": (1, 2), "seeds": 2, "finetune": Finetune(fit=tiny_fit(3), patch_voxels=16)} | changes))


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=2.5, patch_voxels=16)).eval()


@pytest.fixture(scope="module")
def whole(model, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole")
    return out, run_few_shot(TASK, out, model, plan(), out)


def test_every_arm_meets_the_same_patients(whole):
    _, rows = whole
    tested = {(row.arm, row.shots, row.seed): set() for row in rows}
    for row in rows:
        tested[row.arm, row.shots, row.seed].add(row.patient)
    for seed in (0, 1):
        assert len({frozenset(names) for key, names in tested.items() if key[2] == seed}) == 1
    assert {row.arm for row in rows} == set(TASK.arms)


def test_what_is_there_is_not_run_again(whole, model):
    out, rows = whole
    said = []
    again = run_few_shot(TASK, out, model, plan(), out, watch=lambda *args: said.append(args))
    assert again == rows == read_rows(out)
    assert not said


def test_an_interrupted_comparison_gives_the_same_rows(whole, model, tmp_path):
    out, rows = whole
    run_few_shot(TASK, tmp_path, model, plan(seeds=1), tmp_path, watch=None)
    (tmp_path / "splits.json").write_text((out / "splits.json").read_text())
    resumed = run_few_shot(TASK, tmp_path, model, plan(), tmp_path)
    key = lambda row: (row.arm, row.shots, row.seed, row.patient)  # noqa: E731
    assert sorted(resumed, key=key) == sorted(rows, key=key)


def test_a_line_cut_by_a_kill_is_dropped_and_its_job_run_again(whole, model, tmp_path):
    out, rows = whole
    lines = (out / "results.jsonl").read_text().splitlines()
    shutil.copytree(out, tmp_path, dirs_exist_ok=True)
    (tmp_path / "results.jsonl").write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:10])
    again = run_few_shot(TASK, tmp_path, model, plan(), tmp_path)
    key = lambda row: (row.arm, row.shots, row.seed, row.patient)  # noqa: E731
    assert sorted(again, key=key) == sorted(rows, key=key)


def test_the_ball_has_the_volume_it_was_given():
    ball = centre_ball((40, 40, 40), 2.0, 30.0)
    assert ball.sum() * 0.008 == pytest.approx(30.0, rel=0.03)
    assert np.abs(np.argwhere(ball).mean(axis=0) - 19.5).max() < 1e-9


def test_a_gain_is_paired():
    rows = [Row(arm=Arm.FINETUNED, shots=1, seed=0, patient=str(n), case=str(n), dice=0.1 * n + 0.2) for n in range(5)]
    rows += [replace(row, arm=Arm.SCRATCH, dice=row.dice - 0.05) for row in rows]
    found = gain(rows, Arm.FINETUNED, Arm.SCRATCH, 1)
    assert (found.mean, found.low, found.high) == pytest.approx((0.05, 0.05, 0.05))
    assert [(arm, shots) for arm, shots, _ in summary(rows)] == [(Arm.SCRATCH, 1), (Arm.FINETUNED, 1)]


@pytest.mark.realdata
def test_the_sarcomas_are_read_in_the_standard_frame(shared_data):
    case = next(iter(STS.cases(shared_data)))
    assert case.ct.grid.axes == "LPS"
    assert case.label.grid.same_as(case.ct.grid)
    assert case.label.labels.max() == 1
