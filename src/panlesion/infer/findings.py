"""Where a network sees lesions in one CT: of which type, how large, how sure, in which organ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from panlesion.ct.body import TISSUE_HU, body_mask
from panlesion.ct.modality import Modality
from panlesion.ct.volume import Box, Grid, Vector3, Volume
from panlesion.lesion.taxonomy import TYPES
from panlesion.measure.detection import components, mean_of_components
from panlesion.measure.touching import lobes
from panlesion.nets.candidates import candidate_probabilities
from panlesion.nets.classes import ANATOMY, LESIONS
from panlesion.nets.engines import TorchEngine
from panlesion.nets.model import Model
from panlesion.nets.sliding import Engine, Progress, check_standard, stream_logits

OVERLAP = 0.25
"""Of windows: half the cost of one half. Ours; docs/why/evaluation.md has the difference."""

_MARGIN_VOXELS = 8

Watch = Callable[[int, Tensor], None]
"""Sees finished planes of logits (C, planes, J, K) and the index of the first, such as `nets.restore.Restorer.add`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """What a network says of every voxel (I, J, K) of a CT on `grid`.

    `types` uint8 is the most probable lesion class, 0 none; `probability` float32 that of any lesion; `anatomy` uint8 the
    most probable anatomy class, 0 where the network has none.
    """

    grid: Grid
    types: NDArray[np.uint8]
    probability: NDArray[np.float32]
    anatomy: NDArray[np.uint8]
    lesion_names: tuple[str, ...]
    anatomy_names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One 26-connected part of what is predicted as lesions of one organ system; `type` is that of most of its voxels.

    `score` is the mean probability of a lesion in its voxels, `peak` the largest; `anatomy` the predicted organ of most voxels.
    `probability` is that of the whole part being a lesion, from the model's detection head; None without one.
    """

    type: str
    voxels: int
    volume_ml: float
    score: float
    peak: float
    centre_xyz: Vector3
    anatomy: str
    probability: float | None = None

    @property
    def certainty(self) -> float:
        """What findings are ranked and thresholded by: the probability, or the score where there is none."""
        return self.score if self.probability is None else self.probability


def find_lesions(
    model: Model,
    ct: Volume,
    *,
    overlap: float = OVERLAP,
    engine: Engine | None = None,
    skip_air: bool = False,
    watch: Watch | None = None,
    progress: Progress | None = None,
) -> tuple[Prediction, NDArray[np.int32], list[Finding]]:
    """The prediction of a CT, its numbered parts (I, J, K), and what each part is, looked at twice where the model can.

    Arguments are those of `predict_scan`; the second look is torch's in bfloat16, whatever the engine.

    Raises:
        GeometryError: The CT is not on the standard frame at the model's spacing.
    """
    prediction = predict_scan(model, ct, overlap=overlap, engine=engine, skip_air=skip_air, watch=watch, progress=progress)
    labels, findings = find(prediction)
    sure = candidate_probabilities(model, ct, labels)
    if sure is not None:
        findings = [replace(one, probability=float(p)) for one, p in zip(findings, sure, strict=True)]
    return prediction, labels, findings


def body_box(ct: Volume, modality: Modality = Modality.CT) -> Box:
    """What `predict_scan` predicts: the box around everything denser than air, grown; empty where there is nothing.

    Of an MR it is all there is: far from a coil tissue is as dark as air.
    """
    if modality is Modality.MR:
        return Box(start=(0, 0, 0), stop=ct.hu.shape)
    return Box.of(ct.hu > TISSUE_HU).grown(_MARGIN_VOXELS).clipped(ct.hu.shape)


def predict_scan(
    model: Model,
    ct: Volume,
    *,
    overlap: float = OVERLAP,
    engine: Engine | None = None,
    skip_air: bool = False,
    watch: Watch | None = None,
    progress: Progress | None = None,
) -> Prediction:
    """Predict a CT on the model's grid; what lies outside `body_box` is none.

    Args:
        model: Where it is.
        ct: On the model's grid.
        overlap: Of windows.
        engine: By default torch in bfloat16, as training runs.
        skip_air: Outside `ct.body.body_mask` everything is none, and windows without any of it are not computed; not on MR.
        watch: Is shown the logits of `body_box`; only here do they exist.
        progress: Called with windows done and windows in all.

    Raises:
        GeometryError: The CT is not on the standard frame at the model's spacing.
    """
    check_standard(ct, model.info.spacing_mm)
    modality = model.info.modality
    box = body_box(ct, modality)
    groups = {group.name: group.classes for group in model.info.classes.groups}
    types, anatomy = (np.zeros(ct.hu.shape, dtype=np.uint8) for _ in range(2))
    probability = np.zeros(ct.hu.shape, dtype=np.float32)
    maps: tuple[NDArray, ...] = (types, probability, anatomy)
    if not box.empty:
        inside, keep = ct.crop(box), _kept(model)
        body = body_mask(ct)[box.slices] if skip_air and modality is Modality.CT else None
        with torch.inference_mode():
            run = engine or TorchEngine(model, bf16=True)
            for first, planes in stream_logits(model, inside, overlap=overlap, engine=run, body=body, progress=progress):
                if watch is not None:
                    watch(first, planes)
                for whole, part in zip(maps, keep(planes), strict=True):
                    whole[box.slices][first : first + planes.shape[1]] = part.cpu().numpy()
    return Prediction(
        grid=ct.grid,
        types=types,
        probability=probability,
        anatomy=anatomy,
        lesion_names=groups[LESIONS],
        anatomy_names=groups.get(ANATOMY, ("background",)),
    )


def _kept(model: Model) -> Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]:
    """Of all logits: lesion class, probability of any lesion, anatomy class."""
    classes = model.info.classes
    lesions = classes.channels(LESIONS)
    anatomy = classes.channels(ANATOMY) if any(group.name == ANATOMY for group in classes.groups) else None

    def keep(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mine = logits[lesions]
        any_lesion = -torch.expm1(mine[0] - mine.logsumexp(0))
        # `max` finds the index three times faster than `argmax`.
        organ = torch.zeros_like(any_lesion) if anatomy is None else logits[anatomy].max(0).indices
        return mine.max(0).indices, any_lesion, organ

    return keep


def find(prediction: Prediction) -> tuple[NDArray[np.int32], list[Finding]]:
    """Numbered parts (I, J, K), 1 … n, and the finding of each in that order.

    A tumour and the cyst in it are one part; a lesion and a false mark of another organ beside it are two, as are lesions of
    two organs that touch. Of 59 drawn lesions so many more are hit (docs/why/evaluation.md).
    """
    labels, count = _parts(prediction)
    return labels, described(prediction, labels, count)


def parted(
    prediction: Prediction, labels: NDArray[np.int32], findings: Sequence[Finding]
) -> tuple[NDArray[np.int32], list[Finding]]:
    """The same, but what has a neck is as many findings as it has lobes, each as probable as the whole was.

    The second look and its operating points know whole parts, so this comes after them.
    """
    fresh, count = np.zeros_like(labels), 0
    whole: list[int] = []
    boxes = cast(Sequence[tuple[slice, ...] | None], ndimage.find_objects(labels, max_label=len(findings)))
    for number, slices in enumerate(boxes):
        assert slices is not None  # every finding has a voxel
        mask = labels[slices] == number + 1
        lobed, lobe_count = lobes(mask, prediction.grid.spacing_mm)
        fresh[slices][mask] = lobed[mask] + count
        count += lobe_count
        whole += [number] * lobe_count
    found = described(prediction, fresh, count)
    sure = [(findings[n].score, findings[n].probability) for n in whole]
    return fresh, [replace(one, score=score, probability=p) for one, (score, p) in zip(found, sure, strict=True)]


def described(prediction: Prediction, labels: NDArray[np.int32], count: int) -> list[Finding]:
    """What each numbered part (I, J, K), 1 … `count`, is; every number must have a voxel."""
    where = np.nonzero(labels)
    which = labels[where] - 1
    voxels = np.bincount(which, minlength=count)
    probability = prediction.probability[where]
    peaks = np.zeros(count)
    np.maximum.at(peaks, which, probability)
    types = _most(which, prediction.types[where], count, len(prediction.lesion_names))
    organs = _most(which, prediction.anatomy[where], count, len(prediction.anatomy_names))
    middle = np.stack([np.bincount(which, weights=axis, minlength=count) for axis in where], axis=-1) / voxels[:, None]
    centres = prediction.grid.to_xyz(middle) if count else middle
    scores = mean_of_components(labels, count, prediction.probability)
    found = []
    for n in range(count):
        x, y, z = centres[n].tolist()
        found.append(
            Finding(
                type=prediction.lesion_names[types[n]],
                voxels=int(voxels[n]),
                volume_ml=float(voxels[n]) * prediction.grid.voxel_ml,
                score=float(scores[n]),
                peak=float(peaks[n]),
                centre_xyz=(x, y, z),
                anatomy=prediction.anatomy_names[organs[n]],
            )
        )
    return found


def _parts(prediction: Prediction) -> tuple[NDArray[np.int32], int]:
    """Components of the types of every organ system by themselves; a class that is no type of ours is one by itself."""
    systems = {type_.value: traits.system.value for type_, traits in TYPES.items()}
    family = np.array([systems.get(name, name) for name in prediction.lesion_names])
    labels, count = np.zeros(prediction.types.shape, dtype=np.int32), 0
    for one in dict.fromkeys(family[1:].tolist()):
        mine, more = components((family == one)[prediction.types] & (prediction.types > 0))
        labels[mine > 0] = mine[mine > 0] + count
        count += more
    return labels, count


def _most(which: NDArray, values: NDArray, count: int, classes: int) -> NDArray[np.int64]:
    """The most frequent value in each part."""
    table = np.bincount(which.astype(np.int64) * classes + values, minlength=count * classes)
    return table.reshape(count, classes).argmax(axis=1)
