"""`panlesion synth`: lesions in healthy CTs, as a folder of cases."""

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from panlesion.data.manifest import Failure
    from panlesion.lesion.taxonomy import LesionType
    from panlesion.synth.cohort import Progress as Report
    from panlesion.synth.cohort import Summary
    from panlesion.synth.recipe import Refining

console = Console()

ALL = "all"
AUTO = "auto"
MEASURED = "measured"
MOST_FAILURES_SHOWN = 20


def synth(
    out: Annotated[Path, typer.Argument(help="Folder to write; an interrupted run goes on where it stopped.")],
    hosts: Annotated[
        str,
        typer.Option(help="Folder of healthy hosts (each ct.nii.gz or ct/ and organs.nii.gz or organs/), or the word phantom."),
    ],
    types: Annotated[str, typer.Option(help="all, or type ids with commas between.")] = ALL,
    per_type: Annotated[int, typer.Option(min=1, help="Cases of each type.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes; each needs up to 1.5 GB. Results do not depend on it.")] = 1,
    stored_as: Annotated[
        str, typer.Option("--format", help="full, or delta: only what differs from the host, see `panlesion data expand`.")
    ] = "full",
    organ_labels: Annotated[str, typer.Option(help="Numbering of the hosts' organ maps, TotalSegmentator v1 or v2.")] = "v2",
    spacing: Annotated[float, typer.Option(help="Voxel size of the cases in mm.")] = 1.0,
    size: Annotated[int, typer.Option(help="Edge of each case in voxels; 0 keeps the host's whole field of view.")] = 280,
    phase: Annotated[
        str, typer.Option(help="Contrast phase of all hosts: measured, non-contrast, arterial, portal or delayed.")
    ] = MEASURED,
    lesions: Annotated[
        str, typer.Option(help="Lesions in each case: a number, a range such as 1-3, or auto: as the type comes.")
    ] = AUTO,
    phantoms: Annotated[
        int, typer.Option(min=0, help="With phantom hosts: how many to draw; 0: one per case, at most 24.")
    ] = 0,
    refine: Annotated[
        Path | None, typer.Option(help="Refiner (from panlesion train-refiner) that redraws each lesion's grain and edge.")
    ] = None,
    refine_strength: Annotated[float, typer.Option(help="How much it redraws: the diffusion time, 0.05 to 0.4.")] = 0.2,
    refine_steps: Annotated[int, typer.Option(min=1, max=100, help="Steps it takes; each costs the same time.")] = 6,
) -> None:
    """Synthesise lesions in healthy CTs: image, mask, organ map and a report that is true of the voxels.

    Writes the PASTA-Gen-30K layout (<Organ>/<Kind>/<id>/img, label, total .nii.gz and type.json) with manifest, dataset card,
    the standardised hosts and a gallery. Exit code 1 when anything asked for could not be made; failures.csv says what.

    Example: `panlesion synth --hosts phantom --types liver_tumor,kidney_cyst --per-type 2 --seed 1 out`

    Example: `panlesion synth --hosts my_cts --types all --per-type 200 --seed 1 --workers 8 --format delta cohort`
    """
    from panlesion.cli._pictures import GALLERY_FILE, write_cohort_gallery
    from panlesion.ct.organ_files import OrganNumbering
    from panlesion.ct.phase import Phase
    from panlesion.data.store import StoredAs
    from panlesion.synth.cohort import synth_cohort
    from panlesion.synth.recipe import Recipe

    with _usage():
        recipe = Recipe(
            hosts=hosts,
            types=_types(types),
            per_type=per_type,
            seed=seed,
            organ_labels=OrganNumbering(organ_labels),
            spacing_mm=spacing,
            size_voxels=size,
            lesions=_range(lesions),
            stored_as=StoredAs(stored_as),
            phantoms=phantoms,
            phase=None if phase == MEASURED else Phase(phase),
            refining=None if refine is None else _refining(refine, spacing, refine_strength, refine_steps),
        )
    started = time.monotonic()
    with _progress() as report:
        summary = synth_cohort(recipe, out, workers=workers, progress=report)
    if summary.rows:
        with console.status("gallery"):
            write_cohort_gallery(out)
    _tell(recipe.types, summary, time.monotonic() - started)
    if summary.rows:
        console.print(
            f"Pictures: {out / GALLERY_FILE}\nCases: {out / 'manifest.csv'}\nHow to read them: {out / 'README.md'}",
            soft_wrap=True,
        )
    if summary.failures:
        _tell_failures(summary.failures, out)
        raise typer.Exit(1)


@contextmanager
def _usage() -> Iterator[None]:
    """An option that makes no sense is a mistake on the command line, not a bug."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _refining(weights: Path, spacing_mm: float, strength: float, steps: int) -> "Refining":
    """The refiner as the recipe names it; only now torch is loaded."""
    from panlesion.cli._extras import need_model_extra

    need_model_extra("synth --refine")
    from panlesion.synth.refine import named

    return named(weights, spacing_mm=spacing_mm, strength=strength, steps=steps)


def _types(text: str) -> tuple["LesionType", ...]:
    from panlesion.lesion.taxonomy import LesionType

    names = [name.strip() for name in text.split(",") if name.strip()]
    if names == [ALL]:
        return tuple(LesionType)
    unknown = [name for name in names if name not in list(LesionType)]
    if unknown:
        raise ValueError(f"--types names {', '.join(unknown)}; known are {ALL}, {', '.join(LesionType)}")
    return tuple(LesionType(name) for name in names)


def _range(text: str) -> tuple[int, int] | None:
    if text.strip() == AUTO:
        return None
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
    if not found:
        raise ValueError(f"--lesions is {text!r}; give a number, a range such as 1-3, or {AUTO}")
    return int(found[1]), int(found[2] or found[1])


class _CasesPerMinute(ProgressColumn):
    """Speed of what this run made itself; cases of an earlier run count as done, not as speed."""

    def render(self, task: Task) -> Text:
        return Text("" if not task.speed else f"{60 * task.speed:.1f}/min", style="progress.data.speed")


@contextmanager
def _progress() -> Iterator["Report"]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _CasesPerMinute(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, TaskID] = {}

        def report(stage: str, done: int, of: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=of, completed=done)
            else:
                bars.update(tasks[stage], completed=done)

        yield report


def _tell(types: Sequence["LesionType"], summary: "Summary", seconds: float) -> None:
    from panlesion.lesion.taxonomy import TYPES

    done = Counter(row["type"] for row in summary.rows)
    failed = Counter(failure.type for failure in summary.failures if failure.what == "case")
    table = Table("type", "folder", title=None)
    table.add_column("cases", justify="right")
    table.add_column("failed", justify="right")
    for type_ in types:
        table.add_row(type_.value, TYPES[type_].folder, str(done[type_]), str(failed[type_] or ""))
    console.print(table)
    pace = f", {60 * summary.made_now / seconds:.1f} a minute" if summary.made_now else ""
    console.print(f"{summary.made_now} cases made in {seconds:.0f} s{pace}; {len(summary.rows)} in the folder.")


def _tell_failures(failures: Sequence["Failure"], out: Path) -> None:
    for failure in failures[:MOST_FAILURES_SHOWN]:
        console.print(
            Text.assemble((f"{failure.what} {failure.id}: ", "bold red"), f"{failure.error}: {failure.cause}"), soft_wrap=True
        )
    rest = len(failures) - MOST_FAILURES_SHOWN
    more = f"{rest} more. " if rest > 0 else ""
    console.print(Text(f"{more}{len(failures)} failures in all, listed in {out / 'failures.csv'}", style="red"), soft_wrap=True)
