"""Learning a question about whole cases: from a checked table to checkpoints, and to predictions of cases never learned from.

Cross-validation is nested: the step that is kept is chosen on patients of the training part alone, so that nothing of a fold
reaches the weights it is scored with.
"""

import csv
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import panlesion
from panlesion.ct.modality import Modality
from panlesion.ct.region import frame
from panlesion.data.publish import publishing_file
from panlesion.data.sources.case_check import kinds_of
from panlesion.data.sources.case_table import CaseTable
from panlesion.data.splits import patient_folds
from panlesion.errors import TrainingError
from panlesion.infer.cases import PREDICTIONS_FILE, write_predictions
from panlesion.lesion.case_task import CaseTask, Likelihood
from panlesion.nets.case_answer import Answers, answer_rows, answers_of
from panlesion.nets.case_use import CaseUse
from panlesion.nets.channels import with_channels
from panlesion.nets.checkpoint import load_checkpoint, save_checkpoint
from panlesion.nets.heads import ATTRIBUTE_HEAD, DETECTION_HEAD, Head
from panlesion.nets.model import Model
from panlesion.recipes.case_recipe import CaseRecipe, Keep, Learns
from panlesion.recipes.pretrain import MODEL_FILE, claim, resolved
from panlesion.recipes.starting_weights import SCRATCH, StartingWeights
from panlesion.train.cases import (
    CaseLearning,
    CaseSource,
    Cube,
    Targets,
    case_groups,
    gather_cases,
    loss_on,
    outputs_of,
)
from panlesion.train.finetune import reset
from panlesion.train.journal import read_journal
from panlesion.train.loop import Watch, fit
from panlesion.train.tasks.describe import UNKNOWN, Describe
from panlesion.train.tasks.detect import Detect
from panlesion.train.tasks.stage import Stage
from panlesion.train.tasks.survive import Survive

PREPARED_FOLDER, VECTORS_FILE, BEST_FILE = "prepared", "vectors.npy", "best.safetensors"
LEAST_PATIENTS, ONE_IN = 10, 5
"""With fewer patients to train on none is kept aside to choose the step by: their loss would be luck. Ours."""
LEAST_EVENTS = 5
"""An interval with fewer has a hazard that nobody knows. Ours."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """What every fold of a run learns from. `vectors` (N, V, F) are gathered with the starting weights."""

    cubes: Sequence[Cube]
    targets: Targets
    vectors: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Rows that one training learns from, chooses its step on, and is scored on (none: the model of all cases)."""

    name: str
    learned: NDArray[np.int64]
    choosing: NDArray[np.int64]
    scored: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A part's model, the step it is from, and its answers about the cases that are scored (None: there are none)."""

    model: Model
    step: int
    answers: Answers | None


def parts_of(recipe: CaseRecipe) -> list[Part]:
    """One part for each fold, then the one of all cases."""
    folds = np.array([case.fold for case in recipe.cases])
    parts = [
        _part(recipe, f"fold_{name}", np.flatnonzero(folds != n), np.flatnonzero(folds == n))
        for n, name in enumerate(recipe.folds)
    ]
    return [*parts, _part(recipe, "", np.arange(len(folds)), np.arange(0))]


def _part(recipe: CaseRecipe, name: str, rows: NDArray[np.int64], scored: NDArray[np.int64]) -> Part:
    """Keep one in five patients of `rows` aside to choose the step on, if what is left has an example of everything."""
    everything = Part(name=name, learned=rows, choosing=rows[:0], scored=scored)
    kinds = {int(row): kinds_of(recipe.cases[row].targets, recipe.task) for row in rows}
    strata: dict[str, int] = {}
    order = sorted(set().union(*kinds.values()))
    for row in rows.tolist():
        patient = recipe.cases[row].patient
        strata[patient] = max(strata.get(patient, 0), *(order.index(kind) + 1 for kind in kinds[row]), 0)
    if recipe.keep is Keep.LAST or len(strata) < LEAST_PATIENTS:
        return everything
    aside = patient_folds(strata, folds=ONE_IN, seed=recipe.fit.seed)
    choosing = np.array([row for row in rows.tolist() if aside[recipe.cases[row].patient] == 0], dtype=np.int64)
    learned = np.setdiff1d(rows, choosing)
    for some in (learned, choosing) if recipe.task is not CaseTask.DESCRIBE else ():
        found = set().union(*(kinds[int(row)] for row in some))
        if not found or (some is learned and found != set(order)):
            return everything
    return Part(name=name, learned=learned, choosing=choosing, scored=scored)


