"""`panlesion bench`: the task table, run and reported."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from panlesion.cli._extras import need_model_extra

console = Console()
app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="markdown")


@app.command("list")
def list_tasks() -> None:
    """List the tasks, their data and where these come from.

    Example: `panlesion bench list`
    """
    need_model_extra("bench")
    from panlesion.bench.registry import TASKS

    table = Table("task", "what", "folder in --data", "spacing", "source")
    for task in TASKS.values():
        table.add_row(task.id, task.title, task.folder, f"{task.spacing_mm:g} mm", task.source)
    console.print(table)


@app.command("run")
def run(
    task: Annotated[str, typer.Argument(help="Task id, see `panlesion bench list`.")],
    data: Annotated[Path, typer.Option(help="Folder that holds the datasets.")],
    out: Annotated[Path, typer.Option(help="Folder for results; what is in it is not run again.")],
    checkpoint: Annotated[str, typer.Option(help="Name of a shipped model, or a .safetensors file.")] = "nano",
    shots: Annotated[str, typer.Option(help="Numbers of annotated patients, commas between.")] = "1,4,16",
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, each with its own patients to train and test on.")] = 5,
    steps: Annotated[int, typer.Option(min=1, help="Fine-tuning steps.")] = 300,
) -> None:
    """Fine-tune on few shots and compare with the same network from scratch, with frozen features and a trivial baseline.

    Example: `panlesion bench run sts --data datasets --shots 1,4,16 --out results`
    """
    need_model_extra("bench")
    from dataclasses import replace

    from panlesion.bench.few_shot import FewShot, run_few_shot, summary
    from panlesion.bench.registry import TASKS
    from panlesion.nets.checkpoint import load_model

    if task not in TASKS:
        raise typer.BadParameter(f"{task!r} is no task; use one of {', '.join(TASKS)}", param_hint="TASK")
    try:
        numbers = tuple(int(part) for part in shots.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{shots!r} is no list of numbers such as 1,4,16", param_hint="--shots") from error
    plan = FewShot(shots=numbers, seeds=seeds)
    plan = replace(plan, finetune=replace(plan.finetune, fit=replace(plan.finetune.fit, steps=steps)))
    with Progress(console=console) as progress:
        bar = progress.add_task("few-shot")
        rows = run_few_shot(
            TASKS[task], data, load_model(checkpoint), plan, out,
            watch=lambda what, done, total: progress.update(bar, description=what, completed=done, total=total),
        )  # fmt: skip
    table = Table("arm", "shots", "Dice (95 % interval, patients)")
    for arm, count, interval in summary(rows):
        table.add_row(arm, str(count), str(interval))
    console.print(table)
