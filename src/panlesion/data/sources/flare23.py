"""FLARE 2023 (Ma et al. 2024): 13 abdominal organs and lesions of any kind, in scans of many centres.

Only parts of the 2200 training cases are annotated, others in each: organs alone, lesions alone, or both. What a label does
not hold may be there all the same, and not every lesion was drawn. `labelsTr2200/20230507-fix/` corrects labels of the first
release. Of the 100 validation cases 50 have a label, with everything annotated.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType

from panlesion.data.sources._layout import every, folder_with, listed, matching, partners, read_published, wrong_tree
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.source import FoundCase, Source

VALUES = MappingProxyType(
    dict(
        enumerate(
            (
                "liver", "right_kidney", "spleen", "pancreas", "aorta", "inferior_vena_cava", "right_adrenal_gland",
                "left_adrenal_gland", "gallbladder", "esophagus", "stomach", "duodenum", "left_kidney", "lesion",
            ),
            1,
        )
    )
)  # fmt: skip
FIXES = "20230507-fix"
_IMAGES, _LABELS = "imagesTr2200", "labelsTr2200"
_TEST_IMAGES, _TEST_LABELS = "validation", "val-gt-50cases-for-sanity-check"
_IMAGE = re.compile(r"(FLARE23(?:Ts)?_\d{4})_0000\.nii\.gz")
_LABEL = re.compile(r"(FLARE23(?:Ts)?_\d{4})\.nii\.gz")
_LAYOUT = f"{_IMAGES}/FLARE23_0001_0000.nii.gz, {_LABELS}/FLARE23_0001.nii.gz, corrected labels in {_LABELS}/{FIXES}/"
_TEST_LAYOUT = f"{_TEST_IMAGES}/FLARE23Ts_0001_0000.nii.gz, {_TEST_LABELS}/FLARE23Ts_0001.nii.gz"


@dataclass(frozen=True, kw_only=True, eq=False)
class PartlyLabelledCT(LabelledCT):
    """A CT whose label holds the classes of `annotated` and says nothing of the others."""

    annotated: frozenset[str]


def _find(root: Path) -> Sequence[FoundCase]:
    folder = folder_with(root, _LABELS, ("*",), _LAYOUT)
    images = every(folder / _IMAGES, "*.nii.gz", _IMAGE, _LAYOUT)
    labels = every(folder / _LABELS, "*.nii.gz", _LABEL, _LAYOUT)
    fixed = matching(folder / _LABELS / FIXES, _LABEL)
    if unknown := sorted(fixed.keys() - images.keys()):
        raise wrong_tree(folder, f"{FIXES} corrects {listed(unknown)}, which have no image; unpack the images again", _LAYOUT)
    return _cases(folder, images, labels | fixed, _LAYOUT)


def _find_test(root: Path) -> Sequence[FoundCase]:
    folder = folder_with(root, _TEST_LABELS, ("*",), _TEST_LAYOUT)
    labels = every(folder / _TEST_LABELS, "*.nii.gz", _LABEL, _TEST_LAYOUT)
    # half of the images were published without a label
    images = {name: path for name, path in matching(folder / _TEST_IMAGES, _IMAGE).items() if name in labels}
    return _cases(folder, images, labels, _TEST_LAYOUT)


def _cases(folder: Path, images: dict[str, Path], labels: dict[str, Path], layout: str) -> Sequence[FoundCase]:
    pairs = partners(folder, images, labels, layout)
    return [FoundCase(id=name, patient=name, image=image, label=label) for name, image, label in pairs]


def _read(case: FoundCase) -> PartlyLabelledCT:
    read = read_published(case, values=VALUES)
    return PartlyLabelledCT(
        id=read.id,
        patient=read.patient,
        ct=read.ct,
        label=read.label,
        annotated=frozenset(VALUES[value] for value in read.label.values),
    )


_GET = "https://codalab.lisn.upsaclay.fr/competitions/12239#learn_the_details-dataset (registration)"
_LICENCE = "terms of the challenge, research only; each scan also has the licence of the set it is from"

FLARE23 = Source(
    id="flare23",
    title="FLARE 2023: lesions of the abdomen, partly annotated",
    classes=tuple(VALUES.values()),
    lesions=("lesion",),
    licence=_LICENCE,
    get=_GET,
    layout=_LAYOUT,
    find=_find,
    read=_read,
    published=2200,
)
FLARE23_VALIDATION = Source(
    id="flare23_validation",
    title="FLARE 2023: the validation cases with a label",
    classes=tuple(VALUES.values()),
    lesions=("lesion",),
    licence=_LICENCE,
    get=_GET,
    layout=_TEST_LAYOUT,
    find=_find_test,
    read=partial(read_published, values=VALUES),
    published=50,
)
