"""A table's cases opened once and remembered, so that going on with a row does not read every scan again."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from panlesion.ct.region import Framing
from panlesion.data.publish import write_text
from panlesion.data.sources.case_check import CheckedRow, CheckedTable, check_table, refolded
from panlesion.data.sources.case_table import CaseTable
from panlesion.errors import StoreError
from panlesion.lesion.case_task import CaseTask

FOLDS = 5
CHECKED = "checked.json"
_TOLD = 10


def checked_table(
    table: CaseTable, task: CaseTask, framing: Framing, out: Path, *, progress: Callable[[int, int, str], None]
) -> CheckedTable:
    """Every case opened, or what `out` remembers of files that have not changed since; in the folds of seed 0.

    Raises:
        StoreError: Anything is wrong with the table or a case; the message lists all of it.
    """
    refuse(table, table.problems)
    patients = len({case.patient for case in table.cases})
    if patients < FOLDS:
        raise StoreError(f"{table.path} has {patients} patients to {task} with; {FOLDS} folds need one for each, at least")
    key = _key(table, framing)
    checked = _remembered(table, out / CHECKED, key)
    if checked is None:
        checked = check_table(table, task, framing, folds=FOLDS, seed=0, progress=progress)
        refuse(table, checked.problems)
        rows = [{"id": row.case.id, "crc": row.crc, "volume_ml": row.volume_ml} for row in checked.rows]
        write_text(out / CHECKED, json.dumps({"key": key, "rows": rows, "notes": checked.notes}, indent=1) + "\n")
    return folded(table, checked, task, 0)


def folded(table: CaseTable, checked: CheckedTable, task: CaseTask, seed: int) -> CheckedTable:
    """The cases in the folds of a seed.

    Raises:
        StoreError: A fold leaves nothing to learn from.
    """
    found = refolded(table, checked, task, folds=FOLDS, seed=seed)
    refuse(table, found.problems)
    return found


def refuse(table: CaseTable, problems: tuple[str, ...]) -> None:
    """Stop where there is any problem.

    Raises:
        StoreError: With the first of them.
    """
    if problems:
        more = f"; and {len(problems) - _TOLD} more" if len(problems) > _TOLD else ""
        raise StoreError(f"{table.path}: {len(problems)} problems: {'; '.join(problems[:_TOLD])}{more}")


def _key(table: CaseTable, framing: Framing) -> str:
    """What the check depends on: framing, targets, and size and time of every file."""
    cases = [[asdict(case.targets), *map(_stamp, (*case.images, case.label)), case.id, case.patient] for case in table.cases]
    told = json.dumps([asdict(framing), table.stages, cases], default=str)
    return hashlib.sha256(told.encode()).hexdigest()


def _stamp(path: Path | None) -> list[object]:
    if path is None:
        return []
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    found = [file.stat() for file in files if file.exists()]
    return [str(path), len(found), sum(one.st_size for one in found), max((one.st_mtime_ns for one in found), default=0)]


def _remembered(table: CaseTable, path: Path, key: str) -> CheckedTable | None:
    """None where there is nothing, or something about other files."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["key"] != key:
            return None
        by_id = {row["id"]: row for row in told["rows"]}
        rows = tuple(
            CheckedRow(case=case, crc=by_id[case.id]["crc"], volume_ml=by_id[case.id]["volume_ml"], fold=-1)
            for case in table.cases
        )
        return CheckedTable(rows=rows, folds=(), problems=(), notes=tuple(told["notes"]))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError):
        return None  # it only saves time
