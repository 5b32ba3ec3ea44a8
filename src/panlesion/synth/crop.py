"""Which part of a host becomes a case: a cube around the target organ."""

from collections.abc import Mapping

import numpy as np

from panlesion.ct.volume import Box, Index3

MARGIN_VOXELS = 8
"""Voxels kept between the organ and the cube's faces where the host has them, so that a lesion's rim is not cut (ours)."""

JITTER_SHARE = 0.1
"""The cube's centre leaves the organ's by up to this share of its edge, so that position teaches nothing (ours)."""


def draw_crop(
    shape: Index3, boxes: Mapping[int, Box], volumes_ml: Mapping[int, float], *, size: int, rng: np.random.Generator
) -> Box:
    """A cube of `size` voxels on a host of `shape`; it may reach outside along axes on which the host is smaller.

    `boxes` and `volumes_ml` are those of the organ's labels in the host. All labels stay whole where they fit together
    (both kidneys, a liver); else one label, drawn by its volume, is centred, and stays whole where it fits (a lung lobe,
    a vertebra).
    """
    organ = _union(list(boxes.values()))
    if max(organ.shape) > size:
        labels = sorted(boxes)
        weights = np.array([volumes_ml[label] for label in labels])
        organ = boxes[int(rng.choice(labels, p=weights / weights.sum()))]
    offsets = rng.uniform(-JITTER_SHARE, JITTER_SHARE, 3) * size
    starts = [
        _start(a, b, n, size, float(offset)) for a, b, n, offset in zip(organ.start, organ.stop, shape, offsets, strict=True)
    ]
    i, j, k = starts
    return Box(start=(i, j, k), stop=(i + size, j + size, k + size))


def _start(organ_start: int, organ_stop: int, length: int, size: int, offset: float) -> int:
    """Where the cube starts along one axis: the organ kept whole comes first, then the cube kept inside the host."""
    if length <= size:
        return (length - size) // 2
    wanted = round((organ_start + organ_stop - size) / 2 + offset)
    spare = size - (organ_stop - organ_start)
    if spare >= 0:
        margin = min(MARGIN_VOXELS, spare // 2)
        wanted = min(max(wanted, organ_stop + margin - size), organ_start - margin)
    return min(max(wanted, 0), length - size)


def _union(boxes: list[Box]) -> Box:
    starts = np.min([box.start for box in boxes], axis=0).tolist()
    stops = np.max([box.stop for box in boxes], axis=0).tolist()
    return Box(start=(starts[0], starts[1], starts[2]), stop=(stops[0], stops[1], stops[2]))
