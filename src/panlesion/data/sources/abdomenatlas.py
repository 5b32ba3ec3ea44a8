"""AbdomenAtlas (Li et al., Med Image Anal 2024): organs of scans from many public sets, `BDMAP_xxxxxxxx/`.

`combined_labels.nii.gz` where it is there, else the single masks of `segmentations/`; a voxel in two masks gets the class that
comes later. The set annotates no lesion, but holds scans of LiTS, KiTS and the Decathlon, most with tumours: a row that counts
false positives needs `lesion_free.csv` (column case), which lists the cases somebody judged free of lesions.
"""

import csv
import re
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from panlesion.ct.nifti import read_labels
from panlesion.ct.volume import LabelMap
from panlesion.data.sources._layout import every, folder_with, known, listed, matching, on_image, read_image, wrong_tree
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import ReadError, StoreError, about

# The first nine are those of version 1.0 Mini, in its numbering; 1.1 added the others behind them.
VALUES = MappingProxyType(
    dict(
        enumerate(
            (
                "aorta", "gall_bladder", "kidney_left", "kidney_right", "liver", "pancreas", "postcava", "spleen", "stomach",
                "adrenal_gland_left", "adrenal_gland_right", "bladder", "celiac_trunk", "colon", "duodenum", "esophagus",
                "femur_left", "femur_right", "hepatic_vessel", "intestine", "lung_left", "lung_right",
                "portal_vein_and_splenic_vein", "prostate", "rectum",
            ),
            1,
        )
    )
)  # fmt: skip
LESION_FREE = "lesion_free.csv"
_COMBINED, _MASKS = "combined_labels.nii.gz", "segmentations"
_CASE = re.compile(r"(BDMAP_\d{8})")
_MASK = re.compile(r"(\w+)\.nii\.gz")
_LAYOUT = f"BDMAP_00000001/ct.nii.gz with BDMAP_00000001/{_COMBINED} or BDMAP_00000001/{_MASKS}/liver.nii.gz …"


def _find(root: Path) -> Sequence[FoundCase]:
    folder = folder_with(root, "BDMAP_*", ("*",), _LAYOUT)
    cases = every(folder, "BDMAP_*", _CASE, _LAYOUT)
    if lacking := [name for name, path in cases.items() if not (path / "ct.nii.gz").is_file()]:
        raise wrong_tree(folder, f"{len(lacking)} of {len(cases)} cases lack ct.nii.gz ({listed(lacking)})", _LAYOUT)
    found = []
    for name, path in cases.items():
        label = path / _COMBINED if (path / _COMBINED).is_file() else path / _MASKS
        if not label.exists():
            raise wrong_tree(folder, f"{name} has neither {_COMBINED} nor {_MASKS}/; unpack it again", _LAYOUT)
        found.append(FoundCase(id=name, patient=name, image=path / "ct.nii.gz", label=label))
    return found


def _find_lesion_free(root: Path) -> Sequence[FoundCase]:
    cases = {case.id: case for case in _find(root)}
    folder = next(iter(cases.values())).image.parents[1]
    path = folder / LESION_FREE
    if not path.is_file():
        rule = f"{LESION_FREE} is missing: nothing here tells which scans show no lesion. List those, column case"
        raise wrong_tree(folder, rule, f"{_LAYOUT}, and {LESION_FREE}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            names = [row["case"].strip() for row in csv.DictReader(lines)]
    except (OSError, UnicodeDecodeError, KeyError, AttributeError, csv.Error) as error:
        raise StoreError(f"{path} cannot be read ({error!r}); it is a CSV file with the column case") from error
    unknown = sorted(set(names) - cases.keys())
    if unknown or not names or len(set(names)) < len(names):
        rule = f"names {listed(unknown)}, not there" if unknown else "names a case twice" if names else "is empty"
        raise StoreError(f"{path} {rule}; each row is one case of the folder")
    return [cases[name] for name in sorted(names)]


def _read(case: FoundCase) -> LabelledCT:
    assert case.label is not None
    with about(case.id):
        ct = read_image(case)
        label = _of_masks(case.label) if case.label.is_dir() else known(read_labels(case.label), VALUES, case.label)
        return LabelledCT(id=case.id, patient=case.patient, ct=ct, label=on_image(ct, label, case.label))


def _of_masks(folder: Path) -> LabelMap:
    files = matching(folder, _MASK)
    if unknown := sorted(files.keys() - set(VALUES.values())):
        raise ReadError(f"{folder}: masks {listed(unknown)}; known are {', '.join(VALUES.values())}. Move others away")
    merged: LabelMap | None = None
    for value, name in VALUES.items():
        if name not in files:
            continue
        mask = known(read_labels(files[name]), {1: name}, files[name])
        if merged is not None and not mask.grid.same_as(merged.grid):
            raise ReadError(f"{files[name]}: not on the grid of the other masks; all masks of a case share its CT's")
        below = merged.labels if merged is not None else np.zeros(mask.grid.shape, dtype=np.uint8)
        merged = LabelMap(labels=np.where(mask.labels > 0, np.uint8(value), below), grid=mask.grid)
    if merged is None:
        raise ReadError(f"{folder}: no mask in it; there must be files such as liver.nii.gz")
    return merged


_GET = "https://huggingface.co/datasets/BodyMaps/AbdomenAtlas1.0Mini"
_LICENCE = "CC BY-NC-SA 4.0"

ABDOMENATLAS = Source(
    id="abdomenatlas",
    title="AbdomenAtlas: abdominal organs, no lesion annotated",
    classes=tuple(VALUES.values()),
    lesions=(),
    licence=_LICENCE,
    get=_GET,
    layout=_LAYOUT,
    find=_find,
    read=_read,
    published=5195,
)
ABDOMENATLAS_LESION_FREE = Source(
    id="abdomenatlas_lesion_free",
    title="AbdomenAtlas: the cases listed as free of lesions",
    classes=tuple(VALUES.values()),
    lesions=(),
    licence=_LICENCE,
    get=f"{_GET}, and your own {LESION_FREE}",
    layout=f"{_LAYOUT}, and {LESION_FREE} with a column case",
    find=_find_lesion_free,
    read=_read,
)
