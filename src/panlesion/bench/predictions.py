"""What every arm said of every case: `predictions.csv` of a folder for results, for ROC and survival curves."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from panlesion.data.publish import write_text
from panlesion.errors import StoreError

PREDICTIONS = "predictions.csv"
_NEEDED = ("case", "patient", "arm", "evidence")
_COLUMNS = ("case", "patient", "arm", "truth", "evidence", "time", "event", "question")


@dataclass(frozen=True, kw_only=True)
class Said:
    """One arm on one case. `evidence` grows with what is asked: that a finding is there (`truth`), or an early event.

    `truth` is None where survival alone is asked; `time` and `event` are None where it is not. `question` tells several of one
    row apart.
    """

    case: str
    patient: str
    arm: str
    evidence: float
    truth: bool | None = None
    time: float | None = None
    event: bool | None = None
    question: str = ""


def write_predictions(out: Path, said: Sequence[Said]) -> None:
    """Leave them in a folder for results."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for one in said:
        cells = [getattr(one, name) for name in _COLUMNS]
        writer.writerow(["" if cell is None else int(cell) if isinstance(cell, bool) else cell for cell in cells])
    write_text(out / PREDICTIONS, text.getvalue())


def read_predictions(out: Path) -> list[Said]:
    """The predictions in a folder; none where it has no such file, as most rows have not.

    Raises:
        StoreError: The file is damaged; the message has the line, the column and the rule.
    """
    path = out / PREDICTIONS
    if not path.exists():
        return []
    try:
        reader = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        lines = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise StoreError(f"{path} is no CSV in UTF-8 ({error})") from error
    lacking = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
    if lacking:
        raise StoreError(f"{path} lacks the columns {', '.join(lacking)}; it has {', '.join(reader.fieldnames or ('none',))}")
    said = [_parsed(path, number, line) for number, line in enumerate(lines, 2)]
    _refuse_doubled(path, said)
    return said


def _parsed(path: Path, number: int, line: Mapping[str, str | None]) -> Said:
    where = f"{path}, line {number}"
    if None in line or None in line.values():  # csv's way to say that a line has more or fewer cells than the head
        raise StoreError(f"{where} has more or fewer cells than the head")
    cells = {name: str(value).strip() for name, value in line.items()}
    for name in ("case", "patient", "arm"):
        if not cells[name]:
            raise StoreError(f"{where}: {name} is empty")
    evidence = _number(where, "evidence", cells["evidence"])
    time = _number(where, "time", cells["time"]) if cells.get("time") else None
    truth, event = (_bool(where, name, cells.get(name, "")) for name in ("truth", "event"))
    if (time is None) != (event is None) or (time is not None and time < 0):
        raise StoreError(f"{where}: time is {cells.get('time')!r}, event {cells.get('event')!r}; both or none, time 0 or more")
    if truth is None and time is None:
        raise StoreError(f"{where}: neither truth nor time is there; one of them says what the evidence was for")
    return Said(
        case=cells["case"], patient=cells["patient"], arm=cells["arm"], evidence=evidence, truth=truth, time=time, event=event,
        question=cells.get("question", ""),
    )  # fmt: skip


def _number(where: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise StoreError(f"{where}: {name} is {text!r}; it must be a finite number")
    return value


def _bool(where: str, name: str, text: str) -> bool | None:
    if text not in {"", "0", "1"}:
        raise StoreError(f"{where}: {name} is {text!r}; it must be 0, 1 or blank")
    return None if text == "" else text == "1"


def _refuse_doubled(path: Path, said: Sequence[Said]) -> None:
    seen: set[tuple[str, str, str]] = set()
    for one in said:
        key = (one.case, one.arm, one.question)
        if key in seen:
            raise StoreError(f"{path}: {one.arm} answers twice for {one.case}; out-of-fold predictions have one answer each")
        seen.add(key)
