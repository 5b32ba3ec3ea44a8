import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs_made import tiny_model

from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.errors import TrainingError
from panlesion.infer.findings import find_lesions
from panlesion.nets.candidates import detection_look
from panlesion.nets.checkpoint import load_model, save_checkpoint
from panlesion.nets.heads import DETECTION_HEAD
from panlesion.nets.look import Look, Pooling
from panlesion.recipes import stage_three
from panlesion.recipes.stage_three import STAGE_THREE, StageThree, pretrain_detection
from panlesion.synth.whole_scan import WholeScan
from panlesion.train.loop import Fit
from panlesion.train.optim import Method, Optim, Schedule


def tiny(spacing_mm, **changes):
    optim = Optim(method=Method.ADAMW, rate=1e-2, schedule=Schedule.CONSTANT, ema_decay=0.9)
    recipe = StageThree(
        name="tiny", scans=12, healthy_every=5,
        look=Look(spacing_mm=spacing_mm, crop_voxels=16, pooling=(Pooling.LESION, Pooling.SHELL, Pooling.FORM), levels=(0,)),
        fit=Fit(steps=60, batch=8, optim=optim, precision="32-true", save_every=5),
    )  # fmt: skip
    return replace(recipe, **changes)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    model = tiny_model()
    model.info = replace(model.info, recipe={"name": "one"}, provenance={"steps": 7})
    save_checkpoint(path, model)
    return path


def drawn(rng, *, spacing_mm, lesions, **_wanted):
    """Tissue with brighter balls, and lesions that are less bright."""
    hu = rng.normal(40, 10, (32, 32, 32)).astype(np.int16)
    lesion = np.zeros(hu.shape, dtype=bool)
    at = np.indices(hu.shape)
    for n, where in enumerate(((8, 8, 8), (24, 24, 8), (8, 24, 24), (24, 8, 24))):
        ball = sum((a - w) ** 2 for a, w in zip(at, where, strict=True)) < 9
        if n >= 2:
            hu[ball] += 400
        elif lesions:
            hu[ball] += 200
            lesion |= ball
    grid = standard_grid(hu.shape, spacing_mm)
    organs = LabelMap(labels=np.zeros(hu.shape, dtype=np.uint8), grid=grid)
    return WholeScan(ct=Volume(hu=hu, grid=grid), organs=organs, lesion=lesion, types=())


@pytest.fixture(autouse=True)
def scans(monkeypatch):
    """Balls instead of bodies, and a network that marks every ball."""
    made = []

    def draw(rng, **wanted):
        made.append(wanted)
        return drawn(rng, **wanted)

    def predict(_model, ct, **_overlap):
        return ct.hu > 150

    def found(bright):
        labels, count = stage_three.components(bright)
        return labels, [None] * count

    monkeypatch.setattr(stage_three, "draw_whole_scan", draw)
    monkeypatch.setattr(stage_three, "predict_scan", predict)
    monkeypatch.setattr(stage_three, "find", found)
    return made


@pytest.fixture
def recipe(start):
    return tiny(load_model(start).info.spacing_mm)


def losses(out):
    return [json.loads(line)["loss"] for line in (out / "journal.jsonl").read_text().splitlines()]


def test_the_head_tells_lesions_from_other_marks_and_the_network_stands_still(recipe, start, tmp_path):
    model = pretrain_detection(recipe, tmp_path, start_from=start)
    before, after = load_model(start).state_dict(), load_model(tmp_path / "model.safetensors").state_dict()
    assert losses(tmp_path)[-1] < 0.5 * losses(tmp_path)[0]
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert detection_look(model) == recipe.look
    points = model.info.provenance["stage_three"]["operating_points"]
    assert points[0]["sensitivity"] == 1.0 and points[0]["false_per_scan"] == 0
    assert model.info.provenance["steps"] == 7 and model.info.recipe["name"] == "one"


