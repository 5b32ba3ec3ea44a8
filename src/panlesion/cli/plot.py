"""`panlesion plot`: the curves of a training run as a picture."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

console = Console()


def plot(
    run: Annotated[Path, typer.Argument(help="Folder of a run, with its journal.jsonl.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="PNG to write; default RUN/curves.png.")] = None,
) -> None:
    """Draw loss, checks, learning rate and times of a run.

    Example: `panlesion plot run -o curves.png`
    """
    from panlesion.cli._extras import need_model_extra

    need_model_extra("plot")
    from panlesion.train.curves import draw_curves

    path = out or run / "curves.png"
    draw_curves(run, path)
    console.print(f"{path}")
