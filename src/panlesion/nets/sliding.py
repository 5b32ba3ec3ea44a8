"""Logits of a whole CT from windows that overlap, never holding more than one row of windows beside the result.

Windows, Gaussian weights and padding are those of MONAI's `sliding_window_inference` (nnU-Net's, Isensee et al. 2021), and a
test holds the two together. What that function lacks is a bound: it keeps the sum of every class over the whole volume, 15 GB
for 31 classes of a trunk at 1 mm. Here the sum has the thickness of one window, and finished planes leave it.
"""

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from panlesion.ct.intensity import HU_KNOTS, NETWORK_KNOTS, to_network
from panlesion.ct.volume import STANDARD_AXES, Volume
from panlesion.errors import GeometryError
from panlesion.nets.model import Intensity, Model

OVERLAP = 0.5
SIGMA = 0.125
"""Of a window's side; the value of nnU-Net and MONAI."""

_LEAST_WEIGHT = 1e-3
_SAME_SPACING = 0.01

Progress = Callable[[int, int], None]


def network_input(hu: NDArray[np.int16], intensity: Intensity) -> NDArray[np.float32]:
    """HU of any shape through a model's intensity map."""
    if (intensity.hu, intensity.network) == (HU_KNOTS, NETWORK_KNOTS):
        return to_network(hu)
    return np.interp(hu, intensity.hu, intensity.network).astype(np.float32)


def check_standard(volume: Volume, spacing_mm: float) -> None:
    """Refuse a CT that is not on the grid a model was trained on.

    Raises:
        GeometryError: Other axes than L,P,S, or a spacing more than 1 % off.
    """
    grid = volume.grid
    if grid.axes != STANDARD_AXES or max(abs(mm / spacing_mm - 1) for mm in grid.spacing_mm) > _SAME_SPACING:
        sides = " x ".join(f"{mm:.3g}" for mm in grid.spacing_mm)
        raise GeometryError(
            f"the CT has axes {grid.axes} and {sides} mm; the model wants {STANDARD_AXES} and {spacing_mm:g} mm: "
            f"standardise(volume, {spacing_mm:g}) first"
        )


def predict_logits(
    model: Model,
    image: Volume | NDArray[np.float32],
    *,
    overlap: float = OVERLAP,
    batch: int = 1,
    reduce: Callable[[Tensor], Tensor] | None = None,
    progress: Progress | None = None,
) -> NDArray:
    """Logits (C, I, J, K) of a whole volume, every voxel of it, where `model` is.

    Args:
        model: Its `info` gives window, spacing and intensity map.
        image: A CT on the standard frame at the model's spacing, or an array (I, J, K) or (channels, I, J, K) after the map.
        overlap: Of neighbouring windows, as a part of their side: 0 to below 1.
        batch: Windows at a time.
        reduce: What to keep of finished planes, (C, planes, J, K) → (C', planes, J, K), such as an argmax: the logits of
            all classes of a trunk need more memory than most machines have.
        progress: Called with windows done and windows in all.

    Raises:
        GeometryError: The CT is on another grid.
        ValueError: An array of another rank, overlap or batch out of range.
    """
    result: NDArray | None = None
    for first, planes in stream_logits(model, image, overlap=overlap, batch=batch, progress=progress):
        kept = (planes if reduce is None else reduce(planes)).cpu().numpy()
        if result is None:
            shape = image.hu.shape if isinstance(image, Volume) else image.shape[-3:]
            result = np.empty((kept.shape[0], *shape), dtype=kept.dtype)
        result[:, first : first + kept.shape[1]] = kept
    assert result is not None
    return result


