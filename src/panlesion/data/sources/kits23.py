"""KiTS23 (Heller et al. 2023): kidneys with tumours and cysts, and a table of clinical facts.

The repository brings the labels and `kits23.json`; the images come separately, with its command `kits23_download_data`.
Arrays lie slice first, with an affine that says so.
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from panlesion.data.sources._layout import every, folder_with, json_of, listed, read_published, wrong_tree
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import StoreError

VALUES = MappingProxyType({1: "kidney", 2: "tumor", 3: "cyst"})
FACTS = "kits23.json"
_CASE = re.compile(r"(case_\d{5})")
_LAYOUT = f"dataset/{FACTS}, dataset/case_00000/imaging.nii.gz, dataset/case_00000/segmentation.nii.gz"


def _find(root: Path) -> Sequence[FoundCase]:
    folder = folder_with(root, "case_*", ("dataset", "*/dataset"), _LAYOUT)
    cases = every(folder, "case_*", _CASE, _LAYOUT)
    if not (folder / FACTS).is_file():
        raise wrong_tree(folder, f"{FACTS} is missing; it comes with the repository", _LAYOUT)
    facts = _facts(folder / FACTS)
    for file, todo in (
        ("segmentation.nii.gz", "it comes with the repository"),
        ("imaging.nii.gz", "run kits23_download_data, or move the folders without an image away"),
    ):
        if lacking := [name for name, path in cases.items() if not (path / file).is_file()]:
            raise wrong_tree(folder, f"{len(lacking)} of {len(cases)} cases lack {file} ({listed(lacking)}); {todo}", _LAYOUT)
    if unknown := sorted(cases.keys() - facts.keys()):
        raise wrong_tree(folder, f"{FACTS} has no row for {listed(unknown)}; take the table of the same version", _LAYOUT)
    return [
        FoundCase(
            id=name, patient=name, image=path / "imaging.nii.gz", label=path / "segmentation.nii.gz", facts=facts[name]
        )
        for name, path in cases.items()
    ]  # fmt: skip


def _facts(path: Path) -> dict[str, Mapping[str, str]]:
    rows = json_of(path)
    facts: dict[str, Mapping[str, str]] = {}
    for row in rows if isinstance(rows, list) else [None]:
        name = row.get("case_id") if isinstance(row, dict) else None
        if row is None or not isinstance(name, str) or name in facts:
            raise StoreError(
                f"{path}: case_id is {name!r} in a row; the file must be a list of rows, each with its own case_id"
            )
        facts[name] = MappingProxyType(_flat(row, ""))
    return facts


def _flat(row: Mapping[str, object], above: str) -> dict[str, str]:
    """Facts by their name, those of a group as group.name; what is null is unknown and left out."""
    facts: dict[str, str] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            facts |= _flat(value, f"{above}{key}.")
        elif value is not None and above + key != "case_id":
            facts[above + key] = str(value)
    return facts


KITS23 = Source(
    id="kits23",
    title="KiTS23: tumours and cysts of the kidney",
    classes=tuple(VALUES.values()),
    lesions=("tumor", "cyst"),
    licence="CC BY-NC-SA 4.0",
    get="clone https://github.com/neheller/kits23, pip install it, run kits23_download_data",
    layout=_LAYOUT,
    find=_find,
    read=partial(read_published, values=VALUES),
    published=489,
)