def prepare(
    recipe: CaseRecipe, start: StartingWeights, table: CaseTable, out: Path, *, cubes_in: Path | None = None,
    progress: Progress | None = None,
) -> Prepared:  # fmt: skip
    """The cubes of all cases, kept as files of `out`, and what the starting encoder makes of them.

    Runs of the same cases and framing may share their cubes in a folder `cubes_in`.

    Raises:
        ReadError, StoreError: A case cannot be read any more.
        TrainingError: A prepared file is damaged.
    """
    kept = cubes_in or out
    for folder in (out, kept / PREPARED_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
    by_id = {case.id: case for case in table.cases}
    for number, entry in enumerate(recipe.cases):
        if progress is not None:
            progress(number, len(recipe.cases), entry.id)
        hu, mask = _cube_files(kept, number)
        if not (hu.exists() and mask.exists()):
            opened = table.read(by_id[entry.id])
            framed = frame(opened.images, opened.label, recipe.framing, spare=recipe.spare)
            _store(hu, framed.hu)
            _store(mask, framed.mask)
    if not (out / VECTORS_FILE).exists():
        model = untrained(recipe, start, (0.0, 1.0)).eval()
        vectors = gather_cases(model, recipe.look, _cubes(recipe, kept), views=recipe.views, seed=recipe.fit.seed,
                               augment=recipe.augment, progress=progress)  # fmt: skip
        _store(out / VECTORS_FILE, vectors)
    return prepared(recipe, out, cubes_in=cubes_in)


def prepared(recipe: CaseRecipe, out: Path, *, cubes_in: Path | None = None) -> Prepared:
    """What `prepare` left.

    Raises:
        TrainingError: A file is missing or damaged.
    """
    vectors = np.array(_mapped(out / VECTORS_FILE))
    return Prepared(cubes=_cubes(recipe, cubes_in or out), targets=targets_of(recipe), vectors=vectors)


def _cubes(recipe: CaseRecipe, folder: Path) -> list[Cube]:
    found = []
    for number, entry in enumerate(recipe.cases):
        hu, mask = _cube_files(folder, number)
        found.append(Cube(id=entry.id, hu=_mapped(hu), mask=_mapped(mask)))
    return found


def _cube_files(folder: Path, number: int) -> tuple[Path, Path]:
    """Numbered: an id may hold anything a file name may, and more."""
    hu, mask = (folder / PREPARED_FOLDER / f"{number:04d}_{what}.npy" for what in ("hu", "mask"))
    return hu, mask


def _store(path: Path, array: NDArray) -> None:
    with publishing_file(path) as stream:
        np.save(stream, array)


def _mapped(path: Path) -> NDArray:
    try:
        array: NDArray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise TrainingError(f"{path} is damaged ({error}); remove it, it is made again from the data") from error
    return array


def targets_of(recipe: CaseRecipe) -> dict[str, NDArray]:
    """The cases' targets as the tasks' losses want them."""
    told = [case.targets for case in recipe.cases]
    match recipe.task:
        case CaseTask.DETECT:
            return {"present": np.array([one.present for one in told], dtype=np.float32)}
        case CaseTask.STAGE:
            return {"stage": np.array([one.stage for one in told], dtype=np.int64)}
        case CaseTask.SURVIVE:
            return {
                "time": np.array([one.time for one in told], dtype=np.float64),
                "event": np.array([one.event for one in told], dtype=np.float32),
            }
        case CaseTask.DESCRIBE:
            rows = [[UNKNOWN if index is None else index for index in one.attributes or ()] for one in told]
            return {"attributes": np.array(rows, dtype=np.int64)}


def edges_of(recipe: CaseRecipe, rows: NDArray[np.int64]) -> tuple[float, ...]:
    """Intervals of about as many events each, from the cases `rows` alone; empty where no hazard is learned."""
    if recipe.task is not CaseTask.SURVIVE or recipe.likelihood is not Likelihood.HAZARD:
        return ()
    told = [recipe.cases[row].targets for row in rows.tolist()]
    times = np.array([one.time for one in told if one.event], dtype=np.float64)
    count = max(1, min(recipe.intervals, len(times) // LEAST_EVENTS))
    ends = np.quantile(times, np.arange(1, count + 1) / count, method="higher")
    return (0.0, *sorted(set(ends.tolist())))


def untrained(recipe: CaseRecipe, start: StartingWeights, edges: tuple[float, ...]) -> Model:
    """The starting network with a head for the question; fresh weights come from the seed."""
    before = start.model.info
    modality = Modality.MR if set(recipe.channels) == {Modality.MR} else Modality.CT
    still = recipe.learns is Learns.FROZEN and start.name != SCRATCH and (before.case is None or before.case.masks)
    use = CaseUse(
        task=recipe.task, framing=recipe.framing, channels=recipe.channels, numbering=recipe.numbering,
        present_weight=recipe.present_weight, stages=recipe.stages, likelihood=recipe.likelihood, edges=edges,
        masks=still and recipe.channels == (before.modality,),
    )  # fmt: skip
    torch.manual_seed(recipe.fit.seed)
    old = dict(start.model.heads.items())
    wide = with_channels(start.model, len(recipe.channels))
    # Heads that read weights which move would say something else.
    kept = (ATTRIBUTE_HEAD, DETECTION_HEAD) if use.masks else (use.head,) if recipe.old_head else ()
    heads: dict[str, nn.Module] = {name: deepcopy(old[name]) for name in kept if name in old}
    if not recipe.old_head:
        heads[use.head] = use.new_head(start.model.preset, recipe.look)
    info = replace(wide.info, modality=modality, case=use, provenance=_provenance(recipe, start), recipe=_shareable(recipe))
    model = Model(info, heads)
    model.unet.load_state_dict(wide.unet.state_dict())
    if start.name == SCRATCH:
        reset(model.unet, recipe.fit.seed)
    return model


def learning_of(recipe: CaseRecipe, edges: tuple[float, ...]) -> CaseLearning:
    """The task of the training loop."""
    moving = recipe.learns is Learns.FULL
    match recipe.task:
        case CaseTask.DETECT:
            return Detect(present_weight=recipe.present_weight, moving=moving)
        case CaseTask.DESCRIBE:
            return Describe(moving=moving)
        case CaseTask.STAGE:
            return Stage(moving=moving)
        case CaseTask.SURVIVE:
            return Survive(likelihood=recipe.likelihood, edges=edges, moving=moving)


def train_part(
    recipe: CaseRecipe, start: StartingWeights, data: Prepared, part: Part, out: Path, *, watch: Watch | None = None
) -> Trained:
    """Train on one part, or go on with what its folder in `out` holds; leaves `model.safetensors` and its predictions there.

    Raises:
        TrainingError: The loss became no number, or the folder holds another run.
    """
    edges = edges_of(recipe, np.union1d(part.learned, part.choosing))
    model = untrained(recipe, start, edges)
    assert model.info.case is not None
    use, task, folder = model.info.case, learning_of(recipe, edges), out / part.name
    frozen = recipe.learns is Learns.FROZEN
    if not recipe.old_head:
        head = model.heads[use.head]
        assert isinstance(head, Head)
        head.adjust(torch.from_numpy(data.vectors[part.learned]).flatten(0, 1))
    source = CaseSource(
        cubes=data.cubes, targets=data.targets, rows=part.learned, look=recipe.look, seed=recipe.fit.seed,
        batch=min(recipe.fit.batch, len(part.learned)), vectors=data.vectors if frozen else None, augment=recipe.augment,
    )  # fmt: skip
    choice = _Choice(recipe=recipe, task=task, use=use, data=data, rows=part.choosing, out=folder)
    tuned = fit(
        model, task, source, replace(recipe.fit, batch=source.batch), folder,
        groups=lambda one: case_groups(one, use, moving=not frozen, encoder_scale=recipe.encoder_scale),
        check=choice.check if len(part.choosing) else None, watch=watch,
    )  # fmt: skip
    step = recipe.fit.steps
    if len(part.choosing) and (folder / BEST_FILE).exists():
        tuned, step = load_checkpoint(folder / BEST_FILE), choice.step()
    tuned.info = replace(tuned.info, provenance=tuned.info.provenance | {"chosen_step": step, "cases": len(part.learned)})
    tuned.requires_grad_(True).eval()
    save_checkpoint(folder / MODEL_FILE, tuned)
    answers = None
    if len(part.scored):
        answers = answers_of(use, outputs_of(tuned, use.head, data.cubes, part.scored, data.vectors if frozen else None))
        _write_predictions(folder / PREDICTIONS_FILE, recipe, use, part, answers)
    return Trained(model=tuned, step=step, answers=answers)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Choice:
    """Which step is kept: the one with the least loss on patients of the training part."""

    recipe: CaseRecipe
    task: CaseLearning
    use: CaseUse
    data: Prepared
    rows: NDArray[np.int64]
    out: Path
    _best: list[float] = field(default_factory=list)

    def check(self, model: Model) -> dict[str, float]:
        """The loss, for the curve; weights that are better than all before are put by."""
        frozen = self.recipe.learns is Learns.FROZEN
        outputs = outputs_of(model, self.use.head, self.data.cubes, self.rows, self.data.vectors if frozen else None)
        # As the journal writes it, so that it tells which step this was.
        loss = float(f"{loss_on(self.task, outputs, self.data.targets, self.rows):.6g}")
        if loss < self._so_far():
            self._best[:] = [loss]
            info = model.info
            model.info = replace(info, provenance=info.provenance | {"choosing_loss": loss})
            save_checkpoint(self.out / BEST_FILE, model)
            model.info = info
        return {"loss": loss}

    def _so_far(self) -> float:
        path = self.out / BEST_FILE
        if not self._best:
            self._best.append(float(load_checkpoint(path).info.provenance["choosing_loss"]) if path.exists() else float("inf"))
        return self._best[0]

    def step(self) -> int:
        """The step whose weights were put by, as the journal has it."""
        rows = [(row["check/loss"], row["step"]) for row in read_journal(self.out) if "check/loss" in row]
        return int(min(rows)[1])


def cross_validate(
    recipe: CaseRecipe,
    start: StartingWeights,
    table: CaseTable,
    out: Path,
    *,
    only: str | None = None,
    watch: Callable[[str], Watch] | None = None,
    progress: Progress | None = None,
) -> dict[str, Trained]:
    """Train every part of a recipe, or `only` the fold of that name; what is there already is not trained again.

    Raises:
        TrainingError: `out` holds another run, or a loss became no number.
        ValueError: There is no fold of that name.
    """
    parts = parts_of(recipe)
    if only is not None and only not in recipe.folds:
        raise ValueError(f"fold is {only!r}; the folds are {', '.join(recipe.folds) or 'none'}")
    claim(out, recipe)
    data = prepare(recipe, start, table, out, progress=progress)
    wanted = [part for part in parts if only is None or part.name == f"fold_{only}"]
    return {part.name: train_part(recipe, start, data, part, out, watch=watch(part.name) if watch else None) for part in wanted}


def _write_predictions(path: Path, recipe: CaseRecipe, use: CaseUse, part: Part, answers: Answers) -> None:
    rows = []
    for row, answer in zip(part.scored.tolist(), answer_rows(use, answers), strict=True):
        entry = recipe.cases[row]
        rows.append({"case": entry.id, "patient": entry.patient, "fold": recipe.folds[entry.fold]} | answer)
    write_predictions(path, rows)


def write_together(recipe: CaseRecipe, out: Path) -> None:
    """One table of the predictions of all folds, in `out`."""
    rows: list[dict[str, str]] = []
    for name in recipe.folds:
        with (out / f"fold_{name}" / PREDICTIONS_FILE).open(encoding="utf-8", newline="") as lines:
            rows += list(csv.DictReader(lines))
    write_predictions(out / PREDICTIONS_FILE, rows)


def _provenance(recipe: CaseRecipe, start: StartingWeights) -> dict[str, Any]:
    made = {
        "made_by": f"panlesion {panlesion.__version__}",
        "steps": recipe.fit.steps,
        "data": f"{len(recipe.cases)} cases of the user",
        "base": start.name,
        "base_sha256": start.sha256,
    }
    base = {} if start.name == SCRATCH else start.model.info.provenance
    # A frozen network still is what it was: its operating points hold.
    return base | {"case": made} if recipe.learns is Learns.FROZEN else made | {"base_provenance": base}


def _shareable(recipe: CaseRecipe) -> dict[str, Any]:
    """The recipe as it goes into the checkpoint: without the cases, whose ids may be patients' names."""
    plain = json.loads(json.dumps(resolved(recipe)))
    return {name: value for name, value in plain.items() if name != "cases"}
