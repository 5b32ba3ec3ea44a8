"""Rows that run the paper's tasks: on a public dataset through its `Source`, or on a user's own data for the authors'."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from panlesion.bench.case_readers import CaseReader, OwnReader, SourceReader
from panlesion.bench.few_shot import FewShot
from panlesion.bench.few_shot_table import run_task
from panlesion.bench.lesion_free import run_lesion_free
from panlesion.bench.paper import Group, PaperTask
from panlesion.bench.protocol import BenchRow, Dataset, Protocol
from panlesion.bench.task import BenchTask
from panlesion.data.sources.source import Source
from panlesion.nets.classes import OTHER_MASS
from panlesion.train.finetune import Finetune

SEGMENTS = (Group.FULL, Group.FEW_SHOT, Group.PLAIN, Group.MRI, Group.PAN_CANCER)
SHOTS = (1, 2, 4, 8, 16)
FOLDS, FOLD_STEPS = 5, 1000
"""Fine-tuning steps of a fold, ours: the paper's are 500 × 250, some 4,000 core hours of a CPU for a row."""

RIVAL_CHOICES = frozenset({"nnunet_venv", "nnunet_epochs", "rival", "rival_kind"})
FEW_SHOT_CHOICES = frozenset({"shots", "seeds", "steps", "arms", "spacing", "cases", "workers"}) | RIVAL_CHOICES
FOLD_CHOICES = FEW_SHOT_CHOICES - {"shots", "seeds"}


def few_shot_plan() -> FewShot:
    """The paper's shots; steps and repetitions are ours."""
    return FewShot(shots=SHOTS)


def fold_plan() -> FewShot:
    """Every patient is tested on in one of five folds."""
    few = Finetune()
    return FewShot(seeds=FOLDS, cross_validated=True, finetune=replace(few, fit=replace(few.fit, steps=FOLD_STEPS)))


def paper_rows(tasks: Mapping[str, PaperTask], sources: Mapping[str, Source]) -> dict[str, BenchRow]:
    """A row for every task of segmentation or of lesion-free scans that can run with these sources."""
    rows = (_row(task, sources) for task in tasks.values())
    return {row.id: row for row in rows if row is not None}


def _row(task: PaperTask, sources: Mapping[str, Source]) -> BenchRow | None:
    source = sources.get(task.data.id)
    if task.group is Group.LESION_FREE and source is not None:
        return BenchRow(
            id=task.id, title=task.title, protocol=Protocol.LESION_FREE, takes=frozenset({"cases"}),
            run=partial(run_lesion_free, task.id, task.data.folder, source), data=_dataset(task, partial(_ids, source), source),
        )  # fmt: skip
    reader = _reader(task, source) if task.group in SEGMENTS else None
    if reader is None:
        return None
    few = task.group in {Group.FEW_SHOT, Group.MRI}
    title = task.title + {Group.FULL: ", all data", Group.FEW_SHOT: ", few shots"}.get(task.group, "")
    run = partial(run_task, bench_task(task, reader), plan=few_shot_plan() if few else fold_plan())
    return BenchRow(
        id=task.id, title=title, protocol=Protocol.FEW_SHOT if few else Protocol.FOLDS, run=run,
        takes=FEW_SHOT_CHOICES if few else FOLD_CHOICES, data=_dataset(task, reader.ids, source),
    )  # fmt: skip


def bench_task(task: PaperTask, reader: CaseReader) -> BenchTask:
    """The task as the bench runs it; its head starts from the lesion type's own class, or from `other_mass`."""
    assert task.spacing_mm is not None
    return BenchTask(
        id=task.id, read=reader, folder=task.data.folder, classes=(task.lesion or task.type or "lesion",),
        start_from=task.type or OTHER_MASS, spacing_mm=task.spacing_mm,
    )  # fmt: skip


def _reader(task: PaperTask, source: Source | None) -> CaseReader | None:
    if task.data.own:
        return OwnReader(lesion=task.type)
    if source is None:
        return None
    return SourceReader(source=source, keep=(task.lesion,) if task.lesion else source.lesions)


def _ids(source: Source, root: Path) -> tuple[str, ...]:
    return tuple(case.id for case in source.find(root))


def _dataset(task: PaperTask, ids: Callable[[Path], Sequence[str]], source: Source | None = None) -> Dataset:
    """What the row wants; a source's own words where there is one."""
    data, said = task.data, source or task.data
    return Dataset(
        folders=(data.folder,), source=f"{data.title}, {said.licence}", get=said.get, layout=said.layout, ids=ids
    )  # fmt: skip
