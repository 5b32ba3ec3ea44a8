"""Stage II of pretraining: the network is frozen, one head learns the report attributes of synthetic lesions."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric

import panlesion
from panlesion.ct.atomic import replacing
from panlesion.nets.checkpoint import load_model, save_checkpoint
from panlesion.nets.heads import ATTRIBUTE_HEAD, Head, attribute_head
from panlesion.nets.look import Look, Pooling
from panlesion.nets.model import Model
from panlesion.nets.sealed import digest
from panlesion.recipes.pretrain import MODEL_FILE, POOL_FOLDER, claim, resolved
from panlesion.synth.lesion_crops import LesionCrops
from panlesion.train.augment import Augment
from panlesion.train.loop import Fit, Source, Watch, fit
from panlesion.train.optim import Method, Optim, Schedule
from panlesion.train.pool import BlockPool, Rotation
from panlesion.train.readings import CropSource, Vectors, VectorSource, gather, reading_augment
from panlesion.train.tasks.describe import Describe, class_weights, only_head

VECTORS_FOLDER = "vectors"
_AHEAD = 4
_NANO_POOLING = (Pooling.LESION, Pooling.SPREAD, Pooling.SHELL, Pooling.FORM)

Gathering = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class StageTwo:
    """How an attribute head is trained. `start` is the SHA-256 of the frozen network's weights, filled in by the run.

    With `gathered_blocks` the encoder sees `views` views of every lesion of so many blocks once, and the head learns from the
    stored vectors: the encoder is frozen, so a step costs a thousandth. With 0 each step has fresh crops.
    `balance` is the power of `describe.class_weights`; it needs gathered vectors, as the frequencies are known from them.
    """

    name: str
    crops: LesionCrops
    look: Look
    fit: Fit
    gathered_blocks: int = 0
    views: int = 1
    balance: float = 0.0
    rotation_window: int = 64
    reuse: float = 2.0
    augment: Augment = field(default_factory=reading_augment)
    start: str = ""

    def __post_init__(self) -> None:
        if self.balance and not self.gathered_blocks:
            raise ValueError(f"balance is {self.balance} but gathered_blocks is 0; balancing needs gathered vectors")

    @property
    def rotation(self) -> Rotation:
        """How blocks come and go where every step has fresh crops."""
        return Rotation(patches=self.crops.patches, window=self.rotation_window, reuse=self.reuse)


def nano(*, steps: int = 2000, seed: int = 0) -> StageTwo:
    """Sized for two CPU cores: crops at 1.25 mm, vectors gathered once (docs/why/describe.md has what was tried)."""
    return StageTwo(
        name="nano",
        crops=LesionCrops(seed=seed, spacing_mm=(1.25, 1.25), size_voxels=96),
        look=Look(spacing_mm=1.25, crop_voxels=48, pooling=_NANO_POOLING, levels=(0, 1, 2)),
        fit=Fit(
            steps=steps,
            batch=64,
            seed=seed,
            optim=Optim(
                method=Method.ADAMW, rate=1e-3, weight_decay=1e-2, schedule=Schedule.COSINE, warmup_steps=50, ema_decay=0.99
            ),
            precision="32-true",
        ),
        gathered_blocks=40,
        views=4,
        balance=0.5,
    )


def pasta(*, steps: int = 20_000, seed: int = 0) -> StageTwo:
    """PASTA's stage II as published: frozen encoder, 96³ crops at 1 mm, Adam 1e-4, 1e-5, cosine, 20,000 steps of 16 × 4."""
    return StageTwo(
        name="pasta",
        crops=LesionCrops(seed=seed, spacing_mm=(1.0, 1.0), size_voxels=128),
        look=Look(spacing_mm=1.0, crop_voxels=96, pooling=(Pooling.CROP,)),
        fit=Fit(
            steps=steps,
            batch=16 * 4,
            seed=seed,
            optim=Optim(method=Method.ADAM, rate=1e-4, weight_decay=1e-5, schedule=Schedule.COSINE),
        ),
    )


STAGE_TWO: dict[str, Callable[..., StageTwo]] = {"nano": nano, "pasta": pasta}


