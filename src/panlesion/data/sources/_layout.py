"""What the readers of published layouts share: finding files, saying which rule a tree breaks, reading one case."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from panlesion.ct.modality import Modality
from panlesion.ct.mr import read_mr
from panlesion.ct.nifti import read_labels
from panlesion.ct.read import read_ct
from panlesion.ct.volume import LabelMap, Volume
from panlesion.data.sources.labelled_check import on_one_grid
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.source import FoundCase
from panlesion.errors import ReadError, StoreError, about

Values = Mapping[int, str]
"""What the values of a label file mean, in the order of the classes."""

_SHOWN = 3


def wrong_tree(root: Path, rule: str, layout: str) -> StoreError:
    """The error of a folder that is not laid out as its set was published."""
    return StoreError(f"{root}: {rule}. It should look like: {layout}")


def listed(names: Iterable[object]) -> str:
    """The first few names and how many more there are."""
    texts = [str(name) for name in names]
    more = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def folder_with(root: Path, holds: str, below: Sequence[str], layout: str) -> Path:
    """`root` or the first folder below it (names or patterns, in their order) that holds something of that name or pattern.

    Raises:
        StoreError: None does.
    """
    if not root.is_dir():
        raise wrong_tree(root, "it is no folder", layout)
    places = [root, *(folder for pattern in below for folder in sorted(root.glob(pattern)) if folder.is_dir())]
    for folder in places:
        if any(not _of_macos(path) for path in folder.glob(holds)):
            return folder
    there = sorted(path.name for path in root.iterdir() if not _of_macos(path))
    looked = f", nor does {' or '.join(below)} below it" if below else ""
    raise wrong_tree(root, f"it holds no {holds}{looked}; there is {listed(there) if there else 'nothing'}", layout)


def matching(folder: Path, pattern: re.Pattern[str]) -> dict[str, Path]:
    """Entries of a folder whose whole name matches, by what the pattern's first group caught, and in its order.

    The files `._NAME` that macOS packs beside each of its own are passed over.
    """
    if not folder.is_dir():
        return {}
    found = ((pattern.fullmatch(path.name), path) for path in sorted(folder.iterdir()) if not _of_macos(path))
    return dict(sorted((match[1], path) for match, path in found if match))


def every(folder: Path, among: str, pattern: re.Pattern[str], layout: str) -> dict[str, Path]:
    """As `matching`; nothing that the glob `among` catches may have another name.

    Raises:
        StoreError: Something has, or there is nothing.
    """
    found = matching(folder, pattern)
    named = set(found.values())
    if odd := sorted(path.name for path in folder.glob(among) if path not in named and not _of_macos(path)):
        raise wrong_tree(folder, f"{listed(odd)} not named as the set names its cases; rename, or move away", layout)
    if not found:
        raise wrong_tree(folder, "there is no case in it", layout)
    return found


def _of_macos(path: Path) -> bool:
    return path.name.startswith("._") or path.name == ".DS_Store"


def json_of(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        StoreError: It is not there, or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise StoreError(f"{path} cannot be read ({error}); download it again") from error


def partners(root: Path, images: Mapping[str, Path], labels: Mapping[str, Path], layout: str) -> list[tuple[str, Path, Path]]:
    """Name, image and label of every case.

    Raises:
        StoreError: There is none, or one of a pair is missing.
    """
    if alone := sorted(images.keys() - labels.keys()):
        raise wrong_tree(root, f"no label for {listed(images[name].name for name in alone)}; unpack the labels again", layout)
    if alone := sorted(labels.keys() - images.keys()):
        raise wrong_tree(root, f"no image for {listed(labels[name].name for name in alone)}; unpack the images again", layout)
    if not images:
        raise wrong_tree(root, "there is no case in it", layout)
    return [(name, images[name], labels[name]) for name in images]


def read_published(case: FoundCase, *, values: Values) -> LabelledCT:
    """Image and annotation on the image's grid; label value v becomes 1 + the place of v in `values`.

    Raises:
        ReadError: A file is missing or damaged, lies on another grid, or has a value that the set does not know.
    """
    with about(case.id):
        image = read_image(case)
        label = LabelMap(labels=np.zeros(image.grid.shape, dtype=np.uint8), grid=image.grid)
        if case.label is not None:
            label = on_image(image, known(read_labels(case.label), values, case.label), case.label)
        return LabelledCT(id=case.id, patient=case.patient, ct=image, label=label)


def read_image(case: FoundCase) -> Volume:
    """The scan of a case; MR on the scale of HU."""
    return read_mr(case.image) if case.modality is Modality.MR else read_ct(case.image)


def known(label: LabelMap, values: Values, path: Path) -> LabelMap:
    """The label map with the classes that `values` name, numbered from 1.

    Raises:
        ReadError: It holds another value.
    """
    if other := sorted(label.values - set(values)):
        meant = ", ".join(f"{value} {name}" for value, name in sorted(values.items()))
        raise ReadError(
            f"{path}: label value{'s' if len(other) > 1 else ''} {listed(other)}; this set has 0 background, {meant}. "
            "Download the file again; it was changed, or is another set's"
        )
    if list(values) == list(range(1, len(values) + 1)):
        return label
    table = np.zeros(256, dtype=np.uint8)
    for index, value in enumerate(values, 1):
        table[value] = index
    return LabelMap(labels=table[label.labels], grid=label.grid)


def on_image(image: Volume, label: LabelMap, path: Path) -> LabelMap:
    """The label map of a file on its image's array axes, turned if need be.

    Raises:
        ReadError: Its voxels are others.
    """
    try:
        return on_one_grid(LabelledCT(id=str(path), patient="", ct=image, label=label)).label
    except StoreError as error:
        raise ReadError(str(error)) from error
