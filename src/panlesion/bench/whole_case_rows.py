"""The paper's tasks about whole cases as rows: on a user's `cases.csv`, or on a published tree with its clinical facts."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from panlesion.bench.paper import Group, PaperTask
from panlesion.bench.protocol import BenchRow, Dataset, Protocol
from panlesion.bench.whole_case_check import refuse
from panlesion.bench.whole_case_scores import Question
from panlesion.bench.whole_cases import CHOICES, WholeCases, run_whole_cases
from panlesion.ct.organs import V1_LABELS
from panlesion.ct.region import Region
from panlesion.data.sources.case_table import TABLE_FILE, CaseTable, read_case_table
from panlesion.data.sources.source import Source
from panlesion.data.sources.source_table import ORGANS, table_of_source
from panlesion.errors import StoreError
from panlesion.lesion.case_task import TARGET_COLUMNS, CaseTask
from panlesion.recipes.case_recipe import default_region

ASKED: Mapping[Group, CaseTask] = {
    Group.DETECTION: CaseTask.DETECT,
    Group.SURVIVAL: CaseTask.SURVIVE,
    Group.STAGING: CaseTask.STAGE,
    Group.ATTRIBUTES: CaseTask.DESCRIBE,
}
HORIZON_DAYS = 730.5
"""Two years, of published sets whose times are days. Ours: the paper's horizon is not published."""
SEEN: Mapping[str, tuple[int, ...]] = {"tcga_blca": (V1_LABELS["urinary_bladder"],)}
"""Organs, v1 labels, that stand for the lesion where nobody drew it."""


def whole_case_rows(tasks: Mapping[str, PaperTask], sources: Mapping[str, Source]) -> dict[str, BenchRow]:
    """A row for every task about whole cases whose data are a user's own or one of `sources`."""
    rows = [_row(task, sources.get(task.data.id)) for task in tasks.values() if task.group in ASKED]
    return {row.id: row for row in rows if row is not None}


def _row(task: PaperTask, source: Source | None) -> BenchRow | None:
    if source is None and not task.data.own:
        return None
    plan = plan_of(task, source)
    worded = plan.task is CaseTask.STAGE and source is None
    return BenchRow(
        id=task.id, title=task.title, protocol=Protocol.WHOLE_CASES, run=partial(run_whole_cases, plan),
        takes=CHOICES | ({"stages"} if worded else set()), data=_dataset(task, plan, source),
    )  # fmt: skip


def plan_of(task: PaperTask, source: Source | None) -> WholeCases:
    """The task as the bench runs it."""
    asked = ASKED[task.group]
    organ = () if source is None or source.lesions else SEEN[source.id]
    question = Question(
        task=asked,
        attribute=task.id.partition("-")[0] if asked is CaseTask.DESCRIBE else "",
        horizon=HORIZON_DAYS if source is not None and asked is CaseTask.SURVIVE else None,
        unit="days" if source is not None else "",
    )
    table: Callable[[Path, tuple[str, ...]], CaseTable] = (
        partial(own_table, asked) if source is None else partial(_published, source, asked)
    )
    region = Region.ORGAN if organ else default_region(asked)
    return WholeCases(id=task.id, folder=task.data.folder, question=question, table=table, region=region, values=organ)


def own_table(task: CaseTask, folder: Path, stages: tuple[str, ...]) -> CaseTable:
    """The user's table in a folder.

    Raises:
        StoreError: There is none.
    """
    if not (folder / TABLE_FILE).is_file():
        raise StoreError(f"{folder / TABLE_FILE} is missing; it has a row for every case")
    return read_case_table(folder, task, stages=stages, need_label=True)


def _published(source: Source, task: CaseTask, root: Path, _stages: tuple[str, ...]) -> CaseTable:
    return table_of_source(source, root, task)


def _ids(plan: WholeCases, folder: Path) -> Sequence[str]:
    """The cases by name, as far as the table alone tells."""
    table = plan.table(folder, ())
    # which order stages that are words have is a choice of the run
    refuse(table, tuple(one for one in table.problems if "--stages" not in one))
    plan.question.check(table)
    return tuple(case.id for case in table.cases)


def _dataset(task: PaperTask, plan: WholeCases, source: Source | None) -> Dataset:
    data = task.data
    folders, ids = (data.folder,), partial(_ids, plan)
    if source is None:
        label = "the organ's mask" if plan.region is Region.ORGAN else "the lesion's mask"
        columns = ", ".join(("case", "patient", "image", "label", *TARGET_COLUMNS[plan.task]))
        layout = f"{TABLE_FILE} with the columns {columns}, one row a case; label is {label} (docs/finetune.md, docs/bench.md)"
        return Dataset(folders=folders, source=f"{data.title}, {data.licence}", get=data.get, layout=layout, ids=ids)
    layout = source.layout
    if plan.values:
        layout += f"; and {ORGANS}/<case>.nii.gz, the organ map of each CT as TotalSegmentator --ml writes it (v2 numbering)"
    return Dataset(
        folders=folders, source=f"{data.title}, {source.licence}", get=source.get, layout=layout, ids=ids
    )  # fmt: skip
