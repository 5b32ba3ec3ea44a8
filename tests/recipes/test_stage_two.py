import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from described_made import BallCrops
from runs_made import tiny_model

from panlesion.errors import CheckpointError, TrainingError
from panlesion.nets.attributes import look_of
from panlesion.nets.checkpoint import load_model, save_checkpoint
from panlesion.nets.look import Look, Pooling
from panlesion.recipes.stage_two import STAGE_TWO, StageTwo, pretrain_head
from panlesion.train.loop import Fit
from panlesion.train.optim import Method, Optim, Schedule

LOOK = Look(spacing_mm=3.0, crop_voxels=16, pooling=(Pooling.LESION, Pooling.SHELL, Pooling.FORM), levels=(0, 1))


def tiny(steps=60, **changes):
    optim = Optim(method=Method.ADAMW, rate=1e-2, schedule=Schedule.CONSTANT, ema_decay=0.9)
    recipe = StageTwo(
        name="tiny", crops=BallCrops(patches=12), look=LOOK, gathered_blocks=2, views=2, balance=0.5,
        fit=Fit(steps=steps, batch=8, optim=optim, precision="32-true", save_every=5),
    )  # fmt: skip
    return replace(recipe, **changes)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    model = tiny_model()
    model.info = replace(model.info, recipe={"name": "one"}, provenance={"steps": 7})
    save_checkpoint(path, model)
    return path


@pytest.fixture(scope="module")
def run(start, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    pretrain_head(tiny(), out, start_from=start)
    return out


def losses(out):
    return [json.loads(line)["loss"] for line in (out / "journal.jsonl").read_text().splitlines()]


def test_the_head_learns_and_the_network_stands_still(run, start):
    before, after = load_model(start).state_dict(), load_model(run / "model.safetensors").state_dict()
    assert losses(run)[-1] < 0.5 * losses(run)[0]
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert any(name.startswith("heads.attributes") for name in after)


def test_the_checkpoint_says_both_stages(run):
    model = load_model(run / "model.safetensors")
    assert look_of(model) == LOOK
    assert model.info.recipe["name"] == "one"
    assert model.info.recipe["stage_two"]["views"] == 2
    assert len(model.info.recipe["stage_two"]["start"]) == 64
    assert model.info.provenance["steps"] == 7
    assert model.info.provenance["stage_two"]["steps"] == 60


def test_an_interrupted_run_goes_on_to_the_same_weights(run, start, tmp_path):
    def killed(progress):
        if progress.step == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain_head(tiny(), tmp_path, start_from=start, watch=killed)
    pretrain_head(tiny(), tmp_path, start_from=start)
    one, two = (load_model(out / "model.safetensors").state_dict() for out in (run, tmp_path))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert losses(run) == losses(tmp_path)


def test_gathered_vectors_are_not_gathered_again_and_their_crops_are_gone(run, start, monkeypatch):
    def never(*_, **__):
        raise AssertionError("gathered again")

    monkeypatch.setattr("panlesion.recipes.stage_two.gather", never)
    assert not list((run / "pool").glob("*.block"))
    seen = []
    pretrain_head(tiny(), run, start_from=start, gathering=lambda done, of: seen.append((done, of)))
    assert seen == [(1, 2), (2, 2)]


def test_another_network_in_the_same_folder_is_refused(run, tmp_path):
    save_checkpoint(tmp_path / "other.safetensors", tiny_model(seed=5))
    with pytest.raises(TrainingError, match="differs in start"):
        pretrain_head(tiny(), run, start_from=tmp_path / "other.safetensors")


def test_a_missing_network_is_said(tmp_path):
    with pytest.raises(CheckpointError, match="neither a file nor a shipped model"):
        pretrain_head(tiny(), tmp_path, start_from="nothing")


def test_fresh_crops_go_through_the_network_at_every_step(start, tmp_path):
    recipe = tiny(steps=2, gathered_blocks=0, balance=0.0, rotation_window=2)
    model = pretrain_head(recipe, tmp_path, start_from=start)
    assert not (tmp_path / "vectors").exists()
    assert all(np.isfinite(losses(tmp_path)))
    assert look_of(model) == LOOK


def test_balance_needs_gathered_vectors():
    with pytest.raises(ValueError, match="needs gathered vectors"):
        tiny(gathered_blocks=0)


def test_the_published_values_are_in_the_pasta_recipe():
    recipe = STAGE_TWO["pasta"]()
    optim = recipe.fit.optim
    assert (optim.method, optim.rate, optim.weight_decay, optim.schedule) == (Method.ADAM, 1e-4, 1e-5, Schedule.COSINE)
    assert (recipe.fit.steps, recipe.fit.batch, recipe.look.crop_voxels, recipe.look.spacing_mm) == (20_000, 64, 96, 1.0)
    assert recipe.look.pooling == (Pooling.CROP,)
    assert (recipe.gathered_blocks, recipe.balance) == (0, 0.0)


@pytest.mark.parametrize("name", STAGE_TWO)
def test_a_recipes_look_fits_its_network(name):
    from panlesion.nets.preset import preset_of

    recipe = STAGE_TWO[name]()
    recipe.look.check(preset_of(name))
    assert recipe.crops.size_voxels >= recipe.look.crop_voxels
    assert recipe.crops.spacing_mm == (recipe.look.spacing_mm, recipe.look.spacing_mm)
