from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from panlesion.errors import CheckpointError
from panlesion.nets import foreign
from panlesion.nets.classes import LESIONS, Classes, ClassGroup
from panlesion.nets.foreign import LAYOUTS, BatchNorm, ForeignKind, UNet3D, monai_unet, read_foreign
from panlesion.nets.model import Model, ModelInfo
from panlesion.nets.official import write_official
from panlesion.nets.preset import Preset
from panlesion.train.tasks.segment import DeepSupervised

CLASSES = Classes(groups=(ClassGroup(name=LESIONS, classes=("none", "ball")),))


class Published(nn.Module):
    """The published U-Net, written down another way: one function, weights by name."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def unit(self, x, name):
        w = self.weights
        x = nn.functional.conv3d(x, w[f"{name}.conv1.weight"], w[f"{name}.conv1.bias"], padding=1)
        mean, variance = x.mean((0, 2, 3, 4), keepdim=True), x.var((0, 2, 3, 4), keepdim=True, unbiased=False)
        scale, shift = (w[f"{name}.bn1.{one}"][:, None, None, None] for one in ("weight", "bias"))
        return ((x - mean) / (variance + 1e-5).sqrt() * scale + shift).clamp(min=0)

    def forward(self, x):
        w, skips = self.weights, []
        for name in ("down_tr64", "down_tr128", "down_tr256", "down_tr512"):
            x = self.unit(self.unit(x, f"{name}.ops.0"), f"{name}.ops.1")
            skips.append(x)
            x = nn.functional.max_pool3d(x, 2)
        x = skips.pop()
        for name in ("up_tr256", "up_tr128", "up_tr64"):
            x = nn.functional.conv_transpose3d(x, w[f"{name}.up_conv.weight"], w[f"{name}.up_conv.bias"], stride=2)
            x = self.unit(self.unit(torch.cat((x, skips.pop()), 1), f"{name}.ops.0"), f"{name}.ops.1")
        return nn.functional.conv3d(x, w["out_tr.final_conv.weight"], w["out_tr.final_conv.bias"])


def shuffled(network, seed=0):
    generator = torch.Generator().manual_seed(seed)
    for p in network.parameters():
        p.data = p.data + 0.1 * torch.randn(p.shape, generator=generator)
    return network


@pytest.fixture
def unet3d(monkeypatch):
    """Weights of the shared U-Net, an eighth as wide as published, which is what is then read."""
    narrow = partial(UNet3D, width=8)
    layouts = {
        kind: replace(one, build=narrow) if one.build is UNet3D else one for kind, one in LAYOUTS.items()
    }  # fmt: skip
    monkeypatch.setattr(foreign, "LAYOUTS", layouts)
    torch.manual_seed(0)
    return shuffled(narrow(2)).state_dict()


def saved(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def as_suprem(weights):
    """The published wrapping, prefixes, and what of the file is no U-Net."""
    others = {"module.organ_embedding": torch.zeros(25, 512), "module.controller.bias": torch.zeros(153)}
    others |= {"module.precls_conv.0.weight": torch.zeros(64), "module.GAP.0.weight": torch.zeros(512)}
    named = {f"module.backbone.{name}": value for name, value in weights.items() if not name.startswith("out_tr")}
    return {"net": named | others, "epoch": 2100, "optimizer": {"state": {}}}


def test_the_shared_unet_has_the_published_size_and_names():
    with torch.device("meta"):
        weights = UNet3D(1).state_dict()
    assert sum(value.numel() for name, value in weights.items() if name.endswith(("weight", "bias"))) == pytest.approx(
        19.08e6, rel=1e-3
    )
    for name, shape in {"down_tr64.ops.0.conv1.weight": (32, 1, 3, 3, 3), "down_tr512.ops.1.conv1.weight": (512, 256, 3, 3, 3),
                        "up_tr256.up_conv.weight": (512, 512, 2, 2, 2), "up_tr64.ops.0.conv1.weight": (64, 192, 3, 3, 3),
                        "down_tr128.ops.1.bn1.running_mean": (128,)}.items():  # fmt: skip
        assert tuple(weights[name].shape) == shape


def test_same_weights_and_input_give_the_published_networks_logits(unet3d):
    network = UNet3D(2, width=8).eval()
    network.load_state_dict(unet3d)
    x = torch.rand(2, 1, 16, 16, 24, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(network(x), Published(unet3d)(x), atol=1e-4, rtol=1e-4)


def test_in_use_the_norm_takes_the_batchs_own_statistics_and_keeps_its_counters():
    norm, x = BatchNorm(3), 5 + torch.randn(2, 3, 4, 4, 4)
    trained = norm(x)
    kept = norm.running_mean.clone()
    assert not torch.equal(kept, torch.zeros(3))
    used = norm.eval()(x)
    torch.testing.assert_close(used, trained)
    assert torch.equal(norm.running_mean, kept)


@pytest.mark.parametrize(
    ("kind", "wrap"),
    [
        (ForeignKind.SUPREM_UNET, as_suprem),
        (ForeignKind.SUPREM_UNET, lambda weights: weights),
        (
            ForeignKind.MODELS_GENESIS,
            lambda weights: {"state_dict": {f"module.{name}": value for name, value in weights.items()}},
        ),
        (ForeignKind.MODELS_GENESIS, lambda weights: {n: v for n, v in weights.items() if "num_batches" not in n}),
    ],
)
def test_a_published_file_fills_all_but_the_head(tmp_path, unet3d, kind, wrap):
    model = read_foreign(saved(tmp_path, wrap(unet3d)), kind, CLASSES, spacing_mm=2.0)
    found = model.unet.network.state_dict()
    body = [name for name in unet3d if not name.startswith("out_tr") and "num_batches" not in name]
    assert all(torch.equal(found[name], unet3d[name]) for name in body)
    assert not torch.equal(found["out_tr.final_conv.weight"], unet3d["out_tr.final_conv.weight"])
    assert (model.info.spacing_mm, model.classes) == (2.0, CLASSES)
    assert model.intensity == LAYOUTS[kind].intensity


def test_a_head_follows_the_seed_alone(tmp_path, unet3d):
    path, before = saved(tmp_path, unet3d), torch.get_rng_state()
    first, again, other = (
        read_foreign(path, ForeignKind.SUPREM_UNET, CLASSES, spacing_mm=3.0, seed=seed).unet.network.out_tr.final_conv.weight
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_monais_unet_is_filled_but_for_its_last_layer(tmp_path):
    theirs = shuffled(monai_unet(2)).state_dict()
    model = read_foreign(saved(tmp_path, {"model": theirs}), ForeignKind.MONAI_UNET, CLASSES, spacing_mm=1.5)
    found = model.unet.network.state_dict()
    same = {name for name, value in found.items() if torch.equal(value, theirs[name])}
    fresh = {name for name in found if name.startswith("model.2.") and name.endswith("conv.weight")}
    assert fresh
    assert not fresh & same
    assert {name for name in found if name.startswith(("model.0.", "model.1."))} <= same


@pytest.mark.parametrize("form", ["own", "whole", "public"])
def test_a_state_dict_of_our_network_is_known_by_its_sizes(tmp_path, monkeypatch, form):
    # the public code has two convolutions a decoder level
    other, mine = (Preset(name=name, channels=(n, 8, 12, 16, 20, 20)) for name, n in (("other", 6), ("mine", 4)))
    monkeypatch.setattr(foreign, "PRESETS", {"other": other, "mine": mine})
    model = shuffled(Model(ModelInfo(preset=mine, classes=CLASSES, spacing_mm=2.5, patch_voxels=48)))
    path = tmp_path / "weights.pth"
    if form == "public":
        write_official(path, model)
    else:
        torch.save((model if form == "whole" else model.unet).state_dict(), path)
    found = read_foreign(path, ForeignKind.STATE_DICT, CLASSES, spacing_mm=3.0)
    assert found.preset == mine
    ours, theirs = model.unet.state_dict(), found.unet.state_dict()
    assert all(torch.equal(theirs[name], value) for name, value in ours.items() if not name.startswith("heads"))
    assert not torch.equal(theirs["heads.0.weight"], ours["heads.0.weight"])


@pytest.mark.parametrize("kind", [ForeignKind.SUPREM_UNET, ForeignKind.MONAI_UNET])
def test_training_sees_one_level_and_use_gives_logits_of_every_voxel(tmp_path, unet3d, kind):
    weights = unet3d if kind is ForeignKind.SUPREM_UNET else monai_unet(2).state_dict()
    model = read_foreign(saved(tmp_path, weights), kind, CLASSES, spacing_mm=3.0)
    x = torch.rand(2, 1, 32, 32, 32)
    (level,) = DeepSupervised(model)(x)
    assert level.shape == (2, 2, 32, 32, 32)
    with torch.no_grad():
        assert model.eval()(x).shape == (2, 2, 32, 32, 32)


def without(weights, name):
    return {one: value for one, value in weights.items() if one != name}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda w: without(w, "down_tr128.ops.0.conv1.weight"), "1 missing: down_tr128.ops.0.conv1.weight"),
        (lambda w: w | {"surprise.weight": torch.zeros(3)}, "1 unexpected: surprise.weight"),
        (
            lambda w: w | {"up_tr64.up_conv.bias": torch.zeros(3)},
            r"of another shape: up_tr64.up_conv.bias is \(3,\), not \(16,\)",
        ),
        (lambda w: w | {"up_tr64.up_conv.bias": torch.full((16,), torch.nan)}, "not finite"),
        (lambda w: {"state_dict": w, "net": w}, "both net and state_dict"),
        (lambda _: {"net": {}}, "empty"),
        (lambda _: {"net": {"epoch": 3}}, "epoch in net are no tensors"),
        (lambda _: [1, 2], "holds a list"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_what_differs(tmp_path, unet3d, change, says):
    with pytest.raises(CheckpointError, match=says):
        read_foreign(saved(tmp_path, change(unet3d)), ForeignKind.MODELS_GENESIS, CLASSES, spacing_mm=3.0)


def test_a_file_of_another_kind_is_told_by_what_to_get(tmp_path, unet3d):
    path = saved(tmp_path, unet3d)
    with pytest.raises(CheckpointError, match=r"missing: model.*unexpected: down_tr64.*get models/model\.pt"):
        read_foreign(path, ForeignKind.MONAI_UNET, CLASSES, spacing_mm=3.0)
    with pytest.raises(CheckpointError, match=r"have no channels.*nano \(16, 32, 64, 96, 128\)"):
        read_foreign(path, ForeignKind.STATE_DICT, CLASSES, spacing_mm=3.0)


def test_a_level_without_channels_is_refused_as_such(tmp_path):
    path = saved(tmp_path, {"encoder.0.0.conv.weight": torch.tensor(1.0), "encoder.1.0.conv.weight": torch.zeros(32)})
    with pytest.raises(CheckpointError, match=r"have \[0, 32\] channels"):
        read_foreign(path, ForeignKind.STATE_DICT, CLASSES, spacing_mm=3.0)


class Hostile:
    def __reduce__(self):
        return (print, ("ran",))


def test_hostile_cut_and_absent_files_are_refused(tmp_path, unet3d, capsys):
    hostile = saved(tmp_path, {"net": unet3d, "more": Hostile()})
    with pytest.raises(CheckpointError, match="would run code"):
        read_foreign(hostile, ForeignKind.SUPREM_UNET, CLASSES, spacing_mm=3.0)
    assert "ran" not in capsys.readouterr().out
    cut = tmp_path / "cut.pth"
    cut.write_bytes(hostile.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match=r"cut\.pth is truncated"):
        read_foreign(cut, ForeignKind.SUPREM_UNET, CLASSES, spacing_mm=3.0)
    with pytest.raises(CheckpointError, match=r"none\.pth cannot be read"):
        read_foreign(tmp_path / "none.pth", ForeignKind.SUPREM_UNET, CLASSES, spacing_mm=3.0)
