"""`BenchTask`: a few-shot segmentation task, and the arms that can be compared on it."""

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import numpy as np

from panlesion.bench.case_readers import CaseReader
from panlesion.bench.case_store import LeftOut
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.errors import StoreError


class Arm(StrEnum):
    """What is compared: baselines, then the network, then networks of others."""

    BALL = "centre ball"
    THRESHOLD = "best threshold"
    ZERO = "no real label"
    SCRATCH = "scratch"
    FROZEN = "features frozen"
    FINETUNED = "fine-tuned"
    TRANSFERRED = "tuned on the related task first"
    NNUNET = "nnU-Net"
    RIVAL = "rival"
    VOLUME = "lesion volume"
    MAJORITY = "most frequent class"


class HasPatient(Protocol):
    """A case, opened or not."""

    @property
    def patient(self) -> str: ...


NETWORK_ARMS = (Arm.ZERO, Arm.SCRATCH, Arm.FROZEN, Arm.FINETUNED)
RIVAL_ARMS = (Arm.NNUNET, Arm.RIVAL)
"""What needs something that we do not ship: another environment, or weights of others."""


@dataclass(frozen=True, kw_only=True)
class BenchTask:
    """A segmentation task with its data's reader, which gives cases at `spacing_mm`, one at a time; Dice is taken on that grid.

    A `CaseReader` (`SourceReader`, `OwnReader`) reads any source or folder; reading goes on where it was cut.

    `start_from` is the pretrained lesion class that its head starts from. The network works at `network_mm`, by default the
    same spacing. On a `related` task of the same patients (their CTs, say) a network can be tuned first, on the training
    patients alone. So many `reserved` patients are never compared on: what is chosen for the task is chosen on them.
    """

    id: str
    read: Callable[..., Iterator[LabelledCT | LeftOut]] | CaseReader
    folder: str
    classes: tuple[str, ...]
    start_from: str
    spacing_mm: float
    network_mm: float | None = None
    baselines: tuple[Arm, ...] = (Arm.BALL,)
    reserved: int = 0
    related: "BenchTask | None" = None

    @property
    def working_mm(self) -> float:
        """Spacing the network works at."""
        return self.network_mm or self.spacing_mm

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Everything that is compared by default."""
        return (*self.baselines, *NETWORK_ARMS, *([Arm.TRANSFERRED] if self.related else []))

    def cases(self, root: Path) -> list[LabelledCT]:
        """All cases of the task below the folder that holds the datasets, in memory."""
        return [case for case in self.stream(root) if isinstance(case, LabelledCT)]

    def stream(self, root: Path, done: Set[str] = frozenset()) -> Iterator[LabelledCT | LeftOut]:
        """The cases that are not `done`, one at a time."""
        read = self.read.without(done) if isinstance(self.read, CaseReader) else self.read
        for case in read(root / self.folder, spacing_mm=self.spacing_mm):
            if case.id not in done:
                yield case

    def check_same(self, root: Path, held: Set[str]) -> None:
        """Refuse data that hold other cases than were read before.

        Raises:
            StoreError: Cases have come or gone; the message names some.
        """
        if isinstance(self.read, CaseReader):
            differing = sorted(set(self.read.ids(root / self.folder)) ^ held)
            if differing:
                raise StoreError(
                    f"{root / self.folder} holds other cases than the results began with ({', '.join(differing[:3])}, "
                    f"{len(differing)} in all); use another folder for results"
                )

    def at(self, network_mm: float) -> "BenchTask":
        """The same task with the network at another spacing."""
        return replace(self, network_mm=network_mm, related=self.related and self.related.at(network_mm))

    def patients(self, cases: Sequence[HasPatient], *, development: bool) -> list[str]:
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
