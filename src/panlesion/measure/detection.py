"""Lesion-wise detection: which predicted parts hit which true lesions, and what that makes of many scans.

Voxels are looked at once, in `compare`: what is left is a JSON-able `Reading` of component sizes, scores and overlaps, from
which every later question (another rule, a threshold, a curve over thresholds) is answered without the images.

The default rule is that of the PI-CAI challenge (Saha et al. 2024, Lancet Oncol 25:879; picai_eval) and of nnDetection
(Baumgartner et al. 2021, MICCAI): a hit is an intersection over union of at least 0.1, one part hits one lesion, and a
further part on a lesion that is hit already is no false positive. LUNA16-like rules count any contact: `Overlap.ANY`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from panlesion.ct.volume import Box

NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
"""26-connected: voxels that touch at a corner belong together."""


class Overlap(StrEnum):
    """How much a predicted part and a true lesion have in common."""

    ANY = "any"
    IOU = "iou"
    DICE = "dice"


@dataclass(frozen=True, kw_only=True)
class HitRule:
    """When a part hits a lesion. `at_least` is of no meaning to `Overlap.ANY`.

    With `one_to_one` a part that spans two lesions finds one of them; pairs are chosen so that as many lesions as possible
    are found, then for the largest overlap.
    """

    overlap: Overlap = Overlap.IOU
    at_least: float = 0.1
    one_to_one: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.at_least <= 1:
            raise ValueError(f"at_least is {self.at_least}; it must be above 0 and at most 1; for any contact use Overlap.ANY")

    def value(self, shared: int, part: int, lesion: int) -> float:
        """The overlap of a part and a lesion by their voxels, 0 where it is below the rule."""
        if self.overlap is Overlap.ANY:
            return float(shared > 0)
        total = part + lesion
        value = 2 * shared / total if self.overlap is Overlap.DICE else shared / (total - shared)
        return value if value >= self.at_least else 0.0


@dataclass(frozen=True, kw_only=True)
class Part:
    """One predicted component; `shared` has a pair (lesion, voxels in common) for each lesion it touches."""

    voxels: int
    score: float = 1.0
    shared: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One scan: the voxels of every true lesion, and the predicted parts. JSON-able."""

    lesions: tuple[int, ...] = ()
    parts: tuple[Part, ...] = ()

    def kept(self, *, least_voxels: float = 0.0, least_score: float = 0.0) -> "Reading":
        """Without the parts that are smaller or less sure."""
        parts = tuple(part for part in self.parts if part.voxels >= least_voxels and part.score >= least_score)
        return replace(self, parts=parts)

    @property
    def dice(self) -> float:
        """Dice of all parts with all lesions, over the whole scan; 1 when both are empty."""
        total = sum(self.lesions) + sum(part.voxels for part in self.parts)
        return 2 * sum(n for part in self.parts for _, n in part.shared) / total if total else 1.0

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Reading":
        """Back from `dataclasses.asdict` and JSON."""
        parts = [
            Part(voxels=p["voxels"], score=p["score"], shared=tuple((int(a), int(b)) for a, b in p["shared"]))
            for p in row["parts"]
        ]
        return cls(lesions=tuple(row["lesions"]), parts=tuple(parts))


@dataclass(frozen=True, kw_only=True)
class Match:
    """`hits` has, for every lesion, the part that found it or None; `false` are the parts that touch no lesion enough."""

    hits: tuple[int | None, ...]
    false: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Counts over scans. Rates of nothing (no lesion, no part) are None."""

    scans: int
    hits: int
    missed: int
    false: int

    @property
    def sensitivity(self) -> float | None:
        """Share of the lesions that were found."""
        lesions = self.hits + self.missed
        return self.hits / lesions if lesions else None

    @property
    def precision(self) -> float | None:
        """Share of hits among hits and false positives; further parts on a lesion that is hit count as neither."""
        counted = self.hits + self.false
        return self.hits / counted if counted else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of the two."""
        counted = 2 * self.hits + self.missed + self.false
        return 2 * self.hits / counted if counted else None

    @property
    def false_per_scan(self) -> float | None:
        """False positives per scan."""
        return self.false / self.scans if self.scans else None


