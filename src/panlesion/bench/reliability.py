"""Whether a finding's probability means what it says: how often findings of held-out scans are lesions, by probability."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panlesion.bench.held_out import ScanRow
from panlesion.bench.held_out_scans import Split
from panlesion.bench.protocol import Table
from panlesion.measure.detection import HitRule, match
from panlesion.measure.probability import brier, ece, reliability

PICTURE = "reliability.png"


def told_and_true(rows: Sequence[ScanRow], rule: HitRule | None = None) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probability (N,) of every finding of the test scans, and whether it is a lesion.

    What touches a lesion without hitting it is neither, and a further part on a lesion that is hit is left out as in FROC.
    """
    told, true = [], []
    for row in rows:
        if row.split is not Split.TEST:
            continue
        found = match(row.any, rule)
        for hit in found.hits:
            if hit is not None:
                told.append(row.any.parts[hit].score)
                true.append(True)
        for false in found.false:
            if not row.any.parts[false].shared:
                told.append(row.any.parts[false].score)
                true.append(False)
    return np.array(told, dtype=np.float64), np.array(true, dtype=bool)


def reliability_table(rows: Sequence[ScanRow]) -> Table:
    """The reliability curve in ten bins of equal width, with Brier score and calibration error.

    Raises:
        ValueError: Nothing was marked in any test scan.
    """
    told, true = told_and_true(rows)
    lines = tuple(
        (f"{one.low:.1f}-{one.high:.1f}", str(one.observed.n), f"{one.mean_probability:.3f}", str(one.observed))
        for one in reliability(true, told)
    )
    always = float(true.mean())
    notes = (
        f"{len(told)} findings, {int(true.sum())} of them lesions; their probabilities sum to {told.sum():.0f}. Brier score "
        f"{brier(true, told):.4f} (always saying {always:.4f}: {always * (1 - always):.4f}), expected calibration error "
        f"{ece(true, told):.4f}. Findings of one scan are not independent, so intervals are too narrow.",
    )
    return Table(
        title="What a finding's probability is worth",
        header=("probability", "findings", "mean probability", "share that are lesions (95 %)"),
        rows=lines,
        notes=notes,
    )


def draw_reliability(rows: Sequence[ScanRow], path: Path) -> None:
    """The same as a picture: on the line, a probability is as good as its word; below it, it promises too much."""
    from matplotlib.figure import Figure

    told, true = told_and_true(rows)
    curve = reliability(true, told)
    figure = Figure(figsize=(4.8, 4.8), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="0.6", lw=1, ls="--")
    means = [one.observed.mean for one in curve]
    spread = [
        [max(0.0, one.observed.mean - one.observed.low) for one in curve],
        [max(0.0, one.observed.high - one.observed.mean) for one in curve],
    ]
    axes.errorbar([one.mean_probability for one in curve], means, yerr=spread, fmt="o-", color="#1f5fa8", capsize=3)
    for one in curve:
        axes.annotate(
            f"n = {one.observed.n}",
            (one.mean_probability, one.observed.high),
            textcoords="offset points",
            xytext=(0, 4),
            ha="center",
            fontsize=7,
        )
    axes.set(
        xlim=(0, 1), ylim=(0, 1.05), xlabel="probability that was told", ylabel="share that are lesions", aspect="equal",
        title=f"{len(told)} findings of held-out phantoms, {int(true.sum())} lesions",
    )  # fmt: skip
    axes.title.set_fontsize(10)
    axes.grid(alpha=0.25)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
