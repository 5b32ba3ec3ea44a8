from dataclasses import replace

import numpy as np
import pytest
import torch
from labelled_made import write_pairs
from runs_made import TINY, tiny_fit

from panlesion.data.sources.labelled_check import check_labelled
from panlesion.data.sources.labelled_folder import find_labelled
from panlesion.errors import StoreError, TrainingError
from panlesion.nets.checkpoint import load_model
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo
from panlesion.recipes.finetune import Keep, finetune, prepare, refuse_folder, resolve
from panlesion.recipes.starting_weights import StartingWeights, start_classes
from panlesion.train.finetune import Finetune


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return find_labelled(write_pairs(tmp_path_factory.mktemp("data"), 3))


def a_start():
    torch.manual_seed(0)
    info = ModelInfo(
        preset=TINY, classes=pan_tumour_classes(), spacing_mm=4.0, patch_voxels=16, provenance={"data": "phantoms"}
    )
    return StartingWeights(model=Model(info), name="tiny", sha256="ab" * 32)


def a_recipe(start, data, **changes):
    checked = check_labelled(data, names={}, spacing_mm=4.0)
    assert checked.problems == ()
    starts = start_classes(start, checked.classes.names)
    recipe = resolve(start, starts, checked, ("case_1",), spacing_mm=4.0, protocol=Finetune(fit=tiny_fit(4, log_every=1)))
    return replace(recipe, **changes)


@pytest.mark.parametrize(("wanted", "share"), [("auto", 0.5), ("fresh", 0.0)])
def test_a_random_head_is_not_averaged_into_the_trained_one(data, wanted, share):
    start, checked = a_start(), check_labelled(data, names={}, spacing_mm=4.0)
    starts = start_classes(start, checked.classes.names, wanted)
    assert resolve(start, starts, checked, (), spacing_mm=4.0).start_share == share


def test_the_checkpoint_says_what_it_is_and_names_no_case(tmp_path, data):
    start = a_start()
    tuned = finetune(a_recipe(start, data), start, data, tmp_path / "run")
    model = load_model(tmp_path / "run" / "model.safetensors")
    assert model.classes.names == ("lesions/none", "lesions/class_1", "lesions/class_3")
    assert (model.info.spacing_mm, model.info.recipe["values"]) == (4.0, [1, 3])
    assert (model.info.provenance["base"], model.info.provenance["base_sha256"]) == ("tiny", "ab" * 32)
    assert model.info.provenance["data"] == "2 annotated CTs of the user"
    assert "case_" not in str(model.info)
    x = torch.rand(1, 1, 16, 16, 16)
    assert torch.equal(model(x), tuned(x))


def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path, data):
    def stop(progress):
        if progress.step == 3:
            raise KeyboardInterrupt

    start = a_start()
    recipe = replace(a_recipe(start, data), fit=tiny_fit(5, save_every=2))
    whole = finetune(recipe, start, data, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        finetune(recipe, start, data, tmp_path / "stopped", watch=stop)
    seen = []
    resumed = finetune(recipe, start, data, tmp_path / "stopped", watch=lambda progress: seen.append(progress.step))
    assert seen == [3, 4, 5]
    assert all(torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True))


def test_an_edited_label_is_another_run(tmp_path, data):
    start = a_start()
    recipe = a_recipe(start, data)
    finetune(recipe, start, data, tmp_path)
    edited = replace(recipe, cases=(replace(recipe.cases[0], label_crc=1), *recipe.cases[1:]))
    with pytest.raises(TrainingError, match="differs in cases"):
        finetune(edited, start, data, tmp_path)


def test_a_run_can_be_made_longer(tmp_path, data):
    start, seen = a_start(), []
    recipe = a_recipe(start, data)
    finetune(recipe, start, data, tmp_path)
    longer = replace(recipe, fit=replace(recipe.fit, steps=6))
    finetune(longer, start, data, tmp_path, watch=lambda progress: seen.append(progress.step))
    assert seen == [5, 6]


def test_names_changed_over_are_another_run(tmp_path, data):
    start = a_start()
    recipe = a_recipe(start, data)
    finetune(recipe, start, data, tmp_path)
    with pytest.raises(TrainingError, match="differs in names"):
        finetune(replace(recipe, names=recipe.names[::-1]), start, data, tmp_path)


def test_held_out_cases_are_not_trained_on(tmp_path, data):
    """The same weights come out whatever the held-out case holds."""
    start = a_start()
    recipe = a_recipe(start, data)
    one = finetune(recipe, start, data, tmp_path / "one")
    prepare(recipe, data, tmp_path / "two")
    target = tmp_path / "two" / "prepared" / "0001_target.npy"
    np.save(target, np.zeros_like(np.load(target)) + np.uint8(2))
    two = finetune(recipe, start, data, tmp_path / "two")
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))


def test_the_best_weights_are_those_of_the_highest_check(tmp_path, data, monkeypatch):
    scores, seen = iter((0.2, 0.6, 0.4, 0.6)), []

    def score(model, _):
        seen.append([p.detach().clone() for p in model.parameters()])
        return {"class_1": next(scores)}

    monkeypatch.setattr("panlesion.recipes.finetune.validation_dice", score)
    start = a_start()
    recipe = replace(a_recipe(start, data, keep=Keep.BEST), fit=tiny_fit(4, check_every=1))
    model = finetune(recipe, start, data, tmp_path)
    assert model.info.provenance["held_out_dice"] == 0.6
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), seen[1], strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(model.parameters(), seen[3], strict=True))


def test_a_damaged_prepared_case_is_named(tmp_path, data):
    start = a_start()
    recipe = a_recipe(start, data)
    prepare(recipe, data, tmp_path)
    (tmp_path / "prepared" / "0000_hu.npy").write_bytes(b"x")
    with pytest.raises(TrainingError, match=r"0000_hu\.npy is damaged"):
        prepare(recipe, data, tmp_path)


def test_the_protocol_is_what_is_not_said(data):
    start = a_start()
    protocol = Finetune(encoder_scale=0.25, foreground=0.5)
    checked = check_labelled(data, names={}, spacing_mm=4.0)
    recipe = resolve(start, {"a": None, "b": None}, checked, (), spacing_mm=4.0, steps=30, seed=7, protocol=protocol)
    assert (recipe.encoder_scale, recipe.foreground, recipe.fit.optim) == (0.25, 0.5, protocol.fit.optim)
    assert (recipe.fit.steps, recipe.fit.seed, recipe.fit.check_every, recipe.patch_voxels) == (30, 7, 6, 16)
    assert recipe.fit.save_every < 30


def test_a_run_lies_beside_its_data_and_takes_no_foreign_folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").write_text("")
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "data" / "run", tmp_path / "data", tmp_path):
        with pytest.raises(StoreError, match="lie in one another"):
            refuse_folder(out, tmp_path / "data")
    with pytest.raises(TrainingError, match=r"recipe\.json is missing"):
        refuse_folder(tmp_path / "full", tmp_path / "data")
    with pytest.raises(TrainingError, match="is a file"):
        refuse_folder(tmp_path / "file", tmp_path / "data")
    refuse_folder(tmp_path / "new", tmp_path / "data")
