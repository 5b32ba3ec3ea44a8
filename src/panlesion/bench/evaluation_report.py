"""Results of `panlesion evaluate` as files: scores.csv for each case, summary.json for programs, summary.md for people."""

import csv
import io
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from panlesion import __version__
from panlesion.bench.evaluate import MEANS, CaseRow, Evaluation, Metric
from panlesion.bench.protocol import Table
from panlesion.data.publish import publishing
from panlesion.errors import StoreError
from panlesion.measure.detection import HitRule, Overlap

SCORES_FILE, SUMMARY_FILE, PAGE_FILE = "scores.csv", "summary.json", "summary.md"


def refuse_out(out: Path, *, overwrite: bool) -> None:
    """See that results can be left in a folder, before hours are spent on them.

    Raises:
        StoreError: Something else is there, or results without `overwrite`.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise StoreError(f"{out} is no folder; give another --out")
    held = {path.name for path in out.iterdir()}
    if foreign := sorted(held - {SCORES_FILE, SUMMARY_FILE, PAGE_FILE}):
        raise StoreError(f"{out} holds {foreign[0]}, which is no result of evaluate; give a new folder as --out")
    if held and not overwrite:
        raise StoreError(f"{out} holds results already; say --overwrite, or give another --out")


def write_evaluation(out: Path, evaluation: Evaluation, *, overwrite: bool = False) -> None:
    """Leave scores.csv, summary.json and summary.md in a folder that is there whole or not at all.

    Raises:
        StoreError: As `refuse_out`; the disk is full.
    """
    refuse_out(out, overwrite=overwrite)
    with publishing(out) as folder:
        (folder / SCORES_FILE).write_text(_csv(evaluation.rows), encoding="utf-8", newline="")
        text = json.dumps(_record(evaluation), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (folder / SUMMARY_FILE).write_text(text, encoding="utf-8")
        (folder / PAGE_FILE).write_text(_page(evaluation), encoding="utf-8")
        shutil.rmtree(out, ignore_errors=True)  # only now that the new results are whole


def _csv(rows: Iterable[CaseRow]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    counts = ("lesions", "found", "missed", "false", "lesion_sensitivity", "lesion_precision", "lesion_f1")
    writer.writerow(("case", "patient", "class", "truth_ml", "predicted_ml", *(id_ for id_, _, _ in MEANS), *counts))
    for row in rows:
        volume, tally = row.scores.volume, row.scores.tally
        numbers = [volume.truth_ml, volume.predicted_ml, *(value(row.scores) for _, _, value in MEANS)]
        found = [tally.hits + tally.missed, tally.hits, tally.missed, tally.false]
        shares = [tally.sensitivity, tally.precision, tally.f1]
        writer.writerow([row.case, row.patient, row.name, *map(_cell, numbers), *found, *map(_cell, shares)])
    return text.getvalue()


def _cell(value: float | None) -> str:
    """Empty where there is none."""
    return "" if value is None else f"{value:.6g}"


def _record(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "made_by": f"panlesion {__version__}",
        "predicted": evaluation.predicted,
        "truth": evaluation.truth,
        "nsd_tolerance_mm": evaluation.tolerance_mm,
        "hit": asdict(evaluation.rule),
        "patients": evaluation.patients,
        "classes": [
            {
                "name": one.name, "value": one.value, "cases": one.cases, "cases_with": one.cases_with,
                "lesions": one.lesions, "metrics": {metric.id: _numbers(metric) for metric in one.metrics},
            }
            for one in evaluation.classes
        ],
    }  # fmt: skip


def _numbers(metric: Metric) -> dict[str, Any] | None:
    if (one := metric.interval) is None:
        return None
    ends = {"low": one.low, "high": one.high} if one.n > 1 else {"low": None, "high": None}
    return {"mean": one.mean, **ends, "patients": one.n, "cases": metric.cases, "left_out": metric.left_out}


def _page(evaluation: Evaluation) -> str:
    """The summary for people."""
    cases = len({row.case for row in evaluation.rows})
    by_metric = zip(*(one.metrics for one in evaluation.classes), strict=True)
    table = Table(
        title="Means",
        header=("", *(one.name for one in evaluation.classes)),
        rows=(
            ("cases with it", *(f"{one.cases_with} of {one.cases}" for one in evaluation.classes)),
            ("true lesions", *(str(one.lesions) for one in evaluation.classes)),
            *((metrics[0].title, *(metric.text for metric in metrics)) for metrics in by_metric),
        ),
        notes=(
            f"With 95 % intervals that resample patients; n is patients. NSD at {evaluation.tolerance_mm:g} mm.",
            "Dice, NSD, distances and volume error in % are over the cases in which the truth has the class, volume error in "
            "ml over all. Where the truth has it and nothing was predicted, Dice and NSD are 0; distances are infinite, left "
            "out, and counted beside.",
            f"A lesion is found by a part with {_hit(evaluation.rule)}. Sensitivity, precision and F1 are of all lesions "
            "together, false positives of all scans.",
        ),
    )
    about = (
        f"{cases} cases of {evaluation.patients} patients. Prediction: `{evaluation.predicted}`. "
        f"Truth: `{evaluation.truth}`. Made by panlesion {__version__}."
    )
    return "\n".join(["# Predicted masks against true ones\n", about + "\n", table.markdown()])


def _hit(rule: HitRule) -> str:
    if rule.overlap is Overlap.ANY:
        return "any voxel in common"
    measure = "an intersection over union" if rule.overlap is Overlap.IOU else "a Dice"
    return f"{measure} of at least {rule.at_least:g}"
