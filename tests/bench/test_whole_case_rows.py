"""Which rows there are about whole cases, what they ask for, and those of public data on drawn trees."""

import numpy as np
import pytest
import torch
from annotated_scans_made import scans
from runs_made import TINY

from panlesion.bench import whole_case_scores
from panlesion.bench.paper import paper_tasks
from panlesion.bench.protocol import STAND_IN, Asked, Choices, Protocol
from panlesion.bench.registry import ROWS
from panlesion.bench.scores import read_scores
from panlesion.bench.whole_case_rows import ASKED, plan_of, whole_case_rows
from panlesion.ct.nifti import write_labels
from panlesion.ct.region import Region
from panlesion.ct.volume import LabelMap
from panlesion.data.sources.registry import SOURCES
from panlesion.data.standins.tcia import write_nsclc_radiomics, write_tcga_blca
from panlesion.errors import StoreError
from panlesion.lesion.case_task import TARGET_COLUMNS, CaseTask
from panlesion.measure.resampling import bootstrap
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo

TASKS = {name: task for name, task in paper_tasks().items() if task.group in ASKED}
PUBLIC = {name: task for name, task in TASKS.items() if not task.data.own}
BLADDER = 21
"""Of v2 numbering."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Both public sets with twelve patients and a tiny checkpoint; organ maps of the bladders."""
    root, drawn = tmp_path_factory.mktemp("root"), scans(12)
    torch.manual_seed(0)
    model = Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=4.0, patch_voxels=16))
    save_checkpoint(root / "tiny.safetensors", model)
    write_nsclc_radiomics(root / "nsclc_radiomics", drawn)
    write_tcga_blca(root / "tcga_blca", drawn)
    (root / "tcga_blca" / "organs").mkdir()
    for case, one in zip(SOURCES["tcga_blca"].find(root / "tcga_blca"), drawn, strict=True):
        organs = LabelMap(labels=((one.label.labels == 1) * BLADDER).astype(np.uint8), grid=one.label.grid)
        write_labels(root / "tcga_blca" / "organs" / f"{case.id}.nii.gz", organs)
    for folder in ("nsclc_radiomics", "tcga_blca"):
        (root / folder / STAND_IN).touch()
    return root


def test_all_fifteen_tasks_about_whole_cases_have_a_row():
    assert len(TASKS) == 15
    assert all(ROWS[name].protocol is Protocol.WHOLE_CASES for name in TASKS)
    assert {name for name, row in ROWS.items() if row.protocol is Protocol.WHOLE_CASES} == set(TASKS)
    assert set(PUBLIC) == {"lung-survival", "bladder-survival", "bladder-staging"}


def test_every_published_metric_of_a_task_is_one_that_its_row_measures():
    for task in TASKS.values():
        assert set(task.metrics) <= set(whole_case_scores.METRICS[ASKED[task.group]])


def test_rows_of_one_folder_ask_for_their_own_columns(tmp_path):
    for name, task in TASKS.items():
        with pytest.raises(StoreError) as caught:
            ROWS[name].check(Asked(root=tmp_path, checkpoint="nano", out=tmp_path / "out", choices=Choices()))
        assert task.data.folder in str(caught.value)
        if task.data.own:
            assert ", ".join(TARGET_COLUMNS[ASKED[task.group]]) in str(caught.value)
    assert ROWS["gastric-survival"].data.layout != ROWS["gastric-staging"].data.layout
    assert "organs/<case>.nii.gz" in ROWS["bladder-staging"].data.layout


def test_a_folder_without_its_table_is_told_so(tmp_path):
    (tmp_path / "gastric_clinical").mkdir()
    with pytest.raises(StoreError, match=r"cases\.csv is missing; it has a row for every case\. Get "):
        ROWS["gastric-survival"].data.check(tmp_path)


def test_a_public_task_without_its_source_has_no_row_but_a_users_own_has():
    rows = whole_case_rows(TASKS, {})
    assert set(rows) == set(TASKS) - set(PUBLIC)


def test_organs_are_shown_where_a_lesion_is_asked_for_or_nobody_drew_it():
    plans = {name: plan_of(task, SOURCES.get(task.data.id)) for name, task in TASKS.items()}
    organ = {name for name, plan in plans.items() if plan.region is Region.ORGAN}
    assert organ == {name for name in TASKS if name.endswith("-detection")} | {"bladder-survival", "bladder-staging"}
    assert plans["bladder-staging"].values == (104,)
    attributes = {plan.question.attribute for plan in plans.values() if plan.task is CaseTask.DESCRIBE}
    assert attributes == set(TARGET_COLUMNS[CaseTask.DESCRIBE])


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_a_public_tree_is_learned_from_without_a_table(tmp_path, root, monkeypatch, name):
    monkeypatch.setattr(whole_case_scores, "bootstrap", lambda *args: bootstrap(*args, draws=40))
    assert ROWS[name].data.check(root) == 12
    arms = ("frozen", "volume") if name == "lung-survival" else ("frozen",)
    checkpoint = str(root / "tiny.safetensors")
    ROWS[name].measure(
        Asked(root=root, checkpoint=checkpoint, out=tmp_path, choices=Choices(steps=1, arms=arms)), lambda *_: None
    )
    scores = read_scores(tmp_path)
    assert {one.n for one in scores} == {12}
    assert "auc" in {one.metric for one in scores}
    assert {one.arm for one in scores} == ({"features frozen", "lesion volume"} if len(arms) > 1 else {"features frozen"})
    page = (tmp_path / "table.md").read_text()
    assert ("AUC: III-IV against I-II" if name.endswith("staging") else "by 730.5 days") in page


def test_bladders_without_organ_maps_are_asked_for_them(tmp_path, root):
    (tmp_path / "tcga_blca").mkdir()
    for one in ("TCGA-BLCA", "clinical.tsv"):
        (tmp_path / "tcga_blca" / one).symlink_to(root / "tcga_blca" / one)
    with pytest.raises(StoreError, match=r"organs: no organ map of 12 of 12 cases.*TotalSegmentator"):
        ROWS["bladder-survival"].check(Asked(root=tmp_path, checkpoint="nano", out=tmp_path / "out", choices=Choices()))
