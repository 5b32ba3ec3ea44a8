"""One outline for a click or a box, chosen among many that the network and the densities there give.

The network alone is not enough: who clicks says that there is a lesion, also where a network marks none, or another one beside
it. So outlines are made at falling probabilities of the network and at narrowing ranges of HU around the click's, and the one
is taken that looks most like a lesion's: with an edge in the image all around it, compact, large, and more probable inside
than around. All numbers here are ours, chosen on drawn lesions (docs/why/aid_reading.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.aid.vocabulary import ProposalWay
from panlesion.ct.volume import Box, Index3, Vector3
from panlesion.measure.detection import NEIGHBOURS

SURE = 0.5
LEVELS = (SURE, 0.35, 0.25, 0.15, 0.1, 0.05, 0.02)
"""Probabilities; below the first the network marks nothing by itself."""
NEAR_MM = 3.0
"""How far from a click a part may lie that is meant by it: about a voxel of the network."""
REACH_MM = 40.0
"""Growing by density stays in a ball of this radius."""
RANGES_HU = {
    1.0: (250.0, 130.0, 80.0, 65.0, 50.0, 40.0, 32.0, 25.0, 16.0, 12.0),
    1.8: (100.0, 40.0, 25.0, 16.0, 12.0),
}
"""Half widths of the ranges of HU tried, by how much the image is smoothed before, in mm."""
SEED_MM, EDGE_MM, AROUND_MM = 2.5, 1.2, 2.0
THREAD_MM = 1.5
"""What hangs on an outline by something thinner than twice this is cut off."""
MOST_LEAK = 0.01
"""Of a grown outline may touch the ball's surface; beyond, it has spilled over."""
LEAST_ML = 0.06
"""Smaller outlines are only taken where there is no other: noise has them everywhere."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Patch:
    """A part of a CT around what was pointed at: HU and the network's probability of a lesion, (I, J, K).

    `at` is the click, or the middle of the box; `inside` where the outline must stay, None for a click.
    """

    hu: NDArray[np.float32]
    probability: NDArray[np.float32]
    spacing_mm: Vector3
    at: Index3
    inside: Mask | None = None

    @cached_property
    def away_mm(self) -> NDArray[np.float64]:
        """How far every voxel is from the click."""
        sides = zip(self.hu.shape, self.at, self.spacing_mm, strict=True)
        i, j, k = (((np.arange(n) - c) * mm) ** 2 for n, c, mm in sides)
        return np.sqrt(i[:, None, None] + j[:, None] + k)

    @cached_property
    def edges(self) -> NDArray[np.float32]:
        """How steep the image is, in HU a voxel."""
        steep: NDArray[np.float32] = ndimage.gaussian_gradient_magnitude(self.hu, EDGE_MM / np.asarray(self.spacing_mm))
        return steep

    @property
    def voxel_ml(self) -> float:
        return float(np.prod(self.spacing_mm)) / 1000.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Outline:
    """A mask (I, J, K) of a patch, how it was found, and how much it looks like a lesion's outline."""

    mask: Mask
    way: ProposalWay
    score: float


def best_outline(patch: Patch) -> Outline:
    """The outline that looks most like a lesion's; it has at least the voxel that was pointed at."""
    found = [Outline(mask=mask, way=way, score=score_of(patch, mask)) for mask, way in _outlines(patch) if mask.any()]
    large = [one for one in found if np.count_nonzero(one.mask) * patch.voxel_ml >= LEAST_ML]
    if found:
        return max(large or found, key=lambda one: one.score)
    mask = np.zeros(patch.hu.shape, dtype=bool)
    mask[patch.at] = True
    return Outline(mask=mask, way=ProposalWay.DENSITY, score=0.0)


def _outlines(patch: Patch) -> Iterator[tuple[Mask, ProposalWay]]:
    for least in LEVELS:
        part = _marked(patch, least)
        if part is not None and not _leaks(patch, part):
            yield part, ProposalWay.NETWORK if least == SURE else ProposalWay.FAINT
    for smooth_mm, widths in RANGES_HU.items():
        hu = ndimage.gaussian_filter(patch.hu, smooth_mm / np.asarray(patch.spacing_mm))
        allowed = patch.away_mm <= REACH_MM if patch.inside is None else patch.inside
        middle = float(np.median(hu[allowed & (patch.away_mm <= max(SEED_MM, *patch.spacing_mm))]))
        for width in widths:
            grown = _grown(patch, allowed & (np.abs(hu - middle) <= width))
            if grown is not None and not _leaks(patch, grown):
                yield grown, ProposalWay.DENSITY


