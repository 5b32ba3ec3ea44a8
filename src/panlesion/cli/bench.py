"""`panlesion bench`: the task table, run and reported."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from panlesion.cli._extras import need_model_extra

console = Console()
app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="markdown")

OWN = "the row's own"


@app.command("list")
def list_rows() -> None:
    """List the rows of the task table: how each is measured, its data, and which choices it takes.

    Example: `panlesion bench list`
    """
    need_model_extra("bench")
    from panlesion.bench.protocol import option
    from panlesion.bench.registry import ROWS

    table = Table("id", "what, and how measured", "data below --root", "takes")
    for row in ROWS.values():
        data = f"{', '.join(row.data.folders)}\n{row.data.source}" if row.data else "drawn when run"
        table.add_row(row.id, f"{row.title}\n{row.protocol}", data, " ".join(map(option, sorted(row.takes))))
    console.print(table)


@app.command("run")
def run(
    task: Annotated[str, typer.Argument(help="Id of a row, see `panlesion bench list`.")],
    root: Annotated[Path, typer.Option("--root", "--data", help="Folder that holds the datasets.")] = Path("datasets"),
    out: Annotated[
        Path | None, typer.Option(help="Folder for results; what is in it is not run again. Default: bench/ID.")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="Name of a shipped model, or a .safetensors file.")] = "nano",
    shots: Annotated[
        str | None, typer.Option(help="Numbers of annotated patients, commas between.", show_default="1,4,16")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", "--repetitions", min=1, help="Repetitions, each with its own draw.", show_default=OWN),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Fine-tuning steps.", show_default=OWN)] = None,
    arms: Annotated[
        str | None, typer.Option(help="Only these arms, commas between.", show_default="all but nnunet, rival")
    ] = None,
    spacing: Annotated[float | None, typer.Option(help="Spacing in mm the network works at.", show_default=OWN)] = None,
    cases: Annotated[int | None, typer.Option(min=1, help="At most so many patients or scans.", show_default="all")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes, one thread each.", show_default="1")] = None,
    development: Annotated[
        bool, typer.Option("--development", help="On the patients reserved for choices, which are in no result.")
    ] = False,
    nnunet_venv: Annotated[
        Path | None,
        typer.Option(help="Virtual environment that holds nnunetv2; adds the arm nnunet.", show_default="no such arm"),
    ] = None,
    nnunet_epochs: Annotated[
        int | None,
        typer.Option(min=1, help="nnU-Net's own epochs, 250 iterations each.", show_default="as many iterations as --steps"),
    ] = None,
    rival: Annotated[
        Path | None, typer.Option(help="Weights that others pretrained; adds the arm rival.", show_default="no such arm")
    ] = None,
    rival_kind: Annotated[
        str | None,
        typer.Option(help="What they are: suprem-unet, models-genesis, monai-unet or state-dict.", show_default=False),
    ] = None,
) -> None:
    """Run one row of the task table; an interrupted run goes on with the same command. Leaves `table.md`.

    Example: `panlesion bench run sts --root datasets --shots 1,4,16 --workers 2 --out results/sts`
    """
    need_model_extra("bench")
    from panlesion.bench.protocol import TABLE, Asked, Choices
    from panlesion.bench.registry import ROWS

    if task not in ROWS:
        raise typer.BadParameter(f"{task!r} is no row of the table; use one of {', '.join(ROWS)}", param_hint="TASK")
    choices = Choices(
        shots=_numbers(shots), seeds=seeds, steps=steps, arms=tuple(arms.split(",")) if arms else None, spacing=spacing,
        cases=cases, workers=workers, development=development or None, nnunet_venv=nnunet_venv, nnunet_epochs=nnunet_epochs,
        rival=rival, rival_kind=rival_kind,
    )  # fmt: skip
    asked = Asked(root=root, checkpoint=checkpoint, out=out or Path("bench") / task, choices=choices)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )  # fmt: skip
    try:
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task(task, total=None)
            tables = ROWS[task].measure(
                asked, lambda what, done, total: progress.update(bar, description=what, completed=done, total=total)
            )
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="option") from error
    for one in tables:
        shown = Table(*one.header, title=one.title)
        for cells in one.rows:
            shown.add_row(*cells)
        console.print(shown)
        for note in one.notes:
            console.print(note)
    console.print(f"Written: {asked.out / TABLE}")


def _numbers(shots: str | None) -> tuple[int, ...] | None:
    if shots is None:
        return None
    try:
        return tuple(int(part) for part in shots.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{shots!r} is no list of numbers such as 1,4,16", param_hint="--shots") from error
