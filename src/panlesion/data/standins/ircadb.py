"""Cases written as 3D-IRCADb-01 is published: DICOM without file extension, a folder of masks for each structure."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from panlesion.data.sources.ircadb import CT, MASKS
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.standins._dicom import right_handed, write_masks, write_series

_NAMES = (("livertumor{:02d}", "liverkyste"), ("livertumor{}", "livercyst"))


def write_ircadb(root: Path, cases: Sequence[LabelledCT]) -> Path:
    """Values 1 liver, 2 tumour, 3 cyst. The liver's mask holds its lesions too, each tumour has a folder; bones lie beside.

    Folders of tumours and cysts are named in the set's several ways. "tumor" holds one outside the liver, as in patient 7.
    """
    for number, case in enumerate(map(right_handed, cases), 1):
        patient = root / f"3Dircadb1.{number}"
        series = write_series(patient / CT, case.ct, patient=patient.name, name="image_{}".format)
        labels = case.label.labels
        tumours, count = ndimage.label(labels == 2)
        tumour, cyst = _NAMES[number % 2]
        masks = {"liver": labels > 0, "bone": case.ct.hu > 200, "tumor": labels == 0}
        masks |= {tumour.format(n): tumours == n for n in range(1, count + 1)}
        masks |= {cyst: labels == 3} if (labels == 3).any() else {}
        for name, mask in masks.items():
            write_masks(patient / MASKS / name, np.asarray(mask), series, "image_{}".format)
    return root
