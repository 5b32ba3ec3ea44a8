"""`Refiner`: a small 3D denoising network that knows what a scanner's images look like, and its file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from panlesion.errors import CheckpointError
from panlesion.nets.blank import without_storage
from panlesion.nets.sealed import canonical, check_shapes, seal, unseal

FORMAT, VERSION = "panlesion-refiner", 1
EMBEDDING = 64
LEAST_SIGMA = 0.03
MOST_GRAIN = 6.0
CENTRE_HU = (-150.0, 250.0)
"""The map is centred on soft tissue: fat to enhanced vessels (ours)."""
_MOST_LEVELS, _MOST_CHANNELS = 6, 1024


@dataclass(frozen=True, kw_only=True)
class RefinerInfo:
    """Everything but the weights.

    The map from HU is asinh((HU − centre) / `scale_hu`): near its centre linear and fine enough to show noise, invertible
    everywhere, so that nothing is clipped. `longest_t` is the noisiest time it was trained for.
    """

    spacing_mm: float
    channels: tuple[int, ...] = (16, 32, 64)
    patch_voxels: int = 32
    scale_hu: float = 100.0
    longest_t: float = 0.4
    licence: str = "the user's"
    recipe: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def stride(self) -> int:
        """What the sides of an input must be divisible by."""
        return int(2 ** (len(self.channels) - 1))


_INFO = TypeAdapter(RefinerInfo)


class _Block(nn.Module):
    """Two convolutions beside an identity, scaled and shifted by the time. Without normalisation: tiles must not matter."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=1)
        self.second = nn.Conv3d(channels, channels, 3, padding=1)
        self.time = nn.Linear(EMBEDDING, 2 * channels)
        _silence(self.second)
        _silence(self.time)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        scale, shift = self.time(time)[:, :, None, None, None].chunk(2, dim=1)
        return x + self.second(F.silu(self.first(F.silu(x)) * (1 + scale) + shift))


