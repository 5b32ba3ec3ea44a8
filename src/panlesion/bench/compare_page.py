"""The comparison as one HTML file that needs no network: tables, and pictures as inline SVG."""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from html import escape
from importlib import resources
from string import Template

from panlesion.bench import plots
from panlesion.bench.compare import HEADER, Result, lines_of, shots_of, shown, what_differs
from panlesion.bench.plots import Curve, Spoke
from panlesion.bench.predictions import Said
from panlesion.bench.scores import Score
from panlesion.bench.task import Arm

HEADLINES = ("dice", "auc", "balanced accuracy", "accuracy", "scans with none")
"""What stands for a row in the radar: the first of these that it has."""
FEW = 3
"""From so many rows on the forest plot shows their main difference alone."""
OURS, ANEW, PAPER, RIVAL = "ours", "from scratch", "paper", "best rival"


def html_page(results: Sequence[Result]) -> str:
    """The whole page."""
    template = resources.files("panlesion.bench").joinpath("compare.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        overview="\n".join(_overview(results)), sections="\n".join("\n".join(_section(result)) for result in results)
    )


def _overview(results: Sequence[Result]) -> Iterator[str]:
    spokes = [spoke for result in results if (spoke := spoke_of(result)) is not None]
    if len(spokes) >= 3:
        yield _figure(
            plots.radar(spokes),
            "One number a row, 0 in the middle: Dice at most shots, else AUC, else accuracy. Rows without a published number "
            "leave a gap in the paper's lines, bounds are drawn where they are. Compare along a spoke: rows are not alike.",
            "Radar of all rows",
        )
    differences = [(result.name, some) for result in results if (some := told_differences(result, few=len(results) < FEW))]
    if differences:
        yield _figure(
            plots.forest(differences),
            "Paired differences of two arms on the same patients; an interval that holds 0 shows no difference. All of them "
            "stand in the rows' tables.",
            "Forest plot of paired differences",
        )


def told_differences(result: Result, *, few: bool) -> tuple[Score, ...]:
    """What the forest plot shows of a row: everything of few rows, of many what the network gains over one from scratch."""
    over = f" over {Arm.SCRATCH}"
    return tuple(one for one in result.differences if few or one.arm.endswith(over))


def spoke_of(result: Result) -> Spoke | None:
    """A row's headline: of the arm that is fine-tuned, or else the first; None where nothing of it is a share."""
    for metric in HEADLINES:
        mine = [score for score in result.quoted if score.metric == metric or score.metric.startswith(f"{metric} (")]
        if not mine:
            continue
        first = mine[0].metric
        mine = [score for score in mine if score.metric == first]
        best = _most_shots(mine, str(Arm.FINETUNED)) or mine[0]
        anew = _most_shots(mine, str(Arm.SCRATCH))
        one = result.published(best)
        values: dict[str, float | None] = {OURS: best.value, ANEW: anew.value if anew else None}
        values |= {PAPER: one.paper.value if one else None, RIVAL: one.rival.value if one else None}
        return Spoke(name=result.name, values=values)
    return None


def _most_shots(scores: Sequence[Score], arm: str) -> Score | None:
    mine = [score for score in scores if score.arm == arm]
    return max(mine, key=lambda score: float("inf") if score.shots is None else score.shots, default=None)


def _section(result: Result) -> Iterator[str]:
    yield f"<h2 id='{escape(result.name, quote=True)}'>{escape(result.name)}: {escape(result.title)}</h2>"
    yield "<ul class='soft'>" + "".join(f"<li>{escape(word)}</li>" for word in what_differs(result)) + "</ul>"
    yield _table(HEADER, lines_of(result))
    if result.differences:
        lines = [(one.arm, shots_of(one), shown(one)) for one in result.differences]
        yield "<h3>Paired differences</h3>" + _table(("arms", "shots", "Dice (95 %, n)"), lines)
    if result.stand_in:
        return
    if curves := curves_of(result):
        yield _figure(
            plots.few_shot_curves(curves, metric="Dice"),
            "Dice over the number of annotated scans, 95 % bands over patients. Grey: the paper, whose patients are others.",
            f"Few-shot curves of {result.name}",
        )
    yield from _said_figures(result)


def curves_of(result: Result) -> list[Curve]:
    """A line for each arm over its numbers of shots, and the paper's two; none where there is one number of shots."""
    mine = [score for score in result.quoted if score.metric == "dice" and score.shots is not None]
    if len({score.shots for score in mine}) < 2:
        return []
    curves = []
    for arm in dict.fromkeys(score.arm for score in mine):
        some = sorted((score for score in mine if score.arm == arm), key=lambda score: score.shots or 0)
        curves.append(
            Curve(
                name=arm,
                shots=tuple(score.shots or 0 for score in some),
                values=tuple(score.value for score in some),
                low=tuple(score.low for score in some),
                high=tuple(score.high for score in some),
            )
        )
    numbers = [one for one in (result.task.numbers if result.task else ()) if one.metric == "dice" and one.shots is not None]
    for name, figures in (
        ("paper", [(n.shots, n.paper) for n in numbers]),
        ("best rival", [(n.shots, n.rival) for n in numbers]),
    ):
        known = [(shots or 0, one) for shots, one in figures if one.value is not None]
        if known:
            bound = " (at most)" if any(one.at_most for _, one in known) else ""
            curves.append(
                Curve(
                    name=f"{name}{bound}", shots=tuple(shots for shots, _ in known),
                    values=tuple(one.value or 0.0 for _, one in known), published=True,
                )
            )  # fmt: skip
    return curves


def _said_figures(result: Result) -> Iterator[str]:
    """ROC curves where truth was told, Kaplan-Meier curves where times were."""
    for question, arms in _by_question([one for one in result.said if one.truth is not None]):
        several = any(len({one.patient for one in said}) < len(said) for said in arms.values())
        how = "by resampling patients, of whom some have several cases" if several else "DeLong's"
        title = f"ROC: {question or result.title}"
        yield from _or_why(partial(plots.roc_curves, arms), f"{title}. Intervals are {how}.", title)
    for question, arms in _by_question([one for one in result.said if one.time is not None]):
        for arm, said in arms.items():
            title = f"Survival: {question or result.title}, {arm}"
            caption = f"{title}. Patients in two halves by the median of their risk; bands are 95 %."
            yield from _or_why(partial(plots.survival_curves, said, arm=arm), caption, title)


def _by_question(said: Sequence[Said]) -> list[tuple[str, Mapping[str, list[Said]]]]:
    found: dict[str, dict[str, list[Said]]] = {}
    for one in said:
        found.setdefault(one.question, {}).setdefault(one.arm, []).append(one)
    return list(found.items())


def _or_why(draw: Callable[[], str], caption: str, title: str) -> Iterator[str]:
    """The picture, or why the data allow none."""
    try:
        yield _figure(draw(), caption, title)
    except ValueError as error:
        yield f"<p class='soft'>{escape(title)}: no curve, since {escape(str(error))}.</p>"


def _figure(svg: str, caption: str, title: str) -> str:
    # as an image of its own: ids within two inline drawings would meet
    data = base64.b64encode(svg.encode()).decode()
    return (
        f"<figure><img alt='{escape(title, quote=True)}' src='data:image/svg+xml;base64,{data}'>"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
