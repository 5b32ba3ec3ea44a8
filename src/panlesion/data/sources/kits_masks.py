"""KiTS23 (Heller et al. 2023) without its images: masks of kidney, tumour and cyst, and the clinical table that goes with them.

`masks_2mm/<case>.nii.gz` with 1 kidney, 2 tumour, 3 cyst, and `clinical.csv`, one row a patient. What the table leaves open (an
empty cell, `na`, `x`) is None; a row with a value that breaks a rule is listed with the rule and left out.
"""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import numpy as np

from panlesion.ct.nifti import read_labels
from panlesion.ct.standardise import standardise_labels
from panlesion.ct.volume import LabelMap
from panlesion.errors import ReadError, StoreError, about

KIDNEY, TUMOUR, CYST = 1, 2, 3
TABLE = "clinical.csv"
MASKS = "masks_2mm"
SPACING_MM = 2.0
UNKNOWN = frozenset({"", "na", "x"})

OTHER_STAGING = frozenset({"transitional_cell_carcinoma", "wilms_tumor"})
"""Histologies that are staged by other rules than renal cell carcinoma, whose pT1 and pT2 are sizes (AJCC, 8th edition)."""


class Sex(StrEnum):
    """As the table spells it."""

    MALE = "male"
    FEMALE = "female"
    MALE_TO_FEMALE = "transgender_male_to_female"


class TStage(StrEnum):
    """Pathological T stages of the kidney: 1a to 4 cm, 1b to 7, 2a to 10, 2b beyond; 3 out of it, 4 out of its fascia."""

    T1A = "1a"
    T1B = "1b"
    T2A = "2a"
    T2B = "2b"
    T3 = "3"
    T4 = "4"


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One row of the clinical table. `dead` False means last seen alive after `days` from the operation."""

    case: str
    age: float
    sex: Sex
    bmi: float | None
    dead: bool
    days: float
    malignant: bool | None
    t_stage: TStage | None
    nodes: bool | None
    metastases: bool | None
    histology: str | None
    radiographic_cm: float | None
    pathologic_cm: float | None

    @property
    def staged(self) -> TStage | None:
        """The T stage where it follows the rules of renal cell carcinoma; None for benign and other tumours."""
        return self.t_stage if self.malignant and self.histology not in OTHER_STAGING else None


@dataclass(frozen=True, kw_only=True)
class Clinical:
    """The table's patients in its order, and what is wrong with each row that was left out."""

    patients: tuple[Patient, ...]
    bad: tuple[str, ...]


_Value = TypeVar("_Value")


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(f"must lie between {low:g} and {high:g}")
        return value

    return read


def _one_of(values: Mapping[str, _Value]) -> Callable[[str], _Value]:
    def read(text: str) -> _Value:
        if text not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return values[text]

    return read


_TRUTH = {"True": True, "False": False}
_SPREAD = {"0": False, "1": True}
_CM = _number(0.1, 50)
# Column, the field it becomes, how it is read. Age and follow-up must be there, the others may be unknown.
_REQUIRED: tuple[tuple[str, str, Callable[[str], object]], ...] = (
    ("age_at_nephrectomy", "age", _number(0, 120)),
    ("gender", "sex", _one_of({sex.value: sex for sex in Sex})),
    ("vital_status", "dead", _one_of({"dead": True, "censored": False})),
    ("vital_days_after_surgery", "days", _number(0, 36500)),
)
_OPTIONAL: tuple[tuple[str, str, Callable[[str], object]], ...] = (
    ("bmi", "bmi", _number(8, 120)),
    ("malignant", "malignant", _one_of(_TRUTH)),
    ("pathology_t_stage", "t_stage", _one_of({stage.value: stage for stage in TStage})),
    ("pathology_n_stage", "nodes", _one_of(_SPREAD)),
    ("pathology_m_stage", "metastases", _one_of(_SPREAD)),
    ("tumor_histologic_subtype", "histology", str),
    ("radiographic_size", "radiographic_cm", _CM),
    ("pathologic_size", "pathologic_cm", _CM),
)
COLUMNS = ("case_id", *(column for column, _, _ in (*_REQUIRED, *_OPTIONAL)))


