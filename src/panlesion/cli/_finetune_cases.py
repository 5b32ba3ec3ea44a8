"""`panlesion finetune --task detect|describe|stage|survive`: cases with a target each to a checkpoint that answers."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from panlesion.cli._telling import as_bad, bar, console, known, line, refuse_data

if TYPE_CHECKING:
    from panlesion.ct.organ_files import OrganNumbering
    from panlesion.data.sources.case_check import CheckedTable
    from panlesion.data.sources.case_table import CaseTable
    from panlesion.lesion.case_task import CaseTask
    from panlesion.recipes.case_recipe import CaseProtocol, CaseRecipe
    from panlesion.recipes.cases import Trained
    from panlesion.recipes.starting_weights import StartingWeights
    from panlesion.train.loop import Watch

ALL_FOLDS = "all"


@dataclass(frozen=True, kw_only=True)
class CaseOptions:
    """What the command line said."""

    task: str
    data: Path
    out: Path
    checkpoint: str
    learns: str
    region: str
    organ: str
    organ_labels: str
    stages: str
    likelihood: str
    spacing: float
    crop: int
    steps: int
    seed: int
    folds: int
    fold: str
    keep: str
    preset: str
    mr: bool
    check_only: bool


def learn_cases(options: CaseOptions) -> None:
    """Check, train fold after fold, and say how well cases were answered that were not learned from."""
    from panlesion.ct.region import Region
    from panlesion.data.sources.case_check import check_table
    from panlesion.data.sources.case_table import read_case_table
    from panlesion.lesion.case_task import CaseTask, Likelihood
    from panlesion.recipes.case_recipe import Keep, default_region, framing_of, resolve
    from panlesion.recipes.starting_weights import starting_weights

    task = CaseTask(options.task)
    region = Region(known("--region", options.region, Region)) if options.region else default_region(task)
    keep = Keep(known("--keep", options.keep, Keep)) if options.keep else None
    likelihood = Likelihood(known("--likelihood", options.likelihood, Likelihood))
    protocol = _protocol(options.learns, task)
    values, numbering = _values(options, region)
    with as_bad("--preset"):
        start = starting_weights(options.checkpoint, preset=options.preset or None)
    with as_bad("--crop"):
        framing = framing_of(
            task, start.model, region=region, values=values, spacing_mm=options.spacing or None, side=options.crop or None
        )
    _refuse_mixed(options.out, options.data)
    table = read_case_table(
        options.data, task, stages=_words(options.stages), mr=options.mr, need_label=region is not Region.IMAGE,
        numbering=numbering,
    )  # fmt: skip
    with bar("checking") as step:
        checked = check_table(table, task, framing, folds=options.folds, seed=options.seed, progress=step)
    if checked.problems:
        refuse_data(checked.problems, "nothing was trained", table.path)
    recipe = resolve(
        task, start, table, checked, framing, protocol=protocol, steps=options.steps or None, seed=options.seed, keep=keep,
        likelihood=likelihood,
    )  # fmt: skip
    if options.fold not in (ALL_FOLDS, *recipe.folds):
        raise typer.BadParameter(f"{options.fold!r} is none of {', '.join((ALL_FOLDS, *recipe.folds))}", param_hint="--fold")
    _say(checked, recipe, table)
    if not options.check_only:
        _train(recipe, start, table, options)


def _protocol(learns: str, task: "CaseTask") -> "CaseProtocol":
    from panlesion.recipes.case_recipe import CaseProtocol, frozen, full, published

    protocols: dict[str, Callable[[], CaseProtocol]] = {"frozen": frozen, "full": full, "published": partial(published, task)}
    if learns not in protocols:
        raise typer.BadParameter(f"{learns!r} is none of {', '.join(protocols)}", param_hint="--learns")
    return protocols[learns]()


def _values(options: CaseOptions, region: str) -> "tuple[tuple[int, ...], OrganNumbering | None]":
    """The label values that count; organs by name are those of v1, in which organ maps are read."""
    from panlesion.ct.organ_files import OrganNumbering
    from panlesion.ct.organs import V1_LABELS

    words = _words(options.organ)
    if not words or all(word.isdigit() for word in words):
        if any(not 1 <= int(word) <= 255 for word in words):
            raise typer.BadParameter(f"{options.organ}: label values lie in 1 … 255", param_hint="--organ")
        return tuple(int(word) for word in words), None
    unknown = [word for word in words if word not in V1_LABELS]
    if unknown:
        raise typer.BadParameter(
            f"{', '.join(unknown)}: give values of the label, or names as TotalSegmentator has them (liver, pancreas, …)",
            param_hint="--organ",
        )
    numbering = OrganNumbering(known("--organ-labels", options.organ_labels, OrganNumbering))
    if region != "organ":
        raise typer.BadParameter(f"organ names mean an organ map, but --region is {region}", param_hint="--organ")
    return tuple(V1_LABELS[word] for word in words), numbering


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _refuse_mixed(out: Path, data: Path) -> None:
    """A run beside the table's folder, not around it; below it is where other tools would take it for data."""
    from panlesion.recipes.finetune import refuse_folder

    refuse_folder(out, data if data.is_dir() else data.parent)


