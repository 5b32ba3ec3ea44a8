"""Pictures of clinical endpoints: ROC curves of arms, and survival of risk thirds."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from numpy.typing import NDArray

from panlesion.bench.clinical import Predicted
from panlesion.data.publish import publishing_file
from panlesion.measure.concordance import concordance
from panlesion.measure.survival import kaplan_meier

COLOURS = ("#555555", "#1f5fa8", "#d1722b", "#2b8a5b", "#8a4fb0", "#b8860b", "#c03a5b", "#3aa0b0")
DAYS_A_YEAR = 365.25
YEARS = 8
"""How far curves are drawn; beyond, hardly a patient is still watched."""
_AT = np.linspace(0, 1, 201)


def roc(present: NDArray, evidence: NDArray) -> NDArray:
    """Sensitivity (201,) at 1 - specificity 0 … 1 of evidence (R, N), a mean over repetitions."""
    yes = np.asarray(present, dtype=bool)
    curves = []
    for values in np.atleast_2d(evidence):
        limits = np.concatenate([[np.inf], np.unique(values)[::-1]])
        hit = (values[yes][None, :] >= limits[:, None]).mean(axis=1)
        false = (values[~yes][None, :] >= limits[:, None]).mean(axis=1)
        curves.append(np.interp(_AT, false, hit))
    return np.asarray(np.mean(curves, axis=0))


def draw_roc(path: Path, found: Sequence[Predicted], endpoints: Sequence[str]) -> None:
    """A panel for each endpoint of two classes, a curve for each arm."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.4 * len(endpoints), 5.2), layout="constrained")
    for number, endpoint in enumerate(endpoints, 1):
        axes = figure.add_subplot(1, len(endpoints), number)
        axes.plot([0, 1], [0, 1], color="#bbbbbb", lw=0.8, ls=":")
        mine = [one for one in found if one.endpoint.id == endpoint]
        for n, one in enumerate(mine):
            present = one.endpoint.outcome[:, 0] > 0
            area = concordance(one.endpoint.metrics[0].pairs(one.endpoint.outcome), one.evidence)
            colour, width, line = COLOURS[n % len(COLOURS)], 1.8 if n else 2.4, "-" if n else "--"
            axes.plot(_AT, roc(present, one.evidence), label=f"{one.arm.name}  {area:.3f}", color=colour, lw=width, ls=line)
        axes.set_title(f"{mine[0].endpoint.title}\n{fill(mine[0].endpoint.counts, 66)}", fontsize=9)
        axes.set_xlabel("1 - specificity")
        axes.set_ylabel("sensitivity")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.005)
        axes.set_aspect("equal")
        axes.legend(fontsize=8, loc="lower right", title="AUC out of fold", title_fontsize=8)
        axes.grid(alpha=0.2)
    _save(figure, path)


def thirds(evidence: NDArray) -> NDArray[np.intp]:
    """0 low, 1 middle, 2 high: thirds of the cases by their mean rank over repetitions (R, N)."""
    from scipy.stats import rankdata

    rank = rankdata(rankdata(np.atleast_2d(evidence), axis=1).mean(axis=0), method="ordinal") - 1
    return np.asarray((rank * 3) // len(rank), dtype=np.intp)


def draw_thirds(path: Path, found: Sequence[Predicted], p_values: Sequence[float]) -> None:
    """Survival of the low, middle and high third of risk, a panel for each arm, with numbers at risk below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.9 * len(found), 4.9), layout="constrained")
    years = np.linspace(0, YEARS, 401)
    for number, (one, p) in enumerate(zip(found, p_values, strict=True), 1):
        axes = figure.add_subplot(1, len(found), number)
        times, events = one.endpoint.outcome[:, 0], one.endpoint.outcome[:, 1] > 0
        third = thirds(one.evidence)
        for n, name in enumerate(("low", "middle", "high")):
            mine = third == n
            colour = ("#2b8a5b", "#b8860b", "#c03a5b")[n]
            curve = kaplan_meier(times[mine], events[mine])
            label = f"{name}: {mine.sum()} patients, {events[mine].sum()} deaths"
            axes.step(years, [curve.at(year * DAYS_A_YEAR) for year in years], where="post", color=colour, lw=1.8, label=label)
            risk = [int((times[mine] >= year * DAYS_A_YEAR).sum()) for year in range(0, YEARS + 1, 2)]
            for year, count in zip(range(0, YEARS + 1, 2), risk, strict=True):
                axes.text(year, 0.17 - 0.055 * n, str(count), color=colour, fontsize=8, ha="center", va="center")
        axes.text(-0.3, 0.225, "at risk", fontsize=8, color="#555555")
        axes.set_title(f"{one.arm.name}\nlog-rank, high against low third: p = {p:.1e}", fontsize=10)
        axes.set_xlabel("years after operation")
        axes.set_ylabel("alive")
        axes.set_xlim(-0.35, YEARS + 0.35)
        axes.set_ylim(0, 1.02)
        axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0.0, 0.24))
        axes.grid(alpha=0.2)
    _save(figure, path)


def _save(figure: "object", path: Path) -> None:
    with publishing_file(path) as stream:
        figure.savefig(stream, dpi=110, format="png")  # type: ignore[attr-defined]
