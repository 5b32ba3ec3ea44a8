"""Predicted masks against true ones: scores of every case and class, summed up by class with intervals over patients."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panlesion.bench.mask_pairs import Checked, Progress, ScoredClass
from panlesion.measure.detection import HitRule
from panlesion.measure.mask_scores import MaskScores, score_masks
from panlesion.measure.resampling import Interval, bootstrap, bootstrap_mean

TOLERANCE_MM = 2.0
"""Tolerance of the NSD where none is given; ours."""


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """Scores of one class in one case."""

    case: str
    patient: str
    name: str
    scores: MaskScores


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A metric of one class over the cases it is defined in; `left_out` are those where it is infinite.

    Without a value anywhere `interval` is None. Of a single patient its ends are the value itself and mean nothing.
    """

    id: str
    title: str
    interval: Interval | None
    cases: int
    left_out: int = 0

    @property
    def text(self) -> str:
        """For a table."""
        one = self.interval
        if one is None:
            return "none"
        text = f"{one.mean:.3f} (n = 1)" if one.n == 1 else str(one)
        return f"{text}, {self.left_out} left out" if self.left_out else text


@dataclass(frozen=True, kw_only=True)
class ClassSummary:
    """One class over all cases: in how many the truth has it, its true lesions, and the metrics."""

    name: str
    value: int | None
    cases: int
    cases_with: int
    lesions: int
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured, how, and on what."""

    predicted: str
    truth: str
    tolerance_mm: float
    rule: HitRule
    rows: tuple[CaseRow, ...]
    classes: tuple[ClassSummary, ...]

    @property
    def patients(self) -> int:
        """Of all cases."""
        return len({row.patient for row in self.rows})


def evaluate(
    checked: Checked, *, predicted: Path, truth: Path, tolerance_mm: float = TOLERANCE_MM, rule: HitRule | None = None,
    progress: Progress | None = None,
) -> Evaluation:  # fmt: skip
    """Score every class of every pair, and sum up by class.

    Raises:
        ValueError: The pairs have problems; the tolerance is no number of mm.
    """
    if checked.problems or not checked.pairs:
        raise ValueError(f"{len(checked.pairs)} pairs with {len(checked.problems)} problems; only sound pairs can be scored")
    if not (math.isfinite(tolerance_mm) and tolerance_mm >= 0):
        raise ValueError(f"tolerance is {tolerance_mm}; it must be a finite number of mm, 0 or more")
    chosen = rule or HitRule()
    rows = []
    for number, pair in enumerate(checked.pairs):
        if progress is not None:
            progress(number, len(checked.pairs), pair.case)
        said, true = pair.read()
        for one in checked.classes:
            scores = score_masks(one.mask(said), one.mask(true), true.grid, tolerance_mm=tolerance_mm, rule=chosen)
            rows.append(CaseRow(case=pair.case, patient=pair.patient, name=one.name, scores=scores))
    classes = tuple(_summed([row for row in rows if row.name == one.name], one) for one in checked.classes)
    return Evaluation(
        predicted=str(predicted), truth=str(truth), tolerance_mm=tolerance_mm, rule=chosen, rows=tuple(rows), classes=classes
    )


MEANS: tuple[tuple[str, str, Callable[[MaskScores], float | None]], ...] = (
    ("dice", "Dice", lambda one: one.dice),
    ("nsd", "NSD", lambda one: one.nsd),
    ("hd95_mm", "HD95, mm", lambda one: one.hd95_mm),
    ("mean_surface_mm", "mean surface distance, mm", lambda one: one.mean_surface_mm),
    ("volume_error_ml", "volume error, ml", lambda one: one.volume.signed_ml),
    ("absolute_volume_error_ml", "absolute volume error, ml", lambda one: one.volume.absolute_ml),
    ("volume_error_percent", "volume error, %", lambda one: one.volume.signed_percent),
    ("absolute_volume_error_percent", "absolute volume error, %", lambda one: one.volume.absolute_percent),
)
"""Means over cases: id, title, and where a case's value is; None where it has none."""


def _sensitivity(hits: NDArray, missed: NDArray, _false: NDArray) -> float:
    return _share(hits.sum(), hits.sum() + missed.sum())


def _precision(hits: NDArray, _missed: NDArray, false: NDArray) -> float:
    return _share(hits.sum(), hits.sum() + false.sum())


def _f1(hits: NDArray, missed: NDArray, false: NDArray) -> float:
    return _share(2 * hits.sum(), 2 * hits.sum() + missed.sum() + false.sum())


def _false_per_scan(_hits: NDArray, _missed: NDArray, false: NDArray) -> float:
    return float(false.mean())


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


_POOLED: tuple[tuple[str, str, Callable[..., float]], ...] = (
    ("lesion_sensitivity", "lesion sensitivity", _sensitivity),
    ("lesion_precision", "lesion precision", _precision),
    ("lesion_f1", "lesion F1", _f1),
    ("false_per_scan", "false positives a scan", _false_per_scan),
)
"""Counts of all scans together: lesions weigh alike, whichever scan they are in."""


def _summed(rows: Sequence[CaseRow], one: ScoredClass) -> ClassSummary:
    tallies = [row.scores.tally for row in rows]
    return ClassSummary(
        name=one.name,
        value=one.value,
        cases=len(rows),
        cases_with=sum(row.scores.volume.truth_ml > 0 for row in rows),
        lesions=sum(tally.hits + tally.missed for tally in tallies),
        metrics=(
            *(_mean(rows, id_, title, value) for id_, title, value in MEANS),
            *(_pooled(rows, id_, title, statistic) for id_, title, statistic in _POOLED),
        ),
    )


def _mean(rows: Sequence[CaseRow], id_: str, title: str, value: Callable[[MaskScores], float | None]) -> Metric:
    """Mean over the cases that have a value; infinite distances, where nothing was predicted, are counted and left out."""
    values = [(found, row.patient) for row in rows if (found := value(row.scores)) is not None]
    finite = [(found, patient) for found, patient in values if math.isfinite(found)]
    interval = bootstrap_mean([found for found, _ in finite], [patient for _, patient in finite]) if finite else None
    return Metric(id=id_, title=title, interval=interval, cases=len(finite), left_out=len(values) - len(finite))


def _pooled(rows: Sequence[CaseRow], id_: str, title: str, statistic: Callable[..., float]) -> Metric:
    columns = np.array([(tally.hits, tally.missed, tally.false) for row in rows for tally in [row.scores.tally]]).T
    interval = bootstrap(statistic, list(columns), [row.patient for row in rows])
    return Metric(id=id_, title=title, interval=None if math.isnan(interval.mean) else interval, cases=len(rows))