def _say(checked: "CheckedTable", recipe: "CaseRecipe", table: "CaseTable") -> None:
    """What was found and what will be done with it."""
    from panlesion.data.sources.case_check import kinds_of

    patients = len({case.patient for case in recipe.cases})
    images = ", ".join(kind.upper() for kind in recipe.channels)
    line(f"{len(recipe.cases)} cases of {patients} patients to {recipe.task}, images of a case: {images}")
    counts: dict[str, int] = {}
    for case in recipe.cases:
        for kind in kinds_of(case.targets, recipe.task):
            counts[kind] = counts.get(kind, 0) + 1
    line(", ".join(f"{_named(kind, table)}: {count}" for kind, count in sorted(counts.items())))
    for note in checked.notes:
        console.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)
    framing = recipe.framing
    shown = f"{framing.side} voxels of {framing.spacing_mm:g} mm around the {framing.region}"
    line(f"From {recipe.checkpoint}, {shown}, {recipe.learns} encoder, {recipe.fit.steps} steps, seed {recipe.fit.seed}")
    folds = (
        f"{len(recipe.folds)} folds by patient, then one model of all cases" if recipe.folds else "no folds: nothing is scored"
    )
    line(f"{folds}; kept is the {recipe.keep} step")


def _named(kind: str, table: "CaseTable") -> str:
    from panlesion.lesion.vocabulary import READINGS

    name, number = kind.rsplit(" ", 1)
    if name == "stage":
        return f"stage {table.stages[int(number)]}"
    return f"{name} {list(READINGS[name])[int(number)]}" if name in READINGS else kind


def _train(recipe: "CaseRecipe", start: "StartingWeights", table: "CaseTable", options: CaseOptions) -> None:
    from panlesion.cli._bars import bar_from_first_step
    from panlesion.recipes.cases import cross_validate, prepare
    from panlesion.recipes.pretrain import MODEL_FILE, claim

    claim(options.out, recipe)
    with bar("cutting") as step:
        prepare(recipe, start, table, options.out, progress=step)
    only = None if options.fold == ALL_FOLDS else options.fold
    with ExitStack() as bars:

        def watch(name: str) -> "Watch":
            bars.close()
            line(f"Training {name.replace('_', ' ') or 'on all cases'}")
            return bar_from_first_step(recipe.fit.steps, bars)

        trained = cross_validate(recipe, start, table, options.out, only=only, watch=watch)
    if only is None:
        _tell_scores(recipe, trained, options.out)
        model = options.out / MODEL_FILE
        console.print(f"Checkpoint: [bold]{model}[/bold]", soft_wrap=True)
        console.print(f"Apply it: [bold]panlesion predict new_cases.csv OUT --checkpoint {model}[/bold]", soft_wrap=True)
    else:
        line(f"Fold {only} is done; the same command with --fold {ALL_FOLDS} does the others, scores all, and leaves the model")


def _tell_scores(recipe: "CaseRecipe", trained: "Mapping[str, Trained]", out: Path) -> None:
    """Out-of-fold predictions and their scores, as files and as a table."""
    from panlesion.infer.cases import PREDICTIONS_FILE
    from panlesion.recipes.case_scores import SCORES_FILE, gather_scored, score_cases, write_scores
    from panlesion.recipes.cases import write_together

    if not recipe.folds:
        line("Scores: not known; without --folds every case is learned from")
        return
    write_together(recipe, out)
    scores = score_cases(recipe, gather_scored(recipe, trained))
    write_scores(out / SCORES_FILE, scores)
    table = Table(
        "out-of-fold", "network (95 % interval)", "cases", "baseline", box=None, header_style="bold", padding=(0, 3, 0, 0)
    )
    for score in scores:
        beside = f"{score.baseline_value} {score.baseline}" if score.baseline_value else ""
        table.add_row(escape(score.name), str(score.value), str(score.cases), escape(beside))
    console.print(table)
    _tell_steps([trained[f"fold_{name}"].step for name in recipe.folds], recipe)
    console.print(f"Predictions: [bold]{out / PREDICTIONS_FILE}[/bold]", soft_wrap=True)


def _tell_steps(steps: Sequence[int], recipe: "CaseRecipe") -> None:
    if recipe.keep == "best":
        line(f"Steps kept, chosen inside the training part of each fold: {', '.join(map(str, steps))} of {recipe.fit.steps}")
