"""Pancreas-CT of the NIH (Roth et al., MICCAI 2015; TCIA): portal-venous CTs of people without a lesion of the pancreas.

Images are DICOM, labels NIfTI. The arrays of the labels count columns, rows and slices as the DICOM does, feet to head, but
their headers count the rows the other way: placed by its header, a label is mirrored front to back. It is not used.
Cases 25 and 70 were withdrawn (repeated scans); their labels, and images of old downloads, are passed over.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from panlesion.ct.nifti import read_labels
from panlesion.ct.volume import LabelMap
from panlesion.data.sources._layout import every, folder_with, known, partners, read_image
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import ReadError, about

VALUES = MappingProxyType({1: "pancreas"})
WITHDRAWN = frozenset({"0025", "0070"})
_IMAGE = re.compile(r"PANCREAS_(\d{4})")
_LABEL = re.compile(r"label(\d{4})\.nii(?:\.gz)?")
_LAYOUT = "Pancreas-CT/PANCREAS_0001/<study>/<series>/*.dcm, TCIA_pancreas_labels-02-05-2017/label0001.nii.gz"


def _find(root: Path) -> Sequence[FoundCase]:
    images = every(folder_with(root, "PANCREAS_*", ("*", "*/*"), _LAYOUT), "PANCREAS_*", _IMAGE, _LAYOUT)
    labels = every(folder_with(root, "label*.nii*", ("*", "*/*"), _LAYOUT), "label*.nii*", _LABEL, _LAYOUT)
    for found in (images, labels):
        for number in WITHDRAWN & found.keys():
            del found[number]
    return [
        FoundCase(id=f"PANCREAS_{number}", patient=f"PANCREAS_{number}", image=image, label=label)
        for number, image, label in partners(root, images, labels, _LAYOUT)
    ]


def _read(case: FoundCase) -> LabelledCT:
    assert case.label is not None
    with about(case.id):
        ct = read_image(case)
        label = known(read_labels(case.label), VALUES, case.label)
        if label.grid.shape != ct.grid.shape:
            raise ReadError(
                f"{case.label}: {label.grid.shape} voxels, the DICOM in {case.image} has {ct.grid.shape}; they must be equal. "
                "Download the images of this case again"
            )
        return LabelledCT(id=case.id, patient=case.patient, ct=ct, label=LabelMap(labels=label.labels, grid=ct.grid))


PANCREAS_CT = Source(
    id="pancreas_ct",
    title="NIH Pancreas-CT: the pancreas, no lesion in it",
    classes=tuple(VALUES.values()),
    lesions=(),
    licence="CC BY 3.0",
    get="images and labels of https://doi.org/10.7937/K9/TCIA.2016.tNB1kqBU",
    layout=_LAYOUT,
    find=_find,
    read=_read,
    published=80,
)
