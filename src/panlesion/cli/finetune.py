"""`panlesion finetune`: a user's own annotated CTs to a working checkpoint."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from panlesion.cli._extras import need_model_extra
from panlesion.lesion.taxonomy import LesionType

if TYPE_CHECKING:
    from panlesion.data.sources.labelled_check import Checked
    from panlesion.data.sources.labelled_folder import LabelledFolder
    from panlesion.nets.model import Model
    from panlesion.recipes.finetune import FinetuneRecipe
    from panlesion.recipes.held_out import HeldOutScore
    from panlesion.recipes.starting_weights import StartingWeights

console = Console()

TASKS = ("segment", "detect", "describe", "stage", "survive")
SCORES_FILE, PICTURE_FILE = "held_out.json", "held_out.png"


def finetune(
    data: Annotated[Path, typer.Option(help="Folder of annotated CTs; see below for the layouts.")],
    out: Annotated[Path, typer.Option(help="Folder of the run; the same command goes on where a killed run stopped.")],
    checkpoint: Annotated[
        str, typer.Option(help="A shipped name, a checkpoint (.safetensors), public PASTA weights (.pth), or scratch.")
    ] = "nano",
    task: Annotated[str, typer.Option(help="What is learned; segment is what there is so far.")] = "segment",
    classes: Annotated[
        str,
        typer.Option(help="Names of the label values: liver,tumour for 1 and 2, or liver=1,tumour=3. Default: dataset.json."),
    ] = "",
    start_class: Annotated[
        str, typer.Option(help="Pretrained lesion class the heads start from; auto: the one of the same name, else other_mass.")
    ] = "auto",
    spacing: Annotated[float, typer.Option(min=0, help="Voxel size in mm to train at; 0: the checkpoint's own.")] = 0.0,
    moves: Annotated[str, typer.Option(help="Which weights change: all, decoder or head.")] = "all",
    steps: Annotated[int, typer.Option(min=0, help="Optimiser steps; 0: the protocol's own number.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of batches, fresh weights and the choice of held-out cases.")] = 0,
    validation: Annotated[
        int, typer.Option(min=-1, help="Patients kept aside for the Dice that is printed; -1: one in five, none below four.")
    ] = -1,
    keep: Annotated[str, typer.Option(help="last step, or best on the held-out cases (their Dice is then too good).")] = "last",
    preset: Annotated[str, typer.Option(help="Network size where the checkpoint does not say it: nano, small, pasta.")] = "",
    allow_empty: Annotated[bool, typer.Option(help="Labels without any lesion are those of healthy CTs.")] = False,
    check_only: Annotated[bool, typer.Option(help="Check the data, say what would be done, and stop.")] = False,
) -> None:
    """Fine-tune a network to segment what you annotated in a few CTs.

    DATA is one of: `images/` and `labels/` with files of the same names; nnU-Net's `imagesTr/`, `labelsTr/`, `dataset.json`; a
    folder for each case with `ct.nii.gz` (or a DICOM folder `ct/`) and `label.nii.gz`; a cohort made by `panlesion synth`.
    All cases are checked first, and all problems listed at once. Leaves `model.safetensors`, the resolved `recipe.json`, the
    journal, and Dice and a picture of the cases that were kept aside.

    Example: `panlesion finetune --data my_cts --checkpoint nano --out run`
    """
    need_model_extra("finetune")
    from panlesion.data.sources.labelled_folder import find_labelled, parse_classes
    from panlesion.recipes.finetune import Keep, refuse_folder, resolve
    from panlesion.recipes.held_out import choose_held_out
    from panlesion.recipes.starting_weights import start_classes, starting_weights
    from panlesion.train.finetune import Moves

    _refuse_task(task)
    chosen_moves, chosen_keep = Moves(_known("--moves", moves, Moves)), Keep(_known("--keep", keep, Keep))
    with _as_bad("--classes"):
        names = parse_classes(classes) if classes else {}
    with _as_bad("--preset"):
        start = starting_weights(checkpoint, preset=preset or None)
    with _as_bad("--start-class"):
        start_classes(start, (), start_class)
    spacing_mm = spacing or start.model.info.spacing_mm
    refuse_folder(out, data)
    folder = find_labelled(data)
    checked = _checked(folder, names, spacing_mm, allow_empty=allow_empty)
    if checked.problems:
        _refuse_data(checked.problems, data)
    held_out = choose_held_out(checked.cases, patients=None if validation < 0 else validation, seed=seed)
    if chosen_keep is Keep.BEST and not held_out:
        raise typer.BadParameter("best needs held-out cases; say --validation 1 or more", param_hint="--keep")
    starts = start_classes(start, checked.classes.names, start_class)
    recipe = resolve(
        start, starts, checked, held_out, spacing_mm=spacing_mm, moves=chosen_moves, keep=chosen_keep, steps=steps or None,
        seed=seed,
    )  # fmt: skip
    _say(folder, checked, recipe, start)
    if check_only:
        return
    model = _trained(recipe, start, folder, out)
    console.print(f"Checkpoint: [bold]{out / 'model.safetensors'}[/bold]", soft_wrap=True)
    console.print(f"Curves: [bold]panlesion plot {out}[/bold]", soft_wrap=True)
    _try_out(model, recipe, start, folder, out)


def _refuse_task(task: str) -> None:
    if task not in TASKS:
        raise typer.BadParameter(f"{task!r} is no task; they are {', '.join(TASKS)}", param_hint="--task")
    if task != "segment":
        raise typer.BadParameter(f"{task} cannot be fine-tuned yet; this version knows segment only", param_hint="--task")


def _known(option: str, given: str, kind: type[StrEnum]) -> str:
    known = [one.value for one in kind]
    if given not in known:
        raise typer.BadParameter(f"{given!r} is none of {', '.join(known)}", param_hint=option)
    return given


@contextmanager
def _as_bad(option: str) -> Iterator[None]:
    """What is wrong with one option's value is a mistake on the command line."""
    try:
        yield
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _checked(folder: "LabelledFolder", names: "dict[int, str]", spacing_mm: float, *, allow_empty: bool) -> "Checked":
    from panlesion.data.sources.labelled_check import check_labelled

    with _bar("checking") as step:
        return check_labelled(folder, names=names, spacing_mm=spacing_mm, allow_empty=allow_empty, progress=step)


