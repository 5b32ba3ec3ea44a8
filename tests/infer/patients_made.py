"""A drawn patient with one liver tumour and one kidney cyst, and a network that sees them as they are."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from panlesion.ct.standardise import standardise, standardise_labels
from panlesion.ct.volume import LabelMap, Volume
from panlesion.infer.findings import Finding, Prediction, Watch, body_box, find
from panlesion.lesion.taxonomy import LesionType
from panlesion.nets.classes import ANATOMY, LESIONS, anatomy_table, lesion_class, pan_tumour_classes
from panlesion.phantom.phantom import make_phantom
from panlesion.synth.compose import LESION, make_case
from panlesion.synth.draw import Wanted
from panlesion.synth.host import Host

TYPES = (LesionType.LIVER_TUMOR, LesionType.KIDNEY_CYST)


@dataclass(frozen=True, kw_only=True, eq=False)
class MadePatient:
    """`lesions` (I, J, K) is 1 for the tumour, 2 for the cyst."""

    ct: Volume
    organs: LabelMap
    lesions: LabelMap


def made_patient(seed: int = 3, spacing_mm: float = 2.5) -> MadePatient:
    """An abdomen with both lesions."""
    phantom = make_phantom(seed, spacing_mm=spacing_mm, shape=(112, 96, 96), centre="liver")
    ct, organs = phantom.ct, phantom.organs
    labels = np.zeros(ct.hu.shape, dtype=np.uint8)
    for number, type_ in enumerate(TYPES, 1):
        case = make_case(
            Host.of("made", ct, organs), [type_], np.random.default_rng(seed), wanted=Wanted(diameter_mm=(24.0, 32.0))
        )
        ct, organs = case.image, case.organs
        labels[(case.label.labels == LESION) & (labels == 0)] = number
    return MadePatient(ct=ct, organs=organs, lesions=LabelMap(labels=labels, grid=ct.grid))


def seeing_all(patient: MadePatient, probabilities: tuple[float, float] = (0.9, 0.6)):
    """`find_lesions` of a network that marks both lesions and knows all organs."""
    groups = {group.name: group.classes for group in pan_tumour_classes().groups}

    def find_lesions(
        _model: object, ct: Volume, *, watch: Watch | None = None, **_options: object
    ) -> tuple[Prediction, NDArray[np.int32], list[Finding]]:
        spacing = ct.grid.spacing_mm[0]
        lesions = standardise_labels(patient.lesions, spacing)
        organs = standardise_labels(patient.organs, spacing)
        assert standardise(patient.ct, spacing).grid.shape == ct.grid.shape
        types, probability = np.zeros(lesions.labels.shape, np.uint8), np.zeros(lesions.labels.shape, np.float32)
        for number, (type_, sure) in enumerate(zip(TYPES, probabilities, strict=True), 1):
            types[lesions.labels == number], probability[lesions.labels == number] = lesion_class(type_), sure
        prediction = Prediction(
            grid=ct.grid, types=types, probability=probability, anatomy=anatomy_table()[organs.labels],
            lesion_names=groups[LESIONS], anatomy_names=groups[ANATOMY],
        )  # fmt: skip
        show(prediction, ct, watch)
        return prediction, *find(prediction)

    return find_lesions


def show(prediction: Prediction, ct: Volume, watch: Watch | None) -> None:
    """Let `watch` see logits that say what the prediction does."""
    box = body_box(ct)
    if watch is None or box.empty:
        return
    groups = ((prediction.anatomy, len(prediction.anatomy_names)), (prediction.types, len(prediction.lesion_names)))
    for first in range(0, box.shape[0], 4):
        planes = [
            functional.one_hot(torch.from_numpy(labels[box.slices][first : first + 4].astype(np.int64)), count)
            for labels, count in groups
        ]
        watch(first, 10.0 * torch.cat(planes, dim=-1).movedim(-1, 0).float())
