"""Fine-tuning on a user's own annotated CTs: from a checked folder to a checkpoint that was tried on cases kept aside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import panlesion
from panlesion.ct.modality import Modality
from panlesion.data.publish import publishing_file
from panlesion.data.sources.labelled_check import Checked, LabelClasses, prepared
from panlesion.data.sources.labelled_folder import LabelledFolder
from panlesion.errors import StoreError, TrainingError
from panlesion.nets.case_answer import check_segments
from panlesion.nets.checkpoint import load_checkpoint, save_checkpoint
from panlesion.nets.model import Model
from panlesion.recipes.held_out import PREPARED_FOLDER, mean_dice, validation_dice
from panlesion.recipes.pretrain import MODEL_FILE, RECIPE_FILE, claim, resolved
from panlesion.recipes.starting_weights import SCRATCH, StartingWeights, adapted_from
from panlesion.train.finetune import Finetune, Labelled, Moves, finetune_segment
from panlesion.train.loop import Check, Watch

BEST_FILE = "best.safetensors"
CHECKS = 5
"""Times the held-out cases are looked at in a run, the last time at its end."""

_SMALL_PARAMETERS = 10_000_000
_SAVE_SMALL, _SAVE_LARGE = 25, 250


class Keep(StrEnum):
    """Which weights a run leaves: those of its last step, or those that did best on the cases kept aside."""

    LAST = "last"
    BEST = "best"


@dataclass(frozen=True, kw_only=True)
class CaseEntry:
    """One case as the recipe names it; the checksums notice a label that was edited between two runs."""

    id: str
    patient: str
    ct_crc: int
    label_crc: int
    held_out: bool


@dataclass(frozen=True, kw_only=True)
class FinetuneRecipe(Finetune):
    """All that determines a run: the protocol it inherits, the weights it starts from, the cases and what they mean.

    `modality` is None for CT, as in recipes from before there was another.
    """

    checkpoint: str
    base_sha256: str
    names: tuple[str, ...]
    starts: tuple[str | None, ...]
    values: tuple[int, ...]
    ignore: int | None
    spacing_mm: float
    keep: Keep
    cases: tuple[CaseEntry, ...]
    task: str = "segment"
    modality: Modality | None = None

    @property
    def classes(self) -> LabelClasses:
        """What is learned."""
        return LabelClasses(names=self.names, values=self.values, ignore=self.ignore)

    @property
    def held_out(self) -> tuple[CaseEntry, ...]:
        """The cases kept aside."""
        return tuple(case for case in self.cases if case.held_out)


def resolve(
    start: StartingWeights,
    starts: Mapping[str, str | None],
    checked: Checked,
    held_out: Sequence[str],
    *,
    spacing_mm: float,
    moves: Moves = Moves.ALL,
    keep: Keep = Keep.LAST,
    steps: int | None = None,
    seed: int = 0,
    protocol: Finetune | None = None,
    modality: Modality = Modality.CT,
) -> FinetuneRecipe:
    """The recipe of a run; what is not said here is the protocol's own.

    Raises:
        CheckpointError: The starting weights give no masks.
    """
    check_segments(start.model, start.name)
    protocol = protocol or Finetune()
    if None in starts.values():
        protocol = protocol.starting_anew()
    small = sum(p.numel() for p in start.model.parameters()) < _SMALL_PARAMETERS
    total = steps or protocol.fit.steps
    fit = replace(
        protocol.fit,
        steps=total,
        seed=seed,
        save_every=_SAVE_SMALL if small else _SAVE_LARGE,
        check_every=max(1, -(-total // CHECKS)),
    )
    given = {field.name: getattr(protocol, field.name) for field in fields(Finetune)}
    entries = tuple(
        CaseEntry(id=case.id, patient=case.patient, ct_crc=case.ct_crc, label_crc=case.label_crc, held_out=case.id in held_out)
        for case in checked.cases
    )
    return FinetuneRecipe(
        **(given | {"fit": fit, "moves": moves, "patch_voxels": start.model.info.patch_voxels}),
        checkpoint=start.name, base_sha256=start.sha256, names=tuple(starts), starts=tuple(starts.values()),
        values=checked.classes.values, ignore=checked.classes.ignore, spacing_mm=spacing_mm, keep=keep, cases=entries,
        modality=None if modality is Modality.CT else modality,
    )  # fmt: skip


def refuse_folder(out: Path, data: Path) -> None:
    """Say no to a place for a run that would mix with the data or with other files.

    Raises:
        StoreError: `out` lies in `data` or around it.
        TrainingError: `out` holds files, but no run.
    """
    here, there = out.resolve(), data.resolve()
    if here.is_relative_to(there) or there.is_relative_to(here):
        raise StoreError(f"--out {out} and --data {data} lie in one another; results beside the data, please, not among them")
    if out.exists() and not out.is_dir():
        raise TrainingError(f"{out} is a file; give a folder for the run")
    if out.is_dir() and not (out / RECIPE_FILE).exists() and any(not file.name.startswith(".") for file in out.iterdir()):
        raise TrainingError(f"{out} holds files, but no run that could go on ({RECIPE_FILE} is missing); use another folder")


def finetune(
    recipe: FinetuneRecipe,
    start: StartingWeights,
    folder: LabelledFolder,
    out: Path,
    *,
    watch: Watch | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> Model:
    """Train, or go on with what `out` holds; leaves the checkpoint `model.safetensors`.

    Raises:
        TrainingError: `out` holds another run, or the loss became no number.
        ReadError, StoreError: A case cannot be read any more.
    """
    claim(out, recipe)
    cases = {case.id: case for case in prepare(recipe, folder, out, progress=progress)}
    train = [cases[case.id] for case in recipe.cases if not case.held_out]
    aside = [cases[case.id] for case in recipe.held_out]
    model = untrained(recipe, start)
    modality = recipe.modality or Modality.CT
    model.info = replace(
        model.info, recipe=_shareable(recipe), provenance=_provenance(recipe, start), modality=modality, case=None
    )
    check = _check(recipe, aside, out) if aside else None
    model = finetune_segment(model, train, recipe, out, check=check, watch=watch)
    if recipe.keep is Keep.BEST and (out / BEST_FILE).exists():
        model = load_checkpoint(out / BEST_FILE)
    save_checkpoint(out / MODEL_FILE, model)
    return model.eval()


def untrained(recipe: FinetuneRecipe, start: StartingWeights) -> Model:
    """The network as it is before the first step: what training has to improve on."""
    starts = dict(zip(recipe.names, recipe.starts, strict=True))
    return adapted_from(start, starts, spacing_mm=recipe.spacing_mm, seed=recipe.fit.seed).eval()


def prepare(
    recipe: FinetuneRecipe, folder: LabelledFolder, out: Path, *, progress: Callable[[int, int, str], None] | None = None
) -> list[Labelled]:
    """The cases at the run's spacing, kept as files of `out`: mapped, not loaded, so that any number of them fits in memory."""
    (out / PREPARED_FOLDER).mkdir(parents=True, exist_ok=True)
    files = {case.id: case for case in folder.cases}
    found = []
    for number, case in enumerate(recipe.cases):
        if progress is not None:
            progress(number, len(recipe.cases), case.id)
        # numbered: an id may hold anything a file name may, and more
        hu, target = (out / PREPARED_FOLDER / f"{number:04d}_{what}.npy" for what in ("hu", "target"))
        if not (hu.exists() and target.exists()):
            arrays = prepared(folder.read(files[case.id]), recipe.classes, recipe.spacing_mm)
            _store(hu, arrays[0])
            _store(target, arrays[1])
        found.append(Labelled(id=case.id, hu=_mapped(hu), target=_mapped(target)))
    return found