def read_clinical(root: Path) -> Clinical:
    """Every patient of the clinical table.

    Raises:
        StoreError: The table or a mask is missing, a column is, a case is named twice or not at all, or no row is good.
    """
    rows = _rows(root / TABLE)
    _check_masks(root, [row["case_id"] for row in rows])
    patients, bad = [], []
    for row in rows:
        fields, wrong = _fields(row)
        if wrong:
            bad.append(f"{row['case_id']}: {'; '.join(wrong)}")
        else:
            patients.append(Patient(case=row["case_id"], **fields))  # type: ignore[arg-type]
    if not patients:
        raise StoreError(f"{root / TABLE} has no row that can be used; the first: {bad[0]}")
    return Clinical(patients=tuple(patients), bad=tuple(bad))


def named_cases(root: Path) -> tuple[str, ...]:
    """The table's cases, whether their rows are good or not; each has a mask.

    Raises:
        StoreError: As `read_clinical`, but for rows of which none is good.
    """
    names = tuple(row["case_id"] for row in _rows(root / TABLE))
    _check_masks(root, names)
    return names


def _fields(row: Mapping[str, str]) -> tuple[dict[str, object], list[str]]:
    """Fields of a row, and what is wrong with it."""
    fields: dict[str, object] = {}
    wrong = []
    for column, name, read in (*_REQUIRED, *_OPTIONAL):
        text = (row[column] or "").strip()
        required = any(column == one for one, _, _ in _REQUIRED)
        if text in UNKNOWN and not required:
            fields[name] = None
            continue
        try:
            fields[name] = read(text)
        except ValueError as error:
            wrong.append(f"{column} is {text!r}: {error}")
    return fields, wrong


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        raise StoreError(f"{path} is missing; the folder must hold {TABLE} and {MASKS}/")
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream, restval="", restkey="spare")
            rows = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise StoreError(f"{path} is no table ({error}); it must be CSV in UTF-8") from error
    if lacking := sorted(set(COLUMNS) - set(reader.fieldnames or ())):
        raise StoreError(f"{path} lacks the columns {', '.join(lacking)}")
    names = [row["case_id"] for row in rows]
    if not names:
        raise StoreError(f"{path} has no rows")
    twice = sorted({name or "an empty case_id" for name in names if names.count(name) > 1 or not name})
    if twice:
        raise StoreError(f"{path} names {', '.join(twice)} more than once or without a name; each case must have one row")
    return rows


def _check_masks(root: Path, cases: Iterable[str]) -> None:
    found = {path.name.removesuffix(".nii.gz") for path in (root / MASKS).glob("*.nii.gz")}
    if absent := sorted(set(cases) - found):
        raise StoreError(f"{root / MASKS} lacks {', '.join(absent[:3])} ({len(absent)} in all) of {TABLE}; copy them there")
    if spare := sorted(found - set(cases)):
        raise StoreError(
            f"{root / MASKS} holds {', '.join(spare[:3])} ({len(spare)} in all), which {TABLE} does not name: "
            "add their rows or remove the files"
        )


def read_mask(root: Path, case: str) -> LabelMap:
    """Kidney, tumour and cyst of one case in the standard frame, at 2 mm.

    Raises:
        ReadError: The file is damaged, has another label, or lacks kidney or tumour; the message has the case.
    """
    path = root / MASKS / f"{case}.nii.gz"
    with about(case):
        labels = read_labels(path)
        there = np.flatnonzero(np.bincount(labels.labels.ravel(), minlength=4)).tolist()
        if not {KIDNEY, TUMOUR} <= set(there) <= {0, KIDNEY, TUMOUR, CYST}:
            raise ReadError(
                f"{path} has labels {there}; it must have {KIDNEY} (kidney) and {TUMOUR} (tumour), and may have {CYST} (cyst)"
            )
        return standardise_labels(labels, SPACING_MM)
