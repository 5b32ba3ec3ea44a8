"""`panlesion bench`: the task table, run and reported."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from panlesion.cli._extras import need_bench_extra, need_model_extra

if TYPE_CHECKING:
    from panlesion.bench.protocol import Asked, BenchRow

console = Console()
app = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode="markdown")

OWN = "the row's own"
SUITE, STAND_INS = "local", "stand-ins"
SUITES = (SUITE, STAND_INS)


@app.command("list")
def list_rows(
    word: Annotated[str | None, typer.Argument(help="Only rows that have this word in id, title, protocol or data.")] = None,
    root: Annotated[Path, typer.Option("--root", "--data", help="Folder that holds the datasets.")] = Path("datasets"),
    group: Annotated[str | None, typer.Option(help="Only this group, such as few-shot, staging or ours.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, with every number of the paper.")] = False,
) -> None:
    """List the task table: every task of the paper with its published number, and which rows run with the data below a root.

    Example: `panlesion bench list kidney --root datasets`
    """
    need_model_extra("bench")
    from panlesion.bench.paper import paper_tasks
    from panlesion.bench.registry import ROWS
    from panlesion.cli import _bench_list

    try:
        lines = _bench_list.chosen(_bench_list.lines_of(ROWS, paper_tasks(), root), group, word)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--group") from error
    if as_json:
        typer.echo(_bench_list.as_json(lines, paper_tasks(), ROWS))
    else:
        _bench_list.show(console, lines, root)


@app.command("run")
def run(
    task: Annotated[str | None, typer.Argument(help="Id of a row, see `panlesion bench list`.")] = None,
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
    suite: Annotated[
        str | None,
        typer.Option(
            help="`local`: every row that the data below the root allow, each with quick settings. `stand-ins`: every row end "
            "to end on small drawn cases, which it writes; it tells that they ran, and no score."
        ),
    ] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Of a suite: after so long no further row is started.")] = 60.0,
    results: Annotated[Path | None, typer.Option(help="Of a suite: another place for its page of results.")] = None,
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
    stages: Annotated[
        str | None, typer.Option(help="Stages of a table that are words, lowest first, commas between.", show_default=False)
    ] = None,
) -> None:
    """Run one row of the task table, or a suite; an interrupted run goes on with the same command. Leaves `table.md`.

    Example: `panlesion bench run sts --root datasets --shots 1,4,16 --workers 2 --out results/sts`

    Example: `panlesion bench run --suite stand-ins --workers 2 --out results/standins`
    """
    need_model_extra("bench")
    from panlesion.bench.protocol import Asked, Choices, Protocol
    from panlesion.bench.registry import ROWS

    choices = Choices(
        shots=_numbers(shots), seeds=seeds, steps=steps, arms=tuple(arms.split(",")) if arms else None, spacing=spacing,
        cases=cases, workers=workers, development=development or None, nnunet_venv=nnunet_venv, nnunet_epochs=nnunet_epochs,
        rival=rival, rival_kind=rival_kind, stages=tuple(stages.split(",")) if stages else None,
    )  # fmt: skip
    if suite is not None:
        if task is not None or [name for name in choices.given() if name != "workers"]:
            raise typer.BadParameter("a suite has rows and settings of its own; give --workers alone", param_hint="--suite")
        _run_any_suite(suite, root, checkpoint, out, workers or 1, minutes, results)
        return
    if task is None or task not in ROWS:
        raise typer.BadParameter(_no_row(task), param_hint="TASK")
    if ROWS[task].protocol is Protocol.CLINICAL:
        need_bench_extra(f"bench run {task}")
    _run_row(ROWS[task], Asked(root=root, checkpoint=checkpoint, out=out or Path("bench") / task, choices=choices))


@app.command("compare")
def compare(
    folders: Annotated[list[Path], typer.Argument(help="Folders that `panlesion bench run` left, of rows or of suites.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for compare.md and compare.html.")],
) -> None:
    """Put results beside the paper's numbers and its best rival's: tables, curves, forest plot, as one page.

    Example: `panlesion bench compare results/sts results/lidc --out results/compared`
    """
    need_model_extra("bench")
    from panlesion.bench.compare import compare_folders

    for path in compare_folders(folders, out):
        console.print(f"Written: {path}", soft_wrap=True)


def _run_row(row: "BenchRow", asked: "Asked") -> None:
    from panlesion.bench.protocol import TABLE

    try:
        row.check(asked)
        with _progress() as progress:
            tables = row.measure(asked, _watching(progress, row.id))
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


def _run_any_suite(
    suite: str, root: Path, checkpoint: str, out: Path | None, workers: int, minutes: float, results: Path | None
) -> None:
    if suite not in SUITES:
        raise typer.BadParameter(f"{suite!r} is no suite; there is {' and '.join(SUITES)}", param_hint="--suite")
    need_bench_extra("bench run --suite")
    if suite == STAND_INS:
        _run_stand_ins(checkpoint, out or Path("bench") / STAND_INS, workers, minutes, results)
    else:
        _run_suite(root, checkpoint, out or Path("bench"), workers, minutes, results)


def _run_suite(root: Path, checkpoint: str, out: Path, workers: int, minutes: float, results: Path | None) -> None:
    from panlesion.bench.registry import ROWS
    from panlesion.bench.suite import RESULTS, Ended, run_suite
    from panlesion.data.publish import write_text

    with _progress() as progress:
        ran = run_suite(
            ROWS, root, checkpoint, out, workers=workers, minutes=minutes, watch=lambda row: _watching(progress, row)
        )
    for one in ran:
        if one.ended is not Ended.NO_DATA:
            console.print(f"{one.row}: {one.ended}{f' ({one.why})' if one.why else ''}, {one.minutes:.1f} min", soft_wrap=True)
    without = sum(one.ended is Ended.NO_DATA for one in ran)
    console.print(f"{without} rows have no data below {root}; `panlesion bench list --root {root}` says which.", soft_wrap=True)
    if results is not None:
        write_text(results, (out / RESULTS).read_text(encoding="utf-8"))
    console.print(f"Written: {results or out / RESULTS}", soft_wrap=True)
    if any(one.ended in {Ended.FAILED, Ended.LATE} for one in ran):
        raise typer.Exit(1)


def _run_stand_ins(checkpoint: str, out: Path, workers: int, minutes: float, results: Path | None) -> None:
    from panlesion.bench.paper import paper_tasks
    from panlesion.bench.registry import ROWS
    from panlesion.bench.stand_in_suite import PAGE, run_stand_ins
    from panlesion.data.publish import write_text

    with _progress() as progress:
        watch = _watching(progress, f"{STAND_INS} suite")
        stood = run_stand_ins(ROWS, paper_tasks(), checkpoint, out, workers=workers, minutes=minutes, watch=watch)
    for one in stood:
        if not one.good:
            console.print(f"{one.row}: {one.went}{f' ({one.why})' if one.why else ''}", soft_wrap=True)
    console.print(f"{sum(one.good for one in stood)} of {len(stood)} rows ran end to end on stand-ins.", soft_wrap=True)
    if results is not None:
        write_text(results, (out / PAGE).read_text(encoding="utf-8"))
    console.print(f"Written: {results or out / PAGE}", soft_wrap=True)
    if not all(one.good for one in stood):
        raise typer.Exit(1)


def _no_row(task: str | None) -> str:
    """What to do about a row that is not there; for a task of the paper, what would be needed."""
    from panlesion.bench.paper import paper_tasks
    from panlesion.bench.registry import ROWS

    if task is None:
        return f"say which row to run, or --suite {' or '.join(SUITES)}; `panlesion bench list` has the rows"
    paper = paper_tasks().get(task)
    if paper is None:
        return f"{task} is no row of the table; use one of {', '.join(ROWS)}"
    data = paper.data
    return (
        f"{task} ({paper.protocol}) is a task of the paper that no row runs yet. Its data: {data.title} ({data.licence}); get "
        f"{data.get}; lay it out below --root in {data.folder}/ as {data.layout}"
    )


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=True), console=console,
    )  # fmt: skip


def _watching(progress: Progress, name: str) -> Callable[[str, int, int], None]:
    bar = progress.add_task(name, total=None)
    return lambda what, done, total: progress.update(bar, description=what, completed=done, total=total or None)


def _numbers(shots: str | None) -> tuple[int, ...] | None:
    if shots is None:
        return None
    try:
        return tuple(int(part) for part in shots.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{shots!r} is no list of numbers such as 1,4,16", param_hint="--shots") from error
