"""Rows about whole cases on drawn tables with a tiny network: scores, predictions, resuming, refusals."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from runs_made import TINY

from panlesion.bench import whole_case_scores, whole_cases
from panlesion.bench.compare import RAN, compare_folders
from panlesion.bench.predictions import read_predictions
from panlesion.bench.protocol import STAND_IN, Asked, Choices, Protocol
from panlesion.bench.registry import ROWS
from panlesion.bench.scores import read_scores
from panlesion.bench.task import Arm
from panlesion.bench.whole_case_scores import METRICS
from panlesion.bench.whole_cases import protocol_of
from panlesion.data.standins.case_tables import write_attributes, write_clinical, write_detection
from panlesion.errors import StoreError
from panlesion.lesion.case_task import CaseTask
from panlesion.measure.resampling import bootstrap
from panlesion.nets.checkpoint import save_checkpoint
from panlesion.nets.classes import pan_tumour_classes
from panlesion.nets.model import Model, ModelInfo
from panlesion.recipes.case_recipe import Learns

WRITE = {"detection": write_detection, "survival": write_clinical, "staging": write_clinical, "attribute": write_attributes}
PUBLIC = ("lung-survival", "bladder-survival", "bladder-staging")
OWN = {name: row for name, row in ROWS.items() if row.protocol is Protocol.WHOLE_CASES and name not in PUBLIC}


TASKS = {"detection": CaseTask.DETECT, "survival": CaseTask.SURVIVE, "staging": CaseTask.STAGE, "attribute": CaseTask.DESCRIBE}
TRAINED = ("bladder-detection", "gastric-survival", "rectal-staging", "density-attribute")
"""One row of each kind trains a network here; what is behind the others is the same."""


def kind(row):
    return row.rpartition("-")[2]


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(whole_case_scores, "bootstrap", lambda *args: bootstrap(*args, draws=40))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A root with every kind of table and a tiny checkpoint, tables written for one row serve the others of their kind."""
    torch.manual_seed(0)
    root = tmp_path_factory.mktemp("root")
    save_checkpoint(
        root / "tiny.safetensors", Model(ModelInfo(preset=TINY, classes=pan_tumour_classes(), spacing_mm=4.0, patch_voxels=16))
    )
    for name, row in OWN.items():
        folder = root / row.data.folders[0]
        if not folder.exists():
            WRITE[kind(name)](folder, 20)
            (folder / STAND_IN).touch()
    return root


def asked(root, out, **choices):
    return Asked(root=root, checkpoint=str(root / "tiny.safetensors"), out=out, choices=Choices(**choices))


def silent(*_):
    pass


@pytest.mark.parametrize("name", sorted(OWN))
def test_every_row_runs_on_its_drawn_table_and_says_that_it_is_one(tmp_path, root, name):
    row, task = ROWS[name], TASKS[kind(name)]
    arm = "frozen" if name in TRAINED else "volume" if task is CaseTask.SURVIVE else "majority"
    row.measure(asked(root, tmp_path / "out", steps=1, arms=(arm,)), silent)
    scores = read_scores(tmp_path / "out")
    assert {one.metric for one in scores} <= set(METRICS[task])
    assert name not in TRAINED or len(scores) == len(METRICS[task])
    assert scores
    assert all(one.stand_in and one.row == name and one.n == 15 and one.low <= one.value <= one.high for one in scores)
    if arm != "majority":
        assert {said.case for said in read_predictions(tmp_path / "out")} == {f"case{n:03d}" for n in range(20)}
    compare_folders([tmp_path / "out"], tmp_path / "compared")
    assert RAN in (tmp_path / "compared" / "compare.md").read_text()


