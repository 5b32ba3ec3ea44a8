"""From what a network says around a click or in a box to one outline; and, where it says nothing, from the densities there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.aid.vocabulary import ProposalWay
from panlesion.ct.volume import Box, Index3, Vector3, Volume
from panlesion.measure.detection import NEIGHBOURS, components
from panlesion.measure.touching import lobes

SURE = 0.5
FAINT = (0.35, 0.25, 0.15, 0.1, 0.05, 0.02)
"""Probabilities below which the network marks nothing by itself, tried one after another; ours, as all numbers here."""
NEAR_MM, NEAR_FAINT_MM = 10.0, 5.0
"""How far from the click an outline may lie: where the network is sure, and where it is not."""
MOST_FAINT_MM = 80.0
"""A faint part longer than this is no lesion but an organ."""
REACH_MM = 20.0
"""Growing by density stays in a ball of this radius around the click."""
SEED_MM, SMOOTH_MM = 2.5, 1.0
TOLERANCES_HU = (300.0, 200.0, 150.0, 100.0, 80.0, 60.0, 50.0, 40.0, 30.0, 25.0, 20.0, 15.0, 10.0)
MOST_LEAK = 0.02
"""Of the ball's surface that an outline may touch before it counts as spilling over."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """A part (I, J, K) of where the network looked, and the probability from which on its voxels belong to it."""

    mask: Mask
    least: float
    way: ProposalWay


def at_point(probability: NDArray[np.float32], point: Index3, spacing_mm: Vector3) -> Chosen | None:
    """The part of a probability map (I, J, K) that a click means, the surest first; None where there is none near."""
    for least in (SURE, *FAINT):
        way = ProposalWay.NETWORK if least == SURE else ProposalWay.FAINT
        found = _nearest_part(probability >= least, point, spacing_mm, NEAR_MM if least == SURE else NEAR_FAINT_MM)
        if found is None:
            continue
        found = _lobe_at(found, point, spacing_mm)
        if least < SURE and max(np.array(Box.of(found).shape) * spacing_mm) > MOST_FAINT_MM:
            return None  # lower still there is only more of it
        return Chosen(mask=found, least=least, way=way)
    return None


def _nearest_part(marked: Mask, point: Index3, spacing_mm: Vector3, within_mm: float) -> Mask | None:
    where = np.argwhere(marked)
    if not len(where):
        return None
    away = np.linalg.norm((where - point) * np.asarray(spacing_mm), axis=1)
    nearest = int(away.argmin())
    if away[nearest] > within_mm:
        return None
    labels, _ = components(marked)
    part: Mask = labels == labels[tuple(where[nearest])]
    return part


def _lobe_at(part: Mask, point: Index3, spacing_mm: Vector3) -> Mask:
    """Of a part with a neck the lobe that is nearest."""
    labels, count = lobes(part, spacing_mm)
    if count < 2:
        return part
    where = np.argwhere(labels > 0)
    away = np.linalg.norm((where - point) * np.asarray(spacing_mm), axis=1)
    lobe: Mask = labels == labels[tuple(where[int(away.argmin())])]
    return lobe


def in_box(probability: NDArray[np.float32], inside: Mask) -> Chosen | None:
    """What of a probability map lies in a box: all that the network is sure of, else the best part of it.

    The best part reaches from its most probable voxel down to half of that.
    """
    held = np.where(inside, probability, 0.0)
    if bool((held >= SURE).any()):
        return Chosen(mask=held >= SURE, least=SURE, way=ProposalWay.NETWORK)
    best = float(held.max(initial=0.0))
    if best < FAINT[-1]:
        return None
    labels, _ = components(held >= best / 2)
    part: Mask = labels == labels[np.unravel_index(int(held.argmax()), held.shape)]
    return Chosen(mask=part, least=best / 2, way=ProposalWay.FAINT)


def by_density(ct: Volume, point: Index3, reach_mm: float = REACH_MM, inside: Mask | None = None) -> tuple[Box, Mask]:
    """What hangs together with a point and is about as dense, within a ball: the box it lies in, on the grid, and its mask.

    The widest range of HU that does not spill over is taken; where all do, the narrowest. It has at least the point itself.

    Args:
        ct: Around the point at least as far as the ball reaches.
        point: On the CT's grid.
        reach_mm: Radius of the ball.
        inside: (I, J, K) on the CT's grid, where it must stay besides.
    """
    spacing = np.asarray(ct.grid.spacing_mm)
    i, j, k = np.ceil(reach_mm / spacing).astype(int).tolist()
    box = Box(start=point, stop=(point[0] + 1, point[1] + 1, point[2] + 1)).grown((i, j, k)).clipped(ct.grid.shape)
    at = tuple(np.array(point) - box.start)
    offset = [(np.arange(n) - c) * mm for n, c, mm in zip(box.shape, at, spacing.tolist(), strict=True)]
    away = np.sqrt(sum(one**2 for one in np.meshgrid(*offset, indexing="ij")))
    allowed: Mask = away <= reach_mm
    if inside is not None:
        allowed &= inside[box.slices]
    hu = ndimage.gaussian_filter(ct.hu[box.slices].astype(np.float32), SMOOTH_MM / spacing)
    seed = float(np.median(hu[(away <= SEED_MM) & allowed])) if allowed[at] else float(hu[at])
    edge = allowed & ~ndimage.binary_erosion(allowed)
    grown = np.zeros(box.shape, dtype=bool)
    for tolerance in TOLERANCES_HU:
        grown = _grown(allowed & (np.abs(hu - seed) <= tolerance), at)
        if np.count_nonzero(grown & edge) <= MOST_LEAK * np.count_nonzero(edge):
            break
    grown[at] = True
    return box, ndimage.binary_fill_holes(grown).astype(bool)


def _grown(alike: Mask, at: tuple[int, ...]) -> Mask:
    """The part of a point, without what hangs on it by a thread."""
    labels, _ = ndimage.label(alike)
    if not labels[at]:
        return np.zeros(alike.shape, dtype=bool)
    part = labels == labels[at]
    opened, _ = ndimage.label(ndimage.binary_opening(part, NEIGHBOURS))
    if not opened[at]:
        return part
    core: Mask = opened == opened[at]
    return core


def runs_of(mask: Mask) -> list[int]:
    """Alternating lengths of 0 and 1, beginning with 0, in the order i fastest, then j, then k."""
    flat = mask.ravel(order="F")
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], turns, [len(flat)]])).tolist()
    return [0, *lengths] if len(flat) and flat[0] else lengths
