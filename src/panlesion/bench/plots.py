"""Pictures of results as SVG: few-shot curves, radar, forest plot, ROC and Kaplan-Meier curves.

Colours are those of Okabe & Ito, which the colour-blind tell apart; arms differ by marker and dash too, for print.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from panlesion.bench.predictions import Said
from panlesion.bench.scores import Score
from panlesion.errors import MissingExtraError
from panlesion.measure.delong import delong_interval
from panlesion.measure.discrimination import auc, bootstrapped
from panlesion.measure.resampling import Interval
from panlesion.measure.survival import kaplan_meier, log_rank

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7A5C00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 3)))
PAPER_COLOUR = "#444444"
_STYLE = {
    "font.size": 9, "font.family": "DejaVu Sans", "svg.hashsalt": "panlesion", "svg.fonttype": "path", "axes.spines.top": False,
    "axes.spines.right": False, "axes.axisbelow": True,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One line over shots: `low` and `high` are its band, None for numbers without an interval."""

    name: str
    shots: tuple[int, ...]
    values: tuple[float, ...]
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None
    published: bool = False


@dataclass(frozen=True, kw_only=True)
class Spoke:
    """One row of the radar: a value, or None, for every line."""

    name: str
    values: Mapping[str, float | None]


def _matplotlib() -> ModuleType:
    try:
        import matplotlib
        import matplotlib.figure
    except ImportError as error:
        raise MissingExtraError("matplotlib is not installed; the pictures need it: pip install 'panlesion[model]'") from error
    return matplotlib


def _drawn(width: float, height: float, draw: Callable[[Any], None], **subplot: Any) -> str:
    """What `draw(axes)` draws, as SVG."""
    matplotlib = _matplotlib()
    with matplotlib.rc_context(_STYLE):
        figure = matplotlib.figure.Figure(figsize=(width, height), layout="constrained")
        draw(figure.add_subplot(**subplot))
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def style(n: int) -> dict[str, Any]:
    """Colour, marker and dash of the n-th line."""
    at = n % len(COLOURS)
    return {"color": COLOURS[at], "marker": MARKERS[at], "linestyle": DASHES[at]}


def few_shot_curves(curves: Sequence[Curve], *, metric: str) -> str:
    """Metric over the number of annotated scans; the paper's lines are grey, without a band."""

    def draw(axes: Any) -> None:
        counts = sorted({shots for curve in curves for shots in curve.shots})
        at = {shots: n for n, shots in enumerate(counts)}
        ours = [curve for curve in curves if not curve.published]
        for n, curve in enumerate(ours):
            x = np.array([at[shots] for shots in curve.shots]) + 0.04 * (n - (len(ours) - 1) / 2)
            axes.plot(x, curve.values, label=curve.name, lw=1.6, ms=5, **style(n))
            if curve.low is not None and curve.high is not None and len(x) > 1:
                axes.fill_between(x, curve.low, curve.high, color=style(n)["color"], alpha=0.12, lw=0)
            if curve.low is not None and curve.high is not None:
                axes.vlines(x, curve.low, curve.high, color=style(n)["color"], lw=1, alpha=0.7)
        for n, curve in enumerate(curve for curve in curves if curve.published):
            axes.plot(
                [at[shots] for shots in curve.shots], curve.values, label=curve.name, color=PAPER_COLOUR, lw=1.2,
                ls=("--", ":")[n % 2], marker=("x", "+")[n % 2], ms=6,
            )  # fmt: skip
        axes.set_xticks(range(len(counts)), [str(shots) for shots in counts])
        axes.set_xlim(-0.4, len(counts) - 0.6)
        axes.set_xlabel("annotated scans")
        axes.set_ylabel(metric)
        axes.set_ylim(0, 1)
        axes.grid(alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)

    return _drawn(7.6, 3.6, draw)


