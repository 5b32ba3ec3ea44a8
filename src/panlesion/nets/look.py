"""How a head looks at a lesion: which crop the encoder gets, and what of the encoder's maps the head reads.

The published classifier averages the deepest map over a 96³ crop. Of a lesion a few voxels wide that average knows little, so a
head may also read averages over the lesion and over its surroundings, level by level (ours, measured in docs/why/describe.md).
"""

from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor
from torch.nn import functional

from panlesion.nets.preset import Preset
from panlesion.nets.unet import UNet

SHELL_MM = 6.0
"""How far from the lesion its surroundings reach. Ours."""
FORM_SIZE = 6


class Pooling(StrEnum):
    """One block of the vector a head reads; LESION, SPREAD and SHELL have one value per channel of every level."""

    CROP = "crop"
    """Mean over the whole crop of the level that the preset names: the published one."""
    LESION = "lesion"
    """Mean over the lesion."""
    SPREAD = "spread"
    """Standard deviation over the lesion."""
    SHELL = "shell"
    """Mean over the lesion's surroundings."""
    FORM = "form"
    """Volume, extent and compactness of the lesion's mask, see `form`."""
    DECODED = "decoded"
    """Mean and standard deviation over the lesion and mean over its surroundings of the finest decoder map, of which the
    logits are a linear image: what the network makes of these voxels, with the context it has seen."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """Spacing and side of the crop around a lesion's middle, and which blocks make the vector, in their order.

    `levels` counts encoder levels from the finest; the last of them must not lie below the one the preset's features are from.
    """

    spacing_mm: float
    crop_voxels: int
    pooling: tuple[Pooling, ...] = (Pooling.CROP,)
    levels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.spacing_mm > 0 or self.crop_voxels < 1:
            raise ValueError(f"spacing_mm is {self.spacing_mm} and crop_voxels {self.crop_voxels}; both must be positive")
        if not self.pooling or len(set(self.pooling)) < len(self.pooling):
            raise ValueError(f"pooling is {[one.name for one in self.pooling]}; it must name at least one block, each once")

    def check(self, preset: Preset) -> None:
        """Refuse a look that a network of this preset cannot take.

        Raises:
            ValueError: A level that features do not come from, or a crop that the stride does not divide.
        """
        if any(not 0 <= level <= preset.features_from for level in self.levels):
            raise ValueError(f"levels are {self.levels}; those of {preset.name!r} that are read are 0 … {preset.features_from}")
        if self.crop_voxels % preset.stride:
            raise ValueError(
                f"crop_voxels is {self.crop_voxels}; it must be divisible by {preset.stride}, the network's stride"
            )

    def size(self, preset: Preset) -> int:
        """Length of the vector."""
        every = sum(preset.channels[level] for level in self.levels)
        lengths = {Pooling.CROP: preset.feature_size, Pooling.FORM: FORM_SIZE, Pooling.DECODED: 3 * preset.channels[0]}
        return sum(lengths.get(one, every) for one in self.pooling)

    def vector(self, unet: UNet, x: Tensor) -> Tensor:
        """The vector (B, size) of crops `x` (B, C + 1, I, J, K): images after the intensity map, the lesion's mask 0 … 1."""
        image, lesion = x[:, :-1], x[:, -1:].float()
        maps = unet.encode(image, self._deepest(unet.preset) + 1)
        blocks = []
        for one in self.pooling:
            match one:
                case Pooling.CROP:
                    blocks.append(maps[unet.preset.features_from].float().mean(dim=(2, 3, 4)))
                case Pooling.FORM:
                    blocks.append(form(lesion, self.spacing_mm))
                case Pooling.DECODED:
                    finest, around = unet.decode(maps)[-1].float(), shell(lesion, self.spacing_mm)
                    blocks += [_pooled(finest, lesion, spread=False), _pooled(finest, lesion, spread=True)]
                    blocks.append(_pooled(finest, around, spread=False))
                case _:
                    weight = shell(lesion, self.spacing_mm) if one is Pooling.SHELL else lesion
                    blocks += [_pooled(maps[level].float(), weight, spread=one is Pooling.SPREAD) for level in self.levels]
        return torch.cat(blocks, dim=1)

    def _deepest(self, preset: Preset) -> int:
        """The last encoder level that is needed."""
        if Pooling.DECODED in self.pooling:
            return len(preset.channels) - 1
        return preset.features_from if Pooling.CROP in self.pooling else max(self.levels, default=0)


