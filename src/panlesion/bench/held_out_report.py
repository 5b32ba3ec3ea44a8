"""Numbers from the rows of `held_out`: an operating point chosen on validation scans, and tables of the test scans."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from panlesion.bench.held_out import ScanRow
from panlesion.bench.held_out_scans import Split
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.measure.detection import HitRule, Reading, match, tally
from panlesion.measure.froc import operating_points
from panlesion.measure.resampling import Interval, bootstrap_mean
from panlesion.measure.share import wilson

VOLUMES_ML = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
SCORES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""From 0.5 on for mean probabilities of what an argmax marks, below it for probabilities of a detection head."""


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """Which parts count as findings. The default keeps all that the argmax gives."""

    least_ml: float = 0.0
    least_score: float = 0.0

    def of(self, reading: Reading, voxel_ml: float) -> Reading:
        """A reading with the parts that count."""
        # a hair of tolerance: a threshold of a whole number of voxels keeps parts of that size
        return reading.kept(least_voxels=self.least_ml / voxel_ml - 1e-6, least_score=self.least_score)

    def __str__(self) -> str:
        if self == OperatingPoint():
            return "argmax"
        return f"from {self.least_ml:g} ml and certainty {self.least_score:g}"


ARGMAX = OperatingPoint()


def choose_operating_point(rows: Sequence[ScanRow], rule: HitRule | None = None) -> OperatingPoint:
    """Smallest volume and probability at which lesion-wise F1 over the validation scans is best; test rows are not looked at.

    Of equal ones the point with the fewest false positives, then the mildest. Where nothing is found at any, `ARGMAX`.

    Raises:
        ValueError: There is no validation scan.
    """
    mine = [row for row in rows if row.split is Split.VALIDATION]
    if not mine:
        raise ValueError("no row is a validation scan's; run with validation_per_type of 1 or more")
    best, key = ARGMAX, (0.0, 0.0)
    for least_ml in VOLUMES_ML:
        for least_score in SCORES:
            point = OperatingPoint(least_ml=least_ml, least_score=least_score)
            counts = tally((point.of(row.any, row.voxel_ml) for row in mine), rule)
            new = (counts.f1 or 0.0, -float(counts.false))
            if counts.hits and new > key:
                best, key = point, new
    return best


@dataclass(frozen=True, kw_only=True)
class TypeResult:
    """One line of the table; n is scans, each with one lesion. `any` counts a lesion by whatever name, `named` by its own."""

    type: LesionType | None
    dice_any: Interval
    dice_named: Interval
    sensitivity_any: Interval
    sensitivity_named: Interval
    false_per_scan: Interval
    baseline_dice: Interval
    baseline_sensitivity: Interval
    baseline_false_per_scan: Interval


@dataclass(frozen=True, kw_only=True)
class LesionFree:
    """Lesion-free scans: false positives per scan, their volume, and the share of scans with none."""

    false_per_scan: Interval
    false_ml_per_scan: Interval
    clean: Interval
    baseline_false_per_scan: Interval


def by_type(rows: Sequence[ScanRow], point: OperatingPoint = ARGMAX, rule: HitRule | None = None) -> list[TypeResult]:
    """Results of the test scans of every type, then of all of them together (`type` None)."""
    test = [row for row in rows if row.split is Split.TEST and row.type is not None]
    kinds: list[LesionType | None] = [type_ for type_ in LesionType if any(row.type is type_ for row in test)]
    found = []
    for kind in [*kinds, None] if kinds else []:
        mine = [row for row in test if kind is None or row.type is kind]
        any_, named = ([point.of(reading(row), row.voxel_ml) for row in mine] for reading in (_any, _named))
        baseline = [row.baseline for row in mine]
        found.append(
            TypeResult(
                type=kind,
                dice_any=bootstrap_mean([reading.dice for reading in any_]),
                dice_named=bootstrap_mean([reading.dice for reading in named]),
                sensitivity_any=_sensitivity(any_, rule),
                sensitivity_named=_sensitivity(named, rule),
                false_per_scan=_false(any_, rule),
                baseline_dice=bootstrap_mean([reading.dice for reading in baseline]),
                baseline_sensitivity=_sensitivity(baseline, rule),
                baseline_false_per_scan=_false(baseline, rule),
            )
        )
    return found


def lesion_free(rows: Sequence[ScanRow], point: OperatingPoint = ARGMAX) -> LesionFree | None:
    """Results of the lesion-free test scans; None where there are none."""
    mine = [row for row in rows if row.split is Split.TEST and row.type is None]
    if not mine:
        return None
    kept = [point.of(row.any, row.voxel_ml) for row in mine]
    ml = [sum(part.voxels for part in one.parts) * row.voxel_ml for one, row in zip(kept, mine, strict=True)]
    return LesionFree(
        false_per_scan=bootstrap_mean([float(len(one.parts)) for one in kept]),
        false_ml_per_scan=bootstrap_mean(ml),
        clean=wilson(sum(not one.parts for one in kept), len(kept)),
        baseline_false_per_scan=bootstrap_mean([float(len(row.baseline.parts)) for row in mine]),
    )


