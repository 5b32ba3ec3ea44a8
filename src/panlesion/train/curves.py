"""Curves of a run, from its journal."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panlesion.errors import TrainingError
from panlesion.train.journal import JOURNAL_FILE, read_journal

SMOOTHING = 25


def series(run: Path) -> dict[str, tuple[NDArray, NDArray]]:
    """Every journalled quantity as (steps, values).

    Raises:
        TrainingError: The folder has no journal, or an empty one.
    """
    rows = read_journal(run)
    if not rows:
        raise TrainingError(f"{run / JOURNAL_FILE} is missing or empty; give the folder of a training run")
    names = dict.fromkeys(name for row in rows for name in row if name != "step")
    found = {}
    for name in names:
        points = [(row["step"], row[name]) for row in rows if name in row]
        steps, values = (np.asarray(column, dtype=float) for column in zip(*points, strict=True))
        found[name] = (steps, values)
    return found


def draw_curves(run: Path, path: Path) -> None:
    """One panel per quantity; noisy ones with their running mean.

    Raises:
        TrainingError: As `series` does.
    """
    curves = series(run)
    from matplotlib.figure import Figure

    columns = min(3, len(curves))
    rows = -(-len(curves) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.2 * rows), layout="constrained")
    for n, (name, (steps, values)) in enumerate(curves.items(), 1):
        axes = figure.add_subplot(rows, columns, n)
        many = len(values) > 2 * SMOOTHING
        axes.plot(steps, values, color="#7aa6d8" if many else "#1f5fa8", lw=0.8 if many else 1.6, marker="" if many else ".")
        if many:
            kernel = np.ones(SMOOTHING) / SMOOTHING
            axes.plot(steps[SMOOTHING - 1 :], np.convolve(values, kernel, mode="valid"), color="#1f5fa8", lw=1.6)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("step")
        axes.grid(alpha=0.25)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
