import json
import shutil

import pytest
import torch
from published_network import Segmenter, shuffled
from safetensors.torch import load_file, save_file

from panlesion.errors import CheckpointError
from panlesion.nets import checkpoint, sealed
from panlesion.nets.checkpoint import load_checkpoint, load_model, save_checkpoint, shipped_models
from panlesion.nets.classes import Classes, ClassGroup, pan_tumour_classes
from panlesion.nets.heads import Head
from panlesion.nets.model import Intensity, Model, ModelInfo
from panlesion.nets.preset import Preset

PRESET = Preset(name="tiny", channels=(4, 8, 12), decoder_convs=1, features_from=2)


def tiny_model(**info):
    given = {"preset": PRESET, "classes": pan_tumour_classes(), "spacing_mm": 2.5, "patch_voxels": 16}
    return shuffled(Model(ModelInfo(**(given | info)), {"attributes": Head(12, 13), "detection": Head(12, 1)}))


@pytest.fixture
def path(tmp_path):
    save_checkpoint(tmp_path / "model.safetensors", tiny_model())
    return tmp_path / "model.safetensors"


def rewritten(path, change):
    """The file with its header changed by `change(header)` and its tensors as they were."""
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["panlesion"])
    header = change(header) or header
    save_file(load_file(path), path, metadata={"panlesion": header if isinstance(header, str) else json.dumps(header)})
    return path


def resigned(path, change):
    """As `rewritten`, with a digest that fits: damage done on purpose, or by a program that writes nonsense."""

    def sign(header):
        change(header)
        plain = {name: value for name, value in header.items() if name != "sha256"}
        header["sha256"] = sealed.digest(sealed.canonical(plain), load_file(path))

    return rewritten(path, sign)


def test_what_was_saved_comes_back_with_all_that_must_be_known(tmp_path):
    model = tiny_model(
        classes=Classes(groups=(ClassGroup(name="a", classes=("none", "x")), ClassGroup(name="b", classes=("none", "ä")))),
        intensity=Intensity(hu=(-100.0, 300.0), network=(0.0, 1.0)),
        licence="CC0",
        recipe={"steps": 300, "rates": [0.1, 1e-3], "nested": {"mirror": True}},
        provenance={"seed": 3, "from": None},
    )
    save_checkpoint(tmp_path / "m.safetensors", model)
    back = load_checkpoint(tmp_path / "m.safetensors")
    assert back.info == model.info
    assert {name: tuple(head(torch.zeros(1, 12)).shape) for name, head in back.heads.items()} == {
        "attributes": (1, 13),
        "detection": (1, 1),
    }
    assert all(torch.equal(tensor, back.state_dict()[name]) for name, tensor in model.state_dict().items())
    x = torch.rand(1, 1, 16, 16, 16)
    assert torch.equal(back(x), model(x))


def test_a_loaded_model_can_be_trained_and_its_file_removed(path):
    model = load_checkpoint(path)
    path.unlink()
    model(torch.rand(1, 1, 16, 16, 16)).square().mean().backward()
    assert model.unet.encoder[0][0].conv.weight.grad.abs().sum() > 0


def test_half_precision_takes_half_the_room_and_comes_back_as_single(tmp_path, path):
    half = tmp_path / "half.safetensors"
    save_checkpoint(half, tiny_model(), dtype=torch.float16)
    assert half.stat().st_size < 0.65 * path.stat().st_size
    for one, other in zip(load_checkpoint(half).parameters(), load_checkpoint(path).parameters(), strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


def test_equal_models_give_equal_bytes_and_no_other_file_is_left(tmp_path, path):
    save_checkpoint(tmp_path / "again.safetensors", tiny_model())
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_loading_draws_no_random_number(path):
    before = torch.get_rng_state()
    load_checkpoint(path)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("keep", [0, 4, 100, 3000, -1])
def test_a_truncated_file_is_named_as_such(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"model.safetensors is truncated, damaged"):
        load_checkpoint(path)


def test_one_changed_bit_of_a_weight_is_noticed(path):
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"SHA-256 .* it was changed or damaged"):
        load_checkpoint(path)


