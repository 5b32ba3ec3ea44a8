"""From a stored cube of HU to one training patch: where it is cut, which scanner made it, how it is toned."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.intensity import to_network
from panlesion.ct.volume import Index3
from panlesion.train.chance import Chance
from panlesion.train.randomise import HostChange, HostRange, draw_host_change, render_host_change
from panlesion.train.tone import ToneChange, ToneRange, draw_tone_change, render_tone_change
from panlesion.train.warp import Warp, WarpRange, draw_warp, render_warp

_NEVER = Chance(p=0.0)


@dataclass(frozen=True, kw_only=True)
class Augment:
    """What is varied, how often and how far. The defaults are PASTA's, and `HostRange`, which is ours, in front of them."""

    warp: WarpRange = field(default_factory=WarpRange)
    host: HostRange = field(default_factory=HostRange)
    tone: ToneRange = field(default_factory=ToneRange)

    @classmethod
    def pasta(cls) -> "Augment":
        """The published list alone."""
        return cls(host=HostRange(**dict.fromkeys(HostRange.__dataclass_fields__, _NEVER)))

    @classmethod
    def none(cls) -> "Augment":
        """Cutting and the intensity map, nothing else."""
        return cls(
            warp=WarpRange(rotation_deg=_NEVER, scale=_NEVER, mirror_p=0.0),
            host=HostRange(**dict.fromkeys(HostRange.__dataclass_fields__, _NEVER)),
            tone=ToneRange(**dict.fromkeys(ToneRange.__dataclass_fields__, _NEVER)),
        )


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """All random numbers of one patch. JSON-able (`dataclasses.asdict`); the default changes nothing."""

    warp: Warp = field(default_factory=Warp)
    host: HostChange = field(default_factory=HostChange)
    tone: ToneChange = field(default_factory=ToneChange)


def draw_augmentation(config: Augment, rng: np.random.Generator) -> Augmentation:
    """Every random number of one patch is drawn here; a change of one range leaves the others' draws as they were."""
    warp, host, tone = rng.spawn(3)
    return Augmentation(
        warp=draw_warp(config.warp, warp), host=draw_host_change(config.host, host), tone=draw_tone_change(config.tone, tone)
    )


def render_augmentation(
    aug: Augmentation,
    hu: NDArray[np.int16],
    targets: NDArray[np.uint8],
    size: int,
    *,
    centre_ijk: Index3 | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Network input float32 (size, size, size) within 0 … 1, and targets uint8 (G, size, size, size). Draws nothing.

    Args:
        aug: What to do.
        hu: Stored cube (I, J, K), any shape.
        targets: Class ids (G, I, J, K); 255 stays 255, and what lies outside the cube or the field of view is 0.
        size: Side of the patch.
        centre_ijk: Voxel of the cube in the middle of the patch, at its index `size // 2`; the cube's own middle if None.

    Raises:
        ValueError: the arrays do not fit each other, or `size` is below 2.
    """
    if hu.dtype != np.int16 or targets.dtype != np.uint8 or hu.ndim != 3 or targets.shape[1:] != hu.shape:
        raise ValueError(
            f"hu is {hu.dtype} {hu.shape}, targets {targets.dtype} {targets.shape}; "
            "they must be int16 (I, J, K) and uint8 (G, I, J, K)"
        )
    if size < 2:
        raise ValueError(f"size is {size}; a patch has at least 2 voxels along each axis")
    i, j, k = (n // 2 for n in hu.shape) if centre_ijk is None else centre_ijk
    image, cut = render_warp(aug.warp, hu, targets, size, (i, j, k))
    image, cut = render_host_change(aug.host, image, cut)
    return render_tone_change(aug.tone, to_network(image)), cut
