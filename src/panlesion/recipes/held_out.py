"""Cases kept aside from fine-tuning: which, how well they are segmented, and what that looks like."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from panlesion.ct.standardise import restore, standardise
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.data.sources.labelled_check import UNKNOWN, CheckedCase, LabelClasses, on_one_grid
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.errors import TrainingError
from panlesion.measure.overlap import dice
from panlesion.nets.classes import LESIONS
from panlesion.nets.model import Model
from panlesion.nets.sliding import predict_logits
from panlesion.picture.comparison import Compared, comparison_sheet
from panlesion.picture.window import Window
from panlesion.train.finetune import Labelled

PREPARED_FOLDER = "prepared"

LEAST_PATIENTS = 4
"""With fewer, one kept aside would cost a third of the annotations or more; ours."""
ONE_IN, MOST_HELD_OUT = 5, 8
MOST_ROWS = 12
"""Of a picture; one a case and class."""


def default_count(patients: int) -> int:
    """Patients kept aside where nobody says how many: one in five, none below `LEAST_PATIENTS`, at most `MOST_HELD_OUT`."""
    return 0 if patients < LEAST_PATIENTS else min(MOST_HELD_OUT, max(1, patients // ONE_IN))


def choose_held_out(cases: Sequence[CheckedCase], *, patients: int | None, seed: int) -> tuple[str, ...]:
    """Ids of the cases of patients kept aside, drawn so that every class stays among those trained on.

    Healthy cases are never drawn: they have nothing to overlap with.

    Args:
        cases: All of them.
        patients: How many patients; None: `default_count`, or fewer where a class would be lost to training.
        seed: Of the draw.

    Raises:
        TrainingError: So many cannot be kept aside.
    """
    by_patient: dict[str, list[CheckedCase]] = {}
    for case in cases:
        by_patient.setdefault(case.patient, []).append(case)
    wanted = default_count(len(by_patient)) if patients is None else patients
    names = sorted(by_patient)
    order = [names[int(n)] for n in np.random.default_rng([seed, 0x68656C64]).permutation(len(names))]
    everything = {value for case in cases for value in case.values}
    chosen: list[str] = []
    for name in order:
        rest = {value for other in names if other not in (*chosen, name) for case in by_patient[other] for value in case.values}
        if len(chosen) < wanted and rest == everything and any(case.values for case in by_patient[name]):
            chosen.append(name)
    if patients is not None and len(chosen) < patients:
        raise TrainingError(
            f"{patients} of {len(names)} patients cannot be kept aside: every class must stay among the others, which allows "
            f"{len(chosen)}. Annotate more, or keep fewer with --validation"
        )
    return tuple(sorted(case.id for name in chosen for case in by_patient[name]))


def validation_dice(model: Model, cases: Sequence[Labelled]) -> dict[str, float]:
    """Mean Dice of each class over the cases that have it, at the model's spacing: the curve of a run."""
    found: dict[str, list[float]] = {}
    for case in cases:
        volume = Volume(hu=np.asarray(case.hu), grid=standard_grid(_shape(case.hu), model.info.spacing_mm))
        for name, score in class_dice(model, _classes_of(model, volume), np.asarray(case.target)).items():
            found.setdefault(name, []).append(score)
    return {name: float(np.mean(values)) for name, values in sorted(found.items())}


def mean_dice(scores: Mapping[str, float]) -> float:
    """Over classes."""
    return float(np.mean(list(scores.values())))


def class_dice(model: Model, predicted: NDArray[np.uint8], target: NDArray[np.uint8]) -> dict[str, float]:
    """Dice of every class that the target has; voxels nobody annotated count on neither side."""
    known = target != UNKNOWN
    names = model.classes.group(LESIONS).classes[1:]
    return {
        name: dice((predicted == index) & known, target == index)
        for index, name in enumerate(names, 1)
        if (target == index).any()
    }


def segment(model: Model, ct: Volume, *, progress: Callable[[int, int], None] | None = None) -> LabelMap:
    """Class indices on the CT's own grid."""
    standard = standardise(ct, model.info.spacing_mm)
    return restore(LabelMap(labels=_classes_of(model, standard, progress), grid=standard.grid), ct.grid)


def _classes_of(model: Model, standard: Volume, progress: Callable[[int, int], None] | None = None) -> NDArray[np.uint8]:
    with torch.inference_mode(), torch.autocast(next(model.parameters()).device.type, torch.bfloat16):
        labels: NDArray[np.uint8] = predict_logits(
            model, standard, reduce=lambda logits: logits.argmax(0, keepdim=True).to(torch.uint8), progress=progress
        )[0]
    return labels


def _shape(array: NDArray) -> tuple[int, int, int]:
    i, j, k = array.shape
    return (i, j, k)


@dataclass(frozen=True, kw_only=True)
class HeldOutScore:
    """Dice of each class of one held-out case, on the CT's own grid against the file's own label."""

    id: str
    patient: str
    dice: Mapping[str, float]
    truth_ml: Mapping[str, float]
    found_ml: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """A held-out case with what the network made of it."""

    score: HeldOutScore
    ct: Volume
    target: NDArray[np.uint8]
    predicted: NDArray[np.uint8]

    def compared(self) -> list[Compared]:
        """A row of the picture for each class that is there or was found, the larger one first."""
        score = self.score
        names = sorted(score.truth_ml, key=lambda name: -max(score.truth_ml[name], score.found_ml[name]))
        rows = []
        for name in names:
            index = list(score.truth_ml).index(name) + 1
            if score.truth_ml[name] or score.found_ml[name]:
                said = f"Dice {score.dice[name]:.2f}" if name in score.dice else "not annotated"
                volumes = f"{score.truth_ml[name]:.1f} ml annotated, {score.found_ml[name]:.1f} ml found"
                rows.append(
                    Compared(
                        image=self.ct, truth=self.target == index, found=self.predicted == index,
                        title=f"{score.id} · {name}", lines=(said, volumes),
                    )
                )  # fmt: skip
        return rows


def try_out(
    model: Model, case: LabelledCT, classes: LabelClasses, *, progress: Callable[[int, int], None] | None = None
) -> Trial:
    """Segment one case and compare it with its annotation."""
    one = on_one_grid(case)
    target = classes.target_of(one.label.labels)
    predicted = segment(model, one.ct, progress=progress).labels
    known, ml = target != UNKNOWN, one.ct.grid.voxel_ml
    indices = dict(enumerate(classes.names, 1))
    score = HeldOutScore(
        id=case.id,
        patient=case.patient,
        dice=class_dice(model, predicted, target),
        truth_ml={name: round(ml * int(np.count_nonzero(target == index)), 3) for index, name in indices.items()},
        found_ml={name: round(ml * int(np.count_nonzero((predicted == index) & known)), 3) for index, name in indices.items()},
    )
    return Trial(score=score, ct=one.ct, target=target, predicted=predicted)


def picture(rows: Sequence[Compared], *, title: str, window: Window) -> Image.Image:
    """The sheet of at most `MOST_ROWS` comparisons."""
    left = len(rows) - MOST_ROWS
    subtitle = f"the first {MOST_ROWS} of {len(rows)}" if left > 0 else ""
    return comparison_sheet(rows[:MOST_ROWS], title=title, subtitle=subtitle, window=window)
