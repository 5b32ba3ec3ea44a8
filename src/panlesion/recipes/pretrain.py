"""Pretraining runs: `nano` for two CPU cores, `pasta` with the published values; stage I, then stage II."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

import panlesion
from panlesion.data.publish import write_text
from panlesion.errors import TrainingError
from panlesion.nets.checkpoint import load_checkpoint, save_checkpoint
from panlesion.nets.model import Model, new_model
from panlesion.recipes.fresh_blocks import FreshBlocks
from panlesion.train.augment import Augment
from panlesion.train.loop import Fit, Watch, fit
from panlesion.train.optim import Method, Optim, Schedule
from panlesion.train.pool import BlockPool, Rotation
from panlesion.train.source import PoolSource
from panlesion.train.tasks.segment import Segment

RECIPE_FILE, MODEL_FILE, POOL_FOLDER = "recipe.json", "model.safetensors", "pool"


@dataclass(frozen=True, kw_only=True)
class StageOne:
    """Segmentation of organs and lesions on synthetic data. `balance`: how far rare classes weigh more, see `train.losses`."""

    name: str
    preset: str
    spacing_mm: float
    patch_voxels: int
    blocks: FreshBlocks
    fit: Fit
    rotation_window: int = 64
    reuse: float = 2.0
    balance: float = 0.0
    augment: Augment = field(default_factory=Augment)

    @property
    def rotation(self) -> Rotation:
        """How blocks come and go in this run."""
        return Rotation(patches=self.blocks.patches, window=self.rotation_window, reuse=self.reuse)


def nano(*, steps: int = 20_000, seed: int = 0) -> StageOne:
    """Sized for two CPU cores: 48³ patches at 2.5 mm, AdamW, moving average (ours)."""
    return StageOne(
        name="nano",
        preset="nano",
        spacing_mm=2.5,
        patch_voxels=48,
        blocks=FreshBlocks(seed=seed),
        balance=0.5,
        fit=Fit(
            steps=steps,
            batch=4,
            seed=seed,
            optim=Optim(
                method=Method.ADAMW, rate=2e-3, weight_decay=1e-2, schedule=Schedule.COSINE, warmup_steps=200,
                clip_norm=12.0, ema_decay=0.999,
            ),
        ),
    )  # fmt: skip


def pasta(*, seed: int = 0) -> StageOne:
    """PASTA's stage I as its public code has it: SGD, Nesterov 0.99, 1e-2 poly, 3e-5, 2000 × 250 iterations.

    Patch and batch are not published: 96³ (the crop of stage II) and 2 are ours. For GPUs.
    """
    return StageOne(
        name="pasta",
        preset="pasta",
        spacing_mm=1.0,
        patch_voxels=96,
        blocks=FreshBlocks(seed=seed, spacing_mm=(1.0, 1.0), size_voxels=128),
        fit=Fit(steps=2000 * 250, batch=2, seed=seed, optim=Optim()),
        augment=Augment.pasta(),
    )


STAGE_ONE: dict[str, Callable[..., StageOne]] = {"nano": nano, "pasta": pasta}


def pretrain(
    recipe: StageOne,
    out: Path,
    *,
    workers: int = 1,
    fabric: Fabric | None = None,
    start_from: Path | None = None,
    watch: Watch | None = None,
) -> Model:
    """Run stage I into `out`, or go on with what is there; leaves the checkpoint `model.safetensors`.

    Raises:
        TrainingError: `out` holds a run of another recipe, or data or loss failed.
    """
    claim(out, recipe)
    torch.manual_seed(recipe.fit.seed)
    model = new_model(recipe.preset, spacing_mm=recipe.spacing_mm, patch_voxels=recipe.patch_voxels)
    if start_from is not None:
        model.unet.load_state_dict(load_checkpoint(start_from).unet.state_dict())
    pool = BlockPool(out / POOL_FOLDER, recipe.blocks.make, workers=workers)
    source = PoolSource(
        pool=pool, rotation=recipe.rotation, seed=recipe.fit.seed, batch=recipe.fit.batch, size=recipe.patch_voxels,
        augment=recipe.augment,
    )  # fmt: skip
    try:
        model = fit(
            model, Segment(classes=model.classes, balance=recipe.balance), source, recipe.fit, out, fabric=fabric, watch=watch
        )
    finally:
        pool.stop()
    model.info = replace(
        model.info,
        recipe=resolved(recipe),
        provenance={"made_by": f"panlesion {panlesion.__version__}", "steps": recipe.fit.steps, "data": "drawn phantoms only"},
    )
    save_checkpoint(out / MODEL_FILE, model)
    return model


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
        for free in ("steps", "log_every", "save_every", "check_every"):
            one.get("fit", {}).pop(free, None)
    if mine != theirs:
        names = sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))
        raise TrainingError(f"{out} holds a run of another recipe (differs in {', '.join(names)}); use another folder")


def resolved(recipe: Any) -> dict[str, Any]:
    """A recipe as plain JSON types."""
    plain: dict[str, Any] = json.loads(json.dumps(asdict(recipe)))
    return plain
