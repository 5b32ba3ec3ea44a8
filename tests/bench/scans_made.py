"""Small made-up scans and predictions for the tests of whole-scan evaluation."""

import numpy as np
from numpy.typing import NDArray

from panlesion.bench.held_out_scans import HeldOutScan, ScanJob
from panlesion.ct.organs import V1_LABELS
from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.infer.findings import Finding, Prediction, find
from panlesion.nets.classes import ANATOMY, LESIONS, lesion_class, pan_tumour_classes

SHAPE = (24, 20, 16)


def made_scan(job: ScanJob) -> HeldOutScan:
    """A liver in a box; the lesion, if any, is 6 x 6 x 6 voxels at 4."""
    grid = standard_grid(SHAPE, job.spacing_mm)
    hu = np.random.default_rng([job.body_seed(0)]).normal(50, 10, SHAPE).astype(np.int16)
    lesion = np.zeros(SHAPE, dtype=bool)
    lesion[4:10, 4:10, 4:10] = job.type is not None
    organs = np.full(SHAPE, V1_LABELS["liver"], dtype=np.uint8)
    return HeldOutScan(
        job=job, ct=Volume(hu=hu, grid=grid), organs=LabelMap(labels=organs, grid=grid), lesion=lesion, phase="portal",
        body_seed=job.body_seed(0), attempts=1,
    )  # fmt: skip


def seeing(
    ct: Volume, *boxes: tuple[tuple[slice, slice, slice], int, float]
) -> tuple[Prediction, NDArray[np.int32], list[Finding]]:
    """What `find_lesions` gives of a network that sees boxes of a lesion class with a probability."""
    types, probability = np.zeros(ct.hu.shape, dtype=np.uint8), np.full(ct.hu.shape, 0.1, dtype=np.float32)
    for where, kind, sure in boxes:
        types[where], probability[where] = kind, sure
    groups = {group.name: group.classes for group in pan_tumour_classes().groups}
    prediction = Prediction(
        grid=ct.grid, types=types, probability=probability, anatomy=np.full_like(types, 2), lesion_names=groups[LESIONS],
        anatomy_names=groups[ANATOMY],
    )  # fmt: skip
    return prediction, *find(prediction)


LESION_BOX = (slice(4, 9), slice(4, 10), slice(4, 10))
FALSE_BOX = (slice(18, 20), slice(2, 4), slice(2, 4))
MASS = lesion_class(None)