def _refuse_data(problems: "Sequence[str]", data: Path) -> NoReturn:
    for problem in problems:
        console.print(Text(problem, style="red"), soft_wrap=True)
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    console.print(Text(f"{data}: {count}; nothing was trained", style="bold red"), soft_wrap=True)
    raise typer.Exit(1)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int, str], None]]:
    columns = (
        TextColumn(f"[bold]{what}[/bold]"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description} · left"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("")

        def step(done: int, of: int, name: str = "") -> None:
            progress.update(task, completed=done, total=of, description=escape(name))

        yield step


def _say(folder: "LabelledFolder", checked: "Checked", recipe: "FinetuneRecipe", start: "StartingWeights") -> None:
    """What was found and what will be done with it."""
    from panlesion.recipes.held_out import LEAST_PATIENTS

    patients, aside = len({case.patient for case in recipe.cases}), recipe.held_out
    _line(f"{len(recipe.cases)} cases of {patients} patients, {folder.layout}")
    table = Table("class", "label value", "cases", "head starts from", box=None, header_style="dim", padding=(0, 3, 0, 0))
    for name, value, begins in zip(recipe.names, recipe.values, recipe.starts, strict=True):
        count = sum(value in case.values for case in checked.cases)
        table.add_row(escape(name), str(value), str(count), escape(begins or "fresh weights"))
    console.print(table)
    for note in checked.notes:
        console.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)
    where = f"{start.name}, {recipe.spacing_mm:g} mm, patches of {recipe.patch_voxels} voxels, {recipe.moves} weights move"
    _line(f"From {where}, {recipe.fit.steps} steps, seed {recipe.fit.seed}")
    if start.sha256 and abs(recipe.spacing_mm / start.model.info.spacing_mm - 1) > 0.01:
        _line(
            f"note: {start.name} was trained at {start.model.info.spacing_mm:g} mm; another spacing costs some of what it knows"
        )
    if aside:
        _line(f"Kept aside: {', '.join(case.id for case in aside)}; nothing is learned from them")
    else:
        why = f" (fewer than {LEAST_PATIENTS} patients)" if patients < LEAST_PATIENTS else ""
        _line(f"No case is kept aside{why}: all are trained on, and nothing will say how well new CTs are segmented")


