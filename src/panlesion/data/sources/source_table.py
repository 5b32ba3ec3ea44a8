"""A public dataset's clinical facts as targets: `Source` → `CaseTable`, so that no `cases.csv` has to be written for it.

Which cases say nothing of the question, and why, stands in the table's notes.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from panlesion.ct.modality import Modality
from panlesion.ct.organ_files import OrganNumbering, read_organs
from panlesion.data.sources.case_table import CaseTable, OpenCase, TableCase, Targets
from panlesion.data.sources.labelled_grid import on_grid_of
from panlesion.data.sources.source import FoundCase, Source
from panlesion.errors import StoreError, about
from panlesion.lesion.case_task import CaseTask

ORGANS = "organs"
"""The folder of organ maps below a dataset in which nobody drew the lesion."""
EARLY, LATE = "I-II", "III-IV"
"""Stages of TCGA-BLCA, where stage I is too rare to be a class of its own. Ours; the paper's classes are not published."""

_STAGES = MappingProxyType({"I": EARLY, "II": EARLY, "III": LATE, "IV": LATE})
_NAMED = 5

Read = Callable[[Mapping[str, str]], Targets]
"""Targets from a case's facts; `ValueError` says why there are none."""


def _nsclc_survival(facts: Mapping[str, str]) -> Targets:
    event = facts["deadstatus.event"]
    if event not in ("0", "1"):
        raise ValueError(f"deadstatus.event is {event!r}, not 0 or 1")
    return Targets(time=_days(facts, "Survival.time"), event=event == "1")


def _tcga_survival(facts: Mapping[str, str]) -> Targets:
    status = facts["vital_status"]
    if status not in ("Dead", "Alive"):
        raise ValueError(f"vital_status is {status!r}, not Dead or Alive")
    dead = status == "Dead"
    return Targets(time=_days(facts, "days_to_death" if dead else "days_to_last_follow_up"), event=dead)


def _tcga_stage(facts: Mapping[str, str]) -> Targets:
    said = facts["ajcc_pathologic_stage"]
    number = said.removeprefix("Stage ").rstrip("ABC")
    if number not in _STAGES:
        raise ValueError(f"ajcc_pathologic_stage is {said!r}, none of Stage {', '.join(_STAGES)}")
    return Targets(stage=(EARLY, LATE).index(_STAGES[number]))


def _days(facts: Mapping[str, str], name: str) -> float:
    try:
        days = float(facts[name])
    except ValueError:
        days = math.nan
    if not 0 < days < math.inf:
        raise ValueError(f"{name} is {facts[name]!r}, no number above 0")
    return days


@dataclass(frozen=True, kw_only=True)
class Asks:
    """How one question is answered by a dataset's facts; `stages` lowest first where stages are asked."""

    read: Read
    stages: tuple[str, ...] = ()


ASKS: Mapping[tuple[str, CaseTask], Asks] = MappingProxyType(
    {
        ("nsclc_radiomics", CaseTask.SURVIVE): Asks(read=_nsclc_survival),
        ("tcga_blca", CaseTask.SURVIVE): Asks(read=_tcga_survival),
        ("tcga_blca", CaseTask.STAGE): Asks(read=_tcga_stage, stages=(EARLY, LATE)),
    }
)
"""By the source's id and the question."""


@dataclass(frozen=True, kw_only=True)
class SourceTable(CaseTable):
    """A `CaseTable` whose images and masks the source reads; `label` is that of the case or, with `organs`, an organ map."""

    source: Source
    found: Mapping[str, FoundCase]
    organs: bool

    def read(self, case: TableCase) -> OpenCase:
        """As `CaseTable.read`."""
        opened = self.source.read(self.found[case.id])
        if not self.organs:
            return OpenCase(id=case.id, images=(opened.ct,), label=opened.label)
        assert case.label is not None
        assert self.numbering is not None
        with about(case.id):
            organs = on_grid_of(read_organs(case.label, numbering=self.numbering), opened.ct.grid)
        return OpenCase(id=case.id, images=(opened.ct,), label=organs)


def table_of_source(
    source: Source, root: Path, task: CaseTask, *, numbering: OrganNumbering = OrganNumbering.V2
) -> SourceTable:
    """The cases of a published tree whose facts answer a question.

    Where the dataset has no lesion of its own, `organs/<case>.nii.gz` below `root` is the case's label.

    Args:
        source: Of the dataset.
        root: Its tree.
        task: The question.
        numbering: Of the organ maps.

    Raises:
        StoreError: The tree is not laid out as published, answers no such question, or lacks organ maps.
    """
    asks = ASKS.get((source.id, task))
    if asks is None:
        known = ", ".join(f"{task} by {id}" for id, task in ASKS)
        raise StoreError(f"{source.title} has no facts to {task} by; known is how to {known}. Write a cases.csv for others")
    found, organs = source.find(root), not source.lesions
    cases: list[TableCase] = []
    left: list[str] = []
    for case in found:
        try:
            targets = asks.read(case.facts)
        except ValueError as error:
            left.append(f"{case.id} ({error})")
            continue
        label = root / ORGANS / f"{case.id}.nii.gz" if organs else case.label
        if label is None:
            left.append(f"{case.id} (nobody drew its lesion)")
            continue
        cases.append(TableCase(id=case.id, patient=case.patient, images=(case.image,), label=label, targets=targets))
    if organs:
        _refuse_without_organs(source, root, cases, numbering)
    return SourceTable(
        path=root, channels=(Modality.CT,), stages=asks.stages, cases=tuple(cases), problems=(),
        notes=tuple([f"{source.title}: left out {len(left)} of {len(found)}: {'; '.join(left)}"] if left else []),
        numbering=numbering if organs else None, source=source, found={case.id: case for case in found}, organs=organs,
    )  # fmt: skip


def _refuse_without_organs(source: Source, root: Path, cases: list[TableCase], numbering: OrganNumbering) -> None:
    lacking = [case.id for case in cases if case.label is not None and not case.label.is_file()]
    if lacking:
        raise StoreError(
            f"{root / ORGANS}: no organ map of {len(lacking)} of {len(cases)} cases ({', '.join(lacking[:_NAMED])}). Nobody "
            f"drew the lesions of {source.title}, so the network is shown the organ: segment each CT with TotalSegmentator "
            f"(--ml, {numbering} numbering) and put the map there as <case>.nii.gz, on the grid of the CT"
        )