def _marked(patch: Patch, least: float) -> Mask | None:
    """The part that the network marks from a probability on at the click, or in the box; None where it marks none."""
    marked = patch.probability >= least
    if patch.inside is not None:
        marked &= patch.inside
    labels, count = ndimage.label(marked, NEIGHBOURS)
    if not count:
        return None
    if patch.inside is not None:
        part: Mask = labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())
        return part
    away = np.where(marked, patch.away_mm, np.inf)
    nearest = np.unravel_index(int(away.argmin()), away.shape)
    return labels == labels[nearest] if away[nearest] <= NEAR_MM else None


def _grown(patch: Patch, alike: Mask) -> Mask | None:
    """What hangs together with the click, holes filled, without what hangs on it by a thread."""
    labels, _ = ndimage.label(alike)
    if not labels[patch.at]:
        return None
    whole = labels == labels[patch.at]
    box = Box.of(whole).grown(1).clipped(whole.shape)
    part, away = whole[box.slices], patch.away_mm[box.slices]
    cores, count = ndimage.label(ndimage.binary_erosion(part, _ball(THREAD_MM, patch.spacing_mm)))
    if count:
        near = np.where(cores > 0, away, np.inf)
        nearest = np.unravel_index(int(near.argmin()), near.shape)
        if near[nearest] <= 2 * THREAD_MM + NEAR_MM:
            back = _ball(THREAD_MM + min(patch.spacing_mm) / 2, patch.spacing_mm)
            part = part & ndimage.binary_dilation(cores == cores[nearest], back)
    grown = np.zeros(whole.shape, dtype=bool)
    grown[box.slices] = ndimage.binary_fill_holes(part)
    return grown


def _ball(radius_mm: float, spacing_mm: Vector3) -> Mask:
    """The voxels within a radius of a voxel, around it."""
    i, j, k = ((np.arange(-(n := int(radius_mm / mm)), n + 1) * mm) ** 2 for mm in spacing_mm)
    ball: Mask = i[:, None, None] + j[:, None] + k <= radius_mm**2
    return ball


def _leaks(patch: Patch, grown: Mask) -> bool:
    """Whether an outline around a click has spilled over; in a box it cannot."""
    if patch.inside is not None:
        return False
    outer = patch.away_mm[grown] >= 0.95 * REACH_MM
    return float(outer.mean()) > MOST_LEAK


def score_of(patch: Patch, mask: Mask) -> float:
    """How much a mask looks like a lesion's outline: edge, compactness, size, and how the network tells inside from around.

    In a box, how far it reaches along the box's sides counts too.
    """
    steps = [max(1, round(AROUND_MM / mm)) for mm in patch.spacing_mm]
    box = Box.of(mask).grown((steps[0] + 1, steps[1] + 1, steps[2] + 1)).clipped(mask.shape)
    part, probability = mask[box.slices], patch.probability[box.slices]
    border = part & ~ndimage.binary_erosion(part)
    around = ndimage.maximum_filter(part, [2 * n + 1 for n in steps]) & ~part
    volume_ml, voxel_mm = float(np.count_nonzero(part)) * patch.voxel_ml, (1000.0 * patch.voxel_ml) ** (1 / 3)
    surface_mm2 = np.count_nonzero(border) * voxel_mm**2
    compact = min(1.5, np.pi ** (1 / 3) * (6000.0 * volume_ml) ** (2 / 3) / surface_mm2)
    tells = float(probability[part].mean()) - (float(probability[around].mean()) if around.any() else 0.0)
    score = float(patch.edges[box.slices][border].mean()) * compact**1.5 * volume_ml**0.3 * (0.6 + tells)
    return score if patch.inside is None else score * _filling(mask, patch.inside)


def _filling(mask: Mask, inside: Mask) -> float:
    """How much of a box's sides a mask spans, squared; less if it runs along the box's faces, as what spills over does."""
    spans = np.array(Box.of(mask).shape) / np.array(Box.of(inside).shape)
    faces = inside & ~ndimage.binary_erosion(inside)
    return float(np.prod(spans) ** (2 / 3)) * (1.0 - np.count_nonzero(mask & faces) / np.count_nonzero(faces))


def runs_of(mask: Mask) -> list[int]:
    """Alternating lengths of 0 and 1, beginning with 0, in the order i fastest, then j, then k."""
    flat = mask.ravel(order="F")
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths: list[int] = np.diff(np.concatenate([[0], turns, [len(flat)]])).tolist()
    return [0, *lengths] if len(flat) and flat[0] else lengths
