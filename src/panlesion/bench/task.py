"""`BenchTask`: a few-shot segmentation task, and the arms that can be compared on it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from panlesion.data.sources.labelled_ct import LabelledCT


class Arm(StrEnum):
    """What is compared: baselines, then the network, then networks of others."""

    BALL = "centre ball"
    THRESHOLD = "best threshold"
    ZERO = "no real label"
    SCRATCH = "scratch"
    FROZEN = "features frozen"
    FINETUNED = "fine-tuned"
    NNUNET = "nnU-Net"
    RIVAL = "rival"


NETWORK_ARMS = (Arm.ZERO, Arm.SCRATCH, Arm.FROZEN, Arm.FINETUNED)
RIVAL_ARMS = (Arm.NNUNET, Arm.RIVAL)
"""What needs something that we do not ship: another environment, or weights of others."""


@dataclass(frozen=True, kw_only=True)
class BenchTask:
    """A segmentation task with its data's reader, which gives cases at `spacing_mm`; Dice is taken on that grid.

    `start_from` is the pretrained lesion class that its head starts from. The network works at `network_mm`, by default the
    same spacing. So many `reserved` patients are never compared on: what is chosen for the task is chosen on them.
    """

    id: str
    read: Callable[..., Iterator[LabelledCT]]
    folder: str
    classes: tuple[str, ...]
    start_from: str
    spacing_mm: float
    network_mm: float | None = None
    baselines: tuple[Arm, ...] = (Arm.BALL,)
    reserved: int = 0

    @property
    def working_mm(self) -> float:
        """Spacing the network works at."""
        return self.network_mm or self.spacing_mm

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Everything that is compared by default."""
        return (*self.baselines, *NETWORK_ARMS)

    def cases(self, root: Path) -> list[LabelledCT]:
        """All cases of the task below the folder that holds the datasets."""
        return list(self.read(root / self.folder, spacing_mm=self.spacing_mm))

    def at(self, network_mm: float) -> "BenchTask":
        """The same task with the network at another spacing."""
        return replace(self, network_mm=network_mm)

    def patients(self, cases: Sequence[LabelledCT], *, development: bool) -> list[str]:
        """The patients that are compared on, or with `development` the reserved ones; the choice depends on their names alone.

        Raises:
            ValueError: `development` of a task that reserves no patients.
        """
        names = sorted({case.patient for case in cases})
        if development and not self.reserved:
            raise ValueError(f"{self.id} reserves no patients for choices; all of them are compared on")
        order = np.random.default_rng(0x72657376).permutation(len(names))
        reserved = {names[int(n)] for n in order[: self.reserved]}
        return [name for name in names if (name in reserved) == development]
