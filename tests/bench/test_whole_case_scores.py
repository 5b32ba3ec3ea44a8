"""Scores of made answers: what is right scores 1, what is monotone changes nothing, and every arm has its own metrics."""

from types import SimpleNamespace

import numpy as np
import pytest

from panlesion.bench import whole_case_scores
from panlesion.bench.task import Arm
from panlesion.bench.whole_case_scores import Evidence, Question, baselines_of, ranks_in_folds, whole_case_tables
from panlesion.ct.region import Region
from panlesion.data.sources.case_table import Targets
from panlesion.lesion.case_task import CaseTask
from panlesion.lesion.vocabulary import READINGS
from panlesion.measure.resampling import bootstrap
from panlesion.nets.case_answer import Answers
from panlesion.recipes.case_recipe import CaseEntry
from panlesion.recipes.cases import Part

COUNT = 20


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(whole_case_scores, "bootstrap", lambda *args: bootstrap(*args, draws=30))


def evidence(task, targets, values, *, stages=(), volume=None, seed=0):
    """One repetition whose network says `values`, an array (N, K) of probabilities or (N,) of risks, in folds of four cases."""
    fold = np.random.default_rng(seed).permutation(COUNT) % 5
    sizes = [None] * COUNT if volume is None else volume
    cases = tuple(
        CaseEntry(id=f"c{n}", patient=f"p{n}", crc=n, volume_ml=sizes[n], fold=int(fold[n]), targets=one)
        for n, one in enumerate(targets)
    )
    parts = []
    for one in range(5):
        rows = np.flatnonzero(fold == one)
        name = {CaseTask.DETECT: "present", CaseTask.STAGE: "stage"}.get(task, "density")
        said = Answers(classes={}, risk=values[rows]) if task is CaseTask.SURVIVE else Answers(classes={name: values[rows]})
        parts.append((Part(name=f"fold_{one}", learned=rows[:0], choosing=rows[:0], scored=rows), said))
    return Evidence(recipe=SimpleNamespace(task=task, cases=cases, stages=stages), answers={Arm.FROZEN: parts})


def scores_of(question, some, arms=(Arm.FROZEN,)):
    tables = whole_case_tables("row", question, some, arms)
    return {(one.arm, one.metric): one.value for one in tables[0].scores}, tables[0]


def one_hot(index, classes):
    return np.eye(classes)[index] * 0.8 + 0.2 / classes


def test_a_network_that_is_right_scores_one_and_the_opposite_zero():
    present = np.arange(COUNT) % 2
    targets = [Targets(present=bool(one)) for one in present]
    for said, value in ((present, 1.0), (1 - present, 0.0)):
        found, _ = scores_of(Question(task=CaseTask.DETECT), [evidence(CaseTask.DETECT, targets, one_hot(said, 2))])
        assert found == {("features frozen", "auc"): value, ("features frozen", "accuracy"): value}


@pytest.mark.parametrize(("stages", "late"), [(2, 1), (3, 2), (4, 2), (5, 3)])
def test_the_auc_of_stages_is_of_their_upper_half(stages, late):
    stage = np.arange(COUNT) % stages
    names = tuple(f"S{n}" for n in range(stages))
    swapped = np.where(stage >= late, stages - 1, 0)  # right of early and late, and of nothing else
    found, table = scores_of(
        Question(task=CaseTask.STAGE),
        [evidence(CaseTask.STAGE, [Targets(stage=int(n)) for n in stage], one_hot(swapped, stages), stages=names)],
    )
    assert found["features frozen", "auc"] == 1.0
    assert (found["features frozen", "accuracy"] == 1.0) == (stages == 2)
    assert f"AUC: {', '.join(names[late:])} against {', '.join(names[:late])};" in table.notes[0]
    assert {(one.case, one.truth) for one in table.said} == {(f"c{n}", bool(stage[n] >= late)) for n in range(COUNT)}


