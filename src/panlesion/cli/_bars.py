"""Progress bars of commands that train: while data are prepared, and while steps are taken."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from panlesion.train.loop import Progress as Step
    from panlesion.train.loop import Watch

console = Console()


def bar_from_first_step(steps: int, later: ExitStack) -> "Watch":
    """The training bar, shown once there is a step to show: two live bars at once are more than older rich allows."""
    bar: Watch | None = None

    def watch(step: "Step") -> None:
        nonlocal bar
        if bar is None:
            bar = later.enter_context(training_bar(steps))
        bar(step)

    return watch


@contextmanager
def preparing_bar(what: str) -> "Iterator[Callable[[int, int], None]]":
    """A bar for what comes before training; it is shown from its first report on and gone when training begins."""
    columns = (TextColumn(f"[bold]{what}[/bold]"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task(what, total=None)

    def report(done: int, of: int) -> None:
        progress.update(task, completed=done, total=of)
        if done == of:
            progress.stop()
        else:
            progress.start()

    try:
        yield report
    finally:
        progress.stop()


@contextmanager
def training_bar(steps: int) -> "Iterator[Watch]":
    """A progress bar with the loss, seconds per step, the share of time spent waiting for data, and time left."""
    columns = (
        TextColumn("[bold]training[/bold]"), BarColumn(), MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f} · {task.fields[step_s]:.2f} s/step"),
        TextColumn("waiting for data {task.fields[waiting]:.0%} · left"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=steps, loss=float("nan"), step_s=0.0, waiting=0.0)
        mean: dict[str, float] = {}

        def watch(step: "Step") -> None:
            for name, value in (("loss", step.loss), ("step_s", step.step_s), ("wait_s", step.wait_s)):
                mean[name] = value if name not in mean else 0.95 * mean[name] + 0.05 * value
            waiting = mean["wait_s"] / max(mean["step_s"], 1e-9)
            progress.update(task, completed=step.step, loss=mean["loss"], step_s=mean["step_s"], waiting=waiting)

        yield watch
