"""Free-response curves: how many lesions are found for so many false positives a scan, and average precision over scans."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from panlesion.measure.detection import HitRule, Reading, match, tally

RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per scan of LUNA16 (Setio et al. 2017, Med Image Anal 42:1); its score is the mean of their sensitivities."""


@dataclass(frozen=True, kw_only=True)
class RatePoint:
    """Parts from `least_score` on count: `false_per_scan` of them are wrong, at most `allowed`, and they find `sensitivity`."""

    allowed: float
    least_score: float
    false_per_scan: float
    sensitivity: float


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """What parts from `least_score` on amount to."""

    least_score: float
    false_per_scan: float
    sensitivity: float
    precision: float


def froc_curve(readings: Sequence[Reading], rule: HitRule | None = None) -> tuple[CurvePoint, ...]:
    """A point for each distinct score, highest first; empty where no part counts.

    Parts are matched once, all of them, and then taken by their score, as picai_eval does; `operating_points` matches anew at
    each threshold. Further parts on a lesion that is hit count as neither right nor wrong.

    Raises:
        ValueError: No scan, or none with a lesion.
    """
    lesions = _lesions(readings)
    right, wrong = [], []
    for reading in readings:
        found = match(reading, rule)
        right += [reading.parts[part].score for part in found.hits if part is not None]
        wrong += [reading.parts[part].score for part in found.false]
    of_hits, of_false = np.array(right), np.array(wrong)
    points = []
    for score in sorted({*right, *wrong}, reverse=True):
        hits, false = int(np.count_nonzero(of_hits >= score)), int(np.count_nonzero(of_false >= score))
        points.append(
            CurvePoint(
                least_score=score,
                false_per_scan=false / len(readings),
                sensitivity=hits / lesions,
                precision=hits / (hits + false),
            )
        )
    return tuple(points)


def average_precision(readings: Sequence[Reading], rule: HitRule | None = None) -> float:
    """Mean precision over the sensitivities that are reached, 0 beyond them: the area of the steps, as PI-CAI ranks by.

    Raises:
        ValueError: As `froc_curve`.
    """
    area = before = 0.0
    for point in froc_curve(readings, rule):
        area += (point.sensitivity - before) * point.precision
        before = point.sensitivity
    return area


def operating_points(
    readings: Sequence[Reading], rule: HitRule | None = None, *, rates: Sequence[float] = RATES
) -> list[RatePoint]:
    """For every allowed number of false positives per scan the mildest score that keeps to it.

    Raises:
        ValueError: No scan, or none with a lesion.
    """
    _lesions(readings)
    # Whether a part is false depends on its own overlap alone, so all thresholds can be read off one list.
    false = sorted((reading.parts[n].score for reading in readings for n in match(reading, rule).false), reverse=True)
    found = []
    for allowed in rates:
        most = int(allowed * len(readings) + 1e-9)
        least = float(np.nextafter(false[most], np.inf)) if most < len(false) else 0.0
        counts = tally((reading.kept(least_score=least) for reading in readings), rule)
        found.append(
            RatePoint(
                allowed=allowed,
                least_score=least,
                false_per_scan=counts.false_per_scan or 0.0,
                sensitivity=counts.sensitivity or 0.0,
            )
        )
    return found


def _lesions(readings: Sequence[Reading]) -> int:
    lesions = sum(len(reading.lesions) for reading in readings)
    if not lesions:
        raise ValueError(f"{len(readings)} scans hold no lesion; sensitivity needs some")
    return lesions
