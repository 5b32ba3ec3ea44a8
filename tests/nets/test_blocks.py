import pytest
import torch

from panlesion.nets.blocks import ConvBlock, VoxelNorm, initialise, level


def test_a_level_strides_once():
    assert level(1, 4, 3, stride=2)(torch.rand(1, 1, 8, 8, 8)).shape == (1, 4, 4, 4, 4)


def test_a_block_normalises_each_channel_of_each_case_before_the_activation():
    block = ConvBlock(1, 6)
    block.act = torch.nn.Identity()
    y = block(torch.rand(2, 1, 9, 9, 9) * 50 + 1000)
    torch.testing.assert_close(y.mean(dim=(2, 3, 4)), torch.zeros(2, 6), atol=1e-3, rtol=0)
    torch.testing.assert_close(y.std(dim=(2, 3, 4)), torch.ones(2, 6), atol=1e-2, rtol=0)


def test_the_voxel_norm_keeps_what_the_instance_norm_loses_how_dense_a_window_is_throughout():
    torch.manual_seed(0)
    fat, muscle = torch.full((1, 1, 8, 8, 8), 0.2), torch.full((1, 1, 8, 8, 8), 0.6)
    inner = (..., slice(2, -2), slice(2, -2), slice(2, -2))
    for voxelwise, loses in ((False, True), (True, False)):
        block = ConvBlock(1, 8, voxelwise=voxelwise)
        with torch.no_grad():
            block.conv.bias.uniform_(-1, 1)
        # Small noise, as any CT has: a perfectly flat window has no variance to divide by.
        a, b = (block(one + 0.01 * torch.randn(1, 1, 8, 8, 8))[inner].mean(dim=(2, 3, 4)) for one in (fat, muscle))
        assert torch.allclose(a, b, atol=0.15) == loses


def test_the_voxel_norm_does_not_depend_on_the_window_and_gives_features_of_unit_size():
    x = torch.randn(2, 6, 5, 5, 5) * 30
    y = VoxelNorm(6)(x)
    torch.testing.assert_close(y[..., 1:3, :, :], VoxelNorm(6)(x[..., 1:3, :, :]))
    torch.testing.assert_close(y.square().mean(1), torch.ones(2, 5, 5, 5), atol=1e-3, rtol=0)
    assert not VoxelNorm(6)(torch.zeros(1, 6, 2, 2, 2)).any()


def test_he_initialisation_keeps_the_variance_and_zeroes_biases():
    torch.manual_seed(0)
    conv = torch.nn.Conv3d(32, 32, 3)
    conv.apply(initialise)
    assert abs(float(conv.weight.detach().std()) / (2 / (1 + 0.01**2) / (32 * 27)) ** 0.5 - 1) < 0.05
    assert not conv.bias.any()


def litter_memory():
    """Free much memory full of NaN, so that whoever reads what nobody wrote reads NaN."""
    for count in (64, 256, 1024, 4096, 16384, 65536, 262144, 1 << 20):
        littered = [torch.full((count,), float("nan")) for _ in range(6)]
        del littered


@pytest.mark.parametrize("grid", [(1, 1, 1), (2, 2, 2), (2, 3, 3), (3, 2, 4), (1, 4, 4), (3, 3, 3), (4, 6, 5)])
@pytest.mark.parametrize(("channels", "stride"), [((16, 16), 1), ((32, 64), 2), ((64, 32), 1)])
def test_bfloat16_gradients_are_finite_on_the_smallest_grids(grid, channels, stride):
    for _ in range(3):
        block = ConvBlock(*channels, stride)
        x = torch.randn(2, channels[0], *grid)
        litter_memory()
        with torch.autocast("cpu", torch.bfloat16):
            out = block(x)
        litter_memory()
        out.float().square().mean().backward()
        assert all(torch.isfinite(p.grad).all() for p in block.parameters() if p.grad is not None)