def test_scans_are_healthy_or_have_lesions_as_the_recipe_says(recipe, start, scans, tmp_path):
    pretrain_detection(recipe, tmp_path, start_from=start)
    assert [one["lesions"] for one in scans] == [0, 6, 6, 6, 6] * 2 + [0, 6]
    assert [n for n, one in enumerate(scans) if one["mass"]] == [3, 6, 9]


def test_an_interrupted_run_goes_on_to_the_same_weights(recipe, start, scans, tmp_path):
    def killed(done, _all):
        if done == 5:
            raise KeyboardInterrupt

    def stopped(progress):
        if progress.step == 8:
            raise KeyboardInterrupt

    whole = pretrain_detection(recipe, tmp_path / "whole", start_from=start).state_dict()
    scans.clear()
    for interruption in ({"gathering": killed}, {"watch": stopped}):
        with pytest.raises(KeyboardInterrupt):
            pretrain_detection(recipe, tmp_path / "parts", start_from=start, **interruption)
    parts = pretrain_detection(recipe, tmp_path / "parts", start_from=start).state_dict()
    assert len(scans) == recipe.scans  # none was drawn twice
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")


def test_a_network_that_marks_nothing_cannot_be_taught(recipe, start, monkeypatch, tmp_path):
    monkeypatch.setattr(stage_three, "find", lambda bright: (np.zeros(bright.shape, dtype=np.int32), []))
    with pytest.raises(TrainingError, match="of 0 parts marked in 12 scans"):
        pretrain_detection(recipe, tmp_path, start_from=start)


def test_a_scan_that_fails_ends_the_run_with_its_number(recipe, start, monkeypatch, tmp_path):
    def broken(_rng, **_wanted):
        raise TrainingError("no body")

    monkeypatch.setattr(stage_three, "draw_whole_scan", broken)
    with pytest.raises(TrainingError, match=r"scan 0 could not be made.*no body"):
        pretrain_detection(recipe, tmp_path, start_from=start)


def test_another_recipe_in_the_folder_is_refused(recipe, start, tmp_path):
    pretrain_detection(recipe, tmp_path, start_from=start)
    with pytest.raises(TrainingError, match="differs in scans"):
        pretrain_detection(replace(recipe, scans=13), tmp_path, start_from=start)


def test_findings_get_the_probability(recipe, start, tmp_path):
    model = pretrain_detection(recipe, tmp_path, start_from=start)
    ct = drawn(np.random.default_rng(9), spacing_mm=model.info.spacing_mm, lesions=1).ct
    _, labels, findings = find_lesions(model, ct)
    assert len(findings) == labels.max()
    assert all(one.probability is not None and one.certainty == one.probability for one in findings)


def test_the_nano_recipe_looks_as_the_shipped_network_can():
    STAGE_THREE["nano"]().look.check(load_model("nano").preset)


def test_healthy_scans_may_not_be_all_that_calibrates():
    with pytest.raises(ValueError, match="healthy_every is 2"):
        tiny(2.5, healthy_every=2)


def test_probabilities_are_those_of_scans_with_as_many_lesions_as_expected(recipe, start, tmp_path):
    """Twice as many expected lesions double the odds of every part, and change neither ranking nor operating points."""
    models = {
        expected: pretrain_detection(replace(recipe, expected_lesions=expected), tmp_path / str(expected), start_from=start)
        for expected in (0.5, 1.0)
    }
    few, many = (model.heads[DETECTION_HEAD].state_dict() for model in models.values())
    last = list(few)[-1]
    assert float(many[last] - few[last]) == pytest.approx(np.log(2), rel=1e-4)  # the logit of every part
    assert all(torch.equal(few[name], many[name]) for name in few if name != last)
    tables = [model.info.provenance["stage_three"]["operating_points"] for model in models.values()]
    assert [point["sensitivity"] for point in tables[0]] == [point["sensitivity"] for point in tables[1]]


def test_so_many_lesions_must_be_expected():
    with pytest.raises(ValueError, match="expected_lesions is 0"):
        tiny(2.5, expected_lesions=0.0)
