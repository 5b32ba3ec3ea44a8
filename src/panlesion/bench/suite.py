"""Many rows with one command: quick settings for each, in an order, within a budget; what is done is not run again."""

import json
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from panlesion.bench.protocol import TABLE, Asked, BenchRow, Choices, Protocol, Watch
from panlesion.bench.rows import fingerprint
from panlesion.bench.scores import read_scores
from panlesion.data.publish import write_text
from panlesion.errors import PanlesionError, StoreError
from panlesion.nets.checkpoint import load_model

STATE, RESULTS = "suite.json", "results.md"
MINUTES = 60.0
"""After so long no further row is started."""


class Ended(StrEnum):
    """What became of a row."""

    DONE = "done"
    KEPT = "done before"
    FAILED = "failed"
    LATE = "not started: the budget was spent"
    NO_DATA = "no data"


@dataclass(frozen=True, kw_only=True)
class Quick:
    """Settings that make a row quick, what they leave out, and the minutes it takes on two idle cores."""

    choices: Choices
    minutes: float
    less: str


@dataclass(frozen=True, kw_only=True)
class Ran:
    """One row of a suite; `why` explains what is not done."""

    row: str
    title: str
    ended: Ended
    command: str
    minutes: float
    less: str
    why: str = ""


LOCAL: Mapping[str, Quick] = MappingProxyType(
    {
        "real": Quick(choices=Choices(), minutes=1, less="nothing"),
        "lidc-attributes": Quick(choices=Choices(), minutes=2, less="nothing"),
        "kits-survival": Quick(choices=Choices(), minutes=2, less="nothing"),
        "kits-stage": Quick(choices=Choices(), minutes=2, less="nothing"),
        "lidc-malignancy": Quick(choices=Choices(), minutes=3, less="nothing"),
        "kits-painted": Quick(
            choices=Choices(cases=200, seeds=2), minutes=5, less="the first 200 patients, 2 repetitions instead of 5"
        ),
        "phantoms": Quick(choices=Choices(cases=1), minutes=8, less="one scan of each type for testing instead of four"),
        "attributes": Quick(
            choices=Choices(cases=8), minutes=6, less="8 test bodies instead of 30, 16 for training instead of 40"
        ),
        "sts": Quick(choices=Choices(shots=(1, 4), seeds=1), minutes=6, less="1 repetition instead of 5; no 16 shots"),
        "sts-mr": Quick(choices=Choices(shots=(1, 4), seeds=1), minutes=8, less="1 repetition instead of 5; no 16 shots"),
        "lidc": Quick(choices=Choices(shots=(4,), seeds=1), minutes=6, less="1 repetition instead of 5; 4 shots alone"),
    }
)
"""Rows in the order they are run: quickest first, so that a cut suite has most rows."""

BY_PROTOCOL: Mapping[Protocol, Quick] = MappingProxyType(
    {
        Protocol.LESION_FREE: Quick(choices=Choices(cases=20), minutes=5, less="20 scans"),
        Protocol.FEW_SHOT: Quick(
            choices=Choices(shots=(1, 4), seeds=1, cases=10), minutes=15, less="1 and 4 shots, 1 repetition, 10 test patients"
        ),
        Protocol.FOLDS: Quick(choices=Choices(steps=100, cases=5), minutes=20, less="100 steps, 5 test patients a fold"),
        Protocol.WHOLE_CASES: Quick(choices=Choices(steps=100, cases=60), minutes=20, less="100 steps, the first 60 patients"),
    }
)
"""For rows that are not in `LOCAL`, behind them."""


def quick_settings(row: BenchRow) -> Quick:
    """A row's quick settings; its own where there are none for it."""
    return LOCAL.get(row.id) or BY_PROTOCOL.get(row.protocol) or Quick(choices=Choices(), minutes=30, less="nothing")


def in_order(rows: Mapping[str, BenchRow]) -> list[BenchRow]:
    """Rows of `LOCAL` first, then the others by their protocols' minutes."""
    first = [rows[name] for name in LOCAL if name in rows]
    rest = [row for row in rows.values() if row.id not in LOCAL]
    return first + sorted(rest, key=lambda row: quick_settings(row).minutes)


def command_of(row: BenchRow, root: Path, checkpoint: str, choices: Choices) -> str:
    """The command that runs a row alone with the same settings."""
    words = [
        "panlesion bench run",
        row.id,
        *(["--root", str(root)] if row.data is not None else []),
        "--checkpoint",
        checkpoint,
    ]
    for name in choices.given():
        value = getattr(choices, name)
        words += [f"--{name}", ",".join(map(str, value)) if isinstance(value, tuple) else str(value)]
    return " ".join(words)


