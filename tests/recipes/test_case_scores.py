import json
from dataclasses import replace

import numpy as np
import pytest
from uses_made import TINY

from panlesion.ct.modality import Modality
from panlesion.ct.region import Framing, Region
from panlesion.data.sources.case_table import Targets
from panlesion.lesion.case_task import CaseTask, Likelihood
from panlesion.nets.case_answer import Answers
from panlesion.nets.case_use import default_look
from panlesion.recipes import case_recipe
from panlesion.recipes.case_recipe import CaseEntry, CaseRecipe
from panlesion.recipes.case_scores import score_cases, write_scores
from panlesion.recipes.cases import Part


def recipe_of(task, targets, volumes, folds=2):
    framing = Framing(region=Region.LESION, side=16, spacing_mm=4.0)
    entries = tuple(
        CaseEntry(id=f"c{n}", patient=f"p{n // 2}", crc=n, volume_ml=volume, fold=n % folds, targets=one)
        for n, (one, volume) in enumerate(zip(targets, volumes, strict=True))
    )
    given = {name: getattr(case_recipe.frozen(), name) for name in case_recipe.CaseProtocol.__dataclass_fields__}
    return CaseRecipe(
        **given, task=CaseTask(task), checkpoint="tiny", base_sha256="", framing=framing, look=default_look(framing, TINY),
        old_head=False, channels=(Modality.CT,), numbering=None, stages=("a", "b", "c"), likelihood=Likelihood.COX, intervals=8,
        present_weight=1.0, folds=tuple(map(str, range(folds))), cases=entries,
    )  # fmt: skip


def scored(recipe, classes=None, risk=None):
    folds = np.array([case.fold for case in recipe.cases])
    found = []
    for n, name in enumerate(recipe.folds):
        rows = np.flatnonzero(folds == n)
        part = Part(name=f"fold_{name}", learned=np.flatnonzero(folds != n), choosing=rows[:0], scored=rows)
        some = {key: values[rows] for key, values in (classes or {}).items()}
        found.append((part, Answers(classes=some, risk=None if risk is None else risk[rows])))
    return {score.name: score for score in score_cases(recipe, found)}


def certain(index, count):
    return np.eye(count)[index] * 0.98 + 0.01


def test_perfect_answers_score_one_and_the_majority_what_it_is_worth():
    present = np.array([0, 0, 0, 1] * 4)
    recipe = recipe_of("detect", [Targets(present=bool(one)) for one in present], [1.0] * 16, folds=4)
    scores = scored(recipe, {"present": certain(present, 2)})
    assert scores["AUC"].value.mean == 1
    assert scores["accuracy"].value.mean == 1
    # each fold holds one of four kinds: the majority of the others is "absent" everywhere
    assert scores["accuracy"].baseline_value.mean == pytest.approx(12 / 16)
    assert scores["accuracy"].value.n == 8
    assert scores["accuracy"].cases == 16


def test_the_majority_is_that_of_the_training_part_alone():
    present = np.array([1, 0] * 6)  # fold 0 holds all with, fold 1 all without
    recipe = recipe_of("detect", [Targets(present=bool(one)) for one in present], [1.0] * 12)
    scores = scored(recipe, {"present": certain(present, 2)})
    assert scores["accuracy"].baseline_value.mean == 0


def test_stages_are_ranked_beside_the_volume():
    stage = np.array([0, 1, 2, 0, 1, 2])
    recipe = recipe_of("stage", [Targets(stage=int(one)) for one in stage], [3.0, 2.0, 1.0, 3.0, 2.0, 1.0])
    scores = scored(recipe, {"stage": certain(stage, 3)})
    assert scores["concordance"].value.mean == 1
    assert scores["concordance"].baseline == "lesion volume"
    assert scores["concordance"].baseline_value.mean == 0
    assert scored(recipe, {"stage": certain(2 - stage, 3)})["concordance"].value.mean == 0


def test_survival_is_ranked_within_folds_and_volume_is_left_out_where_a_label_is_missing():
    time = np.array([10.0, 20, 30, 40, 50, 60])
    targets = [Targets(time=float(one), event=True) for one in time]
    recipe = recipe_of("survive", targets, [6.0, 5, 4, 3, 2, 1])
    risk = -time + 1000 * np.array([case.fold for case in recipe.cases])
    score = scored(recipe, risk=risk)["C index"]
    assert (score.value.mean, score.baseline_value.mean) == (1, 1)
    gap = replace(recipe, cases=(replace(recipe.cases[0], volume_ml=None), *recipe.cases[1:]))
    assert scored(gap, risk=risk)["C index"].baseline_value is None


def test_attributes_are_scored_where_they_are_known_and_where_there_are_two_classes():
    density = [0, 1, None, 1, 0, None]
    recipe = recipe_of("describe", [Targets(attributes=(3, one, None, None, None)) for one in density], [1.0] * 6)
    said = np.array([0, 1, 2, 1, 0, 2])
    counts = {"shape": 4, "density": 3, "heterogeneity": 2, "surface": 2, "invasion": 2}
    classes = {name: certain(said if name == "density" else said * 0, count) for name, count in counts.items()}
    scores = scored(recipe, classes)
    assert set(scores) == {"density accuracy", "density macro F1"}
    assert scores["density accuracy"].value.mean == 1
    assert scores["density accuracy"].cases == 4


def test_a_score_that_is_not_defined_is_null_in_the_file(tmp_path):
    recipe = recipe_of("survive", [Targets(time=5.0, event=False)] * 4, [1.0] * 4)
    write_scores(tmp_path / "s.json", list(scored(recipe, risk=np.arange(4.0)).values()))
    (score,) = json.loads((tmp_path / "s.json").read_text())
    assert score["value"]["mean"] is None
