"""Baselines without a network: what a score means is seen beside them. They know the image, its middle, and the shots."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.bench.task import Arm
from panlesion.ct.volume import Volume
from panlesion.data.sources.labelled_ct import LabelledCT

Predict = Callable[[LabelledCT], NDArray[np.bool_]]
Fitter = Callable[[Sequence[LabelledCT]], Predict]

THRESHOLDS_HU = tuple(range(-900, 201, 50))
LUNG_THRESHOLD_HU = -400
"""Without shots: midway between aerated lung (-850 HU) and soft tissue (50 HU). Ours."""


def centre_ball(shape: tuple[int, ...], spacing_mm: float, volume_ml: float) -> NDArray[np.bool_]:
    """A ball of a volume in the middle of the image."""
    radius = (3 * volume_ml * 1000 / (4 * np.pi)) ** (1 / 3) / spacing_mm
    inside: NDArray[np.bool_] = _from_centre(shape) <= radius
    return inside


@lru_cache(maxsize=8)
def _from_centre(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Distance of every voxel from the middle of the image, in voxels."""
    offset = np.indices(shape).T - (np.asarray(shape) - 1) / 2
    return np.linalg.norm(offset, axis=-1).T


def fit_ball(shots: Sequence[LabelledCT]) -> Predict:
    """A centre ball of the shots' mean volume.

    Raises:
        ValueError: There are no shots to take the volume from.
    """
    if not shots:
        raise ValueError("a ball has the shots' mean volume; give at least one shot")
    mean_ml = float(np.mean([np.count_nonzero(case.label.labels) * case.label.grid.voxel_ml for case in shots]))
    return lambda case: centre_ball(case.label.labels.shape, case.ct.grid.spacing_mm[0], mean_ml)


class Part(StrEnum):
    """Which connected component of what is brighter than the threshold."""

    CENTRAL = "nearest the centre"
    LARGEST = "largest"


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """Everything at least as bright as `hu` that hangs together (26 neighbours), one component of it."""

    hu: int = LUNG_THRESHOLD_HU
    part: Part = Part.CENTRAL


@dataclass(frozen=True, eq=False)
class _Components:
    """What is at least as bright as a threshold, in numbered parts that hang together."""

    numbered: NDArray[np.int32]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, ct: Volume, hu: int) -> "_Components":
        numbered = np.empty(ct.hu.shape, dtype=np.int32)
        ndimage.label(ct.hu >= hu, structure=np.ones((3, 3, 3)), output=numbered)
        return cls(numbered, np.bincount(numbered.ravel()))

    def number(self, part: Part) -> int:
        """The component a rule means; 0, the dark, where there is none."""
        if len(self.sizes) < 2:
            return 0
        if part is Part.LARGEST:
            return 1 + int(np.argmax(self.sizes[1:]))
        bright = np.flatnonzero(self.numbered)
        nearest = bright[np.argmin(_from_centre(self.numbered.shape).ravel()[bright])]
        return int(self.numbered.flat[nearest])


def component(ct: Volume, rule: Threshold) -> NDArray[np.bool_]:
    """The mask that a rule gives; empty where nothing is bright enough."""
    found = _Components.of(ct, rule.hu)
    number = found.number(rule.part)
    return (found.numbered == number) & (number > 0)


def best_threshold(shots: Sequence[LabelledCT]) -> Threshold:
    """The rule with the highest mean Dice on the shots; the first of equals. Without shots, the default rule."""
    if not shots:
        return Threshold()
    rules = [Threshold(hu=hu, part=part) for hu in THRESHOLDS_HU for part in Part]
    scores = np.zeros(len(rules))
    for case in shots:
        truth = case.label.labels > 0
        volume = int(np.count_nonzero(truth))
        for n, rule in enumerate(rules):
            if n % len(Part) == 0:
                found = _Components.of(case.ct, rule.hu)
                shared = np.bincount(found.numbered[truth], minlength=len(found.sizes))
            if number := found.number(rule.part):
                scores[n] += 2 * shared[number] / (found.sizes[number] + volume)
    return rules[int(np.argmax(scores))]


def fit_threshold(shots: Sequence[LabelledCT]) -> Predict:
    """The best threshold of the shots with its component."""
    rule = best_threshold(shots)
    return lambda case: component(case.ct, rule)


FITTERS: Mapping[Arm, Fitter] = MappingProxyType({Arm.BALL: fit_ball, Arm.THRESHOLD: fit_threshold})
