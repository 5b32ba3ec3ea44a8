"""ATLAS (Quinton et al., Data 2023): liver and its tumours in contrast-enhanced T1 MR, one scan a patient, the phases mixed.

Image n is `imN`, its label `lbN`; only the training part has labels.
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from panlesion.ct.modality import Modality
from panlesion.data.sources._layout import every, folder_with, partners, read_published
from panlesion.data.sources.source import FoundCase, Source

VALUES = MappingProxyType({1: "liver", 2: "tumor"})
_IMAGE = re.compile(r"im(\d+)\.nii\.gz")
_LABEL = re.compile(r"lb(\d+)\.nii\.gz")
_LAYOUT = "atlas-train-dataset-1.0.1/train/imagesTr/im0.nii.gz with atlas-train-dataset-1.0.1/train/labelsTr/lb0.nii.gz"


def _find(root: Path) -> Sequence[FoundCase]:
    folder = folder_with(root, "labelsTr", ("train", "atlas-train-dataset-*/train"), _LAYOUT)
    pairs = partners(
        folder,
        every(folder / "imagesTr", "*", _IMAGE, _LAYOUT),
        every(folder / "labelsTr", "*", _LABEL, _LAYOUT),
        _LAYOUT,
    )
    return [
        FoundCase(id=f"im{number}", patient=f"im{number}", image=image, label=label, modality=Modality.MR)
        for number, image, label in sorted(pairs, key=lambda pair: int(pair[0]))
    ]


ATLAS_LIVER = Source(
    id="atlas_liver",
    title="ATLAS: tumours of the liver in T1 MR",
    classes=tuple(VALUES.values()),
    lesions=("tumor",),
    licence="CC BY-NC-SA 4.0",
    get="the training set of https://atlas-challenge.u-bourgogne.fr (registration)",
    layout=_LAYOUT,
    find=_find,
    read=partial(read_published, values=VALUES),
    published=60,
)