def _pooled(values: Tensor, weight: Tensor, *, spread: bool) -> Tensor:
    """Weighted mean or standard deviation (B, C) of a map, the weights averaged down to its grid."""
    step = weight.shape[-1] // values.shape[-1]
    share = functional.avg_pool3d(weight, step)
    share = share / share.sum(dim=(2, 3, 4), keepdim=True).clamp(min=1e-6)
    mean = (values * share).sum(dim=(2, 3, 4))
    if not spread:
        return mean
    away = values - mean[:, :, None, None, None]
    return (away.square() * share).sum(dim=(2, 3, 4)).clamp(min=1e-12).sqrt()


def shell(lesion: Tensor, spacing_mm: float) -> Tensor:
    """What lies within `SHELL_MM` of the lesion and is not lesion; 0 … 1."""
    reach = max(1, round(SHELL_MM / spacing_mm))
    near = lesion
    for axis in range(3):
        window, pad = [1, 1, 1], [0, 0, 0]
        window[axis], pad[axis] = 2 * reach + 1, reach
        near = functional.max_pool3d(near, window, stride=1, padding=pad)
    return near - lesion


def form(lesion: Tensor, spacing_mm: float) -> Tensor:
    """(B, 6) of masks (B, 1, I, J, K): log volume, the logs of the three extents, filling and compactness.

    Extents are the square roots of the eigenvalues of the mask's covariance in mm. Filling is the volume over that of the
    ellipsoid with these extents, compactness is π^(1/3) (6V)^(2/3) / A (Wadell 1935) with A the mask's summed gradient;
    both are near 1 for a ball.
    """
    device = lesion.device.type
    with torch.autocast(device, enabled=False):
        lesion = lesion.float()
        side = torch.arange(lesion.shape[-1], device=lesion.device, dtype=torch.float32) * spacing_mm
        where = torch.stack(torch.meshgrid(side, side, side, indexing="ij")).reshape(3, -1)
        share = lesion.reshape(len(lesion), -1)
        voxels = share.sum(dim=1).clamp(min=1.0)
        share = share / voxels[:, None]
        mean = share @ where.T
        second = torch.einsum("bn,in,jn->bij", share, where, where) - mean[:, :, None] * mean[:, None, :]
        # A voxel has an extent of its own: s² / 12.
        second = second + torch.eye(3, device=lesion.device) * spacing_mm**2 / 12
        spread = torch.linalg.eigvalsh(second).clamp(min=1e-3)
        volume = voxels * spacing_mm**3
        ellipsoid = 4 / 3 * torch.pi * 5**1.5 * spread.prod(dim=1).sqrt()
        slopes = [functional.pad(lesion, (1, 1, 1, 1, 1, 1)).diff(dim=axis).abs().square() for axis in (2, 3, 4)]
        a, b, c = slopes
        area = (a[:, :, :, 1:, 1:] + b[:, :, 1:, :, 1:] + c[:, :, 1:, 1:, :]).sqrt().sum(dim=(1, 2, 3, 4)) * spacing_mm**2
        compact = torch.pi ** (1 / 3) * (6 * volume) ** (2 / 3) / area.clamp(min=spacing_mm**2)
        return torch.cat([volume.log()[:, None], 0.5 * spread.log(), (volume / ellipsoid)[:, None], compact[:, None]], dim=1)
