"""Sizes the one network definition comes in."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Channels of every encoder level, finest first; each level after the first halves the grid.

    `features_from` is the level whose average is the feature vector: the published classifier reads the fifth and leaves
    the sixth (the bottleneck) out. `voxel_norms` finest levels are normalised voxel by voxel, which keeps HU
    (`blocks.VoxelNorm`); the others have instance norm, as the published network has throughout.
    """

    name: str
    channels: tuple[int, ...]
    decoder_convs: int = 2
    features_from: int = 4
    voxel_norms: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.features_from < len(self.channels):
            raise ValueError(f"features_from is {self.features_from}; the network has levels 0 … {len(self.channels) - 1}")
        if not 0 <= self.voxel_norms <= len(self.channels):
            raise ValueError(f"voxel_norms is {self.voxel_norms}; the network has {len(self.channels)} levels")

    @property
    def stride(self) -> int:
        """What the sides of an input must be divisible by."""
        return int(2 ** (len(self.channels) - 1))

    @property
    def feature_size(self) -> int:
        """Length of the feature vector."""
        return self.channels[self.features_from]


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        # LWHYC/PASTA's public code: base 64, at most 1024, five stride-2 levels.
        "pasta": Preset(name="pasta", channels=(64, 128, 256, 512, 1024, 1024)),
        "small": Preset(name="small", channels=(32, 64, 128, 256, 512, 512)),
        # Ours, for CPUs: four stride-2 levels and one convolution per decoder level, 2.4 M parameters.
        "nano": Preset(name="nano", channels=(16, 32, 64, 96, 128), decoder_convs=1, voxel_norms=1),
    }
)


def preset_of(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ValueError: There is none; the message lists those there are.
    """
    if name not in PRESETS:
        raise ValueError(f"preset is {name!r}; use one of {', '.join(PRESETS)}")
    return PRESETS[name]