def false_positives_by(
    rows: Sequence[ScanRow], point: OperatingPoint = ARGMAX, rule: HitRule | None = None
) -> list[tuple[str, str, int, float]]:
    """(predicted type, true organ, false positives, their ml) over all test scans, the most numerous first."""
    numbers: Counter[tuple[str, str]] = Counter()
    volumes: dict[tuple[str, str], float] = defaultdict(float)
    for row in rows:
        if row.split is not Split.TEST:
            continue
        for n in match(row.any, rule).false:
            finding = row.findings[n]
            if finding.volume_ml < point.least_ml - 1e-6 * row.voxel_ml or finding.certainty < point.least_score:
                continue
            numbers[finding.type, row.organs[n]] += 1
            volumes[finding.type, row.organs[n]] += finding.volume_ml
    return [(*key, count, volumes[key]) for key, count in numbers.most_common()]


def table(
    rows: Sequence[ScanRow], point: OperatingPoint = ARGMAX, rule: HitRule | None = None
) -> tuple[list[str], list[list[str]]]:
    """Head and cells of the table by type, ready to be printed; 95 % intervals over scans."""
    head = [
        "type", "n", "Dice, any lesion", "Dice, right type", "sensitivity, any", "sensitivity, right type",
        "false positives/scan", "baseline Dice", "baseline sensitivity",
    ]  # fmt: skip
    cells = []
    for one in by_type(rows, point, rule):
        intervals = [
            one.dice_any, one.dice_named, one.sensitivity_any, one.sensitivity_named, one.false_per_scan, one.baseline_dice,
            one.baseline_sensitivity,
        ]  # fmt: skip
        name = TYPES[one.type].name if one.type is not None else "all"
        cells.append([name, str(one.dice_any.n), *map(_short, intervals)])
    return head, cells


def lesion_free_table(rows: Sequence[ScanRow], points: Sequence[OperatingPoint]) -> tuple[list[str], list[list[str]]]:
    """Head and cells for the lesion-free scans, a line for each operating point, the baseline last."""
    head = ["findings counted", "n", "false positives/scan", "ml/scan", "scans with none"]
    results = [(point, lesion_free(rows, point)) for point in points]
    cells = [
        [str(point), str(one.clean.n), _short(one.false_per_scan), _short(one.false_ml_per_scan), _short(one.clean)]
        for point, one in results
        if one is not None
    ]
    first = next((one for _, one in results if one is not None), None)
    if first is not None:
        cells.append(
            ["baseline: threshold in the true organ", str(first.clean.n), _short(first.baseline_false_per_scan), "", ""]
        )
    return head, cells


def froc_table(rows: Sequence[ScanRow], rule: HitRule | None = None) -> tuple[list[str], list[list[str]]]:
    """Head and cells of the free-response curve over all test scans, lesion-free ones too.

    Thresholds are read off the same scans, as a curve's are; those that were chosen elsewhere are in `table`.
    """
    test = [row for row in rows if row.split is Split.TEST]
    lesions = [row for row in test if row.type is not None]
    head = [
        "false positives/scan allowed",
        "certainty from",
        "false positives/scan",
        "sensitivity, any",
        "sensitivity, right type",
    ]
    cells = []
    for point in operating_points([row.any for row in test], rule) if lesions else []:
        least = OperatingPoint(least_score=point.least_score)
        any_, named = ([least.of(reading(row), row.voxel_ml) for row in lesions] for reading in (_any, _named))
        everywhere = [least.of(row.any, row.voxel_ml) for row in test]
        cells.append(
            [
                f"{point.allowed:g}",
                f"{point.least_score:.3f}",
                _short(_false(everywhere, rule)),
                _short(_sensitivity(any_, rule)),
                _short(_sensitivity(named, rule)),
            ]
        )
    return head, cells


def markdown(head: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A table as Markdown."""
    lines = [head, ["---"] * len(head), *cells]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _any(row: ScanRow) -> Reading:
    return row.any


def _named(row: ScanRow) -> Reading:
    return row.named


def _sensitivity(readings: Sequence[Reading], rule: HitRule | None) -> Interval:
    # One lesion a scan: lesions are independent trials.
    counts = tally(readings, rule)
    return wilson(counts.hits, counts.hits + counts.missed)


def _false(readings: Sequence[Reading], rule: HitRule | None) -> Interval:
    return bootstrap_mean([float(len(match(reading, rule).false)) for reading in readings])


def _short(interval: Interval) -> str:
    digits = 1 if interval.high >= 10 else 2
    if interval.low == interval.high and interval.n == 1:
        return f"{interval.mean:.{digits}f}"  # one scan has no interval
    return f"{interval.mean:.{digits}f} ({interval.low:.{digits}f}-{interval.high:.{digits}f})"
