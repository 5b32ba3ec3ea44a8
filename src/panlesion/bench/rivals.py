"""Networks that others pretrained, fine-tuned as ours are: same patients, steps, patches, augmentation, loss and optimiser."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panlesion.ct.intensity import to_hu
from panlesion.errors import MissingExtraError
from panlesion.nets.classes import LESIONS, Classes, ClassGroup
from panlesion.nets.foreign import LAYOUTS, Foreign, ForeignKind, read_foreign
from panlesion.nets.model import Intensity, Model
from panlesion.train.finetune import Finetune, Labelled, LabelledSource, finetune_segment
from panlesion.train.loop import Sample, fit
from panlesion.train.tasks.segment import Segment


@dataclass(frozen=True, kw_only=True)
class Rival:
    """A file of weights, and what layout it has."""

    path: Path
    kind: ForeignKind

    @classmethod
    def named(cls, path: Path | None, kind: str | None) -> "Rival":
        """The rival that a command's options name.

        Raises:
            MissingExtraError: No file; the message says what to download.
            ValueError: No kind, or one there is not.
        """
        kinds = ", ".join(ForeignKind)
        if kind is not None and kind not in list(ForeignKind):
            raise ValueError(f"--rival-kind is {kind!r}; use one of {kinds}")
        if path is None:
            asked = [ForeignKind(kind)] if kind is not None else list(ForeignKind)
            files = "; ".join(f"{one}: {LAYOUTS[one].title}. Get {LAYOUTS[one].get}" for one in asked)
            raise MissingExtraError(
                f"the arm rival needs weights, which are not shipped: --rival FILE --rival-kind KIND. {files}"
            )
        if kind is None:
            raise ValueError(f"--rival {path} has no --rival-kind; a file does not say what it is. Use one of {kinds}")
        return cls(path=path, kind=ForeignKind(kind))

    def model(self, classes: Sequence[str], *, spacing_mm: float, seed: int) -> Model:
        """The network with a fresh head for a task's classes.

        Raises:
            CheckpointError: As `read_foreign`.
        """
        group = ClassGroup(name=LESIONS, classes=("none", *classes))
        return read_foreign(self.path, self.kind, Classes(groups=(group,)), spacing_mm=spacing_mm, seed=seed)


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnIntensity:
    """Patches as ours are drawn and augmented, then through another network's intensity map.

    Augmentation works on our map's 0 … 1 and therefore clips at -1000 and 1000 HU, which no map of a rival exceeds.
    """

    source: LabelledSource
    intensity: Intensity

    def at_step(self, step: int) -> None:
        self.source.at_step(step)

    def sample(self, step: int, slot: int) -> Sample:
        one = self.source.sample(step, slot)
        image = np.interp(to_hu(one.arrays["image"]), self.intensity.hu, self.intensity.network).astype(np.float32)
        return Sample(arrays={**one.arrays, "image": image}, id=one.id)


def tune_rival(model: Model, cases: Sequence[Labelled], config: Finetune, out: Path) -> Model:
    """Train a rival on annotated CTs; all of its weights move. `out` holds the resumable state.

    Start and end are not averaged, as for a network from scratch: half of a random head only spoils the trained one.

    Raises:
        TrainingError: As `fit` does.
    """
    config = config.starting_anew()
    if not isinstance(model, Foreign):
        return finetune_segment(model, cases, config, out)
    if not cases:
        raise ValueError("cases is empty; fine-tuning needs at least one annotated CT")
    source = OwnIntensity(source=LabelledSource(cases=cases, config=config), intensity=model.intensity)
    return fit(model, Segment(classes=model.classes), source, config.fit, out)
