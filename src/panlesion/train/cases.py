"""Samples of whole cases with their targets: cubes for a network that moves, vectors gathered once for one that does not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from panlesion.nets.case_use import CaseUse
from panlesion.nets.heads import Head
from panlesion.nets.look import Look
from panlesion.nets.model import Model
from panlesion.train.augment import Augment
from panlesion.train.loop import Sample
from panlesion.train.readings import drawn_view, plain_view, reading_augment
from panlesion.train.tasks.describe import Describe
from panlesion.train.tasks.detect import Detect
from panlesion.train.tasks.stage import Stage
from panlesion.train.tasks.survive import Survive

CaseLearning = Detect | Describe | Stage | Survive
_BATCH = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Cube:
    """One prepared case: HU int16 (C, S, S, S), mask uint8 (S, S, S), both with spare voxels around what is shown."""

    id: str
    hu: NDArray[np.int16]
    mask: NDArray[np.uint8]

    def plain(self, look: Look) -> NDArray[np.float32]:
        """What the network is given when it is asked, (C + 1, S, S, S)."""
        return _stacked([plain_view(one, self.mask, look) for one in self.hu])

    def drawn(self, look: Look, augment: Augment, seed: Sequence[int]) -> NDArray[np.float32]:
        """An augmented view; every image of a case gets the same random numbers, so they stay on one another."""
        return _stacked([drawn_view(one, self.mask, look, augment, np.random.default_rng([*seed])) for one in self.hu])


def _stacked(views: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Views (2, S, S, S) of one place: their images, and the mask once."""
    return np.stack([*(view[0] for view in views), views[0][1]])


Targets = Mapping[str, NDArray]
"""Arrays with a value for each case, by the name that the task's loss knows them by."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CaseSource:
    """Each case of `rows` once before any comes again, in an order drawn from the seed.

    With `vectors` (N, V, F) one of a case's gathered views is given, else its cube is augmented anew.
    """

    cubes: Sequence[Cube]
    targets: Targets
    rows: NDArray[np.int64]
    look: Look
    seed: int
    batch: int
    vectors: NDArray[np.float32] | None = None
    augment: Augment = field(default_factory=reading_augment)

    def at_step(self, step: int) -> None:
        """Nothing to do: the cubes are mapped, the vectors in memory."""

    def sample(self, step: int, slot: int) -> Sample:
        number = step * self.batch + slot
        turn, place = divmod(number, len(self.rows))
        order = np.random.default_rng([self.seed, turn, 0x63617365]).permutation(len(self.rows))
        row = int(self.rows[order[place]])
        seed = (self.seed, number, 0x76696577)
        if self.vectors is None:
            image = self.cubes[row].drawn(self.look, self.augment, seed)
        else:
            image = self.vectors[row, int(np.random.default_rng([*seed]).integers(self.vectors.shape[1]))]
        return Sample(arrays={"image": image} | {name: values[row] for name, values in self.targets.items()},
                      id=self.cubes[row].id)  # fmt: skip


def gather_cases(
    model: Model, look: Look, cubes: Sequence[Cube], *, views: int, seed: int, augment: Augment | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """What the encoder makes of every case, (N, V, F): the first view is plain, the others are drawn from the seed."""
    augment = augment or reading_augment()
    device = next(model.parameters()).device
    found = []
    for n, cube in enumerate(cubes):
        if progress is not None:
            progress(n, len(cubes), cube.id)
        drawn = [cube.drawn(look, augment, (seed, n, view, 0x76696577)) for view in range(1, views)]
        x = torch.from_numpy(np.stack([cube.plain(look), *drawn])).to(device)
        with torch.inference_mode():
            found.append(look.vector(model.unet, x).float().cpu().numpy())
    return np.stack(found)


def outputs_of(
    model: Model, head: str, cubes: Sequence[Cube], rows: NDArray[np.int64], vectors: NDArray[np.float32] | None = None
) -> Tensor:
    """The head's outputs (len(rows), n) for cases as they are, nothing drawn; from gathered vectors where there are any."""
    answering = model.heads[head]
    assert isinstance(answering, Head)
    look = answering.look
    assert look is not None
    device = next(model.parameters()).device
    with torch.inference_mode():
        if vectors is not None:
            out: Tensor = answering(torch.from_numpy(vectors[rows, 0]).to(device))
            return out.float().cpu()
        found = []
        for begin in range(0, len(rows), _BATCH):
            x = np.stack([cubes[int(row)].plain(look) for row in rows[begin : begin + _BATCH]])
            found.append(answering(look.vector(model.unet, torch.from_numpy(x).to(device))).float().cpu())
        return torch.cat(found)


def loss_on(task: CaseLearning, outputs: Tensor, targets: Targets, rows: NDArray[np.int64]) -> float:
    """The task's loss over some cases at once."""
    return float(task.loss(outputs, {name: torch.from_numpy(values[rows]) for name, values in targets.items()}))


def case_groups(model: Model, use: CaseUse, *, moving: bool, encoder_scale: float) -> list[dict[str, object]]:
    """Parameter groups: the head, and where the network moves the encoder levels that the head reads."""
    model.requires_grad_(False)
    groups: list[dict[str, object]] = [{"params": list(model.heads[use.head].requires_grad_(True).parameters()), "scale": 1.0}]
    if moving:
        read = [
            p for level in model.unet.encoder[: model.preset.features_from + 1] for p in level.requires_grad_(True).parameters()
        ]
        groups.append({"params": read, "scale": encoder_scale})
    return groups
