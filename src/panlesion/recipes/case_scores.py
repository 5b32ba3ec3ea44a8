"""How well cases were answered that were never learned from, beside what needs no network."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panlesion.data.publish import write_text
from panlesion.lesion.case_task import CaseTask
from panlesion.lesion.vocabulary import READINGS
from panlesion.measure.discrimination import auc, bootstrapped_rows
from panlesion.measure.resampling import Interval
from panlesion.measure.survival import concordance
from panlesion.nets.case_answer import Answers
from panlesion.recipes.case_recipe import CaseRecipe
from panlesion.recipes.cases import Part, Trained, parts_of, targets_of

SCORES_FILE = "scores.json"
MAJORITY, VOLUME = "most frequent class", "lesion volume"


@dataclass(frozen=True, kw_only=True)
class CaseScore:
    """One number with its interval over patients, and the same number for the trivial baseline where there is one."""

    name: str
    value: Interval
    cases: int
    baseline: str = ""
    baseline_value: Interval | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scored:
    """All scored cases, fold after fold."""

    recipe: CaseRecipe
    rows: NDArray[np.int64]
    fold: NDArray[np.int64]
    answers: Answers

    @property
    def patients(self) -> list[str]:
        return [self.recipe.cases[row].patient for row in self.rows.tolist()]

    @property
    def volume(self) -> NDArray[np.float64] | None:
        found = [self.recipe.cases[row].volume_ml for row in self.rows.tolist()]
        return None if None in found or self.recipe.framing.region != "lesion" else np.array(found, dtype=np.float64)


def score_cases(recipe: CaseRecipe, scored: Sequence[tuple[Part, Answers]]) -> list[CaseScore]:
    """Scores of out-of-fold answers, over all folds together."""
    rows = np.concatenate([part.scored for part, _ in scored])
    classes = {name: np.concatenate([one.classes[name] for _, one in scored]) for name in scored[0][1].classes}
    risks = [one.risk for _, one in scored if one.risk is not None]
    together = _Scored(
        recipe=recipe,
        rows=rows,
        fold=np.array([recipe.cases[row].fold for row in rows.tolist()]),
        answers=Answers(classes=classes, risk=np.concatenate(risks) if risks else None),
    )
    targets = {name: values[rows] for name, values in targets_of(recipe).items()}
    match recipe.task:
        case CaseTask.DETECT:
            return _detected(together, targets["present"].astype(np.int64))
        case CaseTask.DESCRIBE:
            return _described(together, targets["attributes"])
        case CaseTask.STAGE:
            return _staged(together, targets["stage"])
        case CaseTask.SURVIVE:
            return _survived(together, targets["time"], targets["event"].astype(bool))


def gather_scored(recipe: CaseRecipe, trained: Mapping[str, Trained]) -> list[tuple[Part, Answers]]:
    """The scored part of every fold with its answers."""
    parts = [part for part in parts_of(recipe) if len(part.scored)]
    return [(part, answers) for part in parts if (answers := trained[part.name].answers) is not None]


def write_scores(path: Path, scores: Sequence[CaseScore]) -> None:
    """As a JSON list; what is not defined is null."""
    text = json.dumps([asdict(score) for score in scores], indent=1)
    write_text(path, text.replace("NaN", "null") + "\n")


def _detected(of: _Scored, present: NDArray[np.int64]) -> list[CaseScore]:
    probability = of.answers.classes["present"]
    area = _score(of, "AUC", lambda rows: auc(present[rows], probability[rows, 1]))
    return [area, *_right(of, "accuracy", present, probability)]


def _described(of: _Scored, attributes: NDArray[np.int64]) -> list[CaseScore]:
    found = []
    for n, name in enumerate(READINGS):
        known = np.flatnonzero(attributes[:, n] >= 0)
        if len(np.unique(attributes[known, n])) > 1:
            found += _right(of, name, attributes[:, n], of.answers.classes[name], known)
    return found


def _staged(of: _Scored, stage: NDArray[np.int64]) -> list[CaseScore]:
    probability = of.answers.classes["stage"]
    expected = probability @ np.arange(probability.shape[1])
    return [_ranked(of, "concordance", stage, np.ones(len(stage), dtype=bool), -expected, stages=True),
            *_right(of, "accuracy", stage, probability)]  # fmt: skip


def _survived(of: _Scored, time: NDArray, event: NDArray[np.bool_]) -> list[CaseScore]:
    assert of.answers.risk is not None
    return [_ranked(of, "C index", time, event, of.answers.risk, stages=False)]


def _ranked(of: _Scored, name: str, time: NDArray, event: NDArray, risk: NDArray, *, stages: bool) -> CaseScore:
    """Concordance; of stages over all pairs, of survival within folds, as each fold's risk has a scale of its own."""
    strata = np.zeros(len(time)) if stages else of.fold

    def by(score: NDArray) -> Callable[[NDArray[np.int64]], float]:
        return lambda rows: concordance(time[rows], event[rows], score[rows], strata[rows])

    if of.volume is None:
        return _score(of, name, by(risk))
    # A larger lesion has the higher stage, and the earlier event.
    return _score(of, name, by(risk), VOLUME, by(-of.volume if stages else of.volume))


