"""Lesions that touch in one mask, told apart by the neck between them."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.volume import Box, Vector3
from panlesion.measure.detection import NEIGHBOURS

LEAST_RADIUS_MM = 4.0
"""A lobe whose largest inscribed ball is smaller is no lesion of its own."""
MOST_NECK = 0.5
"""Two lobes are two lesions where the neck's inscribed radius is at most this share of the smaller lobe's.

Both are ours, chosen on real masks of single lesions; docs/why/evaluation.md has how many of those they part.
"""
_STEPS_PER_VOXEL = 4


def lobes(
    mask: NDArray[np.bool_], spacing_mm: Vector3, *, least_radius_mm: float = LEAST_RADIUS_MM, most_neck: float = MOST_NECK
) -> tuple[NDArray[np.int32], int]:
    """Lobes of one component, numbered from 1, largest inscribed ball first, and how many; 1 where it has no neck.

    Balls are inscribed by the distance to what is outside. Shrunk by as much as parts it from the others, each lobe leaves a
    core; grown back by as much, a voxel belongs to the core that reaches it first.
    """
    box = Box.of(mask)
    labels = np.zeros(mask.shape, dtype=np.int32)
    if box.empty:
        return labels, 0
    inner = np.pad(mask[box.slices], 1)
    distance = ndimage.distance_transform_edt(inner, sampling=spacing_mm)
    necks_mm = _necks(distance, min(spacing_mm) / _STEPS_PER_VOXEL, least_radius_mm, most_neck)
    if len(necks_mm) < 2:
        labels[mask] = 1
        return labels, 1
    reach = []
    for seed, neck_mm in necks_mm.items():
        parts, _ = ndimage.label(distance >= neck_mm, structure=NEIGHBOURS)
        core = parts == parts[seed]
        reach.append(ndimage.distance_transform_edt(~core, sampling=spacing_mm) - neck_mm)
    nearest = np.where(inner, 1 + np.argmin(reach, axis=0), 0)
    labels[box.slices] = nearest[1:-1, 1:-1, 1:-1]
    return labels, len(necks_mm)


Seed = tuple[int, int, int]


def _necks(distance: NDArray[np.float64], step_mm: float, least_radius_mm: float, most_neck: float) -> dict[Seed, float]:
    """Centres of the lobes' largest balls, largest first, each with the radius of the widest neck that ties it to another.

    The mask is looked at as it shrinks less and less; where two lobes first meet, that far the neck reaches.
    """
    alive: dict[Seed, float] = {}  # neck of every centre that met none, or smaller ones
    apart: dict[Seed, float] = {}
    levels = np.arange(float(distance.max()), 0, -step_mm)
    for level in [*levels.tolist(), 1e-6]:
        parts, count = ndimage.label(distance >= level, structure=NEIGHBOURS)
        here: list[list[Seed]] = [[] for _ in range(count + 1)]
        for seed in alive:
            here[parts[seed]].append(seed)
        for number in range(1, count + 1):
            if not here[number]:
                at = np.where(parts == number, distance, 0).argmax()
                i, j, k = (int(n) for n in np.unravel_index(at, distance.shape))
                alive[i, j, k] = 0.0
                continue
            *smaller, largest = sorted(here[number], key=lambda seed: distance[seed])
            for seed in smaller:
                # one step less deep they were still apart
                neck_mm, widest_mm = level + step_mm, alive.pop(seed)
                if distance[seed] >= least_radius_mm and level <= most_neck * distance[seed]:
                    apart[seed] = max(widest_mm, neck_mm)
                    alive[largest] = max(alive[largest], neck_mm)
    found = alive | apart
    return {seed: found[seed] for seed in sorted(found, key=lambda seed: -distance[seed])}
