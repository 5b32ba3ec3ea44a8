import json
from dataclasses import replace

import pytest

from panlesion.errors import TrainingError
from panlesion.nets.checkpoint import load_model
from panlesion.recipes import pretrain as room
from panlesion.recipes.fresh_blocks import FreshBlocks
from panlesion.recipes.pretrain import STAGE_ONE, claim, pretrain


def tiny():
    recipe = STAGE_ONE["nano"](steps=2, seed=4)
    blocks = FreshBlocks(seed=4, spacing_mm=(5.0, 5.0), size_voxels=40, scans=1, lesions_per_scan=1, masses_per_scan=1,
                         healthy_per_scan=1, limb_share=1.0)  # fmt: skip
    return replace(recipe, blocks=blocks, patch_voxels=32, fit=replace(recipe.fit, batch=2))


def test_a_run_leaves_a_model_that_says_where_it_comes_from(tmp_path):
    steps = []
    pretrain(tiny(), tmp_path, watch=lambda progress: steps.append(progress.step))
    model = load_model(tmp_path / "model.safetensors")
    assert steps == [1, 2]
    assert model.info.spacing_mm == 2.5
    assert model.info.recipe["blocks"]["seed"] == 4
    assert len(model.info.offsets) == len(model.classes)  # it was trained with a balance
    assert model.info.provenance["data"] == "drawn phantoms only"
    assert json.loads((tmp_path / "recipe.json").read_text())["preset"] == "nano"


def test_a_finished_run_that_is_started_again_keeps_its_offsets_and_a_longer_one_fits_them_anew(tmp_path, monkeypatch):
    fitted = []

    def fit_offsets(model, _blocks, **_):
        fitted.append(len(fitted) + 1.0)
        return (fitted[-1],) * len(model.classes)

    monkeypatch.setattr(room, "fit_offsets", fit_offsets)
    for recipe, offset in ((tiny(), 1.0), (tiny(), 1.0), (replace(tiny(), fit=replace(tiny().fit, steps=3)), 2.0)):
        pretrain(recipe, tmp_path)
        assert load_model(tmp_path / "model.safetensors").info.offsets[0] == offset


def test_the_published_values_are_in_the_pasta_recipe():
    recipe = STAGE_ONE["pasta"]()
    optim = recipe.fit.optim
    assert recipe.preset == "pasta"
    assert (optim.rate, optim.momentum, optim.weight_decay) == (1e-2, 0.99, 3e-5)
    assert recipe.fit.steps == 2000 * 250
    warp = recipe.augment.warp
    assert (warp.rotation_deg.p, warp.rotation_deg.low, warp.rotation_deg.high) == (0.2, -30.0, 30.0)


def test_a_folder_of_another_recipe_is_refused_but_a_longer_run_is_not(tmp_path):
    claim(tmp_path, STAGE_ONE["nano"](steps=10, seed=1))
    claim(tmp_path, STAGE_ONE["nano"](steps=20, seed=1))
    with pytest.raises(TrainingError, match=r"another recipe \(differs in blocks, fit\)"):
        claim(tmp_path, STAGE_ONE["nano"](steps=10, seed=2))


def test_a_damaged_recipe_is_named(tmp_path):
    (tmp_path / "recipe.json").write_text("{")
    with pytest.raises(TrainingError, match=r"recipe\.json is damaged"):
        claim(tmp_path, STAGE_ONE["nano"]())
