"""Medical Segmentation Decathlon (Antonelli et al., Nat Commun 2022): its four tasks with tumours in CT.

`dataset.json` lists the pairs; `imagesTs/` has no labels and is not read. The archives were packed on macOS, which left a file
`._NAME` beside every NAME. Twenty livers are also 3D-IRCADb's; their facts say so: no patient may be learned from in one set
and tested on in the other.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from panlesion.data.sources._layout import Values, folder_with, json_of, listed, matching, read_published, wrong_tree
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import StoreError

INDEX = "dataset.json"
SHARED_WITH = "shared_with"
# liver_28 … liver_47 or, by another count, 28 … 44 and 46 … 48: whatever one of both names is marked
_IRCADB = frozenset(f"liver_{number}" for number in range(28, 49))
_NAME = re.compile(r"([^/]+)\.nii\.gz")


def _find(root: Path, *, task: str, values: Values) -> Sequence[FoundCase]:
    layout = _layout_of(task)
    folder = folder_with(root, INDEX, (task,), layout)
    index = json_of(folder / INDEX)
    if not isinstance(index, dict):
        raise StoreError(f"{folder / INDEX} holds no table; download it again")
    if (names := _names(index)) != dict(values):
        raise wrong_tree(folder, f"{INDEX} names the labels {_worded(names)}; those of {task} are {_worded(values)}", layout)
    stems = _stems(folder / INDEX, index.get("training"))
    for part in ("imagesTr", "labelsTr"):
        there = matching(folder / part, _NAME)
        if lacking := [stem for stem in stems if stem not in there]:
            files = listed(f"{part}/{stem}.nii.gz" for stem in lacking)
            raise wrong_tree(folder, f"{INDEX} lists {files}, not there; unpack the archive again", layout)
        if spare := sorted(there.keys() - set(stems)):
            raise wrong_tree(folder, f"{part} holds {listed(spare)}, which {INDEX} does not list; move them away", layout)
    return [
        FoundCase(
            id=stem,
            patient=stem,
            image=folder / "imagesTr" / f"{stem}.nii.gz",
            label=folder / "labelsTr" / f"{stem}.nii.gz",
            facts=MappingProxyType({SHARED_WITH: "ircadb"} if stem in _IRCADB else {}),
        )
        for stem in sorted(stems, key=_number)
    ]


def _names(index: Mapping[str, Any]) -> dict[int, str]:
    labels = index.get("labels")
    if not isinstance(labels, dict):
        return {}
    return {int(value): str(name).lower() for value, name in labels.items() if re.fullmatch("[1-9][0-9]{0,2}", value)}


def _number(stem: str) -> tuple[int, str]:
    """Livers have no leading zeros: 9 comes before 10."""
    digits = re.search(r"\d+$", stem)
    return (int(digits[0]) if digits else 0, stem)


def _worded(names: Mapping[int, str]) -> str:
    return ", ".join(f"{value} {name}" for value, name in sorted(names.items())) or "not at all"


def _stems(index: Path, pairs: object) -> list[str]:
    """Names of the cases. Only names that lie in the two folders are taken: the list is data and could name any file."""
    stems: list[str] = []
    for pair in pairs if isinstance(pairs, list) else ():
        names = [pair.get("image"), pair.get("label")] if isinstance(pair, dict) else [None]
        parts = [re.fullmatch(rf"(?:\./)?(?:imagesTr|labelsTr)/{_NAME.pattern}", str(name)) for name in names]
        stem = parts[0][1] if parts[0] else ""
        if any(part is None or part[1] != stem for part in parts) or stem in stems:
            raise StoreError(
                f"{index}: {pair} in 'training'; each entry must be another pair ./imagesTr/NAME.nii.gz, ./labelsTr/NAME.nii.gz"
            )
        stems.append(stem)
    if not stems:
        raise StoreError(f"{index} lists no 'training' cases; download it again")
    return stems


def _layout_of(task: str) -> str:
    name = {"Task03_Liver": "liver_0"}.get(task, f"{task.partition('_')[2].lower()}_001")
    return f"{task}/{INDEX}, {task}/imagesTr/{name}.nii.gz, {task}/labelsTr/{name}.nii.gz"


def _source(identifier: str, task: str, title: str, values: Values, lesion: str, published: int) -> Source:
    values = MappingProxyType(values)
    return Source(
        id=identifier,
        title=title,
        classes=tuple(values.values()),
        lesions=(lesion,),
        licence="CC BY-SA 4.0",
        get=f"{task}.tar from http://medicaldecathlon.com",
        layout=_layout_of(task),
        find=partial(_find, task=task, values=values),
        read=partial(read_published, values=values),
        published=published,
    )


LUNG = _source("msd_lung", "Task06_Lung", "Decathlon: lung tumours", {1: "cancer"}, "cancer", 63)
LIVER = _source("msd_liver", "Task03_Liver", "Decathlon: liver tumours (LiTS)", {1: "liver", 2: "cancer"}, "cancer", 131)
PANCREAS = _source(
    "msd_pancreas", "Task07_Pancreas", "Decathlon: masses of the pancreas", {1: "pancreas", 2: "cancer"}, "cancer", 281
)
COLON = _source(
    "msd_colon", "Task10_Colon", "Decathlon: primaries of the colon", {1: "colon cancer primaries"},
    "colon cancer primaries", 126,
)  # fmt: skip
