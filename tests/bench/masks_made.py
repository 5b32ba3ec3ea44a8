"""Folders of masks for tests: boxes of values 1 and 2, predicted a voxel off."""

from pathlib import Path

import numpy as np

from panlesion.ct.nifti import write_labels
from panlesion.ct.volume import LabelMap, standard_grid

SHAPE, SPACING_MM = (20, 18, 16), 2.0
VALUES = (1, 2)


def drawn(seed, values=VALUES, shift=0):
    """A label map with a box for each value; prediction and truth of one seed differ by `shift` voxels."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for value, first in zip(VALUES, (2, 11), strict=True):
        side = rng.integers(3, 6, 3)
        if value in values:
            labels[first + shift : first + shift + side[0], 4 : 4 + side[1], 4 : 4 + side[2]] = value
    return LabelMap(labels=labels, grid=standard_grid(SHAPE, SPACING_MM, (float(seed), 5.0, -40.0)))


def write_folders(root, count=4, shift=1):
    """`predicted` and `truth` below root, `case_0.nii.gz` and so on in each."""
    folders = Path(root) / "predicted", Path(root) / "truth"
    for folder, moved in zip(folders, (shift, 0), strict=True):
        folder.mkdir(parents=True)
        for seed in range(count):
            write_labels(folder / f"case_{seed}.nii.gz", drawn(seed, shift=moved))
    return folders
