"""`panlesion data`: list, check and expand folders of cases; which public datasets can be read."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, track
from rich.table import Table
from rich.text import Text

console = Console()

app = typer.Typer(no_args_is_help=True, help="List, check and expand folders of cases.", rich_markup_mode="markdown")

Folder = Annotated[Path, typer.Argument(help="Folder of a cohort, or any folder in the PASTA-Gen-30K layout.")]


@app.command("list")
def list_cases(
    folder: Folder, each: Annotated[bool, typer.Option("--each", help="One line per case, tab-separated, for scripts.")] = False
) -> None:
    """Count the cases of a folder by type; incomplete ones are named, and make the exit code 1.

    Example: `panlesion data list cohort`
    """
    from panlesion.data.store import iterate_cases

    cases = list(iterate_cases(folder))
    if each:
        for case in cases:
            state = "complete" if case.complete else f"lacks {', '.join(case.missing)}"
            typer.echo("\t".join((case.id, case.type or "unknown", case.stored_as, state, str(case.path))))
    else:
        counts = Counter((case.type or "unknown", case.stored_as.value, case.complete) for case in cases)
        table = Table("type", "stored as")
        table.add_column("complete", justify="right")
        table.add_column("incomplete", justify="right")
        for type_, stored_as in sorted({(type_, stored_as) for type_, stored_as, _ in counts}):
            table.add_row(type_, stored_as, str(counts[type_, stored_as, True]), str(counts[type_, stored_as, False] or ""))
        console.print(table)
        for case in cases:
            if case.missing:
                _problem(str(case.path), f"lacks {', '.join(case.missing)}")
    if not cases or not all(case.complete for case in cases):
        raise typer.Exit(_nothing(folder) if not cases else 1)


@app.command()
def check(folder: Folder) -> None:
    """Read every case: files, grids, label values, report vocabulary, checksums. Problems are listed, exit code 1.

    Example: `panlesion data check cohort`
    """
    from panlesion.data.check import check_cases
    from panlesion.data.store import iterate_cases, order_by_host

    cases = order_by_host(list(iterate_cases(folder)))
    if not cases:
        raise typer.Exit(_nothing(folder))
    bad = 0
    for case, problems in track(check_cases(cases, folder), total=len(cases), description="check", console=console):
        bad += bool(problems)
        for problem in problems:
            _problem(case.id, problem)
    console.print(f"{len(cases) - bad} of {len(cases)} cases are good.")
    if bad:
        raise typer.Exit(1)


@app.command()
def expand(
    folder: Annotated[Path, typer.Argument(help="A cohort made with --format delta.")],
    out: Annotated[Path, typer.Argument(help="Folder to write the full cohort to.")],
) -> None:
    """Restore a delta cohort in full, bit for bit; an interrupted expansion goes on where it stopped.

    Example: `panlesion data expand cohort cohort_full`
    """
    from panlesion.data.expand import expand_cohort

    with Progress(console=console) as bars:
        task = bars.add_task("expand", total=None)
        failures = expand_cohort(folder, out, progress=lambda done, of: bars.update(task, completed=done, total=of))
    for name, cause in failures:
        _problem(name, cause)
    console.print(f"wrote {out}", soft_wrap=True)
    if failures:
        console.print(Text(f"{len(failures)} cases could not be restored", style="red"))
        raise typer.Exit(1)


@app.command()
def sources(
    check: Annotated[
        tuple[str, Path] | None,
        typer.Option("--check", metavar="ID ROOT", help="Find the cases of source ID in the folder ROOT; no voxel is read."),
    ] = None,
) -> None:
    """Public datasets that can be read as they are published; `nnunet` is any folder in nnU-Net's raw layout.

    With `--check`, how many cases a folder holds, or which rule of the layout it breaks (exit code 1).

    Example: `panlesion data sources --check kits23 datasets/kits23`
    """
    if check is not None:
        _check_source(*check)
        return
    from panlesion.data.sources.registry import SOURCES

    for source in SOURCES.values():
        count = "" if source.published is None else f", {source.published} cases"
        console.print(Text.assemble((source.id, "bold"), f"  {source.title}{count}"), soft_wrap=True)
        lesions = ", ".join(source.lesions) or "none, for false positives"
        for what, text in (("lesions", lesions), ("licence", source.licence), ("get", source.get), ("layout", source.layout)):
            console.print(Text(f"    {what}: {text}"), soft_wrap=True)


def _check_source(name: str, root: Path) -> None:
    from panlesion.data.sources.registry import source_of

    try:
        source = source_of(name, root)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--check") from error
    cases = source.find(root)
    patients = len({case.patient for case in cases})
    of = "" if source.published is None else f" of {source.published} published"
    console.print(Text(f"cases: {len(cases)}{of}, patients: {patients}, {cases[0].id} … {cases[-1].id}"), soft_wrap=True)
    console.print(Text(f"classes: {', '.join(source.classes)}"), soft_wrap=True)
    facts = sorted({key for case in cases for key in case.facts})
    if facts:
        console.print(Text(f"facts: {', '.join(facts)}"), soft_wrap=True)


def _problem(what: str, cause: str) -> None:
    console.print(Text.assemble((f"{what}: ", "bold red"), cause), soft_wrap=True)


def _nothing(folder: Path) -> int:
    console.print(
        Text(f"{folder} holds no case (<Organ>/<Kind>/<id>/ with img.nii.gz … or delta.npz)", style="red"), soft_wrap=True
    )
    return 1