def _right(
    of: _Scored, name: str, truth: NDArray[np.int64], probability: NDArray, known: NDArray[np.int64] | None = None
) -> list[CaseScore]:
    """Accuracy and macro F1 beside those of the class that is most frequent in what each fold's model was trained on."""
    said, usual = probability.argmax(axis=1), _usual(of, truth, known)
    rows_of = np.arange(len(truth)) if known is None else known
    clusters = [of.patients[row] for row in rows_of.tolist()]
    pair = truth[rows_of], said[rows_of], usual[rows_of]
    label = name if name == "accuracy" else f"{name} accuracy"
    other = "macro F1" if name == "accuracy" else f"{name} macro F1"
    found = []
    for title, statistic in ((label, _accuracy), (other, _macro_f1)):
        value, beside = (
            bootstrapped_rows(lambda rows, s=statistic, a=answer: s(pair[0][rows], a[rows]), clusters)  # type: ignore[misc]
            for answer in pair[1:]
        )
        found.append(CaseScore(name=title, value=value, cases=len(rows_of), baseline=MAJORITY, baseline_value=beside))
    return found


def _usual(of: _Scored, truth: NDArray[np.int64], known: NDArray[np.int64] | None) -> NDArray[np.int64]:
    counted = np.zeros(len(truth), dtype=bool)
    counted[slice(None) if known is None else known] = True
    found = np.zeros(len(truth), dtype=np.int64)
    for fold in np.unique(of.fold):
        others = truth[(of.fold != fold) & counted]
        found[of.fold == fold] = np.bincount(others).argmax() if len(others) else 0
    return found


def _accuracy(truth: NDArray, said: NDArray) -> float:
    return float((truth == said).mean())


def _macro_f1(truth: NDArray, said: NDArray) -> float:
    """The mean over the classes that occur of 2 TP / (2 TP + FP + FN)."""
    classes = np.unique(truth)
    hits = [2 * np.sum((truth == c) & (said == c)) / (np.sum(truth == c) + np.sum(said == c)) for c in classes]
    return float(np.mean(hits))


def _score(
    of: _Scored, name: str, statistic: Callable[[NDArray[np.int64]], float], baseline: str = "",
    beside: Callable[[NDArray[np.int64]], float] | None = None,
) -> CaseScore:  # fmt: skip
    return CaseScore(
        name=name,
        value=bootstrapped_rows(statistic, of.patients),
        cases=len(of.rows),
        baseline=baseline,
        baseline_value=bootstrapped_rows(beside, of.patients) if beside else None,
    )