def test_a_changed_spacing_is_noticed(path):
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_checkpoint(rewritten(path, lambda header: header["model"].update(spacing_mm=2.0)))


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"format": NaN}', "[" * 100_000, '{"format": "other"}', '{"n": 1e999}'])
def test_a_header_that_is_no_header_is_refused(path, text):
    with pytest.raises(CheckpointError, match="its header"):
        load_checkpoint(rewritten(path, lambda _: text))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda h: h.update(version=2), "format version 2, this panlesion reads 1"),
        (lambda h: h.pop("model"), "lacks model"),
        (lambda h: h["model"].pop("licence"), r"lacks model\.licence"),
        (lambda h: h["model"].update(spacing_mm="fine"), r"model\.spacing_mm"),
        (lambda h: h["model"].update(offsets=[0.0]), r"1 offsets for \d+ classes in its header cannot be"),
        (lambda h: h["model"].update(spacing_mm=0.0), "spacing_mm 0.0 in its header cannot be"),
        (lambda h: h["model"].update(patch_voxels=18), "patch_voxels 18 at stride 4"),
        (lambda h: h["model"]["preset"].update(channels=[4, 8, 10**9]), "cannot be"),
        (lambda h: h["model"]["preset"].update(channels=[4]), "features_from"),
        (lambda h: h["model"]["preset"].update(channels=[4, 8, 16]), "tensors do not fit its own header"),
        (lambda h: h["model"]["intensity"].update(hu=[3.0, 1.0, 2.0, 4.0]), "intensity"),
        (lambda h: h["heads"].pop("detection"), "6 tensors do not fit"),
        (lambda h: h["heads"]["detection"].update(type="tree"), "head 'detection' .* knows mlp"),
        (lambda h: h["heads"]["detection"].update(outputs=10**12), "head 'detection'"),
    ],
)
def test_a_header_that_contradicts_rules_or_tensors_is_refused(path, change, words):
    with pytest.raises(CheckpointError, match=words):
        load_checkpoint(resigned(path, change))


def test_a_file_from_before_offsets_has_none(path):
    assert load_checkpoint(resigned(path, lambda header: header["model"].pop("offsets"))).info.offsets == ()


def test_another_safetensors_file_is_told_apart(tmp_path):
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match=r"no checkpoint of panlesion"):
        load_checkpoint(tmp_path / "other.safetensors")


@pytest.mark.parametrize("what", ["absent", "folder"])
def test_what_is_no_file_is_refused(tmp_path, what):
    (tmp_path / "folder").mkdir()
    with pytest.raises(CheckpointError, match=what):
        load_checkpoint(tmp_path / what)


@pytest.mark.parametrize(
    ("model", "dtype", "words"),
    [
        (lambda: tiny_model(), torch.float64, "float64"),
        (lambda: tiny_model(recipe={"rng": object()}), torch.float32, "JSON-able"),
        (lambda: tiny_model(patch_voxels=17), torch.float32, "patch_voxels 17"),
        (lambda: Model(tiny_model().info, {"odd": torch.nn.Linear(12, 2)}), torch.float32, "head 'odd' is a Linear"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path, model, dtype, words):
    with pytest.raises(ValueError, match=words):
        save_checkpoint(tmp_path / "m.safetensors", model(), dtype=dtype)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("value", "dtype"), [(float("nan"), torch.float32), (1e5, torch.float16)])
def test_weights_that_are_no_numbers_once_stored_are_not_written(tmp_path, value, dtype):
    model = tiny_model()
    with torch.no_grad():
        model.unet.ups[0].weight[0] = value
    with pytest.raises(ValueError, match=r"unet\.ups\.0\.weight .* not finite"):
        save_checkpoint(tmp_path / "m.safetensors", model, dtype=dtype)


def test_shipped_models_have_short_names(path, tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    folder.mkdir()
    shutil.copy(path, folder / "mini.safetensors")
    monkeypatch.setattr(checkpoint, "WEIGHTS_FOLDER", folder)
    assert shipped_models() == ("mini",)
    model = load_model("mini")
    assert not model.training
    assert model.preset == PRESET
    with pytest.raises(CheckpointError, match=r"maxi: neither a file nor a shipped model \(there are: mini\)"):
        load_model("maxi")


def test_a_path_is_read_by_its_kind(path, tmp_path):
    assert load_model(path).info == load_model(str(path)).info == tiny_model().info
    weights = shuffled(Segmenter(5)).state_dict()
    torch.save(weights, tmp_path / "PASTA_final.pth")
    with pytest.raises(CheckpointError, match="of another shape"):
        load_model(tmp_path / "PASTA_final.pth")  # known as the public code's, though no network of its size


def test_the_package_offers_load_model():
    import panlesion

    assert panlesion.load_model is load_model
    with pytest.raises(AttributeError, match="lode_model"):
        _ = panlesion.lode_model
