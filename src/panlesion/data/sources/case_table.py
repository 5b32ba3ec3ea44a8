"""A table `cases.csv` of images with what is to be learned of each, and every mistake in it, all at once.

The images are named in the table, or lie in one of the layouts of `labelled_folder` beside it. A relative path is meant from
the table's folder and may not leave it; an absolute one may lead anywhere.
"""

import csv
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from panlesion.ct.modality import Modality
from panlesion.ct.mr import read_mr
from panlesion.ct.nifti import read_labels
from panlesion.ct.organ_files import OrganNumbering, read_organs
from panlesion.ct.read import read_ct
from panlesion.ct.volume import LabelMap, Volume
from panlesion.data.sources.labelled_folder import LabelledFolder, find_labelled
from panlesion.data.sources.labelled_grid import on_grid_of
from panlesion.errors import StoreError, about
from panlesion.lesion.case_task import TARGET_COLUMNS, CaseTask
from panlesion.lesion.vocabulary import READINGS

TABLE_FILE = "cases.csv"
T = TypeVar("T")
_IMAGE = re.compile(r"^(image|mr)(\d*)$")
_COLUMNS = frozenset({"case", "patient", "label", "fold"})


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What is to be learned of one case; what the task does not ask for is None.

    `stage` is an index into the table's stages, `attributes` one class index an attribute of `READINGS`, None where unknown.
    """

    present: bool | None = None
    stage: int | None = None
    time: float | None = None
    event: bool | None = None
    attributes: tuple[int | None, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class TableCase:
    """One row. `fold` is the row's own word for where it is scored; empty where the table has none."""

    id: str
    patient: str
    images: tuple[Path, ...]
    label: Path | None
    targets: Targets
    fold: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class OpenCase:
    """A case in memory: every image on its own grid, the label on that of the first."""

    id: str
    images: tuple[Volume, ...]
    label: LabelMap | None


