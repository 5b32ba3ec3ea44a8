"""The tasks of the paper (arXiv 2502.06171) as data: what each is measured on, how, and what was published for it.

Three tables beside this file: `paper_tasks.csv`, `paper_numbers.csv`, `paper_data.csv`. Numbers were read off figures: by how
much they may be off is part of them. "?" is a number nobody could read, "<=0.12" one that is known to be at most that.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib import resources
from types import MappingProxyType

TASKS_FILE, NUMBERS_FILE, DATA_FILE = "paper_tasks.csv", "paper_numbers.csv", "paper_data.csv"
FULL_ERROR, FEW_SHOT_ERROR = 0.005, 0.01
"""How far a digitised number may be off."""
PRIVATE = "private: not published"
_UNKNOWN, _AT_MOST, _OWN = "?", "<=", "own_"


class Group(StrEnum):
    """Families of tasks, in the order they are shown."""

    FULL = "full"
    FEW_SHOT = "few-shot"
    DETECTION = "plain-detection"
    PLAIN = "plain-segmentation"
    SURVIVAL = "survival"
    STAGING = "staging"
    ATTRIBUTES = "attributes"
    MRI = "mri"
    PAN_CANCER = "pan-cancer"
    LESION_FREE = "lesion-free"
    OURS = "ours"


GROUP_TITLES: Mapping[Group, str] = MappingProxyType(
    {
        Group.FULL: "Segmentation, all data",
        Group.FEW_SHOT: "Segmentation, 1/2/4/8/16 annotated scans",
        Group.DETECTION: "Detection on plain CT",
        Group.PLAIN: "Segmentation on plain CT",
        Group.SURVIVAL: "Survival",
        Group.STAGING: "Staging",
        Group.ATTRIBUTES: "Report attributes",
        Group.MRI: "Transfer to MRI",
        Group.PAN_CANCER: "Wider pan-cancer benchmark",
        Group.LESION_FREE: "Lesion-free scans: false positives",
        Group.OURS: "Ours, in no table of the paper",
    }
)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number as published, in its `digits`: `value` is None where nobody could read it; `at_most` where it is a bound."""

    value: float | None
    at_most: bool = False
    digits: int = 2

    @classmethod
    def parsed(cls, text: str) -> "Figure":
        """From "0.53", "<=0.12" or "?".

        Raises:
            ValueError: It is none of them, or no share.
        """
        if text == _UNKNOWN:
            return cls(value=None)
        value = float(text.removeprefix(_AT_MOST))
        if not 0 <= value <= 1:
            raise ValueError(f"{text} is no number from 0 to 1, no bound such as <=0.12 and not ?")
        return cls(value=value, at_most=text.startswith(_AT_MOST), digits=len(text.partition(".")[2]))

    def __str__(self) -> str:
        if self.value is None:
            return _UNKNOWN
        return f"{'≤' if self.at_most else ''}{self.value:.{self.digits}f}"


@dataclass(frozen=True, kw_only=True)
class Published:
    """One number of the paper beside its best rival's; `shots` is None where all training data was used."""

    metric: str
    shots: int | None
    paper: Figure
    rival: Figure

    @property
    def error(self) -> float:
        """By how much digitisation may have moved either."""
        return FULL_ERROR if self.shots is None else FEW_SHOT_ERROR

    def __str__(self) -> str:
        return f"{self.paper} ({self.rival})"


@dataclass(frozen=True, kw_only=True)
class PaperData:
    """Where the data of a task are from, and how they lie in `folder` below the root."""

    id: str
    title: str
    folder: str
    licence: str
    get: str
    layout: str

    @property
    def private(self) -> bool:
        """Whether nobody but the authors has it, so that a user brings data of his own."""
        return self.licence == PRIVATE

    @property
    def own(self) -> bool:
        """Whether a user lays it out himself, for want of a public dataset in a layout of its own."""
        return self.id.startswith(_OWN)


@dataclass(frozen=True, kw_only=True)
class PaperTask:
    """One task. `n` is the paper's number of cases; `type` the pretrained lesion a network starts from, empty for any.

    `lesion` is the class of the data's labels that counts, empty for all that are lesions. `spacing_mm` is ours, the paper's is
    not published. `see` names rows of ours that measure the like on other data.
    """

    id: str
    group: Group
    title: str
    data: PaperData
    n: int | None
    protocol: str
    type: str
    lesion: str
    spacing_mm: float | None
    see: tuple[str, ...]
    numbers: tuple[Published, ...] = field(default=())

    def published(self, metric: str, shots: int | None) -> Published | None:
        """The paper's number for a metric at a number of shots, if there is one."""
        return next((one for one in self.numbers if (one.metric, one.shots) == (metric, shots)), None)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What was published, or what a lesion-free or unpublished task is scored by."""
        if self.group is Group.LESION_FREE:
            return ("false positives per scan", "scans with none")
        return tuple(dict.fromkeys(one.metric for one in self.numbers)) or ("dice",)


def _lines(name: str) -> Iterator[dict[str, str]]:
    text = resources.files("panlesion.bench").joinpath(name).read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines())


@cache
def paper_data() -> Mapping[str, PaperData]:
    """Every dataset of the paper's tasks by its id; those of data sources have the source's."""
    return MappingProxyType({line["id"]: PaperData(**line) for line in _lines(DATA_FILE)})


@cache
def paper_tasks() -> Mapping[str, PaperTask]:
    """Every task by its id, grouped."""
    numbers: dict[str, list[Published]] = {}
    for line in _lines(NUMBERS_FILE):
        one = Published(
            metric=line["metric"],
            shots=int(line["shots"]) if line["shots"] else None,
            paper=Figure.parsed(line["paper"]),
            rival=Figure.parsed(line["rival"]),
        )
        numbers.setdefault(line["task"], []).append(one)
    tasks = [_task(line, tuple(numbers.pop(line["id"], ()))) for line in _lines(TASKS_FILE)]
    assert not numbers, f"{NUMBERS_FILE} has numbers of {', '.join(numbers)}, which {TASKS_FILE} does not name"
    return MappingProxyType({task.id: task for task in tasks})


def _task(line: Mapping[str, str], numbers: tuple[Published, ...]) -> PaperTask:
    return PaperTask(
        id=line["id"], group=Group(line["group"]), title=line["title"], data=paper_data()[line["data"]],
        n=int(line["n"]) if line["n"] else None, protocol=line["protocol"], type=line["type"], lesion=line["lesion"],
        spacing_mm=float(line["spacing_mm"]) if line["spacing_mm"] else None, see=tuple(line["see"].split()), numbers=numbers,
    )  # fmt: skip
