"""How commands over many cases tell of options, problems and progress."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

console = Console()


def known(option: str, given: str, kind: type[StrEnum]) -> str:
    """A word of a vocabulary; another one is a mistake on the command line."""
    words = [one.value for one in kind]
    if given not in words:
        raise typer.BadParameter(f"{given!r} is none of {', '.join(words)}", param_hint=option)
    return given


@contextmanager
def as_bad(option: str) -> Iterator[None]:
    """What is wrong with one option's value is a mistake on the command line."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def refuse_data(problems: Sequence[str], outcome: str, data: Path | None = None) -> NoReturn:
    """List all problems, of `data` if it is one folder or file, say what comes of them, and stop."""
    for problem in problems:
        console.print(Text(problem, style="red"), soft_wrap=True)
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    where = "" if data is None else f"{data}: "
    console.print(Text(f"{where}{count}; {outcome}", style="bold red"), soft_wrap=True)
    raise typer.Exit(1)


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar that is told cases done, cases in all, and the next one's name."""
    columns = (
        TextColumn(f"[bold]{what}[/bold]"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description} · left"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("")

        def step(done: int, of: int, name: str = "") -> None:
            progress.update(task, completed=done, total=of, description=escape(name))

        yield step


def line(text: str) -> None:
    """One line, nothing in it read as markup."""
    console.print(Text(text), soft_wrap=True)