def _line(text: str) -> None:
    console.print(Text(text), soft_wrap=True)


def _trained(recipe: "FinetuneRecipe", start: "StartingWeights", folder: "LabelledFolder", out: Path) -> "Model":
    from panlesion.cli._bars import training_bar
    from panlesion.recipes.finetune import finetune as run
    from panlesion.recipes.finetune import prepare
    from panlesion.recipes.pretrain import claim

    claim(out, recipe)
    with _bar("resampling") as step:
        prepare(recipe, folder, out, progress=step)
    with training_bar(recipe.fit.steps) as watch:
        return run(recipe, start, folder, out, watch=watch)


def _try_out(model: "Model", recipe: "FinetuneRecipe", start: "StartingWeights", folder: "LabelledFolder", out: Path) -> None:
    """Dice and picture of the cases kept aside, and the Dice before training where a head did not start from nothing."""
    from panlesion.data.publish import publishing_file, write_text
    from panlesion.picture.window import window_for
    from panlesion.recipes.finetune import untrained
    from panlesion.recipes.held_out import picture, try_out

    if not recipe.held_out:
        _line("Dice: not known; no case was kept aside")
        return
    files = {case.id: case for case in folder.cases}
    before = untrained(recipe, start) if any(recipe.starts) else None
    scores, earlier, rows = [], [], []
    with _bar("trying") as step:
        for case in recipe.held_out:
            opened = folder.read(files[case.id])
            trial = try_out(model, opened, recipe.classes, progress=partial(_windows, step, case.id))
            scores.append(trial.score)
            rows += trial.compared()
            if before is not None:
                earlier.append(try_out(before, opened, recipe.classes, progress=partial(_windows, step, case.id)).score)
    write_text(
        out / SCORES_FILE,
        json.dumps({"after": list(map(asdict, scores)), "before": list(map(asdict, earlier))}, indent=1) + "\n",
    )
    _print_scores(scores, earlier, recipe)
    if rows:
        known = next((LesionType(one) for one in (*recipe.names, *recipe.starts) if one in set(LesionType)), None)
        sheet = picture(rows, title=f"{out.resolve().name}: held-out cases", window=window_for(known))
        with publishing_file(out / PICTURE_FILE) as stream:
            sheet.save(stream, "PNG")
        console.print(f"Picture: [bold]{out / PICTURE_FILE}[/bold]", soft_wrap=True)


def _windows(step: Callable[[int, int, str], None], name: str, done: int, of: int) -> None:
    step(done, of, name)


def _print_scores(scores: "Sequence[HeldOutScore]", earlier: "Sequence[HeldOutScore]", recipe: "FinetuneRecipe") -> None:
    """Dice of each held-out case and class, and its mean with an interval where there is more than one patient."""
    table = Table("Dice on held-out cases", *map(escape, recipe.names), box=None, header_style="bold", padding=(0, 3, 0, 0))
    for score in scores:
        table.add_row(escape(score.id), *(_cell(score, name) for name in recipe.names))
    several = len({score.patient for score in scores}) > 1
    if several:
        table.add_row("mean (95 % interval)", *_means(scores, recipe.names))
    if earlier:
        plain = [_cell(earlier[0], name) for name in recipe.names]
        table.add_row("before training", *(_means(earlier, recipe.names) if several else plain), style="dim")
    console.print(table)
    if not several:
        _line("One patient: an impression, not a measurement (no interval)")
    if recipe.keep == "best":
        _line("These cases chose the weights (--keep best): on new CTs expect less")


def _means(scores: "Sequence[HeldOutScore]", names: "Sequence[str]") -> list[str]:
    from panlesion.measure.resampling import bootstrap_mean

    means = []
    for name in names:
        pairs = [(score.dice[name], score.patient) for score in scores if name in score.dice]
        means.append(str(bootstrap_mean([dice for dice, _ in pairs], [who for _, who in pairs])) if pairs else "")
    return means


def _cell(score: "HeldOutScore", name: str) -> str:
    if name in score.dice:
        return f"{score.dice[name]:.3f}"
    return f"not there, {score.found_ml[name]:.1f} ml found" if score.found_ml[name] else "not there, none found"