def test_all_arms_learn_and_a_finished_fold_is_not_trained_again(tmp_path, root, monkeypatch):
    trained = []
    train = whole_cases.train_part
    monkeypatch.setattr(whole_cases, "train_part", lambda *args, **more: trained.append(args[3].name) or train(*args, **more))
    opened = []
    check = whole_cases.checked_table
    monkeypatch.setattr(
        whole_cases, "checked_table", lambda *args, progress: check(*args, progress=lambda *n: opened.append(n) or progress(*n))
    )
    row, out = ROWS["gastric-staging"], tmp_path / "out"
    row.measure(asked(root, out, steps=2), silent)
    assert len(trained) == 15
    assert len(opened) == 20
    first = (out / "scores.json").read_text(), (out / "predictions.csv").read_text()
    arms = {one.arm for one in read_scores(out)}
    assert arms == {"fine-tuned", "features frozen", "scratch", "lesion volume", "most frequent class"}
    lines = (out / "answers.jsonl").read_text().splitlines()
    (out / "answers.jsonl").write_text("".join(line + "\n" for line in lines[:-1]) + lines[-1][:40])  # cut by a kill
    trained.clear()
    opened.clear()
    row.measure(asked(root, out, steps=2), silent)
    assert trained == ["fold_5"]
    assert not opened
    assert ((out / "scores.json").read_text(), (out / "predictions.csv").read_text()) == first
    assert not list((out / "runs").glob("*/fold_*"))


def test_scores_are_those_of_the_predictions(tmp_path, root):
    out = tmp_path / "out"
    ROWS["gallbladder-detection"].measure(asked(root, out, steps=1, arms=("frozen", "majority")), silent)
    said = read_predictions(out)
    truth = {n: n % 2 == 1 for n in range(20)}
    assert all(one.truth == truth[int(one.case[4:])] for one in said)
    yes, no = ([one.evidence for one in said if one.truth is found] for found in (True, False))
    area = np.mean([(a > b) + 0.5 * (a == b) for a in yes for b in no])
    scores = {(one.arm, one.metric): one.value for one in read_scores(out)}
    assert scores["features frozen", "auc"] == pytest.approx(area)
    assert scores["features frozen", "accuracy"] == pytest.approx(np.mean([(one.evidence > 0.5) == one.truth for one in said]))
    assert ("most frequent class", "auc") not in scores
    assert ("most frequent class", "accuracy") in scores


def test_repetitions_have_folds_of_their_own_and_are_added_to_those_there(tmp_path, root):
    row, out = ROWS["rectal-survival"], tmp_path / "out"
    row.measure(asked(root, out, steps=1, arms=("frozen",)), silent)
    before = (out / "answers.jsonl").read_text()
    row.measure(asked(root, out, steps=1, arms=("frozen", "volume"), seeds=2), silent)
    assert (out / "answers.jsonl").read_text().startswith(before)
    told = [json.loads(line) for line in (out / "answers.jsonl").read_text().splitlines()]
    folds = [{frozenset(one["cases"]) for one in told if one["seed"] == seed} for seed in (0, 1)]
    assert folds[0] != folds[1]
    assert [len(some) for some in folds] == [5, 5]
    assert {(one.arm, one.repetitions) for one in read_scores(out)} == {("features frozen", 2), ("lesion volume", 1)}
    assert all(one.time > 0 and one.event is not None and one.truth is None for one in read_predictions(out))


def spoiled(root, tmp_path, name, change):
    """The row's folder with another table, its scans where they were."""
    there, here = root / ROWS[name].data.folders[0], tmp_path / "root" / ROWS[name].data.folders[0]
    here.mkdir(parents=True)
    with (there / "cases.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    rows = [row | {column: str(there / row[column]) for column in ("image", "label")} for row in rows]
    rows = change(rows)
    with (here / "cases.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return Asked(root=tmp_path / "root", checkpoint=str(root / "tiny.safetensors"), out=tmp_path / "out",
                 choices=Choices(steps=1, arms=("frozen",)))  # fmt: skip


def without(column):
    return lambda rows: [{name: value for name, value in row.items() if name != column} for row in rows]


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("gallbladder-detection", without("present"), r"cases\.csv lacks the column present; detect learns from it"),
        ("gastric-survival", without("event"), r"lacks the column event; survive learns from it"),
        ("gastric-staging", without("stage"), r"lacks the column stage; stage learns from it"),
        ("shape-attribute", without("shape"), r"column shape is missing or has one word alone in its 20 rows"),
        ("shape-attribute", without("label"), r"label is empty"),
        ("rectal-detection", lambda rows: [row | {"present": "2"} for row in rows], r"present is 2; it is 0 or 1"),
        (
            "gastric-survival",
            lambda rows: [rows[0] | {"time": "-3"}, *rows[1:]],
            r"case000\): time is -3; it is a number above 0",
        ),
        ("gastric-survival", lambda rows: [rows[0] | {"image": "gone.nii.gz"}, *rows[1:]], r"gone\.nii\.gz does not exist"),
        ("gastric-survival", lambda rows: rows[:4], r"has 3 patients to survive with; 5 folds need one for each"),
        ("gastric-staging", lambda rows: [rows[0] | {"stage": "9"}, *rows[1:]], r"stage 4 is in fold \d alone"),
    ],
)
def test_what_is_wrong_with_a_table_is_named_and_nothing_is_trained(tmp_path, root, name, change, says):
    one = spoiled(root, tmp_path, name, change)
    with pytest.raises(StoreError, match=says):
        ROWS[name].measure(one, silent)
    assert not (tmp_path / "out" / "answers.jsonl").exists()