def pretrain_head(
    recipe: StageTwo,
    out: Path,
    *,
    start_from: Path | str,
    workers: int = 1,
    fabric: Fabric | None = None,
    gathering: Gathering | None = None,
    watch: Watch | None = None,
) -> Model:
    """Run stage II into `out`, or go on with what is there; leaves `model.safetensors` with the head inside.

    Args:
        recipe: What to learn from, and how.
        out: Folder of the run.
        start_from: Checkpoint of stage I, or a shipped model; an attribute head that it has is replaced.
        workers: Processes that draw lesions.
        fabric: Devices; by default one CPU process.
        gathering: Called with gathered blocks done and in all.
        watch: Called after every step.

    Raises:
        CheckpointError: `start_from` cannot be read.
        TrainingError: `out` holds a run of another recipe or network, or data or loss failed.
        ValueError: The network cannot look as the recipe says.
    """
    model = load_model(start_from)
    recipe = replace(recipe, start=digest("", model.unet.state_dict()))
    torch.manual_seed(recipe.fit.seed)
    model.heads[ATTRIBUTE_HEAD] = attribute_head(model.preset, recipe.look)
    claim(out, recipe)
    only_head(model)
    pool = BlockPool(out / POOL_FOLDER, recipe.crops.make, workers=workers, ahead=0 if recipe.gathered_blocks else _AHEAD)
    try:
        if recipe.gathered_blocks:
            model, task, source = _from_vectors(recipe, out, model, pool, fabric, gathering)
        else:
            task = Describe()
            source = CropSource(
                pool=pool, rotation=recipe.rotation, seed=recipe.fit.seed, batch=recipe.fit.batch, look=recipe.look,
                augment=recipe.augment,
            )  # fmt: skip
        model = fit(model, task, source, recipe.fit, out, fabric=fabric, groups=only_head, watch=watch)
    finally:
        pool.stop()
    made = {"made_by": f"panlesion {panlesion.__version__}", "steps": recipe.fit.steps, "data": "drawn phantoms only"}
    model.info = replace(
        model.info,
        recipe={**model.info.recipe, "stage_two": resolved(recipe)},
        provenance={**model.info.provenance, "stage_two": made},
    )
    save_checkpoint(out / MODEL_FILE, model.requires_grad_(True))
    return model


def _from_vectors(
    recipe: StageTwo, out: Path, model: Model, pool: BlockPool, fabric: Fabric | None, gathering: Gathering | None
) -> tuple[Model, Describe, Source]:
    data = _gathered(recipe, out, model, pool, fabric, gathering)
    labels = torch.from_numpy(data.labels)
    head = model.heads[ATTRIBUTE_HEAD]
    assert isinstance(head, Head)
    head.adjust(torch.from_numpy(data.vectors).flatten(0, 1))
    task = Describe(weights=class_weights(labels, recipe.balance) if recipe.balance else None)
    return model, task, VectorSource(data=data, seed=recipe.fit.seed, batch=recipe.fit.batch)


def _gathered(
    recipe: StageTwo, out: Path, model: Model, pool: BlockPool, fabric: Fabric | None, gathering: Gathering | None
) -> Vectors:
    """The vectors of all blocks; each block's are a file, so that a run that was killed goes on with the next one."""
    if fabric is not None:
        model = model.to(fabric.device)
    folder, count = out / VECTORS_FOLDER, recipe.gathered_blocks
    folder.mkdir(parents=True, exist_ok=True)
    parts, fresh = [], False
    for index in range(count):
        path = folder / f"vectors_{index:06d}.npz"
        if not path.exists():
            pool.advance(index, min(count, index + 1 + _AHEAD))
            seed = (recipe.fit.seed, index)
            part = gather(model, pool.open(index), views=recipe.views, augment=recipe.augment, seed=seed)
            _write(path, part)
            fresh = True
        with np.load(path, allow_pickle=False) as stored:
            parts.append(Vectors(vectors=stored["vectors"], labels=stored["labels"]))
        if gathering is not None:
            gathering(index + 1, count)
    if fresh:  # the blocks have served
        pool.advance(count, count)
        pool.stop()
    return Vectors.joined(parts)


def _write(path: Path, part: Vectors) -> None:
    content = io.BytesIO()
    np.savez(content, vectors=part.vectors, labels=part.labels)
    with replacing(path) as stream:
        stream.write(content.getvalue())
