"""`panlesion finetune --task segment`: a user's own annotated scans to a checkpoint that outlines."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from panlesion.cli._telling import as_bad, bar, console, known, line, refuse_data
from panlesion.lesion.taxonomy import LesionType

if TYPE_CHECKING:
    from panlesion.data.sources.labelled_check import Checked
    from panlesion.data.sources.labelled_folder import LabelledFolder
    from panlesion.nets.model import Model
    from panlesion.recipes.finetune import FinetuneRecipe
    from panlesion.recipes.held_out import HeldOutScore
    from panlesion.recipes.starting_weights import StartingWeights

SCORES_FILE, PICTURE_FILE = "held_out.json", "held_out.png"


@dataclass(frozen=True, kw_only=True)
class SegmentOptions:
    """What the command line said."""

    data: Path
    out: Path
    checkpoint: str
    classes: str
    start_class: str
    spacing: float
    moves: str
    steps: int
    seed: int
    validation: int
    keep: str
    preset: str
    allow_empty: bool
    mr: bool
    check_only: bool


def segment(options: SegmentOptions) -> None:
    """Check, train, and try out on what was kept aside."""
    from panlesion.ct.modality import Modality
    from panlesion.data.sources.labelled_folder import find_labelled, parse_classes
    from panlesion.recipes.finetune import Keep, refuse_folder, resolve
    from panlesion.recipes.held_out import choose_held_out
    from panlesion.recipes.starting_weights import start_classes, starting_weights
    from panlesion.train.finetune import Moves

    moves = Moves(known("--moves", options.moves, Moves))
    keep = Keep(known("--keep", options.keep or Keep.LAST, Keep))
    with as_bad("--classes"):
        names = parse_classes(options.classes) if options.classes else {}
    with as_bad("--preset"):
        start = starting_weights(options.checkpoint, preset=options.preset or None)
    with as_bad("--start-class"):
        start_classes(start, (), options.start_class)
    spacing_mm = options.spacing or start.model.info.spacing_mm
    refuse_folder(options.out, options.data)
    folder = find_labelled(options.data, modality=Modality.MR if options.mr else Modality.CT)
    checked = _checked(folder, names, spacing_mm, allow_empty=options.allow_empty)
    if checked.problems:
        refuse_data(checked.problems, "nothing was trained", options.data)
    patients = None if options.validation < 0 else options.validation
    held_out = choose_held_out(checked.cases, patients=patients, seed=options.seed)
    if keep is Keep.BEST and not held_out:
        raise typer.BadParameter("best needs held-out cases; say --validation 1 or more", param_hint="--keep")
    starts = start_classes(start, checked.classes.names, options.start_class)
    recipe = resolve(
        start, starts, checked, held_out, spacing_mm=spacing_mm, moves=moves, keep=keep, steps=options.steps or None,
        seed=options.seed, modality=folder.modality,
    )  # fmt: skip
    _say(folder, checked, recipe, start)
    if options.check_only:
        return
    model = _trained(recipe, start, folder, options.out)
    console.print(f"Checkpoint: [bold]{options.out / 'model.safetensors'}[/bold]", soft_wrap=True)
    console.print(f"Curves: [bold]panlesion plot {options.out}[/bold]", soft_wrap=True)
    _try_out(model, recipe, start, folder, options.out)


def _checked(folder: "LabelledFolder", names: "dict[int, str]", spacing_mm: float, *, allow_empty: bool) -> "Checked":
    from panlesion.data.sources.labelled_check import check_labelled

    with bar("checking") as step:
        return check_labelled(folder, names=names, spacing_mm=spacing_mm, allow_empty=allow_empty, progress=step)


def _say(folder: "LabelledFolder", checked: "Checked", recipe: "FinetuneRecipe", start: "StartingWeights") -> None:
    """What was found and what will be done with it."""
    from panlesion.recipes.held_out import LEAST_PATIENTS

    patients, aside = len({case.patient for case in recipe.cases}), recipe.held_out
    line(f"{len(recipe.cases)} cases of {patients} patients, {folder.layout}")
    table = Table("class", "label value", "cases", "head starts from", box=None, header_style="dim", padding=(0, 3, 0, 0))
    for name, value, begins in zip(recipe.names, recipe.values, recipe.starts, strict=True):
        count = sum(value in case.values for case in checked.cases)
        table.add_row(escape(name), str(value), str(count), escape(begins or "fresh weights"))
    console.print(table)
    for note in checked.notes:
        console.print(Text(f"note: {note}", style="yellow"), soft_wrap=True)
    where = f"{start.name}, {recipe.spacing_mm:g} mm, patches of {recipe.patch_voxels} voxels, {recipe.moves} weights move"
    line(f"From {where}, {recipe.fit.steps} steps, seed {recipe.fit.seed}")
    if start.sha256 and abs(recipe.spacing_mm / start.model.info.spacing_mm - 1) > 0.01:
        line(
            f"note: {start.name} was trained at {start.model.info.spacing_mm:g} mm; another spacing costs some of what it knows"
        )
    if aside:
        line(f"Kept aside: {', '.join(case.id for case in aside)}; nothing is learned from them")
    else:
        why = f" (fewer than {LEAST_PATIENTS} patients)" if patients < LEAST_PATIENTS else ""
        line(f"No case is kept aside{why}: all are trained on, and nothing will say how well new CTs are segmented")


def _trained(recipe: "FinetuneRecipe", start: "StartingWeights", folder: "LabelledFolder", out: Path) -> "Model":
    from panlesion.cli._bars import training_bar
    from panlesion.recipes.finetune import finetune as run
    from panlesion.recipes.finetune import prepare
    from panlesion.recipes.pretrain import claim

    claim(out, recipe)
    with bar("resampling") as step:
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
        line("Dice: not known; no case was kept aside")
        return
    files = {case.id: case for case in folder.cases}
    before = untrained(recipe, start) if any(recipe.starts) else None
    scores, earlier, rows = [], [], []
    with bar("trying") as step:
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
        line("One patient: an impression, not a measurement (no interval)")
    if recipe.keep == "best":
        line("These cases chose the weights (--keep best): on new CTs expect less")


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
