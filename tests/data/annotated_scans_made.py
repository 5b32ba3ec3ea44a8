"""Small scans with a ball for each class, as annotated cases, and the changes by which tests spoil their files."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom

from panlesion.ct.volume import LabelMap, Volume, standard_grid
from panlesion.data.sources.labelled_ct import LabelledCT

SHAPE = (18, 20, 21)


def scan(classes: int = 1, seed: int = 0, *, shape=SHAPE, spacing_mm: float = 2.0) -> LabelledCT:
    """Value n is a ball of class n; no flip or swap of axes leaves the label alone."""
    rng = np.random.default_rng(seed)
    ijk = np.indices(shape).transpose(1, 2, 3, 0)
    middle = np.array(shape) / 2
    hu = np.where(np.linalg.norm((ijk - middle)[..., :2] / middle[:2], axis=-1) < 0.95, 30.0, -1000.0)
    hu = np.clip(hu + rng.normal(0, 8, shape), -1024, None)
    labels = np.zeros(shape, dtype=np.uint8)
    for n in range(classes):
        centre = middle + np.array([3 - 2 * n, 2 - 1.5 * n, 2.5 * n - 3])
        labels[np.linalg.norm((ijk - centre) / (1, 1.2, 1), axis=-1) < 2.3] = n + 1
    hu[labels > 0] += 60
    grid = standard_grid(shape, spacing_mm, (20.0, -15.0, 40.0 + seed))
    ct, label = Volume(hu=hu.astype(np.int16), grid=grid), LabelMap(labels=labels, grid=grid)
    return LabelledCT(id=f"c{seed}", patient=f"c{seed}", ct=ct, label=label)


def scans(count: int, classes: int = 1, **how) -> list[LabelledCT]:
    return [scan(classes, seed, **how) for seed in range(count)]


def same_case(read: LabelledCT, drawn: LabelledCT) -> bool:
    """Whether a case that was written and read is the one that was drawn: its voxels, their places, its label."""
    return (
        read.ct.grid.same_as(drawn.ct.grid)
        and read.label.grid.same_as(drawn.ct.grid)
        and np.array_equal(read.ct.hu, drawn.ct.hu)
        and np.array_equal(read.label.labels, drawn.label.labels)
    )


def rewrite(path: Path, change: Callable[[pydicom.Dataset], None]) -> None:
    """Change a DICOM file in place."""
    ds = pydicom.dcmread(path)
    change(ds)
    ds.save_as(path)
