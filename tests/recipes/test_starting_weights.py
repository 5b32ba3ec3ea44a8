import hashlib

import pytest
import torch
from runs_made import TINY

from panlesion.errors import CheckpointError
from panlesion.nets.checkpoint import save_checkpoint, write_official
from panlesion.nets.classes import LESIONS, OTHER_MASS, Classes, ClassGroup, pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo, new_model
from panlesion.nets.official import official_classes, read_official
from panlesion.recipes import starting_weights as room
from panlesion.recipes.starting_weights import AUTO, FRESH, SCRATCH, adapted_from, start_classes, starting_weights


def a_model(classes=None, **changes):
    torch.manual_seed(1)
    return Model(ModelInfo(preset=TINY, classes=classes or pan_tumour_classes(), spacing_mm=3.0, patch_voxels=16, **changes))


@pytest.fixture
def start(tmp_path):
    save_checkpoint(tmp_path / "tiny.safetensors", a_model())
    return starting_weights(str(tmp_path / "tiny.safetensors"))


def row(model, name):
    group = model.classes.group(LESIONS)
    return model.classes.channels(LESIONS).start + group.classes.index(name)


def test_a_file_is_known_by_its_hash(tmp_path, start):
    assert start.name == "tiny.safetensors"
    assert start.sha256 == hashlib.sha256((tmp_path / "tiny.safetensors").read_bytes()).hexdigest()


def test_the_shipped_model_is_known_by_its_name():
    assert starting_weights("nano").name == "nano"


def test_a_class_begins_as_its_namesake_or_as_a_mass(start):
    assert start_classes(start, ("kidney_cyst", "sarcoma")) == {"kidney_cyst": "kidney_cyst", "sarcoma": OTHER_MASS}
    assert start_classes(start, ("sarcoma",), "lung_tumor") == {"sarcoma": "lung_tumor"}
    assert start_classes(start, ("sarcoma",), FRESH) == {"sarcoma": None}
    with pytest.raises(ValueError, match="start class is 'lungs'; use auto, fresh or a lesion class"):
        start_classes(start, ("sarcoma",), "lungs")


def test_each_head_says_what_its_own_class_said(start):
    model = adapted_from(start, {"kidney_cyst": "kidney_cyst", "sarcoma": OTHER_MASS, "new": None}, spacing_mm=2.0, seed=0)
    x = torch.rand(1, 1, 16, 16, 16)
    was, now = start.model(x), model(x)
    for channel, name in enumerate(("none", "kidney_cyst", OTHER_MASS)):
        assert torch.allclose(now[:, channel], was[:, row(start.model, name)])
    assert now.shape[1] == 4
    assert model.info.spacing_mm == 2.0


def test_fresh_weights_follow_the_seed(start):
    scratch = starting_weights(SCRATCH)
    for one in (scratch, start):
        a, b, c = (adapted_from(one, {"new": None}, spacing_mm=2.0, seed=seed) for seed in (1, 1, 2))
        last = list(a.unet.heads.parameters())[-1]
        assert torch.equal(last, list(b.unet.heads.parameters())[-1])
        assert not torch.equal(last, list(c.unet.heads.parameters())[-1])
    encoder = (next(adapted_from(scratch, {"new": None}, spacing_mm=2.0, seed=seed).parameters()) for seed in (1, 2))
    assert not torch.equal(*encoder)


def test_scratch_has_no_class_to_begin_with():
    scratch = starting_weights(SCRATCH)
    assert (scratch.sha256, scratch.model.info.spacing_mm, scratch.model.info.patch_voxels) == ("", 2.5, 48)
    assert start_classes(scratch, ("liver_tumor",)) == {"liver_tumor": None}


def test_a_network_that_was_fine_tuned_before_is_a_start_too(tmp_path):
    save_checkpoint(
        tmp_path / "mine.safetensors", a_model(Classes(groups=(ClassGroup(name=LESIONS, classes=("none", "sarcoma")),)))
    )
    start = starting_weights(str(tmp_path / "mine.safetensors"))
    assert start_classes(start, ("sarcoma", "cyst"), AUTO) == {"sarcoma": "sarcoma", "cyst": None}


@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_public_weights_lose_their_heads(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(room, "read_official", _official)
    torch.manual_seed(5)
    theirs = Model(ModelInfo(preset=TINY_TWO, classes=official_classes(5), spacing_mm=1.0, patch_voxels=16))
    write_official(tmp_path / f"PASTA{suffix}", theirs)
    start = starting_weights(str(tmp_path / f"PASTA{suffix}"))
    assert start_classes(start, ("liver_tumor",)) == {"liver_tumor": None}
    model = adapted_from(start, {"liver_tumor": None}, spacing_mm=1.0, seed=0)
    assert torch.equal(next(model.unet.encoder.parameters()), next(theirs.unet.encoder.parameters()))


TINY_TWO = TINY.__class__(name="tiny", channels=(4, 8), decoder_convs=2, features_from=1)


def _official(path, *, preset, lose):
    """The public reader, for a network small enough for a test."""
    assert preset == "pasta"
    return read_official(path, preset=TINY_TWO, lose=lose, patch_voxels=16)


def test_what_is_no_start_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "state.pt").write_bytes(b"nothing")
    (tmp_path / "other.safetensors").write_bytes(b"nothing")
    save_checkpoint(tmp_path / "two.safetensors", a_model(in_channels=2))
    for name, says in (
        ("run", "is a folder; give a checkpoint in it"),
        ("state.pt", "read as the public PASTA weights"),
        ("absent.pth", "no such file"),
        ("absent.safetensors", "neither a file nor a shipped model"),
        ("other.safetensors", "truncated, damaged"),
        ("two.safetensors", "takes 2 channels"),
    ):
        with pytest.raises(CheckpointError, match=says):
            starting_weights(str(tmp_path / name))
    with pytest.raises(ValueError, match="has its own"):
        starting_weights("nano", preset="small")
    with pytest.raises(ValueError, match="preset is 'mega'"):
        starting_weights(SCRATCH, preset="mega")
    assert new_model("nano", spacing_mm=1.0, patch_voxels=48).preset.name == "nano"
