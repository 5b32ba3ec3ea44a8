"""Scores of questions about whole cases in the paper's metrics, out of fold, every arm on the same cases.

Of several repetitions each has its own folds; a score is their mean, and an interval draws patients with all of theirs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from panlesion.bench.predictions import Said
from panlesion.bench.protocol import Table
from panlesion.bench.scores import Score, scored
from panlesion.bench.task import Arm
from panlesion.ct.region import Region
from panlesion.data.sources.case_table import CaseTable
from panlesion.errors import StoreError
from panlesion.lesion.case_task import CaseTask
from panlesion.lesion.vocabulary import READINGS
from panlesion.measure.classes import macro_f1
from panlesion.measure.discrimination import auc, ordinal_c_index
from panlesion.measure.resampling import Interval, bootstrap
from panlesion.measure.survival import auc_at
from panlesion.nets.case_answer import Answers
from panlesion.recipes.case_recipe import CaseRecipe
from panlesion.recipes.case_scores import mean_c_index, usual_class
from panlesion.recipes.cases import Part, targets_of

METRICS: Mapping[CaseTask, tuple[str, ...]] = {
    CaseTask.DETECT: ("auc", "accuracy"),
    CaseTask.STAGE: ("auc", "concordance", "accuracy"),
    CaseTask.SURVIVE: ("c-index", "auc"),
    CaseTask.DESCRIBE: ("accuracy", "f1"),
}


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a row asks: of `describe` one attribute, of `survive` who has had the event by `horizon`.

    Without a horizon it is the median time of the events, for a user's table has a unit of its own.
    """

    task: CaseTask
    attribute: str = ""
    horizon: float | None = None
    unit: str = ""

    def check(self, table: CaseTable) -> None:
        """See that the table can answer it.

        Raises:
            StoreError: The attribute has fewer than two words in it.
        """
        if self.task is not CaseTask.DESCRIBE or table.problems:
            return
        at = tuple(READINGS).index(self.attribute)
        told = [one.targets.attributes[at] for one in table.cases if one.targets.attributes is not None]
        if len({one for one in told if one is not None}) < 2:
            words = ", ".join(repr(word.value) for word in READINGS[self.attribute])
            raise StoreError(
                f"{table.path}: column {self.attribute} is missing or has one word alone in its {len(told)} rows; it needs two "
                f"or more of {words}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """One repetition: its cases and folds, and what every network answered of the fold that it never learned from."""

    recipe: CaseRecipe
    answers: Mapping[Arm, Sequence[tuple[Part, Answers]]]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Truth:
    """What is known of the cases, N of them in R repetitions; `label` is a class index, -1 where unknown."""

    question: Question
    cases: tuple[str, ...]
    patients: tuple[str, ...]
    fold: NDArray[np.int64]
    label: NDArray[np.int64]
    time: NDArray[np.float64]
    event: NDArray[np.bool_]
    volume: NDArray[np.float64]
    stages: tuple[str, ...]

    @property
    def horizon(self) -> float:
        return self.question.horizon or float(np.median(self.time[self.event]))

    @property
    def late(self) -> int:
        """The first of the upper half of the stages, by whose start the AUC cuts them in two."""
        return len(self.stages) - len(self.stages) // 2


@dataclass(frozen=True, kw_only=True, eq=False)
class _Answer:
    """One arm: probabilities (N, R, K) or risks (N, R); the volume's are the same in every repetition."""

    classes: NDArray[np.float64] | None = None
    risk: NDArray[np.float64] | None = None
    said: NDArray[np.int64] | None = None


def baselines_of(question: Question, region: Region) -> tuple[Arm, ...]:
    """The trivial arms: the class that is most frequent in training, and the volume of a lesion that was drawn."""
    usual = () if question.task is CaseTask.SURVIVE else (Arm.MAJORITY,)
    sized = question.task in (CaseTask.STAGE, CaseTask.SURVIVE) and region is Region.LESION
    return (*((Arm.VOLUME,) if sized else ()), *usual)


def whole_case_tables(
    row: str, question: Question, evidence: Sequence[Evidence], arms: Sequence[Arm], *, notes: tuple[str, ...] = ()
) -> list[Table]:
    """Every arm by every metric, with intervals over patients, and the answers behind them."""
    truth = _truth(question, evidence[0].recipe, evidence)
    names = METRICS[question.task]
    scores: list[Score] = []
    rows: list[tuple[str, ...]] = []
    said: list[Said] = []
    for arm in arms:
        answer = _answer(arm, truth, evidence)
        found = _intervals(truth, answer)
        mine = {name: one for name, one in found.items() if all(map(math.isfinite, (one.mean, one.low, one.high)))}
        rows.append((str(arm), *(str(mine[name]) if name in mine else "-" for name in names)))
        times = 1 if arm is Arm.VOLUME else len(evidence)
        scores += [scored(row, str(arm), name, mine[name], repetitions=times) for name in names if name in mine]
        said += _said(arm, truth, answer)
    told = (
        *_told(truth),
        "Answers are out of fold; intervals resample patients (n). -: no such answer, or these cases do not define it.",
        *notes,
    )
    table = Table(title=_title(truth, len(evidence)), header=("arm", *names), rows=tuple(rows), notes=told,
                  scores=tuple(scores), said=tuple(said))  # fmt: skip
    return [table]


def _title(truth: _Truth, repetitions: int) -> str:
    more = f", {repetitions} repetitions" if repetitions > 1 else ""
    return f"{len(truth.cases)} cases of {len(set(truth.patients))} patients in {truth.fold[:, 0].max() + 1} folds{more}"


def _told(truth: _Truth) -> tuple[str, ...]:
    """What the metrics mean here."""
    question = truth.question
    match question.task:
        case CaseTask.SURVIVE:
            unit = f" {question.unit}" if question.unit else " in the table's unit of time, the median of the events"
            return (
                f"{int(truth.event.sum())} events. AUC: had the event by {truth.horizon:g}{unit} (cumulative / dynamic, "
                "weighted for those lost). c-index: the mean over folds of Harrell's C.",
            )
        case CaseTask.STAGE:
            low, high = truth.stages[: truth.late], truth.stages[truth.late :]
            cut = f"AUC: {', '.join(high)} against {', '.join(low)}; concordance: over all stages"
            return (f"{cut}. The paper's cut is not published.",)
        case CaseTask.DESCRIBE:
            known = int((truth.label >= 0).sum())
            return (f"{question.attribute} is known of {known} cases; the five attributes are learned together.",)
        case CaseTask.DETECT:
            return (f"{int((truth.label == 1).sum())} cases with a lesion.",)


def _truth(question: Question, recipe: CaseRecipe, evidence: Sequence[Evidence]) -> _Truth:
    count = len(recipe.cases)
    targets = targets_of(recipe)
    label = np.zeros(count, dtype=np.int64)
    match question.task:
        case CaseTask.DETECT:
            label = targets["present"].astype(np.int64)
        case CaseTask.STAGE:
            label = targets["stage"]
        case CaseTask.DESCRIBE:
            label = targets["attributes"][:, tuple(READINGS).index(question.attribute)]
    return _Truth(
        question=question,
        cases=tuple(case.id for case in recipe.cases),
        patients=tuple(case.patient for case in recipe.cases),
        fold=np.array([[case.fold for case in one.recipe.cases] for one in evidence]).T,
        label=label,
        time=targets.get("time", np.zeros(count)).astype(np.float64),
        event=targets.get("event", np.zeros(count)).astype(bool),
        volume=np.array([math.nan if case.volume_ml is None else case.volume_ml for case in recipe.cases], dtype=np.float64),
        stages=recipe.stages,
    )


def _answer(arm: Arm, truth: _Truth, evidence: Sequence[Evidence]) -> _Answer:
    if arm is Arm.VOLUME:
        return _Answer(risk=truth.volume[:, None].repeat(truth.fold.shape[1], axis=1))
    if arm is Arm.MAJORITY:
        known = truth.label >= 0
        each = [usual_class(truth.label, truth.fold[:, n], known) for n in range(truth.fold.shape[1])]
        return _Answer(said=np.stack(each, axis=1))
    together = [_in_order(one.answers[arm], len(truth.cases), truth.question) for one in evidence]
    if truth.question.task is CaseTask.SURVIVE:
        return _Answer(risk=np.stack(together, axis=1))
    classes = np.stack(together, axis=1)
    return _Answer(classes=classes, said=classes.argmax(axis=2))


def _in_order(answers: Sequence[tuple[Part, Answers]], count: int, question: Question) -> NDArray[np.float64]:
    """The folds' answers in the order of the cases; every case is in one."""
    rows = np.concatenate([part.scored for part, _ in answers])
    assert sorted(rows.tolist()) == list(range(count))
    name = {CaseTask.DETECT: "present", CaseTask.STAGE: "stage"}.get(question.task, question.attribute)
    values = np.concatenate([one.risk if one.risk is not None else one.classes[name] for _, one in answers])
    found = np.empty_like(values)
    found[rows] = values
    return found


def _intervals(truth: _Truth, answer: _Answer) -> dict[str, Interval]:
    """What of the task's metrics this arm has."""
    match truth.question.task:
        case CaseTask.SURVIVE:
            return _survived(truth, answer)
        case CaseTask.STAGE:
            return _staged(truth, answer)
        case CaseTask.DETECT:
            found = {"accuracy": _over(truth, _accuracy, [truth.label], [answer.said])}
            if answer.classes is not None:
                found["auc"] = _over(truth, auc, [truth.label], [answer.classes[:, :, 1]])
            return found
        case CaseTask.DESCRIBE:
            known = np.flatnonzero(truth.label >= 0)
            return {
                "accuracy": _over(truth, _accuracy, [truth.label], [answer.said], known),
                "f1": _over(truth, _macro_f1, [truth.label], [answer.said], known),
            }


def _staged(truth: _Truth, answer: _Answer) -> dict[str, Interval]:
    found = {}
    late = (truth.label >= truth.late).astype(np.int64)
    if answer.classes is not None:
        expected = answer.classes @ np.arange(len(truth.stages))
        found["auc"] = _over(truth, auc, [late], [answer.classes[:, :, truth.late :].sum(axis=2)])
        found["concordance"] = _over(truth, ordinal_c_index, [truth.label], [expected])
    elif answer.risk is not None:
        found["auc"] = _over(truth, auc, [late], [answer.risk])
        found["concordance"] = _over(truth, ordinal_c_index, [truth.label], [answer.risk])
    if answer.said is not None:
        found["accuracy"] = _over(truth, _accuracy, [truth.label], [answer.said])
    return found


def _survived(truth: _Truth, answer: _Answer) -> dict[str, Interval]:
    """Risks of models trained apart have no common scale: C is taken within folds, the AUC of ranks within them."""

    def area(time: NDArray, event: NDArray, ranks: NDArray) -> float:
        return auc_at(time, event, ranks, truth.horizon)

    assert answer.risk is not None
    return {
        "c-index": _over(truth, mean_c_index, [truth.time, truth.event], [answer.risk, truth.fold]),
        "auc": _over(truth, area, [truth.time, truth.event], [ranks_in_folds(answer.risk, truth.fold)]),
    }


def ranks_in_folds(risk: NDArray[np.float64], fold: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each case's rank within its fold, 0 … 1, of risks and folds (N, R)."""
    ranks = np.empty_like(risk)
    for n in range(risk.shape[1]):
        for one in np.unique(fold[:, n]):
            rows = fold[:, n] == one
            ranks[rows, n] = (rankdata(risk[rows, n]) - 0.5) / rows.sum()
    return ranks


def _over(
    truth: _Truth, statistic: Callable[..., float], shared: Sequence[NDArray], each: Sequence[NDArray | None],
    rows: NDArray[np.int64] | None = None,
) -> Interval:  # fmt: skip
    """A statistic's mean over repetitions with its interval over patients; `each` are columns (N, R)."""
    kept = np.arange(len(truth.cases)) if rows is None else rows
    columns = [column[kept] for column in (*shared, *each) if column is not None]

    def mean(*some: NDArray) -> float:
        own = some[len(shared) :]
        found = [statistic(*some[: len(shared)], *(column[:, n] for column in own)) for n in range(own[0].shape[1])]
        return float(np.mean(found))

    return bootstrap(mean, columns, [truth.patients[row] for row in kept.tolist()])


def _accuracy(truth: NDArray, said: NDArray) -> float:
    return float((truth == said).mean())


def _macro_f1(truth: NDArray, said: NDArray) -> float:
    return macro_f1(truth.tolist(), said.tolist())


def _said(arm: Arm, truth: _Truth, answer: _Answer) -> list[Said]:
    """Each case's answer, a mean over repetitions, for every curve that can be drawn of it."""
    task, found = truth.question.task, []
    if task is CaseTask.SURVIVE:
        assert answer.risk is not None
        ranks = ranks_in_folds(answer.risk, truth.fold).mean(axis=1)
        return [
            Said(case=case, patient=patient, arm=str(arm), evidence=value, time=time, event=event)
            for case, patient, value, time, event in zip(
                truth.cases, truth.patients, ranks.tolist(), truth.time.tolist(), truth.event.tolist(), strict=True
            )
        ]
    for question, present, evidence in _curves(truth, answer):
        values = evidence.mean(axis=1).tolist()
        found += [
            Said(
                case=truth.cases[n], patient=truth.patients[n], arm=str(arm), evidence=values[n], truth=bool(present[n]),
                question=question,
            )
            for n in np.flatnonzero(truth.label >= 0).tolist()
        ]  # fmt: skip
    return found


def _curves(truth: _Truth, answer: _Answer) -> list[tuple[str, NDArray[np.bool_], NDArray[np.float64]]]:
    """Questions with two answers: which, whether it is so, and the evidence (N, R)."""
    task, classes = truth.question.task, answer.classes
    if task is CaseTask.STAGE:
        high = answer.risk if classes is None else classes[:, :, truth.late :].sum(axis=2)
        name = f"stage {', '.join(truth.stages[truth.late :])}"
        return [] if high is None else [(name, truth.label >= truth.late, high)]
    if classes is None:
        return []
    if task is CaseTask.DETECT:
        return [("", truth.label == 1, classes[:, :, 1])]
    words = [word.value for word in READINGS[truth.question.attribute]]
    asked = range(1, 2) if len(words) == 2 else range(len(words))
    return [
        (f"{truth.question.attribute}: {words[n]}", truth.label == n, classes[:, :, n])
        for n in asked if 0 < int((truth.label == n).sum()) < int((truth.label >= 0).sum())
    ]  # fmt: skip
