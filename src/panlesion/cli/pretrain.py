"""`panlesion pretrain`: train the network on synthetic lesions."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from panlesion.cli._extras import need_model_extra

if TYPE_CHECKING:
    from panlesion.train.loop import Progress as Step
    from panlesion.train.loop import Watch

console = Console()


def pretrain(
    out: Annotated[Path, typer.Argument(help="Folder of the run; the same command goes on where a killed run stopped.")],
    recipe: Annotated[str, typer.Option(help="nano (two CPU cores) or pasta (the published network and values).")] = "nano",
    stage: Annotated[int, typer.Option(min=1, max=2, help="1: organs and lesions; 2: report attributes, network frozen.")] = 1,
    steps: Annotated[int, typer.Option(min=0, help="Optimiser steps; 0 takes the recipe's own number.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights, lesions and batches.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that make fresh patches beside the training.")] = 1,
    start_from: Annotated[str | None, typer.Option(help="Checkpoint to start from; stage 2 needs one.")] = None,
    devices: Annotated[int, typer.Option(min=1, help="Accelerators, or CPU processes, per machine.")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="bf16-mixed or 32-true.")] = "bf16-mixed",
) -> None:
    """Pretrain the network on lesions synthesised on the fly.

    Stage 1 learns to segment organs and lesions. Stage 2 freezes the network and trains a head on the report attributes.

    Leaves `model.safetensors`, the resolved `recipe.json`, `journal.jsonl`, TensorBoard events and the resumable state.

    Example: `panlesion pretrain --recipe nano --steps 2000 --workers 1 run`, then
    `panlesion pretrain --stage 2 --start-from run/model.safetensors run_2`
    """
    need_model_extra("pretrain")
    if stage == 2:
        machine = {"accelerator": accelerator, "devices": devices, "num_nodes": nodes}
        _stage_two(out, recipe, steps, seed, workers, start_from, machine)
        return
    from lightning_fabric import Fabric

    from panlesion.recipes.pretrain import STAGE_ONE
    from panlesion.recipes.pretrain import pretrain as run

    if recipe not in STAGE_ONE:
        raise typer.BadParameter(f"{recipe!r} is no recipe; use one of {', '.join(STAGE_ONE)}", param_hint="--recipe")
    chosen = STAGE_ONE[recipe](seed=seed, **({"steps": steps} if steps else {}))
    fabric = Fabric(accelerator=accelerator, devices=devices, num_nodes=nodes, precision=precision)  # type: ignore[arg-type]
    with training_bar(chosen.fit.steps) as watch:
        run(chosen, out, workers=workers, fabric=fabric, start_from=Path(start_from) if start_from else None, watch=watch)
    console.print(f"Trained {chosen.fit.steps} steps: {out / 'model.safetensors'}")
    console.print(f"Curves: [bold]panlesion plot {out}[/bold]")


def _stage_two(
    out: Path, recipe: str, steps: int, seed: int, workers: int, start_from: str | None, machine: dict[str, Any]
) -> None:
    """Gather vectors where the recipe does, then train the head."""
    from lightning_fabric import Fabric

    from panlesion.recipes.stage_two import STAGE_TWO, pretrain_head

    if recipe not in STAGE_TWO:
        raise typer.BadParameter(f"{recipe!r} is no recipe; use one of {', '.join(STAGE_TWO)}", param_hint="--recipe")
    if start_from is None:
        raise typer.BadParameter("stage 2 needs a network: name a checkpoint or a shipped model", param_hint="--start-from")
    chosen = STAGE_TWO[recipe](seed=seed, **({"steps": steps} if steps else {}))
    with gathering_bar() as gathering, ExitStack() as later:
        bar: Watch | None = None

        def watch(step: "Step") -> None:
            nonlocal bar
            if bar is None:  # two live bars at once are more than older rich allows
                bar = later.enter_context(training_bar(chosen.fit.steps))
            bar(step)

        pretrain_head(
            chosen, out, start_from=start_from, workers=workers, watch=watch, gathering=gathering,
            fabric=Fabric(**machine, precision=chosen.fit.precision),  # type: ignore[arg-type]
        )  # fmt: skip
    console.print(f"Trained the attribute head {chosen.fit.steps} steps: {out / 'model.safetensors'}")


@contextmanager
def gathering_bar() -> "Iterator[Callable[[int, int], None]]":
    """A bar for drawing lesions and reading them with the frozen network; it goes before training begins."""
    columns = (TextColumn("[bold]drawing and reading lesions[/bold]"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task("gathering", total=None)

    def gathering(done: int, of: int) -> None:
        progress.update(task, completed=done, total=of)
        if done == of:
            progress.stop()
        else:
            progress.start()

    try:
        yield gathering
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
