"""What the network is made of: one convolution block, and levels of them."""

import torch
from torch import Tensor, nn

NEGATIVE_SLOPE = 0.01
NORM_EPS = 1e-5
VOXEL_NORM_EPS = 1e-3
"""Larger: a voxel of air, 0 in every channel but for biases, must not be blown up (ours)."""
SMALLEST_BF16 = 3
"""On CPUs, oneDNN's bfloat16 weight gradient reads memory nobody wrote when a side of a 3³ convolution's input is below this
(seen with torch 2.13: NaN gradients now and then; tests/nets/test_blocks.py). So small grids, cheap anyway, use float32."""


class VoxelNorm(nn.Module):
    """Divides each voxel's features by their root mean square over channels (Zhang & Sennrich 2019), then scale and shift.

    Instance norm takes each channel's mean over the window away, and with it how dense tissue is in HU: a window of fat alone
    and one of muscle alone look the same. This norm keeps it, and what a voxel gets does not depend on the window (ours;
    measured in docs/experiments.md).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def reset_parameters(self) -> None:
        """Scale one, shift zero."""
        nn.init.ones_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, I, J, K) → the same shape and dtype."""
        scale = torch.rsqrt(x.float().square().mean(1, keepdim=True) + VOXEL_NORM_EPS).to(x.dtype)
        weight, bias = (one.to(x.dtype)[:, None, None, None] for one in (self.weight, self.bias))
        return x * scale * weight + bias


class ConvBlock(nn.Module):
    """3³ convolution with bias → norm → LeakyReLU; with the instance norm of nnU-Net v1 and LWHYC/PASTA unless `voxelwise`."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, *, voxelwise: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv3d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1)
        self.norm = VoxelNorm(out_channels) if voxelwise else nn.InstanceNorm3d(out_channels, eps=NORM_EPS, affine=True)
        self.act = nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, I, J, K) → (B, out_channels, I / stride, …)."""
        if x.device.type == "cpu" and min(x.shape[2:]) < SMALLEST_BF16:
            with torch.autocast("cpu", enabled=False):
                x = self.conv(x.float())
        else:
            x = self.conv(x)
        # A single voxel per channel has no variance to normalise by: torch refuses it in training, so we pass it through.
        if isinstance(self.norm, VoxelNorm) or x[0, 0].numel() > 1:
            x = self.norm(x)
        out: Tensor = self.act(x)
        return out


def level(in_channels: int, out_channels: int, convs: int, *, stride: int = 1, voxelwise: bool = False) -> nn.Sequential:
    """Blocks of one resolution level; the first one is strided."""
    first = ConvBlock(in_channels, out_channels, stride, voxelwise=voxelwise)
    return nn.Sequential(first, *(ConvBlock(out_channels, out_channels, voxelwise=voxelwise) for _ in range(convs - 1)))


def initialise(module: nn.Module) -> None:
    """He initialisation of convolutions, biases zero, as the public code has it (He et al. 2015)."""
    if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=NEGATIVE_SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
