"""A drawn `cases.csv` with its scans for every question about whole cases: enough to run a row, not to learn from."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from panlesion.ct.nifti import write_labels, write_volume
from panlesion.ct.volume import LabelMap
from panlesion.data.sources.case_table import TABLE_FILE
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.standins.drawn import draw_case
from panlesion.lesion.case_task import TARGET_COLUMNS, CaseTask
from panlesion.lesion.vocabulary import READINGS

ORGAN, LESION = 1, 2
_STAGES, _LOST_EACH = 4, 4


@dataclass(frozen=True, kw_only=True)
class DrawnRow:
    """One case with what its row says beside the files."""

    case: LabelledCT
    targets: dict[str, str]


def draw_rows(tasks: Sequence[CaseTask], count: int, *, seed: int = 0, side: int = 20) -> list[DrawnRow]:
    """Cases with the targets of all `tasks`; label value 1 is an organ, 2 a lesion, in fields of `side` voxels.

    Every class of every target comes in turn, so that each fold of five has each from ten cases a class on.
    """
    rows = []
    for n in range(count):
        case = draw_case(f"case{n:03d}", ("organ", "lesion"), seed + n, shape=(side, side, side), spacing_mm=4.0)
        targets: dict[str, str] = {}
        for task in tasks:
            targets |= dict(zip(TARGET_COLUMNS[task], _targets(task, n), strict=True))
        rows.append(DrawnRow(case=case, targets=targets))
    return rows


def _targets(task: CaseTask, n: int) -> tuple[str, ...]:
    match task:
        case CaseTask.DETECT:
            return (str(n % 2),)
        case CaseTask.STAGE:
            return (str(1 + n % _STAGES),)
        case CaseTask.SURVIVE:
            return (str(90 + 37 * (n * 7 % 23)), str(int(n % _LOST_EACH > 0)))
        case CaseTask.DESCRIBE:
            return tuple(list(words)[n % len(words)].value for words in READINGS.values())


def write_case_table(root: Path, rows: Sequence[DrawnRow], *, value: int = LESION) -> Path:
    """Scans in `ct/`, the mask of one label value in `label/`, and the table of both; one patient in three has two cases."""
    header = ["case", "patient", "image", "label", *(rows[0].targets if rows else ())]
    lines = []
    for n, row in enumerate(rows):
        image, label = f"ct/{row.case.id}.nii.gz", f"label/{row.case.id}.nii.gz"
        for name in (image, label):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_volume(root / image, row.case.ct)
        mask = (row.case.label.labels == value).astype(np.uint8)
        write_labels(root / label, LabelMap(labels=mask, grid=row.case.label.grid))
        lines.append([row.case.id, f"patient{n - (n % 4 == 1):03d}", image, label, *row.targets.values()])
    with (root / TABLE_FILE).open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *lines])
    return root


def write_detection(root: Path, count: int) -> Path:
    """Organs with and without a lesion said to be there."""
    return write_case_table(root, draw_rows([CaseTask.DETECT], count), value=ORGAN)


def write_clinical(root: Path, count: int) -> Path:
    """Lesions with stage, time and event."""
    return write_case_table(root, draw_rows([CaseTask.STAGE, CaseTask.SURVIVE], count))


def write_attributes(root: Path, count: int) -> Path:
    """Lesions with the five report attributes."""
    return write_case_table(root, draw_rows([CaseTask.DESCRIBE], count))
