"""`Refinery`: a lesion's texture and edge drawn anew by a denoising network that knows the host's scanner.

Partial noise is laid over the lesion and its rim and taken away again by the network (SDEdit, Meng et al. 2022); at every step
what lies outside the soft mask is the host with as much noise (RePaint, Lugmayr et al. 2022), so both sides fit. The network
may change grain and edge; mean, contrast and everything slow is put back as it was drawn.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.volume import Box, Grid, Index3, Vector3
from panlesion.errors import CheckpointError
from panlesion.nets.diffusion import ddim_step, noised, times
from panlesion.nets.refiner import Refiner, centre_of, from_refiner, load_refiner, to_refiner
from panlesion.synth.compose import HU_RANGE, Rendered
from panlesion.synth.recipe import Refining

Array = NDArray[np.float32]

FULL_MM, FULL_VOXELS = 2.0, 1.0
REACH_MM, REACH_VOXELS = 6.0, 3.0
"""Redrawn in full to so far beyond the lesion's surface, fading to nothing at the reach; at least so many voxels (ours)."""
WINDOW_HU = (300.0, 500.0)
"""Tissue is redrawn in full within so much of the lesion's HU, not at all beyond: lung, gas and cortical bone stay (ours)."""
SLOW_MM = 3.0
"""What the network changed on a scale above this sigma is undone: the drawn mean, contrast and clumps stay (ours)."""
CONTEXT_VOXELS = 8
TILE_VOXELS, OVERLAP_VOXELS = 64, 16
SPACING_TOLERANCE = 0.05


class Refinery:
    """A refiner's weights, ready to redraw lesions: `refinery(rendered, …)`. Always one thread: the same bits on every run.

    Raises:
        CheckpointError: The file is no refiner, is not the one the recipe names, or was trained at another spacing.
    """

    def __init__(self, refining: Refining, *, spacing_mm: float) -> None:
        self._refining = refining
        self._refiner, sha256 = load_refiner(refining.weights)
        if sha256 != refining.sha256:
            raise CheckpointError(
                f"{refining.weights} was changed: its SHA-256 is {sha256[:12]}…, the recipe's {refining.sha256[:12]}…; put the "
                "file back that the cohort was begun with"
            )
        check_spacing(Path(refining.weights), self._refiner, spacing_mm)
        if refining.strength > self._refiner.info.longest_t:
            raise CheckpointError(
                f"{refining.weights} was trained up to time {self._refiner.info.longest_t}, strength is {refining.strength}; "
                "ask for less"
            )

    def __call__(
        self, rendered: Rendered, hu: NDArray[np.int16], labels: NDArray[np.uint8], *, grid: Grid, taken: NDArray[np.bool_],
        seed: int,
    ) -> Rendered:  # fmt: skip
        """The lesion redrawn in the case it goes into (`hu`, `labels`: the case before it); `taken` voxels stay as they are."""
        i, j, k = (int(np.ceil(max(REACH_MM, REACH_VOXELS * max(grid.spacing_mm)) / s)) + 1 for s in grid.spacing_mm)
        tight = Box.of(rendered.mask).shifted(rendered.box.start)
        redrawn = tight.grown((i, j, k)).clipped(grid.shape)
        whole = redrawn.joined(rendered.box)
        out_hu, out_labels = hu[whole.slices].copy(), labels[whole.slices].copy()
        mask = np.zeros(whole.shape, dtype=bool)
        a, b, c = whole.start
        own = rendered.box.shifted((-a, -b, -c)).slices
        out_hu[own], out_labels[own], mask[own] = rendered.hu, rendered.labels, rendered.mask
        # The network sees more of the host than it may change.
        seen = redrawn.grown(CONTEXT_VOXELS).clipped(grid.shape)
        context = hu[seen.slices].astype(np.float32)
        here, there = seen.shared(whole)
        context[here] = out_hu[there]
        lesion = np.zeros(seen.shape, dtype=bool)
        lesion[here] = mask[there]
        weight = soft_mask(lesion, context, grid.spacing_mm)
        weight[taken[seen.slices]] = 0
        fine = self._redrawn(context, weight, lesion, seed)
        fine = calibrated(fine, context, weight, lesion, grid.spacing_mm)
        changed = weight[here] > 0
        out_hu[there][changed] = np.clip(np.rint(fine[here][changed]), *HU_RANGE).astype(np.int16)
        return replace(rendered, box=whole, hu=out_hu, labels=out_labels, mask=mask)

    def _redrawn(self, hu: Array, weight: Array, lesion: NDArray[np.bool_], seed: int) -> Array:
        """HU after noise was laid over the weighted voxels and taken away."""
        info = self._refiner.info
        centre_hu = centre_of(float(np.median(hu[lesion])))
        image = to_refiner(hu, centre_hu, info.scale_hu)
        noise = np.random.Generator(np.random.SFC64(seed)).standard_normal(hu.shape, dtype=np.float32)
        steps = times(self._refining.strength, self._refining.steps)
        x = noised(image, noise, steps[0])
        for t, to in pairwise(steps):
            x = ddim_step(x, self._velocity(x, t, weight), t, to)
            x = weight * x + (1 - weight) * noised(image, noise, to)
        return from_refiner(x, centre_hu, info.scale_hu)

    def _velocity(self, x: Array, t: float, weight: Array) -> Array:
        """The network's prediction, from overlapping tiles where the field is larger than one."""
        total, share = np.zeros_like(x), np.zeros_like(x)
        for box in tiles(x.shape):
            if not weight[box.slices].any():
                continue
            part = x[box.slices]
            padded = np.pad(part, [(0, -n % self._refiner.info.stride) for n in part.shape], mode="edge")
            with torch.inference_mode(), _one_thread():
                v = self._refiner(torch.from_numpy(padded[None, None]), torch.tensor([t])).numpy()[0, 0]
            ramp = _ramp(part.shape)
            total[box.slices] += ramp * v[tuple(slice(0, n) for n in part.shape)]
            share[box.slices] += ramp
        return np.divide(total, np.maximum(share, np.float32(1e-6)), dtype=np.float32)