def _store(path: Path, array: NDArray) -> None:
    with publishing_file(path) as stream:
        np.save(stream, array)


def _mapped(path: Path) -> NDArray:
    try:
        array: NDArray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise TrainingError(f"{path} is damaged ({error}); remove it, it is made again from the data") from error
    return array


def _check(recipe: FinetuneRecipe, aside: Sequence[Labelled], out: Path) -> Check:
    """Dice of the held-out cases for the curve; with `Keep.BEST` the better weights are put by."""

    def check(model: Model) -> Mapping[str, float]:
        scores = validation_dice(model, aside)
        mean = mean_dice(scores)
        if recipe.keep is Keep.BEST and mean > _best_so_far(out):
            info = model.info
            model.info = replace(info, provenance=info.provenance | {"held_out_dice": mean})
            save_checkpoint(out / BEST_FILE, model)
            model.info = info
        return {"dice": mean} | {f"dice {name}": value for name, value in scores.items()}

    return check


def _best_so_far(out: Path) -> float:
    path = out / BEST_FILE
    return float(load_checkpoint(path).info.provenance["held_out_dice"]) if path.exists() else -1.0


def _provenance(recipe: FinetuneRecipe, start: StartingWeights) -> dict[str, Any]:
    return {
        "made_by": f"panlesion {panlesion.__version__}",
        "steps": recipe.fit.steps,
        "data": f"{len(recipe.cases) - len(recipe.held_out)} annotated CTs of the user",
        "held_out_cases": len(recipe.held_out),
        "base": start.name,
        "base_sha256": start.sha256,
        "base_provenance": {} if start.name == SCRATCH else start.model.info.provenance,
    }


def _shareable(recipe: FinetuneRecipe) -> dict[str, Any]:
    """The recipe as it goes into the checkpoint: without the cases, whose ids may be patients' names."""
    return {name: value for name, value in resolved(recipe).items() if name != "cases"}
