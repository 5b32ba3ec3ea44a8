import torch

from panlesion.nets.blocks import ConvBlock, initialise, level


def test_a_level_strides_once():
    assert level(1, 4, 3, stride=2)(torch.rand(1, 1, 8, 8, 8)).shape == (1, 4, 4, 4, 4)


def test_a_block_normalises_each_channel_of_each_case_before_the_activation():
    block = ConvBlock(1, 6)
    block.act = torch.nn.Identity()
    y = block(torch.rand(2, 1, 9, 9, 9) * 50 + 1000)
    torch.testing.assert_close(y.mean(dim=(2, 3, 4)), torch.zeros(2, 6), atol=1e-3, rtol=0)
    torch.testing.assert_close(y.std(dim=(2, 3, 4)), torch.ones(2, 6), atol=1e-2, rtol=0)


def test_he_initialisation_keeps_the_variance_and_zeroes_biases():
    torch.manual_seed(0)
    conv = torch.nn.Conv3d(32, 32, 3)
    conv.apply(initialise)
    assert abs(float(conv.weight.detach().std()) / (2 / (1 + 0.01**2) / (32 * 27)) ** 0.5 - 1) < 0.05
    assert not conv.bias.any()