def radar(spokes: Sequence[Spoke]) -> str:
    """A line for each name over all rows, 0 in the middle and 1 outside; a row without a value leaves a gap.

    Raises:
        ValueError: Fewer than three rows, which span no area.
    """
    if len(spokes) < 3:
        raise ValueError(f"{len(spokes)} rows; a radar needs three")

    def draw(axes: Any) -> None:
        angles = np.linspace(0, 2 * np.pi, len(spokes), endpoint=False)
        names = list(dict.fromkeys(name for spoke in spokes for name in spoke.values))
        for n, name in enumerate(names):
            values = np.array([np.nan if (one := spoke.values.get(name)) is None else one for spoke in spokes])
            look = style(n)
            axes.plot(np.append(angles, angles[0]), np.append(values, values[0]), label=name, lw=1.6, ms=5, **look)
        axes.set_theta_offset(np.pi / 2)
        axes.set_theta_direction(-1)
        axes.set_xticks(angles, [_wrapped(spoke.name) for spoke in spokes])
        axes.tick_params(axis="x", pad=20)
        axes.set_ylim(0, 1)
        axes.set_yticks([0.25, 0.5, 0.75, 1], ["0.25", "0.5", "0.75", "1"], color="#555555", fontsize=7)
        axes.set_rlabel_position(180 / len(spokes))
        axes.legend(loc="center left", bbox_to_anchor=(1.25, 0.5), frameon=False)

    return _drawn(7.6, 4.8, draw, projection="polar")


def _wrapped(name: str, width: int = 11) -> str:
    """A name on several lines, broken at blanks and dashes."""
    lines = [""]
    for word in name.replace("-", "- ").replace("_", "_ ").split(" "):
        if lines[-1] and len(lines[-1]) + len(word) > width:
            lines.append("")
        lines[-1] += word if not lines[-1] or lines[-1][-1] in "-_" else f" {word}"
    return "\n".join(lines)


def forest(differences: Sequence[tuple[str, Sequence[Score]]]) -> str:
    """Paired differences of every row with their intervals, 0 marked."""
    lines = [(row, one) for row, scores in differences for one in scores]

    def draw(axes: Any) -> None:
        groups = [row for row, _ in differences]
        for n, (row, one) in enumerate(lines):
            y, look = -float(n) - 0.6 * groups.index(row), style(groups.index(row))
            axes.plot([one.low, one.high], [y, y], color=look["color"], lw=1.6)
            axes.plot([one.value], [y], color=look["color"], marker=look["marker"], ms=5)
            axes.annotate(
                f"{one.value:+.3f} ({one.low:+.3f} to {one.high:+.3f}), n = {one.n}", (1.02, y), fontsize=8, va="center",
                xycoords=("axes fraction", "data"),
            )  # fmt: skip
        heights = [-float(n) - 0.6 * groups.index(row) for n, (row, _) in enumerate(lines)]
        axes.set_yticks(heights, [f"{row}: {one.arm}, {_shots(one)}" for row, one in lines], fontsize=8)
        axes.set_ylim(min(heights) - 0.7, 0.7)
        axes.axvline(0, color="#000000", lw=0.8)
        axes.set_xlabel("difference in Dice on the same patients, 95 % interval")
        axes.grid(axis="x", alpha=0.3)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)

    return _drawn(9.6, 1.2 + 0.27 * len(lines) + 0.15 * len(differences), draw)


def _shots(score: Score) -> str:
    return "all data" if score.shots is None else f"{score.shots} shot{'' if score.shots == 1 else 's'}"


def area_of(said: Sequence[Said]) -> Interval:
    """AUC of one arm: DeLong's interval where cases are independent, by resampling patients where some have several."""
    truth, evidence = [float(bool(one.truth)) for one in said], [one.evidence for one in said]
    patients = [one.patient for one in said]
    if len(set(patients)) == len(patients):
        return delong_interval(truth, evidence)
    return bootstrapped(auc, truth, evidence, patients)


