"""The tables of a cohort: one row per case, one row per failure, one row per timing; and its resolved recipe."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from panlesion.data.case import json_text, read_json, read_record
from panlesion.data.publish import write_text
from panlesion.data.store import iterate_cases
from panlesion.errors import StoreError

MANIFEST_FILE = "manifest.csv"
FAILURES_FILE = "failures.csv"
TIMING_FILE = "timing.csv"
COHORT_FILE = "cohort.json"

LESION_COLUMNS = (
    "organ_label", "seat", "diameter_mm", "mean_hu", "shape", "density", "heterogeneity", "surface", "invasion", "features",
)  # fmt: skip
MANIFEST_COLUMNS = ("id", "type", "folder", "host", "seed", "index", "attempts", "phase", "lesions", *LESION_COLUMNS)
BETWEEN_LESIONS = " | "


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Something that was asked for and is not there: a case, a host, or all cases of a type."""

    what: str
    id: str
    type: str = ""
    host: str = ""
    error: str
    cause: str

    @property
    def order(self) -> tuple[str, str]:
        return (self.what, self.id)


def build_manifest(root: Path) -> list[dict[str, str]]:
    """One row per complete case of ours below `root`, read from the case folders, sorted by id."""
    rows = [_row(root, case.path) for case in iterate_cases(root) if case.complete]
    return sorted(rows, key=lambda row: row["id"])


def _row(root: Path, folder: Path) -> dict[str, str]:
    record = read_record(folder)
    lesions: list[Mapping[str, Any]] = record.get("lesions", [])
    row = {column: str(record.get(column, "")) for column in MANIFEST_COLUMNS}
    row |= {"id": folder.name, "folder": folder.relative_to(root).as_posix(), "lesions": str(len(lesions))}
    for column in LESION_COLUMNS:
        row[column] = BETWEEN_LESIONS.join(_cell(lesion.get(column, "")) for lesion in lesions)
    return row


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f}"
    if isinstance(value, list | tuple | set | frozenset):
        return "; ".join(sorted(str(item) for item in value))
    return str(value)


def write_manifest(root: Path) -> list[dict[str, str]]:
    """Build `manifest.csv` anew from the case folders; returns its rows."""
    rows = build_manifest(root)
    write_text(root / MANIFEST_FILE, _csv(MANIFEST_COLUMNS, rows))
    return rows


def read_manifest(root: Path) -> list[dict[str, str]]:
    """The rows of `manifest.csv`.

    Raises:
        StoreError: the folder has none.
    """
    path = root / MANIFEST_FILE
    if not path.is_file():
        raise StoreError(f"{path} is missing; a finished cohort has one (foreign folders: list the cases themselves)")
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def write_failures(root: Path, failures: Iterable[Failure]) -> None:
    """Write `failures.csv`, sorted; a cohort without failures has the header alone."""
    columns = ("what", "id", "type", "host", "error", "cause")
    rows = [{column: getattr(f, column) for column in columns} for f in sorted(failures, key=lambda f: f.order)]
    write_text(root / FAILURES_FILE, _csv(columns, rows))


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_cohort(root: Path) -> dict[str, Any]:
    """The resolved recipe of a cohort, `cohort.json`.

    Raises:
        StoreError: the folder has none, or it is damaged.
    """
    if not (root / COHORT_FILE).is_file():
        raise StoreError(f"{root / COHORT_FILE} is missing; {root} is no cohort made by panlesion")
    return read_json(root / COHORT_FILE)


def write_cohort(root: Path, recipe: Mapping[str, Any]) -> None:
    """Write `cohort.json`."""
    write_text(root / COHORT_FILE, json_text(recipe))