def test_stages_that_are_words_have_the_order_that_is_chosen(tmp_path, root):
    named = ("", "T1", "T2", "T3", "T4")
    one = spoiled(root, tmp_path, "rectal-staging", lambda rows: [row | {"stage": named[int(row["stage"])]} for row in rows])
    assert ROWS["rectal-staging"].data.check(tmp_path / "root") == 20
    with pytest.raises(StoreError, match="say --stages lowest"):
        ROWS["rectal-staging"].measure(one, silent)
    one = replace(one, choices=replace(one.choices, stages=named[1:]))
    ROWS["rectal-staging"].measure(one, silent)
    assert "AUC: T3, T4 against T1, T2" in (tmp_path / "out" / "table.md").read_text()


def test_another_table_model_or_number_of_steps_is_refused_in_a_folder_with_results(tmp_path, root):
    out = tmp_path / "out"
    row = ROWS["gastric-survival"]
    row.measure(asked(root, out, steps=1, arms=("volume",)), silent)
    with pytest.raises(StoreError, match="holds results with another steps"):
        row.measure(asked(root, out, steps=2, arms=("volume",)), silent)
    one = spoiled(root, tmp_path, "gastric-survival", lambda rows: [rows[0] | {"time": "5000"}, *rows[1:]])
    with pytest.raises(StoreError, match="another cases"):
        row.measure(one, silent)


@pytest.mark.parametrize(
    "line", ['{"arm": "features frozen"}', "[1]", '{"arm": "features frozen", "seed": 0, "part": "fold_1"}']
)
def test_foreign_lines_among_the_answers_are_refused(tmp_path, root, line):
    out = tmp_path / "out"
    out.mkdir()
    (out / "answers.jsonl").write_text(line + "\n")
    with pytest.raises(StoreError, match=r"answers\.jsonl.*remove"):
        ROWS["gastric-survival"].measure(asked(root, out, steps=1, arms=("frozen",)), silent)


def test_arms_that_a_question_has_not_are_refused(tmp_path, root):
    with pytest.raises(ValueError, match="volume is no arm; use some of finetuned, frozen, scratch, majority"):
        ROWS["gallbladder-detection"].measure(asked(root, tmp_path / "out", arms=("volume",)), silent)
    with pytest.raises(ValueError, match="takes no --stages"):
        ROWS["gastric-survival"].measure(asked(root, tmp_path / "out", stages=("1", "2")), silent)


def test_the_papers_steps_are_for_the_papers_size():
    assert protocol_of(Arm.FINETUNED, CaseTask.DETECT, "pasta").fit.steps == 5_000
    assert protocol_of(Arm.FINETUNED, CaseTask.DESCRIBE, "pasta").fit.steps == 20_000
    small = protocol_of(Arm.FINETUNED, CaseTask.DETECT, "nano")
    assert (small.fit.steps < 1_000, small.learns) == (True, Learns.FULL)
    assert protocol_of(Arm.FROZEN, CaseTask.DETECT, "pasta").learns is Learns.FROZEN
    assert protocol_of(Arm.SCRATCH, CaseTask.STAGE, "nano").encoder_scale == 1.0
