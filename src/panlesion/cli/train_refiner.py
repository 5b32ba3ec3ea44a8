"""`panlesion train-refiner`: train the network that redraws grain and edge of lesions on healthy CTs."""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from panlesion.cli._bars import bar_from_first_step, preparing_bar
from panlesion.cli._extras import need_model_extra

console = Console()


def train_refiner(
    hosts: Annotated[
        str, typer.Option(help="Folder of healthy CTs (each ct.nii.gz or ct/; organ maps are not needed), or the word phantom.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command goes on where a killed run stopped.")],
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps; about 0.5 s each on one CPU core.")] = 4000,
    spacing: Annotated[float, typer.Option(min=0.3, max=5.0, help="Voxel size in mm: that of the cases to refine.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights and patches.")] = 0,
    phantoms: Annotated[int, typer.Option(min=3, help="With phantom hosts: how many bodies to draw, a multiple of 3.")] = 6,
    accelerator: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    precision: Annotated[str, typer.Option(help="bf16-mixed or 32-true.")] = "bf16-mixed",
) -> None:
    """Train a refiner: a small denoising-diffusion network that knows how these scanners' images look. No lesions are needed.

    Leaves `refiner.safetensors` for `panlesion synth --refine`, `recipe.json`, `journal.jsonl`, the CTs at the refiner's
    spacing (`ct/`, may be removed) and the resumable state. Exit code 1 when a host could not be used; `unusable.txt` says why.

    Example: `panlesion train-refiner --hosts my_cts --steps 4000 --out refiner`
    """
    need_model_extra("train-refiner")
    from lightning_fabric import Fabric

    from panlesion.recipes.refiner import MODEL_FILE, UNUSABLE_FILE, refiner_run
    from panlesion.recipes.refiner import train_refiner as run

    recipe = refiner_run(hosts, spacing_mm=spacing, steps=steps, seed=seed, phantoms=phantoms)
    fabric = Fabric(accelerator=accelerator, devices=1, precision=precision)  # type: ignore[arg-type]
    with preparing_bar("preparing CTs") as preparing, ExitStack() as later:
        watch = bar_from_first_step(steps, later)
        _, unusable = run(recipe, out, fabric=fabric, preparing=preparing, watch=watch)
    console.print(f"Trained {steps} steps: {out / MODEL_FILE}", soft_wrap=True)
    console.print(f"Use it: [bold]panlesion synth --spacing {spacing:g} --refine {out / MODEL_FILE} …[/bold]", soft_wrap=True)
    if unusable:
        for line in unusable:
            console.print(Text(line, style="red"), soft_wrap=True)
        console.print(
            Text(f"{len(unusable)} hosts were left out, listed in {out / UNUSABLE_FILE}", style="red"), soft_wrap=True
        )
        raise typer.Exit(1)
