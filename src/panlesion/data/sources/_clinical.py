"""Clinical tables: one row or more a patient, as comma- or tab-separated text → facts by patient."""

import csv
from collections.abc import Collection, Mapping
from pathlib import Path

from panlesion.errors import StoreError

_NOTHING = frozenset({"", "'--", "--", "NA", "[Not Available]"})
_GDC_TABLES = frozenset(
    {"cases", "demographic", "diagnoses", "exposures", "family_histories", "follow_ups", "project", "treatments"}
)


def clinical_facts(path: Path, *, patient: Collection[str], needed: Collection[str]) -> dict[str, Mapping[str, str]]:
    """Patient → its values by column; of several rows, the first that says something. Values that say nothing are "".

    Columns of GDC's newer exports, `demographic.days_to_death`, lose their table's name where the rest is a name of its own.

    Args:
        path: A .csv or .tsv file with a header.
        patient: Names the patient's column may have.
        needed: Columns that must be there.

    Raises:
        StoreError: It cannot be read, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            rows = [row for row in reader if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StoreError(f"{path} cannot be read ({error}); it must be the table as published, text with a header") from error
    full = [name.strip() for name in rows[0]] if rows else []
    bare = [name.partition(".")[2] if name.partition(".")[0] in _GDC_TABLES else name for name in full]
    short = [one if bare.count(one) == 1 else name for name, one in zip(full, bare, strict=True)]
    at = next((n for n, names in enumerate(zip(full, bare, strict=True)) if set(names) & set(patient)), None)
    lacking = sorted(set(needed) - set(short))
    if at is None or lacking:
        missing = ", ".join([*([] if at is not None else [" or ".join(sorted(patient))]), *lacking])
        raise StoreError(f"{path} lacks the columns {missing}; it has {', '.join(full) or 'none'}. Give the table as published")
    facts: dict[str, dict[str, str]] = {}
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(full):
            raise StoreError(f"{path}: row {number} has {len(row)} values for {len(full)} columns; the table is damaged")
        of_patient = facts.setdefault(row[at].strip(), {})
        for name, value in zip(short, row, strict=True):
            said = "" if value.strip() in _NOTHING else value.strip()
            of_patient[name] = of_patient.get(name) or said
    return {name: facts[name] for name in facts if name}
