import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs_made import TINY
from tabled_made import rows_made, scan, write_scans, write_table, write_tabled

from panlesion.ct.modality import Modality
from panlesion.ct.nifti import write_volume
from panlesion.ct.volume import Volume
from panlesion.data.sources.case_check import check_table
from panlesion.data.sources.case_table import read_case_table
from panlesion.errors import TrainingError
from panlesion.infer.cases import predict_table, table_for
from panlesion.lesion.case_task import CaseTask, Likelihood
from panlesion.nets.checkpoint import load_checkpoint, load_model
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo
from panlesion.recipes import case_recipe, cases
from panlesion.recipes.case_recipe import Keep, framing_of, resolve
from panlesion.recipes.case_scores import gather_scored, score_cases, write_scores
from panlesion.recipes.cases import cross_validate, parts_of, write_together
from panlesion.recipes.starting_weights import StartingWeights

STAGES = ("I", "II", "III")
CHANCE = {
    "detect": ("AUC", 0.5),
    "stage": ("concordance", 0.5),
    "survive": ("C index", 0.5),
    "describe": ("density accuracy", 0.5),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tabled(tmp_path_factory.mktemp("cases") / "data", 24).parent


@pytest.fixture(scope="module")
def start():
    torch.manual_seed(0)
    info = ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=4.0, patch_voxels=16)
    return StartingWeights(model=Model(info).eval(), name="tiny", sha256="0" * 64)


def protocol(learns="frozen", steps=60):
    made = case_recipe.frozen() if learns == "frozen" else case_recipe.full()
    optim = replace(made.fit.optim, rate=2e-2, warmup_steps=0)
    fit = replace(made.fit, steps=steps, batch=8, optim=optim, save_every=20, log_every=50, precision="32-true")
    return replace(made, fit=fit, views=2 if learns == "frozen" else 1, encoder_scale=1.0)


def planned(folder, start, task, *, rows=None, folds=3, learns="frozen", steps=60, name="cases.csv", **more):
    if rows is not None:
        write_table(folder, rows, name)
    task = CaseTask(task)
    table = read_case_table(folder / name, task, stages=STAGES if task is CaseTask.STAGE else (), need_label=True)
    framing = framing_of(task, start.model, region=case_recipe.Region.LESION)
    checked = check_table(table, task, framing, folds=folds, seed=0)
    assert checked.problems == ()
    return table, resolve(task, start, table, checked, framing, protocol=protocol(learns, steps), **more)