class Refiner(nn.Module):
    """U-Net that predicts the velocity of diffusion; (B, 1, I, J, K) and times (B,) → (B, 1, I, J, K)."""

    def __init__(self, info: RefinerInfo) -> None:
        super().__init__()
        self.info, channels = info, info.channels
        self.time = nn.Sequential(nn.Linear(EMBEDDING, EMBEDDING), nn.SiLU(), nn.Linear(EMBEDDING, EMBEDDING))
        self.enter = nn.Conv3d(2, channels[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(_Block(c) for c in channels)
        self.downs = nn.ModuleList(nn.Conv3d(a, b, 2, stride=2) for a, b in pairwise(channels))
        self.ups = nn.ModuleList(nn.Conv3d(b, a, 1) for a, b in pairwise(channels))
        self.up_blocks = nn.ModuleList(_Block(c) for c in channels)
        self.leave = nn.Conv3d(channels[0], 1, 3, padding=1)
        _silence(self.leave)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        """Velocity of `x` at times `t`.

        Raises:
            ValueError: A side of `x` is not divisible by the stride.
        """
        if any(side % self.info.stride for side in x.shape[2:]):
            raise ValueError(f"input has sides {tuple(x.shape[2:])}; each must be divisible by {self.info.stride}")
        time = self.time(_waves(t))
        levels: list[Tensor] = []
        h = self.enter(torch.cat([x, _grain(x, t)], dim=1))
        for n, block in enumerate(self.down_blocks):
            h = block(h if n == 0 else self.downs[n - 1](h), time)
            levels.append(h)
        for n in reversed(range(len(levels))):
            if n < len(levels) - 1:
                h = levels[n] + F.interpolate(self.ups[n](h), scale_factor=2.0, mode="nearest")
            h = self.up_blocks[n](h, time)
        out: Tensor = self.leave(F.silu(h))
        return out


def _silence(layer: nn.Conv3d | nn.Linear) -> None:
    """Let a layer give nothing before it is trained, so that deep networks start as shallow ones (Zhang et al. 2019)."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def _waves(t: Tensor) -> Tensor:
    """Sines and cosines (B, EMBEDDING) of a time, from one to 32 half-waves between 0 and 1."""
    rates = torch.pi * torch.exp2(torch.linspace(0, 5, EMBEDDING // 2, device=t.device))
    angles = t[:, None].float() * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def _grain(x: Tensor, t: Tensor) -> Tensor:
    """What is finer than 3³ voxels, in units of the noise that was added: without it, faint noise would be hard to see."""
    sigma = torch.sin(0.5 * torch.pi * t.float())[:, None, None, None, None] + LEAST_SIGMA
    fine = x - F.avg_pool3d(x, 3, stride=1, padding=1, count_include_pad=False)
    return (fine / sigma).clamp(-MOST_GRAIN, MOST_GRAIN)


def centre_of(hu: float) -> float:
    """Where the map of an image around that HU is centred."""
    return float(np.clip(hu, *CENTRE_HU))


def to_refiner(hu: NDArray, centre_hu: float, scale_hu: float) -> NDArray[np.float32]:
    """HU as the refiner sees them."""
    return np.asarray(np.arcsinh((hu.astype(np.float32) - np.float32(centre_hu)) / np.float32(scale_hu)), dtype=np.float32)


def from_refiner(x: NDArray[np.float32], centre_hu: float, scale_hu: float) -> NDArray[np.float32]:
    """The inverse of `to_refiner`."""
    return np.asarray(np.sinh(x) * np.float32(scale_hu) + np.float32(centre_hu), dtype=np.float32)


def save_refiner(path: Path | str, refiner: Refiner) -> None:
    """Write a refiner whole or not at all; equal ones give equal bytes.

    Raises:
        ValueError: Its recipe is not JSON-able, or its weights are not finite.
    """
    if broken := _broken(refiner.info):
        raise ValueError(f"{'; '.join(broken)} of the refiner cannot be; correct its info")
    tensors = {name: tensor.detach().to("cpu", torch.float32).contiguous() for name, tensor in refiner.state_dict().items()}
    seal(path, {"format": FORMAT, "version": VERSION, "refiner": asdict(refiner.info)}, tensors)


def load_refiner(path: Path | str) -> tuple[Refiner, str]:
    """The refiner that `save_refiner` wrote, float32 on the CPU, and the SHA-256 that names it.

    Raises:
        CheckpointError: Not there, truncated, changed, or no refiner; the message says which.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path} is no file; give the refiner.safetensors that panlesion train-refiner wrote")
    header, tensors = unseal(path, format=FORMAT, version=VERSION, lacking=_lacking)
    try:
        info = _INFO.validate_json(canonical(header["refiner"]), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(f"{path}: refiner.{where} in its header: {first['msg']}; write it anew") from error
    if broken := _broken(info):
        raise CheckpointError(f"{path}: {'; '.join(broken)} in its header cannot be; write it anew")
    with without_storage():
        refiner = Refiner(info)
    check_shapes(path, refiner.state_dict(), tensors)
    refiner.load_state_dict(tensors, strict=True, assign=True)
    return refiner.eval(), header["sha256"]


def _lacking(header: Mapping[str, Any]) -> list[str]:
    """What a refiner's header must have and this one lacks."""
    if not isinstance(header.get("refiner"), dict):
        return ["refiner"]
    return [f"refiner.{one.name}" for one in fields(RefinerInfo) if one.name not in header["refiner"]]


def _broken(info: RefinerInfo) -> list[str]:
    """What no refiner of ours can have."""
    rules = {
        f"channels {list(info.channels)}": 1 <= len(info.channels) <= _MOST_LEVELS
        and all(1 <= c <= _MOST_CHANNELS for c in info.channels),
        f"spacing_mm {info.spacing_mm}": 0 < info.spacing_mm < 100,
        f"patch_voxels {info.patch_voxels}": 0 < info.patch_voxels <= 512 and info.patch_voxels % max(info.stride, 1) == 0,
        f"scale_hu {info.scale_hu}": 0 < info.scale_hu < 1e5,
        f"longest_t {info.longest_t}": 0 < info.longest_t <= 1,
    }
    return [what for what, holds in rules.items() if not holds]
