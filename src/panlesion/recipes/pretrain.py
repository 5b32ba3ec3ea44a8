"""Pretraining runs: `nano` for two CPU cores, `pasta` with the published values; stage I, then stage II."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

import panlesion
from panlesion.data.host_folder import HOSTS_FOLDER
from panlesion.data.publish import write_text
from panlesion.errors import CheckpointError, TrainingError
from panlesion.nets.checkpoint import load_model, save_checkpoint
from panlesion.nets.classes import ANATOMY, LESIONS, pan_tumour_classes
from panlesion.nets.model import Model, new_model
from panlesion.nets.preset import preset_of
from panlesion.recipes.fresh_blocks import FreshBlocks
from panlesion.recipes.offsets import BLOCKS, FIRST_BLOCK, fit_offsets
from panlesion.recipes.real_data import KEPT_FINER, CaseFolders, HostFolder, MixedBlocks, Preparing, RealData
from panlesion.train.augment import Augment
from panlesion.train.loop import Fit, Source, Watch, fit, launched, on_first, once
from panlesion.train.optim import Method, Optim, Schedule
from panlesion.train.pool import BlockPool, Rotation
from panlesion.train.source import BlockSource, PoolSource
from panlesion.train.state import FREE
from panlesion.train.tasks.segment import Segment

RECIPE_FILE, MODEL_FILE, POOL_FOLDER = "recipe.json", "model.safetensors", "pool"


@dataclass(frozen=True, kw_only=True)
class StageOne:
    """Segmentation of organs and lesions on synthetic data. `balance`: how far rare classes weigh more, see `train.losses`.

    `real` says what of the user's data a run has used besides drawn phantoms or in their place; the run fills it in.
    """

    name: str
    preset: str
    spacing_mm: float
    patch_voxels: int
    blocks: FreshBlocks
    fit: Fit
    rotation_window: int = 64
    first_blocks: int = 3
    reuse: float = 2.0
    balance: dict[str, float] = field(default_factory=dict)
    augment: Augment = field(default_factory=Augment)
    real: RealData | None = None

    @property
    def rotation(self) -> Rotation:
        """How blocks come and go in this run."""
        return Rotation(patches=self.blocks.patches, window=self.rotation_window, first=self.first_blocks, reuse=self.reuse)


def nano(*, steps: int = 20_000, seed: int = 0) -> StageOne:
    """Sized for two CPU cores: 48³ patches at 2.5 mm, few at a time, Muon, moving average (ours; docs/experiments.md)."""
    return StageOne(
        name="nano",
        preset="nano",
        spacing_mm=2.5,
        patch_voxels=48,
        blocks=FreshBlocks(seed=seed),
        # With 0.5 for lesions too, 2,500 steps found organs and no lesion type; with 0.8 500 did (docs/experiments.md).
        balance={ANATOMY: 0.5, LESIONS: 0.8},
        first_blocks=24,
        reuse=3.0,
        fit=Fit(
            steps=steps,
            batch=2,
            seed=seed,
            optim=Optim(
                method=Method.MUON, rate=2e-3, weight_decay=1e-2, schedule=Schedule.COSINE, warmup_steps=200,
                clip_norm=12.0, ema_decay=0.999,
            ),
        ),
    )  # fmt: skip


def small(*, steps: int = 100_000, seed: int = 0) -> StageOne:
    """For one ordinary GPU, or a CPU and patience: a quarter of the weights, 96³ patches at 1.5 mm, as `nano` else (ours)."""
    return replace(
        nano(steps=steps, seed=seed),
        name="small",
        preset="small",
        spacing_mm=1.5,
        patch_voxels=96,
        blocks=FreshBlocks(seed=seed, spacing_mm=(1.3, 1.9), size_voxels=128),
        fit=replace(nano(steps=steps, seed=seed).fit, batch=2, optim=replace(nano().fit.optim, rate=1e-3, warmup_steps=1000)),
    )


def pasta(*, steps: int = 2000 * 250, seed: int = 0) -> StageOne:
    """PASTA's stage I as its public code has it: SGD, Nesterov 0.99, 1e-2 poly, 3e-5, 2000 × 250 iterations.

    Patch and batch are not published: 96³ (the crop of stage II) and 2 are ours. For GPUs.
    """
    return StageOne(
        name="pasta",
        preset="pasta",
        spacing_mm=1.0,
        patch_voxels=96,
        blocks=FreshBlocks(seed=seed, spacing_mm=(1.0, 1.0), size_voxels=128),
        fit=Fit(steps=steps, batch=2, seed=seed, optim=Optim()),
        augment=Augment.pasta(),
    )


STAGE_ONE: dict[str, Callable[..., StageOne]] = {"nano": nano, "small": small, "pasta": pasta}


def pretrain(
    recipe: StageOne,
    out: Path,
    *,
    workers: int = 1,
    fabric: Fabric | None = None,
    start_from: str | None = None,
    data: HostFolder | CaseFolders | None = None,
    watch: Watch | None = None,
    preparing: Preparing = lambda _done, _all: None,
    fitting: Preparing = lambda _done, _all: None,
) -> Model:
    """Run stage I into `out`, or go on with what is there; leaves the checkpoint `model.safetensors`.

    `preparing` is told of what comes before the steps, `fitting` of the offsets that come after them.
    Without `data` all patches are of drawn phantoms. Of several processes the first prepares, makes patches and writes; the
    others read from `out`, so machines must share it.

    Raises:
        TrainingError: `out` holds a run of another recipe, `data` holds what cannot be used, or data or loss failed.
        CheckpointError: `start_from`, a shipped name or a file, cannot be read or is of another size or other classes.
    """
    fabric = launched(fabric or Fabric(accelerator="cpu", devices=1, precision=recipe.fit.precision))  # type: ignore[arg-type]
    if data is not None:
        recipe = replace(recipe, real=data.find()[1] if isinstance(data, HostFolder) else data.find())
    first = fabric.is_global_zero
    start = None if start_from is None else _start(start_from, recipe)
    on_first(fabric, lambda: claim(out, recipe))
    torch.manual_seed(recipe.fit.seed)
    model = new_model(recipe.preset, spacing_mm=recipe.spacing_mm, patch_voxels=recipe.patch_voxels)
    if start is not None:
        model.unet.load_state_dict(start.unet.state_dict())
    with _source(recipe, out, data, workers, fabric, preparing) as source:
        task = Segment(classes=model.classes, balance=recipe.balance)
        model = fit(model, task, source, recipe.fit, out, fabric=fabric, watch=watch if first else None)
    told = _provenance(recipe, fabric.world_size)
    if start is not None:
        told["started_from"] = {"file": Path(str(start_from)).name, "data": start.info.provenance.get("data", "not told")}
    model.info = replace(model.info, recipe=resolved(recipe), provenance=told)

    def finish() -> None:
        if recipe.balance:
            offsets = _fitted_before(out / MODEL_FILE, model)
            if offsets is None:
                unseen = (recipe.blocks.make(FIRST_BLOCK + n) for n in range(BLOCKS))
                offsets = fit_offsets(model.eval(), unseen, progress=fitting)
            model.info = replace(model.info, offsets=offsets)
        save_checkpoint(out / MODEL_FILE, model)

    on_first(fabric, finish)
    return model


def _fitted_before(path: Path, model: Model) -> tuple[float, ...] | None:
    """The offsets in the file that this run left, if it has the same weights: a finished run that is started again."""
    if not path.exists():
        return None
    told = load_model(path)
    mine, theirs = model.unet.state_dict(), told.unet.state_dict()
    same = mine.keys() == theirs.keys() and all(torch.equal(mine[name].cpu(), theirs[name]) for name in mine)
    return told.info.offsets if same and told.info.offsets else None


@contextmanager
def _source(
    recipe: StageOne, out: Path, data: HostFolder | CaseFolders | None, workers: int, fabric: Fabric, preparing: Preparing
) -> Iterator[Source]:
    """Where this run's samples come from, open until training ends."""
    settings: dict[str, Any] = {
        "seed": recipe.fit.seed, "batch": recipe.fit.batch, "size": recipe.patch_voxels, "augment": recipe.augment,
    }  # fmt: skip
    if isinstance(data, CaseFolders):
        cut = partial(
            data.prepare, out, size=recipe.blocks.size_voxels, spacing_mm=recipe.spacing_mm, seed=recipe.fit.seed,
        )  # fmt: skip
        once(fabric, out, lambda: cut(preparing=preparing))
        yield BlockSource(blocks=cut(preparing=lambda _done, _all: None), **settings)
        return
    make = recipe.blocks.make
    if data is not None:
        kept_mm = recipe.blocks.spacing_mm[0] / KEPT_FINER
        once(fabric, out, lambda: data.prepare(out, kept_mm, preparing))
        ids = tuple(host.id for host in data.find()[0])
        make = MixedBlocks(drawn=recipe.blocks, folder=out / HOSTS_FOLDER, ids=ids, share=data.share).make
    pool = BlockPool(out / POOL_FOLDER, make, workers=workers, leads=fabric.is_global_zero, filling=preparing)
    on_first(fabric, pool.prepare)
    try:
        yield PoolSource(pool=pool, rotation=recipe.rotation, **settings)
    finally:
        pool.stop()


