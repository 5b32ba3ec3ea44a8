"""`panlesion predict cases.csv OUT`: the answers of a checkpoint that was fine-tuned on a question about whole cases."""

from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from panlesion.cli._telling import bar

console = Console()

EXIT_NONE, EXIT_SOME = 1, 3


def answer_tables(tables: Sequence[Path], out: Path, checkpoint: str) -> None:
    """Answer for every case of a table, and leave `predictions.csv` in `out`."""
    from panlesion.infer.cases import PREDICTIONS_FILE, predict_table, table_for, write_predictions
    from panlesion.nets.checkpoint import load_model

    if len(tables) > 1:
        raise typer.BadParameter("give one table of cases", param_hint="CT")
    model = load_model(checkpoint)
    table = table_for(tables[0], model)
    with bar("answering") as step:
        done = predict_table(model, table, progress=step)
    for failure in done.failures:
        console.print(Text(failure, style="red"), soft_wrap=True)
    if done.rows:
        write_predictions(out / PREDICTIONS_FILE, done.rows)
        console.print(f"{len(done.rows)} cases: [bold]{out / PREDICTIONS_FILE}[/bold]", soft_wrap=True)
    if done.failures:
        console.print(Text(f"{len(done.failures)} of {len(table.cases)} cases failed", style="red"))
        raise typer.Exit(EXIT_SOME if done.rows else EXIT_NONE)
