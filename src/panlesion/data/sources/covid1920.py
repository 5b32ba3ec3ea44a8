"""COVID-19-20 (Roth et al., Med Image Anal 2022): lesions of COVID-19 in chest CTs. Only `Train/` has labels.

A name's tail, as in `volume-covid19-A-0047_1` or `…_day008`, tells scans of one patient apart.
"""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from panlesion.data.sources._layout import every, folder_with, partners, read_published
from panlesion.data.sources.source import FoundCase, Source

VALUES = MappingProxyType({1: "lesion"})
_IMAGE = re.compile(r"(volume-covid19-A-\d{4}\w*?)_ct\.nii\.gz")
_LABEL = re.compile(r"(volume-covid19-A-\d{4}\w*?)_seg\.nii\.gz")
_LAYOUT = "Train/volume-covid19-A-0003_ct.nii.gz with Train/volume-covid19-A-0003_seg.nii.gz"


def _find(root: Path) -> Sequence[FoundCase]:
    folder = folder_with(root, "volume-covid19-A-*_seg.nii.gz", ("Train", "*/Train"), _LAYOUT)
    images = every(folder, "*_ct.nii.gz", _IMAGE, _LAYOUT)
    pairs = partners(folder, images, every(folder, "*_seg.nii.gz", _LABEL, _LAYOUT), _LAYOUT)
    return [FoundCase(id=name, patient=name.partition("_")[0], image=image, label=label) for name, image, label in pairs]


COVID1920 = Source(
    id="covid1920",
    title="COVID-19-20: lesions of COVID-19 in the lung",
    classes=tuple(VALUES.values()),
    lesions=("lesion",),
    licence="terms of the challenge; images CC BY 4.0 (TCIA, CT Images in COVID-19)",
    get="COVID-19-20_v2.zip from https://covid-segmentation.grand-challenge.org/COVID-19-20/ (registration)",
    layout=_LAYOUT,
    find=_find,
    read=partial(read_published, values=VALUES),
    published=199,
)
