"""Rows that take a checkpoint as it is: held-out phantoms, real CTs, attributes of held-out synthetic lesions."""

from collections.abc import Sequence
from dataclasses import replace

from panlesion.bench import held_out, held_out_report, untouched
from panlesion.bench.attributes import AttributeBench, results, run_attributes
from panlesion.bench.held_out_scans import Split
from panlesion.bench.lesion_free import CLEAN, FALSE_PER_SCAN
from panlesion.bench.protocol import Asked, Table, Watch
from panlesion.bench.reliability import PICTURE, draw_reliability, reliability_table, told_and_true
from panlesion.bench.scores import Score, scored
from panlesion.measure.detection import match
from panlesion.measure.resampling import Interval
from panlesion.nets.checkpoint import load_model

SCANS = "scans"


def _table(title: str, head_and_cells: tuple[Sequence[str], Sequence[Sequence[str]]], *notes: str) -> Table:
    head, cells = head_and_cells
    return Table(title=title, header=tuple(head), rows=tuple(tuple(line) for line in cells), notes=notes)


def run_phantoms(asked: Asked, watch: Watch) -> list[Table]:
    """Held-out phantoms; `cases` is the number of test scans of each type and half the number of validation scans.

    Raises:
        PanlesionError: As `run_held_out`, or the checkpoint cannot be read.
    """
    plan, cases = held_out.HeldOut(), asked.choices.cases
    if cases is not None:
        plan = replace(plan, per_type=cases, lesion_free=5 * cases, validation_per_type=max(1, cases // 2))
    rows = held_out.run_held_out(load_model(asked.checkpoint), plan, asked.out, workers=asked.choices.workers or 1, watch=watch)
    held_out.write_sheets(asked.out, rows)
    point = held_out_report.choose_operating_point(rows)
    points = (held_out_report.ARGMAX, point) if point != held_out_report.ARGMAX else (point,)
    tables = [
        _table(f"Test scans with one lesion, findings counted: {one}", held_out_report.table(rows, one)) for one in points
    ]
    tables = [replace(one, scores=phantom_scores(rows, point)) for one, point in zip(tables, points, strict=True)]
    free = _table("Lesion-free scans", held_out_report.lesion_free_table(rows, points))
    note = "95 % intervals over scans; the operating point is chosen on validation scans only."
    curve = _table(
        "Free-response curve over all test scans",
        held_out_report.froc_table(rows),
        f"{sum(row.type is not None for row in rows if row.split is Split.TEST)} lesions; thresholds are read off these scans.",
    )
    worth = []
    if len(told_and_true(rows)[0]):
        worth.append(reliability_table(rows))
        draw_reliability(rows, asked.out / PICTURE)
    return [*tables, replace(free, notes=(note,)), curve, *worth]


def run_real(asked: Asked, watch: Watch) -> list[Table]:
    """Real CTs that nothing was adapted to, and every finding in them.

    Raises:
        PanlesionError: As `run_untouched`, or the checkpoint cannot be read.
    """
    rows = untouched.run_untouched(asked.root, load_model(asked.checkpoint), asked.out, watch=watch)
    note = "Three single scans: how the network fails, not how often; hence no interval."
    findings = [_table(f"Findings in {row.id}: {row.title}", untouched.findings_table(row)) for row in rows]
    whole = _table("Real CTs, no adaptation", untouched.table(rows), note)
    return [replace(whole, scores=real_scores(rows)), *findings]


def run_synthetic_attributes(asked: Asked, watch: Watch) -> list[Table]:
    """Attributes of held-out synthetic lesions; `cases` is the number of test bodies and half the number of training bodies.

    Raises:
        PanlesionError: As `run_attributes`, or the checkpoint cannot be read.
    """
    plan, cases = AttributeBench(), asked.choices.cases
    if cases is not None:
        plan = replace(plan, test_bodies=cases, train_bodies=2 * cases)
    rows = run_attributes(load_model(asked.checkpoint), plan, asked.out, workers=asked.choices.workers or 1, watch=watch)
    found = results(rows)
    lines = [
        (one.attribute, str(one.arm), str(one.naming.lesions), str(one.naming.accuracy), str(one.naming.balanced))
        for one in found
    ]
    head = ("attribute", "who answers", "lesions", "accuracy (95 %)", "balanced accuracy (95 %)")
    note = "Intervals resample drawn bodies, n of them."
    table = _table("Attributes of held-out synthetic lesions", (head, lines), note)
    scores = [
        scored("attributes", str(one.arm), f"{metric} ({one.attribute})", interval, unit="drawn bodies")
        for one in found
        for metric, interval in (("accuracy", one.naming.accuracy), ("balanced accuracy", one.naming.balanced))
    ]
    return [replace(table, scores=tuple(scores))]


def phantom_scores(rows: Sequence[held_out.ScanRow], point: held_out_report.OperatingPoint) -> tuple[Score, ...]:
    """Of every type and of all together what is found by whatever name, and false positives with and without a lesion."""
    scores = []
    for one in held_out_report.by_type(rows, point):
        kind = one.type.value if one.type is not None else "all types"
        scores += [
            scored("phantoms", str(point), f"dice ({kind})", one.dice_any, unit=SCANS),
            scored("phantoms", str(point), f"sensitivity ({kind})", one.sensitivity_any, unit=SCANS),
        ]
    if (free := held_out_report.lesion_free(rows, point)) is not None:
        scores += [
            scored("phantoms", str(point), FALSE_PER_SCAN, free.false_per_scan, unit=SCANS),
            scored("phantoms", str(point), CLEAN, free.clean, unit=SCANS),
        ]
    return tuple(scores)


def real_scores(rows: Sequence[untouched.RealRow]) -> tuple[Score, ...]:
    """Of single scans, which have no interval: both ends are the number itself."""
    scores = []
    for row in rows:
        false = float(len(match(row.reading).false))
        numbers = [("false positives", false), *([("dice", row.own_dice)] if row.own_dice is not None else [])]
        for metric, value in numbers:
            alone = Interval(mean=value, low=value, high=value, n=1)
            scores.append(scored("real", str(held_out_report.ARGMAX), f"{metric} ({row.id})", alone, unit=SCANS))
    return tuple(scores)