def roc_points(truth: Sequence[bool], evidence: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates, from 0 to 1, one point for each distinct evidence.

    Raises:
        ValueError: One of the two kinds of case is missing.
    """
    yes = np.asarray(truth, dtype=bool)
    if yes.all() or not yes.any():
        raise ValueError(f"{int(yes.sum())} of {len(yes)} cases are positive; a ROC curve needs both kinds")
    order = np.argsort(-np.asarray(evidence, dtype=float), kind="stable")
    last = np.append(np.diff(np.asarray(evidence, dtype=float)[order]) != 0, True)
    hits, false = np.cumsum(yes[order])[last], np.cumsum(~yes[order])[last]
    return np.append(0.0, false / (~yes).sum()), np.append(0.0, hits / yes.sum())


def roc_curves(arms: Mapping[str, Sequence[Said]]) -> str:
    """A ROC curve for each arm with its AUC and interval."""

    def draw(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color="#999999", lw=0.8)
        for n, (arm, said) in enumerate(arms.items()):
            x, y = roc_points([bool(one.truth) for one in said], [one.evidence for one in said])
            area, look = area_of(said), style(n)
            axes.plot(
                x, y, label=f"{arm}\nAUC {area.mean:.3f} ({area.low:.3f} to {area.high:.3f})", color=look["color"],
                ls=look["linestyle"], lw=1.6,
            )  # fmt: skip
        axes.set_xlabel("1 − specificity")
        axes.set_ylabel("sensitivity")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_aspect("equal")
        axes.grid(alpha=0.3)
        axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, labelspacing=0.9)

    return _drawn(6.4, 3.6, draw)


@dataclass(frozen=True, kw_only=True)
class Halves:
    """Patients by the median of their risk: times and events of both halves, and the log-rank p between them."""

    low: tuple[tuple[float, ...], tuple[bool, ...]]
    high: tuple[tuple[float, ...], tuple[bool, ...]]
    p: float


def risk_halves(said: Sequence[Said]) -> Halves:
    """One arm's patients in two halves; the risk of a patient with several cases is their mean.

    Raises:
        ValueError: All risks are equal, or a patient has two times.
    """
    by_patient: dict[str, list[Said]] = {}
    for one in said:
        by_patient.setdefault(one.patient, []).append(one)
    risks, times, events = [], [], []
    for patient, mine in by_patient.items():
        if len({(one.time, one.event) for one in mine}) > 1 or mine[0].time is None:
            raise ValueError(f"{patient} has several times or none; survival is the patient's")
        risks.append(float(np.mean([one.evidence for one in mine])))
        times.append(mine[0].time)
        events.append(bool(mine[0].event))
    above = np.asarray(risks) > np.median(risks)
    if not above.any():
        raise ValueError("at least half of the risks are equal to the highest; they cannot be parted into halves")
    halves = [_half(times, events, above == side) for side in (False, True)]
    return Halves(low=halves[0], high=halves[1], p=log_rank(*halves[0], *halves[1]))


def _half(times: Sequence[float], events: Sequence[bool], mine: np.ndarray) -> tuple[tuple[float, ...], tuple[bool, ...]]:
    where = np.flatnonzero(mine).tolist()
    return tuple(times[n] for n in where), tuple(events[n] for n in where)


def survival_curves(said: Sequence[Said], *, arm: str) -> str:
    """Kaplan-Meier curves of both halves of one arm's risk with their bands, ticks where watching ended, and the log-rank p.

    Raises:
        ValueError: As `risk_halves`.
    """
    halves = risk_halves(said)

    def draw(axes: Any) -> None:
        for n, (name, (times, events)) in enumerate((("lower risk", halves.low), ("higher risk", halves.high))):
            curve, colour = kaplan_meier(times, events), COLOURS[n]
            x = np.append(0.0, curve.times)
            axes.step(
                x, np.append(1.0, curve.survival), where="post", color=colour, lw=1.6, ls=("-", "--")[n],
                label=f"{name}, n = {curve.n}, events {sum(events)}",
            )  # fmt: skip
            axes.fill_between(
                x, np.append(1.0, curve.low), np.append(1.0, curve.high), step="post", color=colour, alpha=0.12, lw=0
            )
            ended = [time for time, event in zip(times, events, strict=True) if not event]
            axes.plot(ended, [curve.at(time) for time in ended], "|", color=colour, ms=6)
        axes.set_ylim(0, 1.03)
        axes.set_xlim(left=0)
        axes.set_xlabel("time")
        axes.set_ylabel("share without an event")
        axes.set_title(f"{arm}: log-rank p {'< 0.001' if halves.p < 0.001 else f'= {halves.p:.3f}'}", fontsize=9, loc="left")
        axes.grid(alpha=0.3)
        axes.legend(loc="best", frameon=False)

    return _drawn(6.4, 3.6, draw)
