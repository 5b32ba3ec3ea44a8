"""The PASTA U-Net: encoder, decoder, and a 1³ segmentation head on every decoder level."""

import torch
from torch import Tensor, nn

from panlesion.nets.blocks import initialise, level
from panlesion.nets.preset import Preset


class UNet(nn.Module):
    """3D U-Net after nnU-Net v1; `ups`, `decoder` and `heads` run from the deepest level to the finest."""

    def __init__(self, preset: Preset, classes: int, *, in_channels: int = 1) -> None:
        super().__init__()
        channels = preset.channels
        self.preset = preset
        self.encoder = nn.ModuleList(
            level(before, after, 2, stride=1 if n == 0 else 2, voxelwise=n < preset.voxel_norms)
            for n, (before, after) in enumerate(zip((in_channels, *channels), channels, strict=False))
        )
        pairs = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.ups = nn.ModuleList(nn.ConvTranspose3d(deep, fine, 2, stride=2, bias=False) for deep, fine in pairs)
        self.decoder = nn.ModuleList(
            level(2 * fine, fine, preset.decoder_convs, voxelwise=len(pairs) - n <= preset.voxel_norms)
            for n, (_, fine) in enumerate(pairs)
        )
        self.heads = nn.ModuleList(nn.Conv3d(fine, classes, 1, bias=False) for _, fine in pairs)
        self.apply(initialise)

    def encode(self, x: Tensor, levels: int | None = None) -> list[Tensor]:
        """Feature maps of the first `levels` encoder levels (default all), finest first.

        Raises:
            ValueError: `x` is no (B, C, I, J, K) of this network's channels, or a side is not divisible by its stride.
        """
        self._check(x)
        maps = []
        for one in self.encoder[:levels]:
            x = one(x)
            maps.append(x)
        return maps

    def decode(self, maps: list[Tensor]) -> list[Tensor]:
        """Decoder feature maps, deepest first, from those of all encoder levels."""
        x, decoded = maps[-1], []
        for up, convs, skip in zip(self.ups, self.decoder, maps[-2::-1], strict=True):
            x = convs(torch.cat([up(x), skip], dim=1))
            decoded.append(x)
        return decoded

    def forward(self, x: Tensor) -> Tensor:
        """Full-resolution logits (B, classes, I, J, K) of `x` (B, 1, I, J, K); only the last head is evaluated."""
        logits: Tensor = self.heads[-1](self.decode(self.encode(x))[-1])
        return logits

    def deep_logits(self, x: Tensor) -> list[Tensor]:
        """Logits of every decoder level, finest first, for deep supervision."""
        decoded = self.decode(self.encode(x))
        return [head(y) for head, y in zip(self.heads, decoded, strict=True)][::-1]

    def features(self, x: Tensor) -> Tensor:
        """Feature vector (B, F): the average of the encoder level that the preset names."""
        last = self.encode(x, self.preset.features_from + 1)[-1]
        return last.mean(dim=(2, 3, 4))

    def _check(self, x: Tensor) -> None:
        expected = self.encoder[0][0].conv.in_channels  # type: ignore[index]
        if x.dim() != 5 or x.shape[1] != expected:
            raise ValueError(f"input has shape {tuple(x.shape)}; it must be (B, {expected}, I, J, K)")
        if any(side % self.preset.stride for side in x.shape[2:]):
            sides, stride = tuple(x.shape[2:]), self.preset.stride
            raise ValueError(f"input sides are {sides}; each must be divisible by {stride}, the stride of {self.preset.name!r}")