def run_suite(
    rows: Mapping[str, BenchRow], root: Path, checkpoint: str, out: Path, *,
    workers: int = 1, minutes: float = MINUTES, watch: Callable[[str], Watch], clock: Callable[[], float] = time.monotonic,
) -> list[Ran]:  # fmt: skip
    """Run every row whose data are below `root`; `out` holds a folder for each, and `results.md`.

    A row that fails is listed and the others go on. The same command goes on with what is missing.

    Raises:
        StoreError: `out` holds a damaged state.
        CheckpointError: The checkpoint cannot be read: every row would fail.
    """
    model, started, ran = fingerprint(load_model(checkpoint)), clock(), []
    state = read_state(out)
    for row in in_order(rows):
        quick = quick_settings(row)
        choices = replace(quick.choices, workers=workers) if "workers" in row.takes else quick.choices
        command = command_of(row, root, checkpoint, choices)
        one = Ran(row=row.id, title=row.title, ended=Ended.DONE, command=command, minutes=0.0, less=quick.less)
        asked = Asked(root=root, checkpoint=checkpoint, out=out / row.id, choices=choices)
        before, now = state.get(row.id, {}), clock()
        if missing := _missing(row, root):
            one = replace(one, ended=Ended.NO_DATA, why=missing)
        elif before.get("settings") == _settings(quick, model) and whole(asked.out):
            one = replace(one, ended=Ended.KEPT, minutes=before["minutes"])
        elif now - started >= 60 * minutes:
            one = replace(one, ended=Ended.LATE)
        else:
            why = attempt(row, asked, watch(row.id))
            one = replace(one, minutes=(clock() - now) / 60, ended=Ended.FAILED if why else Ended.DONE, why=why)
            if not why:
                state[row.id] = {"settings": _settings(quick, model), "minutes": one.minutes}
                write_text(out / STATE, json.dumps(state, indent=1) + "\n")
        ran.append(one)
        write_text(out / RESULTS, page(ran, out))
    return ran


def _settings(quick: Quick, model: str) -> dict[str, Any]:
    """What a row's numbers depend on; workers are not part of it."""
    chosen = {name: getattr(quick.choices, name) for name in quick.choices.given()}
    return json.loads(json.dumps({"model": model, "choices": chosen}))


def _missing(row: BenchRow, root: Path) -> str:
    """Why a row's data cannot be used; empty where they can."""
    if row.data is None:
        return ""
    try:
        row.data.check(root)
    except PanlesionError as error:
        return str(error)
    return ""


def whole(out: Path) -> bool:
    """Whether a folder holds a finished row's files."""
    try:
        read_scores(out)
    except StoreError:
        return False
    return (out / TABLE).is_file()


def attempt(row: BenchRow, asked: Asked, watch: Watch) -> str:
    """Why a row failed; empty where it did not."""
    try:
        row.measure(asked, watch)
    except (PanlesionError, OSError, ValueError) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    except Exception as error:  # noqa: BLE001  a bug met in one row is reported with it; the other rows go on
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"in {Path(frame.filename).name}, line {frame.lineno}"
        return f"{type(error).__name__}: {error} ({where}: a fault of panlesion, please report it)"
    return ""


def read_state(out: Path) -> dict[str, Any]:
    """What a suite's folder says of its finished rows; it is made if there is none.

    Raises:
        StoreError: The file is damaged, or no such record.
    """
    path = out / STATE
    out.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return {}
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is damaged ({error}); remove it: finished rows are run again from what they left") from error
    if not isinstance(state, dict) or not all(
        isinstance(one, dict) and {"settings", "minutes"} <= one.keys() for one in state.values()
    ):
        raise StoreError(f"{path} is no record of a suite; remove it, or use another folder")
    return state


def page(ran: Sequence[Ran], out: Path) -> str:
    """All results as one page: what was run, then a section for every row with its command and tables."""
    there = [one for one in ran if one.ended in {Ended.DONE, Ended.KEPT}]
    lines = [
        "# Results",
        "Intervals are 95 %; n and what is resampled stand with each. Every row was run with quick settings: what they "
        "leave out stands beside it. Seeds are the repetitions' numbers, 0 and on: the same command gives the same numbers.",
        "| row | minutes | left out | |\n|---|---|---|---|\n"
        + "\n".join(
            f"| {_linked(one)} | {one.minutes:.1f} | {one.less} | {_told(one)} |"
            for one in ran
            if one.ended is not Ended.NO_DATA
        ),
    ]
    without = [one.row for one in ran if one.ended is Ended.NO_DATA]
    if without:
        lines.append(f"Without their data here, {len(without)} rows: {', '.join(without)}.")
    for one in there:
        text = (out / one.row / TABLE).read_text(encoding="utf-8")
        first, _, rest = text.partition("\n")
        lines += [f"## {first.removeprefix('# ')}", f"`{one.command}`", rest.strip().replace("\n## ", "\n### ")]
    return "\n\n".join(lines) + "\n"


def _linked(one: Ran) -> str:
    return f"**{one.row}**: {one.title}"


def _told(one: Ran) -> str:
    return f"{one.ended}: {one.why}".replace("|", "\\|") if one.why else str(one.ended)
