"""Host folders for the tests of this room."""

import numpy as np

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.volume import LabelMap, Volume, standard_grid

SPACING_MM = 3.0


def write_hosts(folder, count=3, shape=(64, 50, 48)):
    """Blocks of liver (5) and kidney (v2 numbering: 2) in fat, at 3 mm, axes RAS; enough ml for both systems."""
    for number in range(count):
        rng = np.random.default_rng(number)
        grid = standard_grid(shape, SPACING_MM, (90.0, 70.0, -60.0 + number))
        organs = np.zeros(shape, dtype=np.uint8)
        organs[6:30, 8:40, 10:36] = 5
        organs[40:52, 20:34, 8:26] = 2
        organs[30:34, 20:26, 4:40] = 52  # aorta in v2 numbering
        hu = np.where(organs > 0, 60, -100) + rng.normal(0, 12, shape)
        (folder / f"h{number}").mkdir(parents=True)
        write_volume(folder / f"h{number}" / "ct.nii.gz", Volume(hu=hu.astype(np.int16), grid=grid))
        write_labels(folder / f"h{number}" / "organs.nii.gz", LabelMap(labels=organs, grid=grid))
