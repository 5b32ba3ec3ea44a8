"""Every row run end to end on stand-ins: that it runs is what is told, and no number that it gave."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from panlesion.bench.paper import PaperTask
from panlesion.bench.protocol import Asked, BenchRow, Choices, Watch, option
from panlesion.bench.rows import fingerprint
from panlesion.bench.scores import DIFFERENCE, read_scores
from panlesion.bench.stand_ins import StandIn, lay_out, stand_in_of, tiny_settings
from panlesion.bench.suite import MINUTES, STATE, attempt, read_state, whole
from panlesion.data.publish import write_text
from panlesion.errors import PanlesionError
from panlesion.nets.checkpoint import load_model

PAGE, DATASETS = "standins.md", "datasets"
COMMAND = "panlesion bench run --suite stand-ins"


class Went(StrEnum):
    """What became of a row."""

    RAN = "ran"
    KEPT = "ran before"
    FAILED = "failed"
    LATE = "not started: the budget was spent"
    NO_STAND_IN = "no stand-in"
    NO_RUNNER = "no runner"


@dataclass(frozen=True, kw_only=True)
class Stood:
    """One row on its stand-in; `arms` are those that gave a number."""

    row: str
    title: str
    went: Went
    layout: str = ""
    cases: int = 0
    arms: tuple[str, ...] = ()
    seconds: float = 0.0
    settings: str = ""
    why: str = ""

    @property
    def good(self) -> bool:
        """Whether it has run to its end."""
        return self.went in {Went.RAN, Went.KEPT}


def run_stand_ins(
    rows: Mapping[str, BenchRow], tasks: Mapping[str, PaperTask], checkpoint: str, out: Path, *,
    workers: int = 1, minutes: float = MINUTES, watch: Watch, clock: Callable[[], float] = time.monotonic,
) -> list[Stood]:  # fmt: skip
    """Write every row's stand-in below `out`/datasets and run the row on it; rows that draw their own data are left out.

    A row that fails is listed and the others go on; after so many minutes no further row is started. The same command goes on
    with what has not run.

    Raises:
        StoreError: `out` holds a damaged state.
        CheckpointError: The checkpoint cannot be read: every row would fail.
    """
    model, state, started = fingerprint(load_model(checkpoint)), read_state(out), clock()
    wanted = [row for row in rows.values() if row.data is not None]
    stood = [_without_runner(task) for task in tasks.values() if task.id not in rows]
    for number, row in enumerate(wanted):
        watch(row.id, number, len(wanted))
        choices, made = tiny_settings(row), stand_in_of(row)
        one = _begun(row, choices, made)
        asked = Asked(root=out / DATASETS, checkpoint=checkpoint, out=out / row.id, choices=_with(choices, row, workers))
        settings = {"model": model, "choices": one.settings, "stand-in": made.name if made else "", "cases": one.cases}
        before = state.get(row.id, {})
        if made is None:
            one = replace(one, went=Went.NO_STAND_IN)
        elif before.get("settings") == settings and whole(asked.out):
            one = replace(one, went=Went.KEPT, seconds=60 * before["minutes"], arms=_arms(asked.out))
        elif clock() - started < 60 * minutes:
            began = clock()
            why = _laid_out(made, row, asked.root) or attempt(row, asked, _told(watch, row.id, number, len(wanted)))
            one = replace(one, went=Went.FAILED if why else Went.RAN, why=why, seconds=clock() - began)
            if not why:
                one = replace(one, arms=_arms(asked.out))
                state[row.id] = {"settings": settings, "minutes": one.seconds / 60}
                write_text(out / STATE, json.dumps(state, indent=1) + "\n")
        stood.append(one)
        write_text(out / PAGE, page(stood))
    watch("done", len(wanted), len(wanted))
    write_text(out / PAGE, page(stood))
    return stood


def _without_runner(task: PaperTask) -> Stood:
    return Stood(row=task.id, title=task.title, went=Went.NO_RUNNER, layout=task.data.layout)


def _begun(row: BenchRow, choices: Choices, made: StandIn | None) -> Stood:
    """What is known of a row before it runs."""
    assert row.data is not None
    return Stood(
        row=row.id, title=row.title, went=Went.LATE, layout=row.data.layout, settings=_words(choices),
        cases=made.cases if made else 0,
    )  # fmt: skip


def _arms(out: Path) -> tuple[str, ...]:
    """Arms that gave a number, without the pairs of them."""
    return tuple(dict.fromkeys(score.arm for score in read_scores(out) if not score.metric.endswith(DIFFERENCE)))


def _laid_out(made: StandIn, row: BenchRow, root: Path) -> str:
    """Why a stand-in cannot be written; empty where it is there."""
    assert row.data is not None
    try:
        lay_out(made, row.data.folders, root)
    except (PanlesionError, OSError, ValueError) as error:
        return f"its stand-in: {type(error).__name__}: {' '.join(str(error).split())}"
    return ""


def _told(watch: Watch, row: str, number: int, total: int) -> Watch:
    """A row's own progress as words of the suite's."""
    return lambda what, done, parts: watch(f"{row}: {what}{f' ({done} of {parts})' if parts else ''}", number, total)


def _with(choices: Choices, row: BenchRow, workers: int) -> Choices:
    return replace(choices, workers=workers) if "workers" in row.takes else choices


def _words(choices: Choices) -> str:
    """Settings as on the command line."""
    given = {name: getattr(choices, name) for name in choices.given()}
    said = {name: ",".join(map(str, value)) if isinstance(value, tuple) else value for name, value in given.items()}
    return " ".join(f"{option(name)} {value}" for name, value in said.items()) or "as ever"


def page(stood: Sequence[Stood]) -> str:
    """Which rows ran on what, and which did not and why; no score."""
    good = sum(one.good for one in stood)
    head = "| row | | seconds | cases | arms | settings | layout |\n|---|---|---|---|---|---|---|\n"
    lines = [
        "# Rows on stand-ins",
        f"{good} of {len(stood)} rows ran from files to scores on small drawn cases in the layout of their data, which "
        f"`{COMMAND}` writes below `{DATASETS}/`. Nothing was learnt and nothing measured: no score is shown here, and "
        "`bench compare` shows none. Every arm of a row ran that needs no software or weights of others. Rows that draw their "
        "own data need no stand-in and are not listed. Seconds are those of one run, its stand-in's drawing among them.",
        head + "\n".join(map(_line, stood)),
    ]
    failed = [f"- **{one.row}** {one.went}{f': {one.why}' if one.why else ''}" for one in stood if not one.good]
    if failed:
        lines += ["## What did not run", "\n".join(failed)]
    return "\n\n".join(lines) + "\n"


def _line(one: Stood) -> str:
    went = Went.RAN if one.good else one.went
    numbers = (f"{one.seconds:.0f}", str(one.cases)) if one.cases else ("", "")
    cells = (f"**{one.row}**: {one.title}", str(went), *numbers, ", ".join(one.arms), one.settings, one.layout)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