def test_risks_count_within_their_folds_alone():
    rng = np.random.default_rng(3)
    time = rng.permutation(COUNT) + 1.0
    targets = [Targets(time=float(one), event=True) for one in time]
    volume = (100 - time).tolist()
    right = evidence(CaseTask.SURVIVE, targets, -time, volume=volume)
    shift = np.array([1000.0 * case.fold for case in right.recipe.cases])
    for risks in (-time, np.exp(-time) * 3 + shift):
        found, table = scores_of(
            Question(task=CaseTask.SURVIVE),
            [evidence(CaseTask.SURVIVE, targets, risks, volume=volume)],
            (Arm.FROZEN, Arm.VOLUME),
        )
        assert found["features frozen", "c-index"] == found["lesion volume", "c-index"] == 1.0
        assert found["features frozen", "auc"] == found["lesion volume", "auc"]
        assert "by 10.5 in the table's unit" in table.notes[0]
    risk, fold = rng.normal(size=(COUNT, 2)), rng.integers(0, 4, (COUNT, 2))
    ranks = ranks_in_folds(risk, fold)
    assert np.array_equal(ranks, ranks_in_folds(np.exp(risk) + 50 * fold, fold))
    assert ((ranks > 0) & (ranks < 1)).all()


def test_an_attribute_is_scored_where_it_is_known_with_a_curve_for_each_word_that_occurs():
    at, words = tuple(READINGS).index("density"), len(READINGS["density"])
    index = [None if n % 5 == 0 else n % 2 for n in range(COUNT)]
    targets = [Targets(attributes=tuple(one if n == at else 0 for n in range(len(READINGS)))) for one in index]
    said = one_hot(np.arange(COUNT) % 2, words)
    found, table = scores_of(
        Question(task=CaseTask.DESCRIBE, attribute="density"), [evidence(CaseTask.DESCRIBE, targets, said)],
        (Arm.FROZEN, Arm.MAJORITY),
    )  # fmt: skip
    assert found["features frozen", "accuracy"] == found["features frozen", "f1"] == 1.0
    assert found["most frequent class", "accuracy"] < 0.7
    assert {score.n for score in table.scores} == {16}
    assert {one.question for one in table.said} == {f"density: {word.value}" for word in list(READINGS["density"])[:2]}
    assert {one.case for one in table.said} == {f"c{n}" for n in range(COUNT) if n % 5}


def test_repetitions_are_averaged_and_an_answer_is_their_mean():
    targets = [Targets(present=bool(n % 2)) for n in range(COUNT)]
    right, wrong = one_hot(np.arange(COUNT) % 2, 2), one_hot(1 - np.arange(COUNT) % 2, 2)
    some = [evidence(CaseTask.DETECT, targets, values, seed=seed) for seed, values in enumerate((right, wrong))]
    found, table = scores_of(Question(task=CaseTask.DETECT), some)
    assert found["features frozen", "auc"] == 0.5
    assert {one.evidence for one in table.said} == {0.5}
    assert {one.repetitions for one in table.scores} == {2}


def test_what_is_not_defined_is_a_dash_and_no_score():
    time = np.arange(COUNT) + 1.0
    targets = [Targets(time=float(one), event=bool(n % 2)) for n, one in enumerate(time)]
    found, table = scores_of(Question(task=CaseTask.SURVIVE, horizon=500.0), [evidence(CaseTask.SURVIVE, targets, -time)])
    assert set(found) == {("features frozen", "c-index")}
    assert table.rows[0][2] == "-"


@pytest.mark.parametrize(
    ("task", "region", "arms"),
    [
        (CaseTask.DETECT, Region.ORGAN, (Arm.MAJORITY,)),
        (CaseTask.STAGE, Region.LESION, (Arm.VOLUME, Arm.MAJORITY)),
        (CaseTask.SURVIVE, Region.LESION, (Arm.VOLUME,)),
        (CaseTask.SURVIVE, Region.ORGAN, ()),
        (CaseTask.DESCRIBE, Region.LESION, (Arm.MAJORITY,)),
    ],
)
def test_trivial_arms_are_those_that_can_answer(task, region, arms):
    assert baselines_of(Question(task=task), region) == arms
