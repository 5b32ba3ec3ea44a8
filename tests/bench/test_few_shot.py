import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from few_shot_made import PAIRS, TASK, made_cases
from runs_made import TINY, tiny_fit

from panlesion.bench.few_shot import ALL, FewShot, Row, read_rows, run_few_shot, segment
from panlesion.bench.registry import STS
from panlesion.bench.task import Arm
from panlesion.ct.volume import Volume
from panlesion.errors import StoreError, TrainingError
from panlesion.measure.overlap import dice
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


def test_rows_do_not_depend_on_the_number_of_workers(whole, model, tmp_path):
    _, rows = whole
    some = plan(seeds=1, arms=(Arm.BALL, Arm.SCRATCH))
    found = run_few_shot(TASK, tmp_path, model, some, tmp_path, workers=2)
    assert found == [row for row in rows if row.seed == 0 and row.arm in (Arm.BALL, Arm.SCRATCH)]
    assert found == read_rows(tmp_path)


def test_rows_of_other_steps_weights_or_spacing_are_not_mixed(whole, model):
    out, _ = whole
    other = plan(finetune=Finetune(fit=tiny_fit(4), patch_voxels=16))
    with pytest.raises(StoreError, match=r"another finetune\.fit"):
        run_few_shot(TASK, out, model, other, out)
    with pytest.raises(StoreError, match="another spacing_mm"):
        run_few_shot(TASK.at(6.0), out, model, plan(), out)
    torch.manual_seed(1)
    with pytest.raises(StoreError, match="another model"):
        run_few_shot(TASK, out, Model(model.info), plan(), out)


def test_rows_without_a_case_are_those_of_tasks_with_one_case_a_patient(tmp_path):
    old = {"arm": "scratch", "shots": 1, "seed": 0, "patient": "STS_001", "dice": 0.5}
    (tmp_path / "results.jsonl").write_text(json.dumps(old) + "\n")
    assert read_rows(tmp_path) == [Row(arm=Arm.SCRATCH, shots=1, seed=0, patient="STS_001", case="STS_001", dice=0.5)]


def test_a_patients_cases_stay_together(model, tmp_path):
    rows = run_few_shot(PAIRS, tmp_path, model, plan(arms=(Arm.BALL, Arm.THRESHOLD), seeds=3), tmp_path)
    for seed in range(3):
        tested = {row.case for row in rows if row.seed == seed}
        assert tested == {f"case_{n}{m}" for n in {name[5] for name in tested} for m in "ab"}
    assert {row.shots for row in rows if row.arm is Arm.BALL} == {1, 2}
    assert {row.shots for row in rows if row.arm is Arm.THRESHOLD} == {0, 1, 2}


def test_reserved_patients_are_tested_on_in_development_only(model, tmp_path):
    task = replace(TASK, reserved=3)
    balls = {"arms": (Arm.BALL,), "shots": (1,), "seeds": 3}
    compared, development = (
        {row.patient for row in run_few_shot(task, tmp_path, model, plan(development=chosen, **balls), tmp_path / str(chosen))}
        for chosen in (False, True)
    )
    assert compared
    assert development
    assert not compared & development


def test_fewer_test_patients_are_the_first_of_all(whole, model, tmp_path):
    _, rows = whole
    few = run_few_shot(TASK, tmp_path, model, plan(patients=1, arms=(Arm.BALL,)), tmp_path)
    assert len({row.patient for row in few if row.seed == 0}) == 1
    assert set(few) < set(rows)


def test_a_mask_found_at_another_spacing_lies_where_the_lesion_is(model):
    class Bright(torch.nn.Module):
        info, intensity = replace(model.info, spacing_mm=2.0), model.intensity

        def __init__(self):
            super().__init__()
            self.any = torch.nn.Parameter(torch.zeros(1))

        def forward(self, x):
            middle = x.min() + (x.max() - x.min()) / 2
            return torch.cat([middle - x, x - middle], dim=1)

    case = next(made_cases(None, spacing_mm=1.0))
    image = Volume(hu=np.where(case.label.labels > 0, 200, -200).astype(np.int16), grid=case.ct.grid)
    truth = case.label.labels > 0
    found = segment(Bright(), replace(case, ct=image))
    assert found.shape == truth.shape
    assert dice(found, truth) > 0.85
    assert np.abs(np.argwhere(found).mean(axis=0) - np.argwhere(truth).mean(axis=0)).max() < 0.5


def test_a_job_that_fails_ends_the_comparison_with_its_name_and_keeps_what_is_done(model, tmp_path):
    broken = plan(finetune=Finetune(fit=tiny_fit(3), patch_voxels=15), arms=(Arm.BALL, Arm.FINETUNED), seeds=1, shots=(1,))
    with pytest.raises(TrainingError, match="fine-tuned, 1 shots, repetition 1"):
        run_few_shot(TASK, tmp_path, model, broken, tmp_path)
    assert {row.arm for row in read_rows(tmp_path)} == {Arm.BALL}


def test_folds_train_on_all_the_others_and_test_every_case_once(model, tmp_path):
    folds = plan(seeds=3, cross_validated=True, arms=(Arm.BALL, Arm.ZERO, Arm.FINETUNED))
    rows = run_few_shot(PAIRS, tmp_path, model, folds, tmp_path)
    for arm, shots in ((Arm.BALL, ALL), (Arm.ZERO, 0), (Arm.FINETUNED, ALL)):
        mine = [row for row in rows if row.arm is arm]
        assert sorted(row.case for row in mine) == sorted(case.id for case in PAIRS.cases(tmp_path))
        assert {row.shots for row in mine} == {shots}
    with pytest.raises(StoreError, match="another folds"):
        run_few_shot(PAIRS, tmp_path, model, plan(arms=(Arm.BALL,)), tmp_path)


def test_cases_are_read_once_for_all_jobs_and_runs(model, tmp_path):
    reads = []

    def counted(root, *, spacing_mm):
        for case in made_cases(root, spacing_mm=spacing_mm):
            reads.append(case.id)
            yield case

    task = replace(TASK, read=counted)
    run_few_shot(task, tmp_path, model, plan(arms=(Arm.BALL, Arm.ZERO)), tmp_path)
    run_few_shot(task, tmp_path, model, plan(arms=(Arm.BALL, Arm.ZERO, Arm.THRESHOLD)), tmp_path)
    assert reads == [f"case_{n}" for n in range(6)]


@pytest.mark.realdata
def test_the_sarcomas_are_read_in_the_standard_frame(shared_data):
    case = next(iter(STS.cases(shared_data)))
    assert case.ct.grid.axes == "LPS"
    assert case.label.grid.same_as(case.ct.grid)
    assert case.label.labels.max() == 1
