"""What is wrong with the images of a table, or with the table as a whole, before anything is trained on it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from isal import isal_zlib

from panlesion.ct.region import Framing, Region, frame
from panlesion.data.sources.case_table import CaseTable, OpenCase, TableCase, Targets
from panlesion.data.splits import patient_folds
from panlesion.errors import PanlesionError
from panlesion.lesion.case_task import CaseTask
from panlesion.lesion.vocabulary import READINGS

_STRATA_OF_TIME = 4


@dataclass(frozen=True, kw_only=True)
class CheckedRow:
    """A sound case: a checksum of its images and label, how much the label covers, and the fold it is scored in (-1: none)."""

    case: TableCase
    crc: int
    volume_ml: float
    fold: int


@dataclass(frozen=True, kw_only=True)
class CheckedTable:
    """What `check_table` found; of use only while `problems` is empty. `folds` are their names, none without folds."""

    rows: tuple[CheckedRow, ...]
    folds: tuple[str, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


def check_table(
    table: CaseTable,
    task: CaseTask,
    framing: Framing,
    *,
    folds: int,
    seed: int,
    progress: Callable[[int, int, str], None] | None = None,
) -> CheckedTable:
    """Open every case and list what is wrong with any of them, the table's own problems first.

    Args:
        table: As `read_case_table` gives it.
        task: What is to be learned.
        framing: The cube that will be cut.
        folds: How many, by patient; 0 for none. A column `fold` of the table overrules it.
        seed: Of the folds.
        progress: Called with cases done, cases in all, and the next one's id.
    """
    problems, notes = list(table.problems), list(table.notes)
    opened: list[tuple[TableCase, int, float]] = []
    for number, case in enumerate(table.cases):
        if progress is not None:
            progress(number, len(table.cases), case.id)
        try:
            found = table.read(case)
            frame(found.images, found.label, framing)
        except (PanlesionError, OSError) as error:
            text = " ".join(str(error).split())
            problems.append(text if text.startswith(f"{case.id}: ") else f"{case.id}: {text}")
            continue
        notes += _worth_knowing(found, framing)
        opened.append((case, _crc(found), _volume_ml(found, framing)))
    if not table.problems and len(opened) == len(table.cases):
        problems += _targets_wrong(table, task)
    problems += _copies([(case, crc) for case, crc, _ in opened])
    names, of, wrong = _folds(table, task, folds, seed)
    problems += wrong
    if not problems:
        problems += _parts_wrong(table, task, names, of)
    rows = tuple(CheckedRow(case=case, crc=crc, volume_ml=ml, fold=of.get(case.patient, -1)) for case, crc, ml in opened)
    return CheckedTable(rows=rows, folds=names, problems=tuple(problems), notes=tuple(notes))


def refolded(table: CaseTable, checked: CheckedTable, task: CaseTask, *, folds: int, seed: int) -> CheckedTable:
    """The same rows in folds of another seed, opening none; its problems are those of the folds alone."""
    names, of, problems = _folds(table, task, folds, seed)
    problems = problems or _parts_wrong(table, task, names, of)
    rows = tuple(replace(row, fold=of.get(row.case.patient, -1)) for row in checked.rows)
    return replace(checked, rows=rows, folds=names, problems=tuple(problems))


def _worth_knowing(case: OpenCase, framing: Framing) -> list[str]:
    if framing.region is not Region.LESION or case.label is None:
        return []
    hit = np.argwhere(framing.mask(case.label))
    widest = float(((hit.max(axis=0) - hit.min(axis=0) + 1) * case.label.grid.spacing_mm).max())
    shown = framing.side * framing.spacing_mm
    return [f"{case.id}: the lesion is {widest:.0f} mm wide, the cube shows {shown:.0f} mm of it"] if widest > shown else []


def _volume_ml(case: OpenCase, framing: Framing) -> float:
    if case.label is None:
        return float("nan")
    return round(case.label.grid.voxel_ml * int(np.count_nonzero(framing.mask(case.label))), 4)


def _crc(case: OpenCase) -> int:
    arrays = [image.hu for image in case.images] + ([case.label.labels] if case.label is not None else [])
    check = 0
    for array in arrays:
        check = isal_zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1), check)
    return check


def _copies(opened: Sequence[tuple[TableCase, int]]) -> list[str]:
    first: dict[int, TableCase] = {}
    problems = []
    for case, crc in opened:
        other = first.setdefault(crc, case)
        if other.patient != case.patient:
            problems.append(
                f"{case.id}: image and label of {other.id}, but of another patient; remove one, or a copy is tested on"
            )
    return problems


def kinds_of(targets: Targets, task: CaseTask) -> set[str]:
    """What a case is an example of; a network learns only to tell apart what there are examples of."""
    match task:
        case CaseTask.DETECT:
            return {f"present {int(bool(targets.present))}"}
        case CaseTask.STAGE:
            return {f"stage {targets.stage}"}
        case CaseTask.SURVIVE:
            return {"event 1"} if targets.event else set()
        case CaseTask.DESCRIBE:
            pairs = zip(READINGS, targets.attributes or (), strict=False)
            return {f"{name} {index}" for name, index in pairs if index is not None}


def _targets_wrong(table: CaseTable, task: CaseTask) -> list[str]:
    """What no row alone can tell."""
    found = set().union(*(kinds_of(case.targets, task) for case in table.cases)) if table.cases else set()
    what = f"{table.path.name}: of {len(table.cases)} cases "
    if task is CaseTask.DETECT and len(found) < 2:
        return [f"{what}all have {next(iter(found), 'no target')}; examples of 0 and of 1 are needed"]
    if task is CaseTask.SURVIVE and not found:
        return [f"{what}none has an event; nothing is known of when it happens"]
    if task is CaseTask.STAGE:
        absent = [name for index, name in enumerate(table.stages) if f"stage {index}" not in found]
        if len(table.stages) < 2:
            return [f"{what}all have one stage; examples of two or more are needed"]
        return [f"{table.path.name}: stage {', '.join(absent)} in no row; leave it out of --stages"] if absent else []
    if task is CaseTask.DESCRIBE and not _told_apart(found):
        return [f"{what}no attribute has examples of two words; there is nothing to tell apart"]
    return []


def _told_apart(found: set[str]) -> set[str]:
    """Attributes of which two classes or more are there."""
    names = [one.rsplit(" ", 1)[0] for one in found]
    return {name for name in names if names.count(name) > 1}


def _folds(table: CaseTable, task: CaseTask, folds: int, seed: int) -> tuple[tuple[str, ...], dict[str, int], list[str]]:
    """Names of the folds, the fold of each patient, and what is wrong with the column `fold`."""
    if not folds or not table.cases:
        return (), {}, []
    words = {case.fold for case in table.cases}
    if words != {""}:
        names = tuple(sorted(words - {""}))
        where: dict[str, set[str]] = {}
        for case in table.cases:
            where.setdefault(case.patient, set()).add(case.fold)
        problems = (
            [f"{table.path.name}: fold is empty in some rows and not in others; fill it in everywhere"] if "" in words else []
        )
        problems += [
            f"{table.path.name}: patient {patient} is in folds {', '.join(sorted(some))}; all scans of a patient are in one"
            for patient, some in where.items() if len(some - {""}) > 1
        ]  # fmt: skip
        problems += [
            f"{table.path.name}: fold {name!r} is no name for a folder; use letters, digits, - and _"
            for name in names if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", name)
        ]  # fmt: skip
        problems += [f"{table.path.name}: fold is {names[0]} everywhere; there are at least two"] if len(names) == 1 else []
        return names, {patient: names.index(min(some)) for patient, some in where.items() if some <= set(names)}, problems
    strata = _strata(table, task)
    if folds > len(strata) or folds < 2:
        # Rows that are broken are patients too, once mended.
        return (
            (),
            {},
            []
            if table.problems
            else [f"--folds is {folds} for {len(strata)} patients; there are at least 2, and no more than patients"],
        )
    return tuple(map(str, range(1, folds + 1))), patient_folds(strata, folds=folds, seed=seed), []


def _strata(table: CaseTable, task: CaseTask) -> dict[str, int]:
    """What of a patient should be as frequent in every fold: the highest target, or event and quarter of the times."""
    times = sorted(case.targets.time or 0.0 for case in table.cases)
    found: dict[str, int] = {}
    for case in table.cases:
        one = case.targets
        match task:
            case CaseTask.SURVIVE:
                quarter = int(_STRATA_OF_TIME * np.searchsorted(times, one.time or 0.0) / len(times))
                value = quarter + _STRATA_OF_TIME * bool(one.event)
            case CaseTask.DESCRIBE:
                value = next((index for index in one.attributes or () if index is not None), 0)
            case _:
                value = int(one.present or one.stage or 0)
        found[case.patient] = max(value, found.get(case.patient, 0))
    return found


def _parts_wrong(table: CaseTable, task: CaseTask, names: Sequence[str], of: dict[str, int]) -> list[str]:
    """Kinds that only the cases of one fold are examples of: what is trained without them cannot know them."""
    if task is CaseTask.DESCRIBE:
        return []
    everything = set().union(*(kinds_of(case.targets, task) for case in table.cases))
    problems = []
    for index, name in enumerate(names):
        rest = [kinds_of(case.targets, task) for case in table.cases if of[case.patient] != index]
        lost = sorted(everything - set().union(*rest))
        problems += [
            f"{table.path.name}: {', '.join(lost)} is in fold {name} alone; use fewer folds, or more such cases"
        ] * bool(lost)
    return problems
