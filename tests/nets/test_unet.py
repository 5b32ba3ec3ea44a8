import pytest
import torch

from panlesion.nets.blocks import VoxelNorm
from panlesion.nets.preset import PRESETS, Preset
from panlesion.nets.unet import UNet

TINY = Preset(name="tiny", channels=(4, 8, 12), features_from=1)


def parameters(preset, classes):
    with torch.device("meta"):
        return sum(p.numel() for p in UNet(PRESETS[preset], classes).parameters())


def test_sizes_are_those_promised():
    assert parameters("pasta", 31) == 240_323_584
    assert parameters("small", 33) < parameters("pasta", 33) / 3.9
    assert parameters("nano", 33) <= 2_500_000


def test_the_finest_levels_of_both_arms_have_the_voxel_norm():
    net = UNet(Preset(name="tiny", channels=(4, 8, 12), features_from=1, voxel_norms=1), 5)
    voxelwise = {name for name, module in net.named_modules() if isinstance(module, VoxelNorm)}
    assert voxelwise == {"encoder.0.0.norm", "encoder.0.1.norm", "decoder.1.0.norm", "decoder.1.1.norm"}


def test_logits_have_the_inputs_resolution_and_deep_ones_halve_it():
    net = UNet(TINY, 5)
    x = torch.rand(2, 1, 8, 12, 16)
    assert net(x).shape == (2, 5, 8, 12, 16)
    deep = net.deep_logits(x)
    assert [tuple(logits.shape[2:]) for logits in deep] == [(8, 12, 16), (4, 6, 8)]
    torch.testing.assert_close(deep[0], net(x))


def test_features_are_the_average_of_the_level_the_preset_names():
    net = UNet(TINY, 5)
    x = torch.rand(2, 1, 8, 8, 8)
    assert net.features(x).shape == (2, 8)
    torch.testing.assert_close(net.features(x), net.encode(x)[1].mean(dim=(2, 3, 4)))


def test_inference_evaluates_the_last_head_alone():
    net = UNet(TINY, 5)
    used = []
    for n, head in enumerate(net.heads):
        head.register_forward_hook(lambda *_, n=n: used.append(n))
    net(torch.rand(1, 1, 8, 8, 8))
    assert used == [1]


@pytest.mark.parametrize(
    ("shape", "words"),
    [((1, 1, 8, 8, 6), "divisible by 4"), ((1, 2, 8, 8, 8), r"\(B, 1, I, J, K\)"), ((1, 8, 8, 8), r"\(B, 1, I, J, K\)")],
)
def test_an_input_that_does_not_fit_is_refused_with_the_rule(shape, words):
    with pytest.raises(ValueError, match=words):
        UNet(TINY, 5)(torch.zeros(shape))


def test_a_single_voxel_at_the_bottom_can_be_trained():
    net = UNet(TINY, 5).train()
    net(torch.rand(1, 1, 4, 4, 4)).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
