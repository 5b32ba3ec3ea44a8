"""Small drawn scans with one ball for each class: enough to run a reader or a whole benchmark row, not to learn from."""

from collections.abc import Sequence

import numpy as np

from panlesion.ct.modality import Modality
from panlesion.ct.volume import Index3, LabelMap, Volume, standard_grid
from panlesion.data.sources.labelled_ct import LabelledCT

_AIR_HU, _BODY_HU, _FAT_HU = -1000, 40, -100
_NOISE_HU = 12.0


def draw_case(
    id: str,
    classes: Sequence[str],
    seed: int,
    *,
    shape: Index3 = (36, 40, 30),
    spacing_mm: float = 2.5,
    modality: Modality = Modality.CT,
) -> LabelledCT:
    """A body with fat around it and a ball for each class, spread along a helix; value n + 1 is `classes[n]`.

    An MR is drawn on the scale that `ct.mr` maps to: positive only, so that its file can hold brightness.
    """
    rng = np.random.default_rng((seed, len(classes)))
    offset = np.indices(shape).transpose(1, 2, 3, 0) - (np.array(shape) - 1) / 2
    radius = np.linalg.norm(offset[..., :2] / (np.array(shape[:2]) * 0.45), axis=-1)
    hu = np.where(radius > 1, _AIR_HU, np.where(radius > 0.85, _FAT_HU, _BODY_HU)) + rng.normal(0, _NOISE_HU, shape)
    labels = np.zeros(shape, dtype=np.uint8)
    turn = rng.uniform(0, 2 * np.pi)
    for number in range(len(classes)):
        angle, height = turn + 2.4 * number, (number + 0.5) / len(classes) - 0.5
        reach = 0.22 * min(shape[:2])
        centre = (reach * np.cos(angle), reach * np.sin(angle), height * 0.7 * shape[2])
        ball = np.linalg.norm(offset - centre, axis=-1) < max(1.5, 0.12 * min(shape))
        labels[ball & (labels == 0)] = number + 1
        hu[ball] += 60 if number % 2 else -60
    if modality is Modality.MR:
        hu = np.clip(hu - _AIR_HU, 0, None)
    grid = standard_grid(shape, spacing_mm, (float(seed), -40.0, 15.0))
    return LabelledCT(
        id=id, patient=id, ct=Volume(hu=np.rint(hu).astype(np.int16), grid=grid), label=LabelMap(labels=labels, grid=grid)
    )
