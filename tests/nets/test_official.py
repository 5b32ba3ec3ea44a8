import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from published_network import Classifier, Segmenter, shuffled

from panlesion.errors import CheckpointError
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.heads import Head
from panlesion.nets.model import Model, ModelInfo, new_model
from panlesion.nets.official import CLASSIFIER, OfficialForm, official_classes, official_name, read_official, write_official
from panlesion.nets.preset import PRESETS, Preset

TINY = Preset(name="pasta", channels=(4, 8, 12, 16, 20, 20))
CLASSES = 5


def tiny_model(*, head=None, preset=TINY):
    torch.manual_seed(1)
    info = ModelInfo(preset=preset, classes=official_classes(CLASSES), spacing_mm=1.0, patch_voxels=32)
    return shuffled(Model(info, {} if head is None else {CLASSIFIER: Head(preset.feature_size, head)}), seed=2)


@pytest.fixture
def theirs(tmp_path):
    """A network of the published kind, its file and an input."""
    network = shuffled(Segmenter(CLASSES))
    torch.save(network.state_dict(), tmp_path / "flat.pth")
    return network, tmp_path / "flat.pth", torch.rand(1, 1, 64, 64, 64, generator=torch.Generator().manual_seed(3))


def saved(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def test_same_weights_and_input_give_the_published_networks_logits_and_features(theirs):
    network, path, x = theirs
    model = read_official(path, preset=TINY).eval()
    with torch.no_grad():
        expected, found = network(x), model.unet.deep_logits(x)[::-1]
        for one, other in zip(expected, found, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=0)
        torch.testing.assert_close(model(x), expected[-1], atol=1e-4, rtol=0)
        torch.testing.assert_close(model.features(x), network.features(x), atol=1e-4, rtol=0)
    assert model.info.spacing_mm == 1.0
    assert model.classes.names[0] == "official/class_0"


def test_a_classifier_gives_the_published_classifiers_logits(tmp_path):
    network = shuffled(Classifier(14))
    path = saved(tmp_path, {"state_dict": network.state_dict(), "epoch": 3})
    model = read_official(path, preset=TINY).eval()
    x = torch.rand(2, 1, 32, 32, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.heads[CLASSIFIER](model.features(x)), network(x), atol=1e-4, rtol=0)
    assert len(model.classes) == 14


@pytest.mark.parametrize("form", OfficialForm)
def test_what_we_write_the_published_network_loads_strictly_and_computes_alike(tmp_path, form):
    model = tiny_model(head=CLASSES)
    write_official(tmp_path / "ours.pth", model, form=form)
    content = torch.load(tmp_path / "ours.pth", weights_only=True)
    network = Classifier(CLASSES).eval()
    network.load_state_dict(content if form is OfficialForm.FLAT else content[form.value], strict=True)
    x = torch.rand(1, 1, 32, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.heads[CLASSIFIER](model.features(x)), network(x), atol=1e-4, rtol=0)
        for one, other in zip(Segmenter.forward(network, x), model.unet.deep_logits(x)[::-1], strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["pasta", "small", "nano"])
def test_every_preset_goes_there_and_back(tmp_path, name):
    full = PRESETS[name]
    preset = Preset(
        name=name, channels=tuple(4 * n for n in range(1, len(full.channels) + 1)), decoder_convs=full.decoder_convs
    )
    model = tiny_model(preset=preset)
    write_official(tmp_path / "w.pth", model)
    back = read_official(tmp_path / "w.pth", preset=preset)
    assert all(torch.equal(tensor, back.state_dict()[key]) for key, tensor in model.state_dict().items())


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
@pytest.mark.parametrize("form", OfficialForm)
def test_every_published_form_is_read(tmp_path, theirs, form, prefix):
    weights = {prefix + name: tensor for name, tensor in theirs[0].state_dict().items()}
    model = read_official(saved(tmp_path, weights if form is OfficialForm.FLAT else {form.value: weights}), preset=TINY)
    assert torch.equal(model.state_dict()["unet.ups.0.weight"], theirs[0].tu[0].weight)
    assert model.info.provenance["form"] == form


def test_loss_curves_of_numpy_scalars_beside_the_weights_do_not_disturb(tmp_path, theirs):
    curves = {"logging": {"losses": [np.float64(0.5), np.float32(0.4)], "epochs": np.int64(3)}}
    weights = theirs[0].state_dict()
    model = read_official(saved(tmp_path, {"network_weights": weights, **curves}), preset=TINY)
    assert torch.equal(model.unet.encoder[0][0].conv.weight, weights["conv_blocks_context.0.blocks.0.conv.weight"])


def test_half_precision_becomes_single(tmp_path, theirs):
    model = read_official(saved(tmp_path, {k: v.half() for k, v in theirs[0].state_dict().items()}), preset=TINY)
    assert {tensor.dtype for tensor in model.state_dict().values()} == {torch.float32}


def test_missing_and_unexpected_and_misshapen_tensors_are_all_listed(tmp_path, theirs):
    weights = dict(theirs[0].state_dict())
    del weights["tu.1.weight"]
    weights["extra.bias"] = torch.zeros(3)
    weights["tu.0.weight"] = torch.zeros(1, 2, 2, 2, 2)
    with pytest.raises(CheckpointError) as caught:
        read_official(saved(tmp_path, weights), preset=TINY)
    said = str(caught.value)
    assert "1 missing: tu.1.weight" in said
    assert "1 unexpected: extra.bias" in said
    assert "tu.0.weight is (1, 2, 2, 2, 2), not (20, 20, 2, 2, 2)" in said


def test_heads_are_lost_only_when_the_caller_says_so(tmp_path):
    network = shuffled(Classifier(14))
    path = saved(tmp_path, {"state_dict": network.state_dict()})
    torch.manual_seed(0)
    model = read_official(path, preset=TINY, lose=("seg_outputs", "head"))
    assert model.classes == pan_tumour_classes()
    assert not model.heads
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    assert torch.equal(model.unet.ups[0].weight, network.tu[0].weight)
    bare = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith(("seg_outputs", "head"))}
    path = saved(tmp_path, bare)
    with pytest.raises(CheckpointError, match="5 missing: seg_outputs"):
        read_official(path, preset=TINY)
    assert len(read_official(path, preset=TINY, lose=("seg_outputs",), classes=7).classes) == 7


