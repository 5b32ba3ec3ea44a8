"""`panlesion phantom`: healthy torsos drawn from nothing, or painted onto a real organ map, as host folders."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    from panlesion.ct.phase import Phase
    from panlesion.ct.volume import Index3

console = Console()
app = typer.Typer(no_args_is_help=True, help="Draw healthy torsos with their organ maps.", rich_markup_mode="markdown")

ANY = "any"
PhaseName = Annotated[str, typer.Option("--phase", help="non-contrast, arterial, portal, delayed, or any: drawn by the seed.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")]


@app.command()
def draw(
    out: Annotated[Path, typer.Argument(help="Folder to write: one host folder per phantom; complete ones are kept.")],
    seed: Seed = 0,
    n: Annotated[int, typer.Option(min=1, help="How many phantoms.")] = 1,
    phase: PhaseName = ANY,
    spacing: Annotated[float, typer.Option(help="Voxel size in mm.")] = 1.5,
    shape: Annotated[str, typer.Option(help="Voxels of a box, such as 280x280x280; whole torso when not given.")] = "",
    centre: Annotated[
        str,
        typer.Option(
            help="Organ in the middle of the box (TotalSegmentator v1 name, such as liver); the trunk's if not given."
        ),
    ] = "",
    workers: Annotated[int, typer.Option(min=1, help="Processes; results do not depend on it.")] = 1,
) -> None:
    """Draw torsos with sizes, habitus, age, organs, phase and scanner varying as in people.

    Each host folder holds ct.nii.gz, organs.nii.gz (TotalSegmentator v1 numbering) and record.json with every random number.

    Example: `panlesion phantom draw hosts --n 4 --seed 1 --phase portal`

    Example: `panlesion phantom draw hosts --n 20 --spacing 1 --shape 280x280x280 --centre pancreas --workers 2`
    """
    from joblib import Parallel, delayed

    box = _shape(shape)
    wanted = _phase(phase)
    middle = _centre(centre, box)
    todo = [(name, index) for index in range(n) if not (out / (name := f"phantom_{index:05d}")).exists()]
    _tell_kept(n - len(todo), out)
    jobs = (delayed(_make_one)(out / name, seed, index, spacing, box, middle, wanted) for name, index in todo)
    with _progress("drawing", len(todo)) as advance:
        for _ in Parallel(n_jobs=min(workers, max(1, len(todo))), return_as="generator_unordered")(jobs):
            advance()
    _tell_done(len(todo), out)


@app.command("from-map")
def from_map(
    organs: Annotated[
        Path, typer.Argument(help="Organ map of a real anatomy (NIfTI), or a folder of single masks.", exists=True)
    ],
    out: Annotated[Path, typer.Argument(help="Host folder to write; it must not exist.")],
    seed: Seed = 0,
    phase: PhaseName = ANY,
    organ_labels: Annotated[str, typer.Option(help="Numbering of the map, TotalSegmentator v1 or v2.")] = "v2",
    spacing: Annotated[float, typer.Option(help="Voxel size in mm of what is written.")] = 1.0,
) -> None:
    """Paint a CT onto a real organ map: tissues inside the organs, and skin, fat, muscle, vessels around them.

    Example: `panlesion phantom from-map case_01/total.nii.gz hosts/case_01 --organ-labels v1 --phase portal --seed 3`
    """
    from panlesion.ct.organ_files import OrganNumbering, read_organs
    from panlesion.ct.standardise import standardise_labels
    from panlesion.errors import StoreError
    from panlesion.phantom.from_map import paint_map
    from panlesion.phantom.phantom import save_phantom

    wanted = _phase(phase)
    if organ_labels not in list(OrganNumbering):
        raise typer.BadParameter(f"{organ_labels!r}; it must be v1 or v2", param_hint="--organ-labels")
    if out.exists():
        raise StoreError(f"{out} exists already; name another folder or remove it first")
    with _progress("painting", 2) as advance:
        labels = standardise_labels(read_organs(organs, numbering=organ_labels), spacing)
        advance()
        save_phantom(paint_map(labels, seed=seed, phase=wanted), out)
        advance()
    _tell_done(1, out)


def _make_one(
    folder: Path, seed: int, index: int, spacing: float, shape: "Index3 | None", centre: str | None, phase: "Phase | None"
) -> None:
    import numpy as np

    from panlesion.errors import about
    from panlesion.phantom.phantom import make_phantom, save_phantom

    own = int(np.random.SeedSequence([seed, index]).generate_state(1)[0])
    with about(folder.name):
        save_phantom(make_phantom(own, spacing_mm=spacing, shape=shape, centre=centre, phase=phase), folder)


def _phase(name: str) -> "Phase | None":
    from panlesion.ct.phase import Phase

    if name == ANY:
        return None
    if name not in list(Phase):
        raise typer.BadParameter(f"{name!r}; it must be any, {', '.join(Phase)}", param_hint="--phase")
    return Phase(name)


def _shape(text: str) -> "Index3 | None":
    if not text:
        return None
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdigit() and int(part) >= 8 for part in parts):
        raise typer.BadParameter(f"{text!r}; it must be three numbers of 8 or more, such as 280x280x280", param_hint="--shape")
    i, j, k = (int(part) for part in parts)
    return (i, j, k)


def _centre(name: str, shape: Sequence[int] | None) -> str | None:
    from panlesion.ct.organs import V1_LABELS

    if not name:
        return None
    if shape is None:
        raise typer.BadParameter("a centre is the centre of a box: give --shape too", param_hint="--centre")
    if name not in V1_LABELS:
        near = ", ".join(sorted(known for known in V1_LABELS if name.split("_")[0] in known)[:6])
        hint = f"; did you mean {near}" if near else ""
        raise typer.BadParameter(f"{name!r} is no structure of TotalSegmentator v1{hint}", param_hint="--centre")
    return name


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)


def _tell_kept(count: int, out: Path) -> None:
    if count:
        console.print(Text(f"{count} complete in {out} already: kept as they are"))


def _tell_done(count: int, out: Path) -> None:
    console.print(Text(f"{count} written to {out}"))
    console.print(Text("their organ maps are numbered as TotalSegmentator v1: use them with --organ-labels v1", style="dim"))