def named(weights: Path, *, spacing_mm: float, strength: float, steps: int) -> Refining:
    """What a recipe stores of a refiner: its file and the hash of its content.

    Raises:
        CheckpointError: The file is no refiner, or one of another spacing.
        ValueError: Strength or steps are out of range.
    """
    refiner, sha256 = load_refiner(weights)
    check_spacing(weights, refiner, spacing_mm)
    longest = refiner.info.longest_t
    if strength > longest:
        raise ValueError(f"strength is {strength}; {weights} was trained up to {longest}: ask for less")
    return Refining(weights=str(weights.resolve()), sha256=sha256, strength=strength, steps=steps)


def check_spacing(path: Path, refiner: Refiner, spacing_mm: float) -> None:
    """See that a refiner was trained on voxels of the size it is used on.

    Raises:
        CheckpointError: It was not.
    """
    trained = refiner.info.spacing_mm
    if abs(trained - spacing_mm) > SPACING_TOLERANCE * spacing_mm:
        raise CheckpointError(
            f"{path} was trained at {trained:g} mm, the cases have {spacing_mm:g} mm; noise looks another way there: use "
            f"--spacing {trained:g}, or train one with: panlesion train-refiner --spacing {spacing_mm:g}"
        )


def soft_mask(lesion: NDArray[np.bool_], hu: Array, spacing_mm: Vector3) -> Array:
    """How much of each voxel is redrawn, 0 … 1: all of the lesion and its rim, nothing of the host farther away."""
    away = ndimage.distance_transform_edt(~lesion, sampling=spacing_mm)
    coarsest = max(spacing_mm)
    full, reach = max(FULL_MM, FULL_VOXELS * coarsest), max(REACH_MM, REACH_VOXELS * coarsest)
    near = _falling(np.asarray(away, dtype=np.float32), full, reach)
    calm = ndimage.gaussian_filter(hu, 1.0, truncate=2.0)
    return near * _falling(np.abs(calm - np.float32(np.median(hu[lesion]))), *WINDOW_HU)


def calibrated(fine: Array, hu: Array, weight: Array, lesion: NDArray[np.bool_], spacing_mm: Vector3) -> Array:
    """The redrawn field with the drawn one's slow part, and the lesion's mean as it was."""
    sigma = [SLOW_MM / s for s in spacing_mm]
    change = np.where(weight > 0, fine - hu, 0).astype(np.float32)
    slow = ndimage.gaussian_filter(change, sigma, mode="constant", truncate=3.0)
    below = ndimage.gaussian_filter(weight, sigma, mode="constant", truncate=3.0)
    change -= weight * slow / np.maximum(below, np.float32(1e-3))
    free = weight * lesion
    if free.any():
        change -= free * (change[lesion].sum() / free.sum())
    return hu + change


def _falling(value: Array, full: float, none: float) -> Array:
    """1 up to `full`, 0 from `none`, half a cosine between."""
    part = np.clip((value - np.float32(full)) / np.float32(none - full), 0, 1)
    return np.asarray(0.5 * (1 + np.cos(np.pi * part)) * (part < 1), dtype=np.float32)


def tiles(shape: Index3) -> Iterator[Box]:
    """Boxes of at most `TILE_VOXELS` that cover a field, overlapping by at least `OVERLAP_VOXELS`."""
    starts = []
    for n in shape:
        count = 1 + max(0, -(-(n - TILE_VOXELS) // (TILE_VOXELS - OVERLAP_VOXELS)))
        starts.append(np.unique(np.linspace(0, max(n - TILE_VOXELS, 0), count).round().astype(int)).tolist())
    for i, j, k in product(*starts):
        yield Box(start=(i, j, k), stop=(i + TILE_VOXELS, j + TILE_VOXELS, k + TILE_VOXELS)).clipped(shape)


def _ramp(shape: Index3) -> Array:
    """Weight of a tile's voxels: falls towards its faces over the overlap."""
    i, j, k = (np.minimum(np.minimum(np.arange(n), np.arange(n)[::-1]) + 1, OVERLAP_VOXELS).astype(np.float32) for n in shape)
    return np.asarray(i[:, None, None] * j[:, None] * k, dtype=np.float32)


@contextmanager
def _one_thread() -> Iterator[None]:
    """However many threads the caller gives torch: sums in another order would change the last bit, and so the bytes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