def components(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """26-connected components, numbered from 1 in the order of their first voxels, and how many there are."""
    labels = np.zeros(mask.shape, dtype=np.int32)
    box = Box.of(mask)
    if box.empty:
        return labels, 0
    part, count = ndimage.label(mask[box.slices], structure=NEIGHBOURS)
    labels[box.slices] = part
    return labels, int(count)


def mean_of_components(labels: NDArray[np.int32], count: int, values: NDArray) -> NDArray[np.float64]:
    """Mean of `values` (same shape) in each component, (count,)."""
    inside = labels > 0
    which = labels[inside]
    sums = np.bincount(which, weights=values[inside].astype(np.float64), minlength=count + 1)[1:]
    return sums / np.maximum(np.bincount(which, minlength=count + 1)[1:], 1)


def compare(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], score: NDArray | None = None) -> Reading:
    """The reading of two masks of one shape; a part's score is the mean of `score` (same shape) in it, else 1.

    Raises:
        ValueError: The shapes differ.
    """
    parts, lesions = components(predicted), components(truth)
    scores = None if score is None else mean_of_components(*parts, score)
    return compare_labelled(*parts, *lesions, scores)


def compare_labelled(
    parts: NDArray[np.int32], part_count: int, lesions: NDArray[np.int32], lesion_count: int, scores: NDArray | None = None
) -> Reading:
    """As `compare` for masks that are numbered already (1 … count), for lesions that touch; `scores` has one per part.

    Raises:
        ValueError: The shapes differ, or there is not one score for each part.
    """
    if parts.shape != lesions.shape:
        raise ValueError(f"the prediction has shape {parts.shape}, the truth {lesions.shape}; they must be equal")
    if scores is not None and len(scores) != part_count:
        raise ValueError(f"{len(scores)} scores for {part_count} parts; there must be one for each")
    both = (parts > 0) & (lesions > 0)
    pairs, voxels = np.unique(parts[both].astype(np.int64) * (lesion_count + 1) + lesions[both], return_counts=True)
    shared: list[list[tuple[int, int]]] = [[] for _ in range(part_count)]
    for pair, n in zip(pairs.tolist(), voxels.tolist(), strict=True):
        part, lesion = divmod(pair, lesion_count + 1)
        shared[part - 1].append((lesion - 1, n))
    sizes = np.bincount(parts[parts > 0], minlength=part_count + 1)[1:].tolist()
    values = [1.0] * part_count if scores is None else [float(value) for value in scores]
    return Reading(
        lesions=tuple(np.bincount(lesions[lesions > 0], minlength=lesion_count + 1)[1:].tolist()),
        parts=tuple(Part(voxels=v, score=s, shared=tuple(o)) for v, s, o in zip(sizes, values, shared, strict=True)),
    )


def match(reading: Reading, rule: HitRule | None = None) -> Match:
    """Which part found which lesion."""
    # Its 25 MB are not asked of predicting, which only numbers parts.
    from scipy.optimize import linear_sum_assignment

    rule = rule or HitRule()
    overlap = np.zeros((len(reading.lesions), len(reading.parts)))
    for column, part in enumerate(reading.parts):
        for lesion, voxels in part.shared:
            overlap[lesion, column] = rule.value(voxels, part.voxels, reading.lesions[lesion])
    enough = overlap > 0
    hits: list[int | None] = [None] * len(reading.lesions)
    if rule.one_to_one:
        # One more for every pair: finding another lesion goes before overlapping more with one (as picai_eval does).
        pairs = np.stack(linear_sum_assignment(overlap + enough, maximize=True), axis=1)
        for lesion, column in pairs.tolist():
            if enough[lesion, column]:
                hits[lesion] = column
    else:
        for lesion in np.flatnonzero(enough.any(axis=1)).tolist():
            hits[lesion] = int(overlap[lesion].argmax())
    return Match(hits=tuple(hits), false=tuple(np.flatnonzero(~enough.any(axis=0)).tolist()))


def tally(readings: Iterable[Reading], rule: HitRule | None = None) -> Tally:
    """Counts over scans."""
    scans = hits = missed = false = 0
    for reading in readings:
        found = match(reading, rule)
        here = sum(hit is not None for hit in found.hits)
        scans, hits, missed, false = scans + 1, hits + here, missed + len(found.hits) - here, false + len(found.false)
    return Tally(scans=scans, hits=hits, missed=missed, false=false)
