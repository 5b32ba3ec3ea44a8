"""The dataset card of a cohort, `README.md`: what it is, how it was made, how to read it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from panlesion.data.manifest import MANIFEST_COLUMNS
from panlesion.data.publish import write_text
from panlesion.data.store import StoredAs
from panlesion.lesion.taxonomy import TYPES, LesionType

CARD_FILE = "README.md"

_FULL_LAYOUT = """\
| file | content |
|---|---|
| `<Organ>/<Kind>/<id>/img.nii.gz` | CT with the lesion, HU, int16, axes L, P, S |
| `<Organ>/<Kind>/<id>/label.nii.gz` | 1 = organ, 2 = lesion |
| `<Organ>/<Kind>/<id>/total.nii.gz` | organ map, TotalSegmentator v1 numbering |
| `<Organ>/<Kind>/<id>/type.json` | the report, keyed by the organ's v1 label |
| `<Organ>/<Kind>/<id>/record.json` | everything drawn for this case: with it the case can be made again |
"""

_DELTA_LAYOUT = """\
Stored as differences from the hosts; `panlesion data expand THIS_FOLDER OUT` restores every case bit for bit.

| file | content |
|---|---|
| `<Organ>/<Kind>/<id>/delta.npz` | the changed box against `hosts/<host>/` |
| `<Organ>/<Kind>/<id>/type.json` | the report, keyed by the organ's v1 label |
| `<Organ>/<Kind>/<id>/record.json` | everything drawn for this case: with it the case can be made again |
"""

_REST_OF_LAYOUT = """\
| `hosts/<host>/` | the healthy originals, standardised: `ct.nii.gz`, `organs.nii.gz`, `host.json` |
| `manifest.csv` | one row per case: {columns} |
| `failures.csv` | what was asked for and could not be made, with its cause |
| `cohort.json` | the resolved recipe |
| `timing.csv` | seconds per case; the only file that differs between two runs of one recipe |
"""


def write_card(root: Path, recipe: Mapping[str, Any], rows: Sequence[Mapping[str, str]]) -> None:
    """Write the card of a finished cohort from its recipe and the rows of its manifest."""
    counts = Counter(row["type"] for row in rows)
    hosts = {row["host"] for row in rows}
    layout = _FULL_LAYOUT if recipe["format"] == StoredAs.FULL else _DELTA_LAYOUT
    size = recipe["size_voxels"]
    field = f"{size}×{size}×{size} voxels" if size else "the whole field of view of its host"
    table = "".join(
        f"| {type_.value} | {TYPES[type_].folder} | {counts[type_]} |\n" for type_ in LesionType if type_ in recipe["types"]
    )
    text = f"""\
# A synthetic lesion cohort

{len(rows)} synthetic CTs with a lesion each, its mask and a structured report, in the layout of PASTA-Gen-30K.
Every lesion is drawn by rules into a healthy CT; no patient has it. Each report was measured on the finished voxels.

- made by: panlesion {recipe["version"]}, `panlesion synth`
- seed: {recipe["seed"]}
- hosts: {len(hosts)} ({recipe["hosts"]})
- each case: {field} at {recipe["spacing_mm"]:g} mm

| type | folder | cases |
|---|---|---|
{table}
## Files

{layout}{_REST_OF_LAYOUT.format(columns=", ".join(MANIFEST_COLUMNS))}
## Licence

The licence of the host CTs applies to everything made from them; whoever passes this folder on must keep to it.
Hosts drawn by panlesion itself (`phantom`) bring no restriction.

## Limits

Synthetic lesions teach and test software. They are no evidence about patients, and no finding here is a diagnosis.
"""
    write_text(root / CARD_FILE, text)