@pytest.mark.parametrize(
    ("task", "more"),
    [("detect", {}), ("stage", {}), ("survive", {}), ("survive", {"likelihood": Likelihood.COX}), ("describe", {})],
)
def test_an_obvious_signal_is_learned_and_told_of_cases_never_learned_from(tmp_path, folder, start, task, more):
    table, recipe = planned(folder, start, task, **more)
    out = tmp_path / "run"
    trained = cross_validate(recipe, start, table, out)
    assert list(trained) == ["fold_1", "fold_2", "fold_3", ""]
    scores = score_cases(recipe, gather_scored(recipe, trained))
    name, chance = CHANCE[task]
    score = next(one for one in scores if one.name == name)
    assert score.value.low > chance, score
    assert (score.value.n, score.cases) == (24, 24)
    write_together(recipe, out)
    with (out / "predictions.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert sorted(row["case"] for row in rows) == [case.id for case in recipe.cases]
    write_scores(out / "scores.json", scores)
    assert json.loads((out / "scores.json").read_text())[0]["value"]["n"] == 24
    model = load_model(out / "model.safetensors")
    answered = predict_table(model, table_for(folder, model))
    assert (len(answered.rows), answered.failures) == (24, ())


def test_a_fold_is_predicted_as_its_checkpoint_predicts_it(tmp_path, folder, start):
    table, recipe = planned(folder, start, "stage", steps=5)
    cross_validate(recipe, start, table, tmp_path / "run", only="2")
    assert not (tmp_path / "run" / "model.safetensors").exists()
    model = load_model(tmp_path / "run" / "fold_2" / "model.safetensors")
    answered = {row["case"]: row for row in predict_table(model, table_for(folder, model)).rows}
    with (tmp_path / "run" / "fold_2" / "predictions.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert {row["case"] for row in rows} == {case.id for case in recipe.cases if case.fold == 1}
    for row in rows:
        for name in ("p_stage_I", "p_stage_III"):
            assert float(row[name]) == pytest.approx(float(answered[row["case"]][name]), abs=2e-5)


def turned(row):
    """The row with every target another one."""
    present, event = (str(1 - int(row[name])) for name in ("present", "event"))
    return row | {"present": present, "event": event, "time": str(900 - int(row["time"]))}


@pytest.mark.parametrize("task", ["detect", "survive"])
def test_labels_of_the_scored_fold_reach_neither_weights_nor_step(tmp_path, folder, start, task):
    rows = [row | {"fold": "abc"[n % 3]} for n, row in enumerate(rows_made(24))]
    other = [turned(row) if row["fold"] == "a" else row for row in rows]
    found = []
    for number, some in enumerate((rows, other)):
        table, recipe = planned(folder, start, task, rows=some, name="folds.csv", steps=40)
        done = cross_validate(recipe, start, table, tmp_path / f"run_{number}", only="a")["fold_a"]
        assert len(parts_of(recipe)[0].choosing) > 0
        found.append((done.step, (tmp_path / f"run_{number}" / "fold_a" / "model.safetensors").read_bytes()))
    assert found[0] == found[1]


def test_labels_of_the_training_part_do_reach_the_weights(tmp_path, folder, start):
    rows = [row | {"fold": "abc"[n % 3]} for n, row in enumerate(rows_made(24))]
    other = [row | {"present": str(1 - int(row["present"]))} if row["fold"] == "b" else row for row in rows]
    found = []
    for number, some in enumerate((rows, other)):
        table, recipe = planned(folder, start, "detect", rows=some, name="folds.csv", steps=4)
        cross_validate(recipe, start, table, tmp_path / f"run_{number}", only="a")
        found.append((tmp_path / f"run_{number}" / "fold_a" / "model.safetensors").read_bytes())
    assert found[0] != found[1]


def test_no_patient_is_on_two_sides(folder, start):
    rows = rows_made(24)
    for n in (3, 9, 14):
        rows[n]["patient"] = rows[0]["patient"]
    _, recipe = planned(folder, start, "detect", rows=rows, name="patients.csv")
    scored = []
    for part in parts_of(recipe):
        sides = [{recipe.cases[row].patient for row in some.tolist()} for some in (part.learned, part.choosing, part.scored)]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
        assert sorted(np.concatenate([part.learned, part.choosing, part.scored]).tolist()) == list(range(24))
        scored += part.scored.tolist()
    assert sorted(scored) == list(range(24))


def test_intervals_come_from_the_training_part_alone(folder, start):
    _, recipe = planned(folder, start, "survive")
    for part in parts_of(recipe):
        rows = np.union1d(part.learned, part.choosing)
        edges = cases.edges_of(recipe, rows)
        times = {recipe.cases[row].targets.time for row in rows.tolist() if recipe.cases[row].targets.event}
        assert set(edges[1:]) <= times
        assert edges[-1] == max(times)


def test_a_frozen_encoder_is_left_bit_for_bit_and_still_segments(tmp_path, folder, start):
    table, recipe = planned(folder, start, "detect", folds=0, steps=6)
    tuned = cross_validate(recipe, start, table, tmp_path / "run")[""].model
    kept = start.model.unet.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in tuned.unet.state_dict().items())
    assert tuned.info.case.masks


def test_a_moving_encoder_moves_and_gives_no_masks_any_more(tmp_path, folder, start):
    table, recipe = planned(folder, start, "detect", folds=0, learns="full", steps=12)
    tuned = cross_validate(recipe, start, table, tmp_path / "run")[""].model
    kept = start.model.unet.state_dict()
    changed = {name.split(".")[0] for name, value in tuned.unet.state_dict().items() if not torch.equal(kept[name], value)}
    assert changed == {"encoder"}
    assert not tuned.info.case.masks
    assert list(tuned.heads) == ["detect"]


def test_full_training_learns_the_signal_too(tmp_path, folder, start):
    table, recipe = planned(folder, start, "detect", learns="full", steps=30, keep=Keep.LAST)
    trained = cross_validate(recipe, start, table, tmp_path / "run", only="1")
    part = parts_of(recipe)[0]
    said = trained["fold_1"].answers.classes["present"][:, 1] > 0.5
    truth = np.array([recipe.cases[row].targets.present for row in part.scored.tolist()])
    assert (said == truth).mean() > 0.8


@pytest.mark.parametrize("learns", ["frozen", "full"])
def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path, folder, start, learns):
    table, recipe = planned(folder, start, "stage", learns=learns, steps=24, folds=0)

    def kill(_name):
        def watch(step):
            if step.step == 22:
                raise KeyboardInterrupt

        return watch

    whole, torn = tmp_path / "whole", tmp_path / "torn"
    cross_validate(recipe, start, table, whole)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(recipe, start, table, torn, watch=kill)
    assert not (torn / "model.safetensors").exists()
    cross_validate(recipe, start, table, torn)
    assert (torn / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_another_table_in_the_folder_of_a_run_is_refused(tmp_path, folder, start):
    table, recipe = planned(folder, start, "detect", steps=1, folds=0)
    cross_validate(recipe, start, table, tmp_path / "run")
    rows = rows_made(24)
    rows[0]["present"] = "1"
    table, other = planned(folder, start, "detect", rows=rows, name="edited.csv", steps=1, folds=0)
    with pytest.raises(TrainingError, match="differs in cases"):
        cross_validate(other, start, table, tmp_path / "run")


def test_a_loss_that_is_no_number_stops_with_the_cases_named(tmp_path, folder, start):
    table, recipe = planned(folder, start, "detect", steps=3, folds=0)
    cases.claim(tmp_path / "run", recipe)
    data = cases.prepare(recipe, start, table, tmp_path / "run")
    data.vectors[:, :, 0] = np.nan
    with pytest.raises(TrainingError, match="step 0: loss or gradient is nan; samples c"):
        cases.train_part(recipe, start, data, parts_of(recipe)[0], tmp_path / "run")


def test_damaged_files_of_a_run_are_named(tmp_path, folder, start):
    table, recipe = planned(folder, start, "detect", steps=1, folds=0)
    cross_validate(recipe, start, table, tmp_path / "run")
    (tmp_path / "run" / "prepared" / "0003_hu.npy").write_bytes(b"\x93NUMPY half")
    with pytest.raises(TrainingError, match=r"0003_hu\.npy is damaged .*remove it"):
        cross_validate(recipe, start, table, tmp_path / "run")


def test_too_few_patients_choose_no_step(folder, start):
    _, recipe = planned(folder, start, "detect", rows=rows_made(9), name="few.csv")
    assert all(not len(part.choosing) for part in parts_of(recipe))
    _, last = planned(folder, start, "detect", keep=Keep.LAST)
    assert all(not len(part.choosing) for part in parts_of(last))


def test_two_images_of_a_case_one_of_them_mr_become_two_channels(tmp_path, start):
    rows = [row | {"mr2": row["case"] + "_mr.nii.gz"} for row in rows_made(6)]
    write_scans(tmp_path, rows)
    for n, row in enumerate(rows):
        image, _ = scan(n, ball_hu=300)
        mr = Volume(hu=(image.hu.astype(int) + 1100).clip(0, 3000).astype(np.int16), grid=image.grid)
        write_volume(tmp_path / row["mr2"], mr)
    table, recipe = planned(tmp_path, start, "detect", rows=rows, folds=0, steps=2)
    cross_validate(recipe, start, table, tmp_path.parent / f"{tmp_path.name}_run")
    model = load_checkpoint(tmp_path.parent / f"{tmp_path.name}_run" / "model.safetensors")
    assert model.info.in_channels == 2
    assert model.info.case.channels == (Modality.CT, Modality.MR)
    assert not model.info.case.masks
    assert len(predict_table(model, table_for(tmp_path, model)).rows) == 6


def test_no_case_id_is_in_the_checkpoint(tmp_path, folder, start):
    rows = [row | {"case": f"smith_{n}", "patient": f"jones_{n}"} for n, row in enumerate(rows_made(12))]
    table, recipe = planned(folder, start, "detect", rows=rows, name="named.csv", steps=1, folds=0)
    cross_validate(recipe, start, table, tmp_path / "run")
    content = (tmp_path / "run" / "model.safetensors").read_bytes()
    assert b"smith" not in content
    assert b"jones" not in content


def test_a_fold_that_is_not_there_is_refused(tmp_path, folder, start):
    table, recipe = planned(folder, start, "detect", steps=1)
    with pytest.raises(ValueError, match="folds are 1, 2, 3"):
        cross_validate(recipe, start, table, tmp_path / "run", only="9")
