"""Is every case of a folder what it claims to be?"""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from panlesion.ct.organs import V1_NAMES
from panlesion.data.case import LESION, ORGAN, Case, voxel_checks
from panlesion.data.store import CaseFolder, CaseReader
from panlesion.errors import PanlesionError
from panlesion.lesion.taxonomy import TYPES, LesionType
from panlesion.lesion.vocabulary import Density, Heterogeneity, Invasion, Shape, Surface

LOADER_FIELDS: Mapping[str, type[StrEnum]] = MappingProxyType(
    {
        "Shape": Shape,
        "Density": Density,
        "Heterogeneity": Heterogeneity,
        "Surface": Surface,
        "Invasion": Invasion,
    }
)
"""The fields the public PASTA loader reads from `type.json[label]`, and their values."""


def check_cases(cases: Sequence[CaseFolder], root: Path) -> Iterator[tuple[CaseFolder, list[str]]]:
    """Each case with what is wrong with it; an empty list means nothing is. Delta cases: give them ordered by host."""
    reader = CaseReader(root)
    for case in cases:
        if case.missing:
            yield case, [f"{name} is missing" for name in case.missing]
            continue
        try:
            content = reader.read(case)
        except PanlesionError as error:
            yield case, [str(error)]
            continue
        yield case, check_case(content, case.type)


def check_case(case: Case, type_: LesionType | None) -> list[str]:
    """What is wrong with a case that could be read; `type_` is None when nobody knows it."""
    return [*_geometry(case), *_labels(case), *check_report(case.report, type_), *_checksums(case)]


def _geometry(case: Case) -> Iterator[str]:
    for name, grid in (("label", case.label.grid), ("total", case.organs.grid)):
        if not grid.same_as(case.image.grid):
            yield f"{name}.nii.gz lies on another grid than img.nii.gz ({grid.shape} against {case.image.grid.shape})"
    if case.image.grid.axes != "LPS":
        yield f"img.nii.gz has axes {case.image.grid.axes}; a case has axes LPS"


def _labels(case: Case) -> Iterator[str]:
    values = np.bincount(case.label.labels.ravel(), minlength=3)
    foreign = [int(value) for value in np.flatnonzero(values) if value not in (0, ORGAN, LESION)]
    if foreign:
        yield f"label.nii.gz holds {foreign}; it may hold 0, 1 (organ) and 2 (lesion)"
    if not values[LESION]:
        yield "label.nii.gz holds no lesion (2)"
    organs = np.flatnonzero(np.bincount(case.organs.labels.ravel()))
    unknown = [int(label) for label in organs if label and label not in V1_NAMES]
    if unknown:
        yield f"total.nii.gz holds {unknown}, which TotalSegmentator v1 does not know"


def check_report(report: Mapping[str, Any], type_: LesionType | None) -> Iterator[str]:
    """What the public loader could not read from a `type.json`, or would find out of its vocabulary."""
    allowed = {str(label) for label in (TYPES[type_].organ_labels if type_ else V1_NAMES)}
    if not report:
        yield "type.json is empty; it must be keyed by an organ's v1 label"
    for label, fields in report.items():
        if label not in allowed:
            yield f"type.json has key {label!r}, no organ label of a {type_ or 'lesion'}"
        if not isinstance(fields, Mapping):
            yield f"type.json[{label!r}] is a {type(fields).__name__}; the loader expects fields {', '.join(LOADER_FIELDS)}"
            continue
        for name, vocabulary in LOADER_FIELDS.items():
            if fields.get(name) not in [value.value for value in vocabulary]:
                values = " | ".join(vocabulary)
                yield f"type.json[{label!r}] has {name} {fields.get(name)!r}; it must be one of {values}"


def _checksums(case: Case) -> Iterator[str]:
    stored = case.record.get("checks")
    if stored is None:
        return
    found = voxel_checks(case.image.hu, case.label.labels, case.organs.labels)
    for name, is_, should in zip(("img", "label", "total"), found, stored, strict=True):
        if is_ != should:
            yield f"{name}.nii.gz has voxels of CRC-32 {is_:08x}, record.json says {should:08x}: the file was changed"