def _start(name: str, recipe: StageOne) -> Model:
    """The network to go on from, which must be the recipe's own."""
    model = load_model(name)
    if model.preset != preset_of(recipe.preset):
        raise CheckpointError(
            f"{name} is a {model.preset.name!r} network, the recipe trains {recipe.preset!r}; start from its own"
        )
    if model.classes != pan_tumour_classes():
        raise CheckpointError(f"{name} has other classes than pretraining teaches; start from a network that was pretrained")
    return model


def _provenance(recipe: StageOne, processes: int) -> dict[str, Any]:
    """What the checkpoint says of its making."""
    told: dict[str, Any] = {
        "made_by": f"panlesion {panlesion.__version__}",
        "steps": recipe.fit.steps,
        "data": recipe.real.words if recipe.real else "drawn phantoms only",
    }
    if processes > 1:
        told["processes"] = processes
    return told


def claim(out: Path, recipe: Any) -> None:
    """Write the resolved recipe beside what it makes, or see that the folder belongs to the same one.

    Raises:
        TrainingError: The folder holds a run of another recipe; the message names the fields that differ.
    """
    path, mine = out / RECIPE_FILE, resolved(recipe)
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(mine, indent=1) + "\n")
        return
    try:
        theirs = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise TrainingError(f"{path} is damaged ({error}); remove the folder or use another one") from error
    # A run may be made longer; data workers and saving do not change what is learned.
    for one in (mine, theirs):
        for name in FREE:
            one.get("fit", {}).pop(name, None)
        # Recipes written before a field existed did without it.
        for name in [name for name, value in one.items() if value is None]:
            one.pop(name)
    if mine != theirs:
        names = sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))
        raise TrainingError(f"{out} holds a run of another recipe (differs in {', '.join(names)}); use another folder")


def resolved(recipe: Any) -> dict[str, Any]:
    """A recipe as plain JSON types."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return plain
