"""The task table of `panlesion bench list`: which rows there are, what was published for them, what can be run here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from panlesion.bench.paper import GROUP_TITLES, Group, PaperTask
from panlesion.bench.protocol import STAND_IN, BenchRow
from panlesion.errors import PanlesionError

SHORT = 120
"""Narrower consoles get no column for the data."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row or task as it is listed. `here` is what was found below the root; `ready` whether it runs with that."""

    id: str
    group: Group
    title: str
    n: int | None
    protocol: str
    published: str
    data: str
    runner: bool
    ready: bool
    here: str
    see: tuple[str, ...]


def lines_of(rows: Mapping[str, BenchRow], tasks: Mapping[str, PaperTask], root: Path) -> list[Line]:
    """Every task of the paper and every row of ours, in the order of the groups."""
    states: dict[int, tuple[bool, str]] = {}
    found = [_of_task(task, rows.get(task.id), root, states) for task in tasks.values()]
    found += [_of_row(row, root, states) for row in rows.values() if row.id not in tasks]
    return sorted(found, key=lambda line: list(Group).index(line.group))


def _of_task(task: PaperTask, row: BenchRow | None, root: Path, states: dict[int, tuple[bool, str]]) -> Line:
    if row is not None:
        ready, here = _state(row, root, states)
    else:
        ready, here = False, "no runner yet"
    return Line(
        id=task.id, group=task.group, see=task.see, title=task.title, n=task.n, protocol=task.protocol,
        published=published(task),
        data=f"{task.data.folder}/: {'your own' if task.data.private else task.data.title}",
        runner=row is not None, ready=ready, here=here,
    )  # fmt: skip


def _of_row(row: BenchRow, root: Path, states: dict[int, tuple[bool, str]]) -> Line:
    ready, here = _state(row, root, states)
    data = f"{', '.join(f'{folder}/' for folder in row.data.folders)}: {row.data.source}" if row.data else "drawn when run"
    return Line(
        id=row.id, group=Group.OURS, title=row.title, n=None, protocol=str(row.protocol), published="", data=data, runner=True,
        ready=ready, here=here, see=(),
    )  # fmt: skip


def _state(row: BenchRow, root: Path, states: dict[int, tuple[bool, str]]) -> tuple[bool, str]:
    """Whether a row's data are below the root, in a word; datasets of several rows are looked at once."""
    if row.data is None:
        return True, "ready"
    key = hash((row.data.folders, row.data.layout))
    if key not in states:
        try:
            count = row.data.check(root)
            drawn = any((root / folder / STAND_IN).exists() for folder in row.data.folders)
            states[key] = True, "ready" if count is None else f"ready: {count} {'stand-ins' if drawn else 'cases'}"
        except PanlesionError:
            there = all((root / folder).is_dir() for folder in row.data.folders)
            states[key] = False, "laid out otherwise" if there else "no data"
    return states[key]


def published(task: PaperTask) -> str:
    """The paper's numbers with the best rival's in brackets; of few shots the first and the last."""
    if not task.numbers:
        return "-"
    if task.group is Group.FEW_SHOT:
        first, last = task.numbers[0], task.numbers[-1]
        rivals = [str(first.rival), str(last.rival)]
        return f"{first.paper}→{last.paper} ({'→'.join(dict.fromkeys(rivals))})"
    return "; ".join(
        f"{one.metric} {one}" if len(task.numbers) > 1 or one.metric != "dice" else str(one) for one in task.numbers
    )


def chosen(lines: Sequence[Line], group: str | None, word: str | None) -> list[Line]:
    """Lines of one group that have a word anywhere.

    Raises:
        ValueError: An unknown group.
    """
    if group is not None and group not in set(Group):
        raise ValueError(f"{group!r} is no group; use one of {', '.join(Group)}")
    kept = [line for line in lines if group is None or line.group == group]
    if word:
        kept = [
            line
            for line in kept
            if word.lower() in " ".join((line.id, line.title, line.protocol, line.data, line.here)).lower()
        ]
    return kept


def as_json(lines: Sequence[Line], tasks: Mapping[str, PaperTask], rows: Mapping[str, BenchRow]) -> str:
    """The same for programs, with every number of the paper."""
    return json.dumps([_json(line, tasks.get(line.id), rows.get(line.id)) for line in lines], indent=1, ensure_ascii=False)


def _json(line: Line, task: PaperTask | None, row: BenchRow | None) -> dict[str, Any]:
    numbers = [
        {
            "metric": one.metric, "shots": one.shots, "paper": one.paper.value, "rival": one.rival.value,
            "rival_is_bound": one.rival.at_most, "error": one.error,
        }
        for one in (task.numbers if task else ())
    ]  # fmt: skip
    got = task.data if task else None
    return {
        "id": line.id, "group": line.group, "title": line.title, "protocol": line.protocol, "n": line.n, "data": line.data,
        "licence": got.licence if got else None, "get": got.get if got else row.data.get if row and row.data else None,
        "layout": got.layout if got else row.data.layout if row and row.data else None, "runner": line.runner,
        "ready": line.ready, "here": line.here, "see": list(line.see), "takes": sorted(row.takes) if row else [],
        "metrics": list(task.metrics) if task else [], "published": numbers,
    }  # fmt: skip


def show(console: Console, lines: Sequence[Line], root: Path) -> None:
    """Print the lines group by group."""
    wide = console.width >= SHORT
    for group in Group:
        mine = [line for line in lines if line.group is group]
        if not mine:
            continue
        table = Table(title=GROUP_TITLES[group], title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("row", no_wrap=True, style="bold", min_width=24)
        table.add_column("what", ratio=None if wide else 1)
        table.add_column("n", justify="right")
        table.add_column(
            "paper (rival)" if group is not Group.OURS else "measured", no_wrap=group is Group.FEW_SHOT, max_width=30
        )
        if wide:
            table.add_column("data", max_width=50)
        table.add_column("here", max_width=20)
        for line in mine:
            n = "" if line.n is None else str(line.n)
            what = line.title + (f" [see {', '.join(line.see)}]" if line.see else "")
            told = line.published if group is not Group.OURS else line.protocol
            cells: list[str | Text] = [
                line.id,
                Text(what),
                n,
                told,
                *([Text(line.data)] if wide else []),
                Text(line.here, style=_style(line)),
            ]
            table.add_row(*cells)
        console.print(table)
    ready, runner = sum(line.ready for line in lines), sum(line.runner for line in lines)
    console.print(
        f"{len(lines)} rows, {runner} with a runner, {ready} ready with what is below {root}. Numbers were read off figures."
    )


def _style(line: Line) -> str:
    return "green" if line.ready else "yellow" if line.runner else "dim"
