"""What the network is made of: one convolution block, and levels of them."""

import torch
from torch import Tensor, nn

NEGATIVE_SLOPE = 0.01
NORM_EPS = 1e-5
SMALLEST_BF16 = 3
"""On CPUs, oneDNN's bfloat16 weight gradient reads memory nobody wrote when a side of a 3³ convolution's input is below this
(seen with torch 2.13: NaN gradients now and then; tests/nets/test_blocks.py). So small grids, cheap anyway, use float32."""


class ConvBlock(nn.Module):
    """3³ convolution with bias → instance norm → LeakyReLU, as nnU-Net v1 and LWHYC/PASTA have it."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv3d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1)
        self.norm = nn.InstanceNorm3d(out_channels, eps=NORM_EPS, affine=True)
        self.act = nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, I, J, K) → (B, out_channels, I / stride, …)."""
        if x.device.type == "cpu" and min(x.shape[2:]) < SMALLEST_BF16:
            with torch.autocast("cpu", enabled=False):
                x = self.conv(x.float())
        else:
            x = self.conv(x)
        # A single voxel per channel has no variance to normalise by: torch refuses it in training, so we pass it through.
        if x[0, 0].numel() > 1:
            x = self.norm(x)
        out: Tensor = self.act(x)
        return out


def level(in_channels: int, out_channels: int, convs: int, *, stride: int = 1) -> nn.Sequential:
    """Blocks of one resolution level; the first one is strided."""
    first = ConvBlock(in_channels, out_channels, stride)
    return nn.Sequential(first, *(ConvBlock(out_channels, out_channels) for _ in range(convs - 1)))


def initialise(module: nn.Module) -> None:
    """He initialisation of convolutions, biases zero, as the public code has it (He et al. 2015)."""
    if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=NEGATIVE_SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
