"""Adapting a pretrained network to a few annotated CTs: which weights move, how fast, from where the head starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from panlesion.nets.blocks import VoxelNorm, initialise
from panlesion.nets.classes import LESIONS, Classes, ClassGroup
from panlesion.nets.model import Model
from panlesion.train.augment import Augment, draw_augmentation, render_augmentation
from panlesion.train.loop import Check, Fit, Sample, Watch, fit
from panlesion.train.losses import IGNORE
from panlesion.train.optim import Method, Optim, Schedule
from panlesion.train.tasks.segment import Segment


class Moves(StrEnum):
    """Which weights fine-tuning changes."""

    ALL = "all"
    DECODER = "decoder"
    HEAD = "head"


@dataclass(frozen=True, kw_only=True)
class Finetune:
    """How a network is adapted; defaults are ours, chosen on training patients of one split (docs/experiments.md).

    At the end every weight is averaged with what it was at the start, which counts `start_share` (0 … 1): few cases teach
    what is special about them, too, and the average keeps more of what was known before (WiSE-FT, Wortsman et al. 2022).
    """

    moves: Moves = Moves.ALL
    start_share: float = 0.5
    encoder_scale: float = 1.0
    foreground: float = 0.67
    fit: Fit = field(
        default_factory=lambda: Fit(
            steps=300,
            batch=2,
            optim=Optim(method=Method.ADAMW, rate=1e-3, weight_decay=1e-2, schedule=Schedule.COSINE, warmup_steps=20),
            save_every=10_000,
        )
    )
    augment: Augment = field(default_factory=Augment)
    patch_voxels: int = 48

    def starting_anew(self) -> "Finetune":
        """The same for a network with a head that knows nothing yet: half of a random head only spoils the trained one."""
        return replace(self, start_share=0.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """One annotated CT at the network's spacing: HU int16 (I, J, K) and class indices uint8 (I, J, K)."""

    id: str
    hu: NDArray[np.int16]
    target: NDArray[np.uint8]

    @cached_property
    def lesion_ijk(self) -> NDArray[np.int64]:
        """Indices (N, 3) of all voxels of a lesion class; what nobody knows the class of is none."""
        return np.argwhere((self.target > 0) & (self.target != IGNORE))


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledSource:
    """Patches of a few CTs, the share `foreground` of them around a voxel of the lesion."""

    cases: Sequence[Labelled]
    config: Finetune

    def at_step(self, step: int) -> None:
        """Nothing to do: the cases are in memory."""

    def sample(self, step: int, slot: int) -> Sample:
        fit_, size = self.config.fit, self.config.patch_voxels
        rng = np.random.default_rng([fit_.seed, step * fit_.batch + slot, 0x66696E65])
        case = self.cases[int(rng.integers(len(self.cases)))]
        inside = case.lesion_ijk
        if len(inside) and rng.random() < self.config.foreground:
            centre = inside[int(rng.integers(len(inside)))] + rng.integers(-size // 4, size // 4 + 1, 3)
        else:
            centre = rng.integers(0, case.hu.shape)
        i, j, k = np.clip(centre, 0, np.asarray(case.hu.shape) - 1).tolist()
        drawn = draw_augmentation(self.config.augment, rng)
        image, targets = render_augmentation(drawn, case.hu, case.target[None], size=size, centre_ijk=(i, j, k))
        return Sample(arrays={"image": image[None], "targets": targets}, id=case.id)


def adapted(model: Model, starts: Mapping[str, str | None]) -> Model:
    """A copy of a model whose only output group is `lesions` with "none" and the classes that `starts` names.

    Each class starts as the pretrained lesion class that stands beside it, weights and offset, so that the network already
    finds it before its first step; with None its head starts anew. "none" starts as it was if any class does.
    """
    group = ClassGroup(name=LESIONS, classes=("none", *starts))
    new = Model(replace(model.info, classes=Classes(groups=(group,)), offsets=()))
    weights = {name: value for name, value in model.unet.state_dict().items() if not name.startswith("heads")}
    new.unet.load_state_dict(weights, strict=False)
    known = [(row, begins) for row, begins in enumerate(starts.values(), 1) if begins is not None]
    if not known:
        return new
    none = model.classes.channels(LESIONS).start
    pretrained = model.classes.group(LESIONS).classes
    rows = {0: none} | {row: none + pretrained.index(begins) for row, begins in known}
    with torch.no_grad():
        for fresh, old in zip(new.unet.heads.parameters(), model.unet.heads.parameters(), strict=True):
            fresh[list(rows)] = old[list(rows.values())]
    if model.info.offsets:
        moved = tuple(model.info.offsets[rows[row]] if row in rows else 0.0 for row in range(len(group.classes)))
        new.info = replace(new.info, offsets=moved)
    return new


def moving(config: Finetune, model: Model) -> list[dict[str, object]]:
    """Parameter groups of what moves; what does not is frozen."""
    unet = model.unet
    encoder = list(unet.encoder.parameters())
    decoder = [*unet.ups.parameters(), *unet.decoder.parameters()]
    heads = list(unet.heads.parameters())
    for p in encoder:
        p.requires_grad_(config.moves is Moves.ALL)
    for p in decoder:
        p.requires_grad_(config.moves is not Moves.HEAD)
    groups: list[dict[str, object]] = [{"params": heads, "scale": 1.0}]
    if config.moves is not Moves.HEAD:
        groups.append({"params": decoder, "scale": 1.0})
    if config.moves is Moves.ALL:
        groups.append({"params": encoder, "scale": config.encoder_scale})
    return groups


def finetune_segment(
    model: Model,
    cases: Sequence[Labelled],
    config: Finetune,
    out: Path,
    *,
    check: Check | None = None,
    watch: Watch | None = None,
) -> Model:
    """Train an `adapted` model on annotated CTs; `out` holds the resumable state.

    Raises:
        TrainingError: As `fit` does.
    """
    _check_cases(cases, model)
    mix = _Mix(start=[p.detach().clone() for p in model.parameters()], share=config.start_share)
    tuned = fit(
        model,
        Segment(classes=model.classes),
        LabelledSource(cases=cases, config=config),
        config.fit,
        out,
        groups=lambda one: moving(config, one),
        check=check and mix.checking(check),
        watch=watch,
    )
    mix.into(tuned)
    return tuned


@dataclass(frozen=True, kw_only=True, eq=False)
class _Mix:
    """The weights a network started with, and how much they count beside those it has in the end."""

    start: list[torch.Tensor]
    share: float

    @torch.no_grad()
    def into(self, model: nn.Module) -> None:
        """Average the start into a network's weights."""
        for p, start in zip(model.parameters(), self.start, strict=True):
            p.lerp_(start.to(p.device), self.share)

    def checking(self, check: Check) -> Check:
        """The check on the network that would come out if training ended now."""

        def on_mixed(model: Model) -> Mapping[str, float]:
            trained = [p.detach().clone() for p in model.parameters()]
            self.into(model)
            found = check(model)
            with torch.no_grad():
                for p, value in zip(model.parameters(), trained, strict=True):
                    p.copy_(value)
            return found

        return on_mixed


def _check_cases(cases: Sequence[Labelled], model: Model) -> None:
    if not cases:
        raise ValueError("cases is empty; fine-tuning needs at least one annotated CT")
    most = len(model.classes) - 1
    for case in cases:
        found = int(case.target[case.target != IGNORE].max(initial=0))
        if found > most:
            raise ValueError(f"{case.id}: label {found} occurs, the network has classes 0 … {most}")


def reset(module: nn.Module, seed: int) -> None:
    """Give a module fresh weights of a seed: training from scratch."""
    torch.manual_seed(seed)
    module.apply(initialise)
    for part in module.modules():
        if isinstance(part, nn.InstanceNorm3d | VoxelNorm):
            part.reset_parameters()
