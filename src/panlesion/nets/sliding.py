"""Logits of a whole CT from windows that overlap, never holding more than one row of windows beside the result.

Windows, Gaussian weights and padding are those of MONAI's `sliding_window_inference` (nnU-Net's, Isensee et al. 2021), and a
test holds the two together. What that function lacks is a bound: it keeps the sum of every class over the whole volume, 15 GB
for 31 classes of a trunk at 1 mm. Here the sum has the thickness of one window, and finished planes leave it.
"""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Protocol

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

AIR_LOGIT = 20.0
"""Of the first class of each group outside the body, the others having 0: with 20 classes, anything else is below 1e-7."""

_LEAST_WEIGHT = 1e-3
_PLANES = 4  # finished planes handed out together: what is made of them has their size, not a slab's
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


class Engine(Protocol):
    """What runs the network on windows; `nets.engines` has those there are."""

    @property
    def device(self) -> torch.device:
        """Where windows are expected and logits come out."""
        ...

    def __call__(self, windows: Tensor) -> Tensor:
        """Logits float32 (B, C, I, J, K), the model's offsets applied, of float32 windows (B, channels, I, J, K).

        They are good until the next call, which may write into the same memory.
        """
        ...


def predict_logits(
    model: Model,
    image: Volume | NDArray[np.float32],
    *,
    overlap: float = OVERLAP,
    batch: int = 1,
    engine: Engine | None = None,
    body: NDArray[np.bool_] | None = None,
    reduce: Callable[[Tensor], Tensor] | None = None,
    progress: Progress | None = None,
) -> NDArray:
    """Logits (C, I, J, K) of a whole volume, every voxel of it.

    Args:
        model: Its `info` gives window, spacing and intensity map.
        image: A CT on the standard frame at the model's spacing, or an array (I, J, K) or (channels, I, J, K) after the map.
        overlap: Of neighbouring windows, as a part of their side: 0 to below 1.
        batch: Windows at a time.
        engine: What runs the network; by default the model as it is, where it is.
        body: Bool (I, J, K), such as `ct.body.body_mask`. Windows without any of it are not computed, and outside it every
            voxel has `AIR_LOGIT` for the first class of each group and 0 for the others. Inside, nothing changes.
        reduce: What to keep of finished planes, (C, planes, J, K) → (C', planes, J, K), such as an argmax: the logits of
            all classes of a trunk need more memory than most machines have.
        progress: Called with windows done and windows in all.

    Raises:
        GeometryError: The CT is on another grid.
        ValueError: An array of another rank, a body of another shape, overlap or batch out of range.
    """
    result: NDArray | None = None
    stream = stream_logits(model, image, overlap=overlap, batch=batch, engine=engine, body=body, progress=progress)
    for first, planes in stream:
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
    engine: Engine | None = None,
    body: NDArray[np.bool_] | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Tensor]]:
    """As `predict_logits`, a few planes at a time: (index along the first axis, logits (C, planes, J, K)), in order."""
    if not 0 <= overlap < 1 or batch < 1:
        raise ValueError(f"overlap is {overlap} and batch {batch}; use 0 <= overlap < 1 and batch >= 1")
    side = model.info.patch_voxels
    run = engine or _AsItIs(model)
    view = _View(model, image, side, body, run.device)
    rows, *across = (_starts(n, side, overlap) for n in view.padded)
    wanted = [[(j, k) for j, k in product(*across) if view.needs(row, j, k)] for row in rows]
    total = sum(len(corners) for corners in wanted)
    sums, done = _Sums(view), 0
    for row, corners, after in zip(rows, wanted, [*rows[1:], rows[-1] + side], strict=True):
        slab = view.slab(row) if corners else torch.zeros(0)
        for begin in range(0, len(corners), batch):
            here = [np.s_[:, j : j + side, k : k + side] for j, k in corners[begin : begin + batch]]
            # Around the network alone: a generator that yields inside it would switch gradients off in its caller.
            with torch.no_grad():
                sums.add(here, run(torch.stack([slab[(slice(None), *where)] for where in here])))
            done += len(here)
            if progress is not None:
                progress(done, total)
        for start in range(0, after - row, _PLANES):
            planes = sums.finished(row, start, min(start + _PLANES, after - row))
            first, planes = view.cropped(row + start, planes)
            if planes.shape[1]:
                yield first, planes
        sums.move(after - row)


class _AsItIs:
    """The model as its caller left it: where it is, in the precision that the caller chose."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.device = next(model.parameters()).device

    def __call__(self, windows: Tensor) -> Tensor:
        logits: Tensor = self.model(windows)
        return logits.float()


class _Sums:
    """Weighted sums of logits, as thick as one window."""

    def __init__(self, view: "_View") -> None:
        self.view = view
        self.weight = _gaussian(view.side).to(view.device)
        self.share = torch.zeros(view.side, *view.padded[1:], device=view.device)
        self.logits = torch.zeros(0)

    def add(self, windows: list[tuple[slice, slice, slice]], logits: Tensor) -> None:
        """Add the logits (B, C, side, side, side) of windows."""
        self._make(logits.shape[1])
        for where, one in zip(windows, logits, strict=True):
            self.logits[(slice(None), *where)].addcmul_(one, self.weight)
            self.share[where].add_(self.weight)

    def finished(self, row: int, start: int, stop: int) -> Tensor:
        """Logits (C, planes, J, K) of planes that no later window reaches, in memory of their own."""
        share = self.share[start:stop]
        body = self.view.body_of(row + start, row + stop)
        if body is None:
            return self.logits[:, start:stop] / share
        classes = self.view.model.classes
        self._make(len(classes))
        planes = self.logits[:, start:stop] / torch.where(body, share, torch.inf)
        for group in classes.groups:
            planes[classes.channels(group.name).start] += AIR_LOGIT * ~body
        return planes

    def move(self, planes: int) -> None:
        """Drop the first planes and make room for as many behind the others."""
        for sums in (self.share, self.logits):
            if sums.numel():
                # One at a time, so that nothing is copied aside.
                for n in range(self.view.side - planes):
                    sums[..., n, :, :] = sums[..., n + planes, :, :]
                sums[..., self.view.side - planes :, :, :] = 0

    def _make(self, channels: int) -> None:
        if not self.logits.numel():
            self.logits = torch.zeros(channels, *self.share.shape, device=self.share.device)


class _View:
    """An image padded with 0, the network's air, to at least one window, and handed out in slabs."""

    def __init__(
        self,
        model: Model,
        image: Volume | NDArray[np.float32],
        side: int,
        body: NDArray[np.bool_] | None,
        device: torch.device,
    ) -> None:
        self.model, self.intensity, self.device = model, model.intensity, device
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
        if body is not None and (body.dtype != bool or body.shape != self.shape):
            raise ValueError(f"body is {body.dtype} of shape {body.shape}; it must be bool of the image's shape {self.shape}")
        self.body = body if body is None else np.pad(body, self._margins())

    def _margins(self) -> list[tuple[int, int]]:
        sides = zip(self.padded, self.shape, self.before, strict=True)
        return [(before, padded - n - before) for padded, n, before in sides]

    def needs(self, row: int, j: int, k: int) -> bool:
        """Whether the window that begins there is to be computed."""
        if self.body is None:
            return True
        return bool(self.body[row : row + self.side, j : j + self.side, k : k + self.side].any())

    def body_of(self, row: int, stop: int) -> Tensor | None:
        """Padded planes of the body's mask."""
        return None if self.body is None else torch.from_numpy(self.body[row:stop]).to(self.device)

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