def stream_logits(
    model: Model,
    image: Volume | NDArray[np.float32],
    *,
    overlap: float = OVERLAP,
    batch: int = 1,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """As `predict_logits`, plane by plane: (index along the first axis, logits (C, planes, J, K)) of finished planes."""
    if not 0 <= overlap < 1 or batch < 1:
        raise ValueError(f"overlap is {overlap} and batch {batch}; use 0 <= overlap < 1 and batch >= 1")
    side = model.info.patch_voxels
    view = _View(model, image, side)
    rows, *across = (_starts(n, side, overlap) for n in view.padded)
    corners = list(product(*across))
    total = len(rows) * len(corners)
    weight = _gaussian(side).to(view.device)
    summed = torch.zeros(0)
    share = torch.zeros(side, *view.padded[1:], device=view.device)
    done = 0
    for row, after in zip(rows, [*rows[1:], rows[-1] + side], strict=True):
        slab = view.slab(row)
        for begin in range(0, len(corners), batch):
            here = [np.s_[:, j : j + side, k : k + side] for j, k in corners[begin : begin + batch]]
            # Around the network alone: a generator that yields inside it would switch gradients off in its caller.
            with torch.no_grad():
                logits = model(torch.stack([slab[(slice(None), *where)] for where in here])).float()
                if not summed.numel():
                    summed = torch.zeros(logits.shape[1], *share.shape, device=view.device)
                for where, one in zip(here, logits, strict=True):
                    summed[(slice(None), *where)] += one * weight
                    share[where] += weight
            done += len(here)
            if progress is not None:
                progress(done, total)
        finished = after - row
        first, planes = view.cropped(row, summed[:, :finished] / share[:finished])
        if planes.shape[1]:
            yield first, planes
        for sums in (summed, share):
            sums[..., : side - finished, :, :] = sums[..., finished:, :, :].clone()
            sums[..., side - finished :, :, :] = 0


class _View:
    """An image padded with 0, the network's air, to at least one window, and handed out in slabs."""

    def __init__(self, model: Model, image: Volume | NDArray[np.float32], side: int) -> None:
        self.intensity = model.intensity
        self.device = next(model.parameters()).device
        self.image: NDArray
        if isinstance(image, Volume):
            check_standard(image, model.info.spacing_mm)
            self.image = image.hu[None]
        elif image.ndim in (3, 4) and image.dtype.kind == "f":
            self.image = image.reshape(-1, *image.shape[-3:])
        else:
            raise ValueError(
                f"image is {image.dtype} of shape {image.shape}; it must be float, (I, J, K) or (channels, I, J, K), after the "
                "intensity map, or else a Volume in HU"
            )
        self.shape = self.image.shape[1:]
        self.padded = [max(n, side) for n in self.shape]
        self.before = [(padded - n) // 2 for padded, n in zip(self.padded, self.shape, strict=True)]
        self.side = side

    def slab(self, row: int) -> Tensor:
        """Planes `row` … `row + side` of the padded image, (channels, side, J, K)."""
        start = row - self.before[0]
        part = self.image[:, max(0, start) : start + self.side]
        if self.image.dtype == np.int16:
            part = network_input(part, self.intensity)
        out = np.zeros((len(part), self.side, *self.padded[1:]), dtype=np.float32)
        (_, j, k), (_, nj, nk), first = self.before, self.shape, max(0, -start)
        out[:, first : first + part.shape[1], j : j + nj, k : k + nk] = part
        return torch.from_numpy(out).to(self.device)

    def cropped(self, row: int, planes: Tensor) -> tuple[int, Tensor]:
        """The part of padded planes from `row` on that lies on the image, and its first plane there."""
        (i, j, k), (ni, nj, nk) = self.before, self.shape
        start, stop = max(row, i), min(row + planes.shape[1], i + ni)
        return start - i, planes[:, start - row : max(start, stop) - row, j : j + nj, k : k + nk]


def _starts(length: int, side: int, overlap: float) -> list[int]:
    """First voxels of the windows along one axis; the last window ends with the image."""
    step = max(1, int(side * (1 - overlap)))
    return [min(start, length - side) for start in range(0, length - side + step, step)]


def _gaussian(side: int) -> Tensor:
    x = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
    line = torch.exp(-0.5 * (x / (SIGMA * side)) ** 2)
    return (line[:, None, None] * line[:, None] * line).clamp(min=_LEAST_WEIGHT)
