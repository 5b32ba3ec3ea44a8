"""Free-response operating points: how many lesions are found for so many false positives a scan."""

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


def operating_points(
    readings: Sequence[Reading], rule: HitRule | None = None, *, rates: Sequence[float] = RATES
) -> list[RatePoint]:
    """For every allowed number of false positives per scan the mildest score that keeps to it.

    Raises:
        ValueError: No scan, or none with a lesion.
    """
    lesions = sum(len(reading.lesions) for reading in readings)
    if not lesions:
        raise ValueError(f"{len(readings)} scans hold no lesion; sensitivity needs some")
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