@dataclass(frozen=True, kw_only=True)
class CaseTable:
    """The sound rows of a table; of use for training only while `problems` is empty.

    `channels` are the kinds of a case's images in their order. `numbering` is that of labels that are organ maps, None: labels
    are read as they are.
    """

    path: Path
    channels: tuple[Modality, ...]
    stages: tuple[str, ...]
    cases: tuple[TableCase, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    numbering: OrganNumbering | None = None

    def read(self, case: TableCase) -> OpenCase:
        """One case.

        Raises:
            ReadError, StoreError: A file is missing or damaged, is no image of its kind, or label and image do not fit.
        """
        with about(case.id):
            pairs = zip(case.images, self.channels, strict=True)
            images = tuple(read_mr(path) if kind is Modality.MR else read_ct(path) for path, kind in pairs)
            if case.label is None:
                return OpenCase(id=case.id, images=images, label=None)
            found = read_labels(case.label) if self.numbering is None else read_organs(case.label, numbering=self.numbering)
            return OpenCase(id=case.id, images=images, label=on_grid_of(found, images[0].grid))

    def stream(self) -> Iterator[OpenCase]:
        """Every case, one in memory at a time."""
        for case in self.cases:
            yield self.read(case)


def read_case_table(
    path: Path,
    task: CaseTask | None,
    *,
    stages: Sequence[str] = (),
    mr: bool = False,
    need_label: bool = False,
    numbering: OrganNumbering | None = None,
) -> CaseTable:
    """Read a table and look at every row; no image is opened.

    Args:
        path: The CSV file, or the folder with `cases.csv` in it.
        task: Whose target columns are read; None: none, for cases that are to be predicted.
        stages: Names of the stages, lowest first; without, stages must be whole numbers.
        mr: Whether the columns `image`, `image2` … are MR; `mr`, `mr2` … are in any case.
        need_label: Whether a case without a label is a problem.
        numbering: Of labels that are organ maps.

    Raises:
        StoreError: There is no table, or it is no CSV file with the column `case`.
    """
    path = path / TABLE_FILE if path.is_dir() else path
    header, rows = _rows(path)
    problems: list[str] = []
    columns = [name for name in header if _IMAGE.match(name)]
    columns.sort(key=lambda name: int(_IMAGE.match(name)[2] or 1))  # type: ignore[index]
    layout = None if columns else _layout(path, problems)
    asked = TARGET_COLUMNS[task] if task else ()
    problems += _columns_wrong(path, header, columns, asked, task)
    channels = tuple(Modality.MR if mr or name.startswith("mr") else Modality.CT for name in columns or ("image",))
    order = _stage_order(rows, stages, problems, path) if task is CaseTask.STAGE and "stage" in header else ()
    reading = _Reading(
        path=path, columns=tuple(columns), layout=layout, task=task if set(asked) & set(header) else None, stages=order,
        need_label=need_label,
    )  # fmt: skip
    cases = []
    for number, row in enumerate(rows, 2):
        case, wrong = reading.case(row)
        name = row.get("case", "")
        problems += [f"{path.name} row {number}{f' ({name})' if name else ''}: {text}" for text in wrong]
        cases += [case] if case and not wrong else []
    problems += _twice([case.id for case in cases], path)
    known = _COLUMNS | set(columns) | {name for some in TARGET_COLUMNS.values() for name in some}
    unused = [name for name in header if name not in known]
    notes = [f"{path.name}: columns {', '.join(unused)} are not used"] if unused else []
    return CaseTable(
        path=path, channels=channels, stages=order, cases=tuple(cases), problems=tuple(problems), notes=tuple(notes),
        numbering=numbering,
    )  # fmt: skip


def _rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Column names and rows, every cell without blanks around it."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            first = lines.readline()
            lines.seek(0)
            reader = csv.DictReader(lines, delimiter=";" if ";" in first and "," not in first else ",", strict=True)
            header = [(name or "").strip() for name in reader.fieldnames or ()]
            rows = [{(key or "").strip(): _cell(value) for key, value in row.items() if key is not None} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StoreError(f"{path} cannot be read as a table: {error}; it is a CSV file in UTF-8") from error
    if "case" not in header:
        raise StoreError(f"{path} has no column case (it has {', '.join(header) or 'none'}); the first line names the columns")
    if len(set(header)) < len(header):
        raise StoreError(f"{path} names a column twice: {', '.join(header)}; rename one")
    if not rows:
        raise StoreError(f"{path} has no row; there is a line for every case")
    return header, rows


def _cell(value: str | None) -> str:
    return (value or "").strip()


def _layout(path: Path, problems: list[str]) -> LabelledFolder | None:
    try:
        found = find_labelled(path.parent)
    except StoreError as error:
        problems.append(f"{path.name} has no column image, and the images are in no known layout beside it: {error}")
        return None
    if any(case.stored for case in found.cases):
        problems.append(f"{path.name} has no column image; for a cohort name the files in columns image and label")
        return None
    return found


def _columns_wrong(path: Path, header: list[str], columns: list[str], asked: Sequence[str], task: CaseTask | None) -> list[str]:
    problems = []
    lacking = [name for name in asked if name not in header]
    if lacking and (task is not CaseTask.DESCRIBE or len(lacking) == len(asked)):
        problems.append(f"{path.name} lacks the column{'s' * (len(lacking) > 1)} {', '.join(lacking)}; {task} learns from it")
    numbers = [int(found[2] or 1) for name in columns if (found := _IMAGE.match(name))]
    if columns and numbers != list(range(1, len(columns) + 1)):
        problems.append(f"{path.name} has the image columns {', '.join(columns)}; they count image (or mr), image2, image3 …")
    return problems


def _stage_order(rows: Sequence[Mapping[str, str]], stages: Sequence[str], problems: list[str], path: Path) -> tuple[str, ...]:
    if stages:
        return tuple(stages)
    found = {row["stage"] for row in rows if row.get("stage")}
    words = sorted(word for word in found if not re.fullmatch(r"-?\d+", word))
    if words:
        problems.append(f"{path.name}: stages {', '.join(words)} have no order of their own; say --stages lowest,…,highest")
        return ()
    return tuple(sorted(found, key=int))


def _twice(ids: Sequence[str], path: Path) -> list[str]:
    return [
        f"{path.name}: case {id} comes {ids.count(id)} times; a name is given once"
        for id in sorted(set(ids))
        if ids.count(id) > 1
    ]


@dataclass(frozen=True, kw_only=True)
class _Reading:
    """How the rows of one table become cases."""

    path: Path
    columns: tuple[str, ...]
    layout: LabelledFolder | None
    task: CaseTask | None
    stages: tuple[str, ...]
    need_label: bool
    _wrong: list[str] = field(default_factory=list)

    def case(self, row: Mapping[str, str]) -> tuple[TableCase | None, list[str]]:
        """The case of a row, and what is wrong with it."""
        self._wrong.clear()
        id = row.get("case", "")
        if not id:
            self._wrong.append("case is empty; give every row a name")
        images, label, patient = self._files(row, id)
        if self.need_label and label is None:
            self._wrong.append("label is empty; the network is shown what lies around it, so a mask or organ map is needed")
        targets = self._targets(row) if self.task else Targets()
        case = TableCase(
            id=id, patient=row.get("patient") or patient, images=images, label=label, targets=targets, fold=row.get("fold", "")
        )
        return case, list(self._wrong)

    def _files(self, row: Mapping[str, str], id: str) -> tuple[tuple[Path, ...], Path | None, str]:
        if self.columns:
            images = [found for name in self.columns if (found := self._path(name, row.get(name, "")))]
            label = self._path("label", row["label"]) if row.get("label") else None
            return tuple(images), label, id
        known = {case.id: case for case in self.layout.cases} if self.layout else {}
        if id in known:
            return (known[id].ct,), known[id].label, known[id].patient
        if self.layout and id:
            self._wrong.append(f"case {id} is not among the {len(known)} cases beside the table; correct the name")
        return (), None, id

    def _path(self, column: str, text: str) -> Path | None:
        """The file of a cell; an absolute path is taken as it is, a relative one stays below the table's folder."""
        if not text:
            self._wrong.append(f"{column} is empty; name a file")
            return None
        given = Path(text)
        if not given.is_absolute() and Path(os.path.normpath(text)).parts[:1] == (os.pardir,):
            self._wrong.append(f"{column} {text} leaves the table's folder; write an absolute path if that is meant")
            return None
        found = given if given.is_absolute() else self.path.parent / given
        if not found.exists():
            self._wrong.append(f"{column} {found} does not exist; correct the path")
            return None
        return found

    def _targets(self, row: Mapping[str, str]) -> Targets:
        match self.task:
            case CaseTask.DETECT:
                return Targets(present=self._asked(row, "present", self._flag))
            case CaseTask.STAGE:
                return Targets(stage=self._asked(row, "stage", self._stage))
            case CaseTask.SURVIVE:
                return Targets(time=self._asked(row, "time", self._time), event=self._asked(row, "event", self._flag))
            case _:
                found = tuple(self._word(name, row.get(name, "")) for name in READINGS)
                if not any(row.get(name) for name in READINGS):
                    self._wrong.append(f"none of {', '.join(READINGS)} is given; a case to learn from has at least one")
                return Targets(attributes=found)

    def _asked(self, row: Mapping[str, str], column: str, read: Callable[[str, str], T]) -> T | None:
        if not row.get(column):
            self._wrong.append(f"{column} is empty; fill it in or leave the row out")
            return None
        return read(column, row[column])

    def _flag(self, column: str, text: str) -> bool | None:
        if text not in ("0", "1"):
            self._wrong.append(f"{column} is {text}; it is 0 or 1")
            return None
        return text == "1"

    def _stage(self, column: str, text: str) -> int | None:
        if self.stages and text not in self.stages:
            self._wrong.append(f"{column} is {text}; the stages are {', '.join(self.stages)}")
        return self.stages.index(text) if text in self.stages else None

    def _time(self, column: str, text: str) -> float | None:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (0 < value < math.inf):
            self._wrong.append(f"{column} is {text}; it is a number above 0, from the scan to the event or the last contact")
            return None
        return value

    def _word(self, column: str, text: str) -> int | None:
        words = {word.value.casefold(): index for index, word in enumerate(READINGS[column])}
        if text and text.casefold() not in words:
            self._wrong.append(
                f"{column} is {text!r}; the words are {', '.join(repr(word.value) for word in READINGS[column])}"
            )
        return words.get(text.casefold())