def test_a_loss_is_named_by_whole_parts_of_a_name(tmp_path, theirs):
    with pytest.raises(CheckpointError, match="unexpected: header"):
        read_official(saved(tmp_path, {**theirs[0].state_dict(), "header": torch.zeros(1)}), preset=TINY, lose=("head",))


def test_another_number_of_classes_than_asked_for_is_an_error(theirs):
    with pytest.raises(CheckpointError, match=r"5 of another shape: seg_outputs.0.weight is \(5"):
        read_official(theirs[1], preset=TINY, classes=9)


def test_more_input_channels_repeat_the_first_convolution(theirs):
    network, path, x = theirs
    model = read_official(path, preset=TINY, in_channels=3)
    first = model.unet.encoder[0][0].conv.weight
    assert first.shape[1] == 3
    assert all(torch.equal(first[:, n : n + 1], network.conv_blocks_context[0].blocks[0].conv.weight) for n in range(3))
    with torch.no_grad():
        assert model(x[:, :, :32, :32].repeat(1, 3, 1, 1, 1)).shape == (1, CLASSES, 32, 32, 64)


class Hostile:
    def __reduce__(self):
        return os.system, ("touch hacked",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_would_run_code_is_refused_by_name(tmp_path, monkeypatch, zipped):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": {"tu.0.weight": Hostile()}}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"evil.pth would run code .*system"):
        read_official(path)
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("keep", [0, 1, 10, 1000, -1000, -1])
def test_a_truncated_file_is_named_as_such(theirs, keep):
    path = theirs[1]
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"flat.pth is truncated or damaged"):
        read_official(path, preset=TINY)


def test_a_file_of_something_else_is_named_as_such(tmp_path):
    path = tmp_path / "notes.pth"
    path.write_text("weights will follow")
    with pytest.raises(CheckpointError, match=r"not written by torch\.save"):
        read_official(path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_official(tmp_path / "absent.pth")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1, 2], "holds a list"),
        ({}, "empty"),
        ({"state_dict": 3}, "state_dict is no state dict"),
        ({"state_dict": {}, "network_weights": {}}, "both network_weights and state_dict"),
        ({"state_dict": {"a": 3}}, "a in state_dict are no tensors"),
        ({"module.a": torch.zeros(1), "a": torch.zeros(1)}, "a is there twice"),
    ],
)
def test_what_is_no_state_dict_is_refused(tmp_path, content, words):
    with pytest.raises(CheckpointError, match=words):
        read_official(saved(tmp_path, content))


def test_weights_that_are_no_numbers_are_refused(tmp_path, theirs):
    weights = theirs[0].state_dict()
    weights["tu.0.weight"][0] = float("nan")
    with pytest.raises(CheckpointError, match=r"tu.0.weight holds numbers that are not finite"):
        read_official(saved(tmp_path, weights), preset=TINY)


def test_two_names_of_one_stored_tensor_become_two_parameters(tmp_path, theirs):
    weights = dict(theirs[0].state_dict())
    weights["conv_blocks_context.0.blocks.1.conv.bias"] = weights["conv_blocks_context.0.blocks.0.conv.bias"]
    block = read_official(saved(tmp_path, weights), preset=TINY).unet.encoder[0]
    assert block[0].conv.bias.data_ptr() != block[1].conv.bias.data_ptr()


def test_reading_draws_no_random_number(theirs):
    before = torch.get_rng_state()
    read_official(theirs[1], preset=TINY)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.realdata
@pytest.mark.parametrize(("file", "classes", "head"), [("unet", 31, None), ("classifier", 14, 14)])
def test_names_and_shapes_are_those_of_the_published_files(shared_data, file, classes, head):
    path = Path(shared_data).parent / "reference" / f"official_pasta_{file}_keys.json"
    reference = {name: tuple(shape) for name, shape in json.loads(path.read_text(encoding="utf-8")).items()}
    with torch.device("meta"):
        model = new_model("pasta", spacing_mm=1.0, patch_voxels=96, classes=official_classes(classes))
        if head is not None:
            model.heads[CLASSIFIER] = Head(model.preset.feature_size, head)
    assert {official_name(name, model.preset): tuple(t.shape) for name, t in model.state_dict().items()} == reference
    if head is None:
        assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == 240.3
