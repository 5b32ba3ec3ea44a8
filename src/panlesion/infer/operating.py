"""Where a finding begins to count: a probability chosen by how many lesions shall be found, or how much falsely marked."""

from collections.abc import Mapping, Sequence
from typing import Any

from panlesion.errors import CheckpointError
from panlesion.infer.record import OperatingPoint
from panlesion.nets.model import Model

DEFAULT_FALSE_PER_SCAN = 1.0
WITHOUT_TABLE = 0.5
"""Least certainty for a network that was never calibrated, as one that was fine-tuned is; ours."""
STAGE = "stage_three"


def operating_point(
    model: Model, *, sensitivity: float | None = None, false_per_scan: float | None = None, probability: float | None = None
) -> OperatingPoint:
    """The point of the checkpoint's table that was asked for; by default at most one false positive a scan.

    Args:
        model: Its provenance holds the table, if the second look was trained.
        sensitivity: At least this share of lesions found; the point with the fewest false positives.
        false_per_scan: At most so many false positives a scan; the point that finds most.
        probability: This least probability itself; what it finds is not told.

    Raises:
        ValueError: More than one of them, or out of range.
        CheckpointError: The checkpoint has no table, or none of its points reaches the sensitivity.
    """
    asked = [one for one in (sensitivity, false_per_scan, probability) if one is not None]
    if len(asked) > 1:
        raise ValueError("sensitivity, false positives and probability are three ways to choose one point; give one of them")
    if probability is not None:
        if not 0 <= probability <= 1:
            raise ValueError(f"probability is {probability}; it must be 0 to 1")
        return OperatingPoint(least_probability=probability)
    table, scans = _table(model)
    if not table:
        if asked:
            raise CheckpointError(
                "the checkpoint has no table of operating points: train its second look (`panlesion pretrain --stage 3`), or "
                "choose by probability"
            )
        return OperatingPoint(least_probability=WITHOUT_TABLE)
    if sensitivity is not None:
        return _told(_reaching(table, sensitivity), scans)
    most = DEFAULT_FALSE_PER_SCAN if false_per_scan is None else false_per_scan
    if most < 0:
        raise ValueError(f"false_per_scan is {most}; it cannot be negative")
    within = [point for point in table if point["false_per_scan"] <= most]
    if not within:
        least = min(point["false_per_scan"] for point in table)
        raise CheckpointError(
            f"no point of the checkpoint's table has at most {most:g} false positives a scan; least: {least:g}"
        )
    return _told(max(within, key=lambda point: (point["sensitivity"], -point["false_per_scan"])), scans)


def _reaching(table: Sequence[Mapping[str, float]], sensitivity: float) -> Mapping[str, float]:
    if not 0 < sensitivity <= 1:
        raise ValueError(f"sensitivity is {sensitivity}; it must be above 0 and at most 1")
    enough = [point for point in table if point["sensitivity"] >= sensitivity]
    if not enough:
        best = max(point["sensitivity"] for point in table)
        raise CheckpointError(f"no point of the checkpoint's table finds {sensitivity:.0%} of lesions; the most is {best:.0%}")
    return min(enough, key=lambda point: (point["false_per_scan"], -point["sensitivity"]))


def _table(model: Model) -> tuple[list[Mapping[str, float]], int]:
    told: Any = model.info.provenance.get(STAGE)
    if not isinstance(told, Mapping):
        return [], 0
    points = told.get("operating_points", [])
    names = {"least_score", "false_per_scan", "sensitivity"}
    if not isinstance(points, list) or not all(isinstance(point, Mapping) and names <= point.keys() for point in points):
        raise CheckpointError(
            f"the checkpoint's table of operating points is no list of {', '.join(sorted(names))}; train it anew"
        )
    return points, int(told.get("calibration_scans", 0))


def _told(point: Mapping[str, float], scans: int) -> OperatingPoint:
    return OperatingPoint(
        least_probability=point["least_score"],
        sensitivity=point["sensitivity"],
        false_per_scan=point["false_per_scan"],
        calibrated_on=f"{scans} drawn scans",
    )
