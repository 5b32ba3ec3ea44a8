"""How well cases were answered that were never learned from, beside what needs no network."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panlesion.data.publish import write_text
from panlesion.lesion.case_task import CaseTask
from panlesion.lesion.vocabulary import READINGS
from panlesion.measure.classes import macro_f1
from panlesion.measure.discrimination import auc, ordinal_c_index
from panlesion.measure.resampling import Interval, bootstrap
from panlesion.measure.survival import c_index
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
    area = CaseScore(name="AUC", value=bootstrap(auc, [present, probability[:, 1]], of.patients), cases=len(present))
    return [area, *_right(of, "", present, probability)]


def _described(of: _Scored, attributes: NDArray[np.int64]) -> list[CaseScore]:
    found = []
    for n, name in enumerate(READINGS):
        known = np.flatnonzero(attributes[:, n] >= 0)
        if len(np.unique(attributes[known, n])) > 1:
            found += _right(of, f"{name} ", attributes[:, n], of.answers.classes[name], known)
    return found


def _staged(of: _Scored, stage: NDArray[np.int64]) -> list[CaseScore]:
    probability = of.answers.classes["stage"]
    expected = probability @ np.arange(probability.shape[1])
    beside = None if of.volume is None else bootstrap(ordinal_c_index, [stage, of.volume], of.patients)
    ranked = bootstrap(ordinal_c_index, [stage, expected], of.patients)
    return [
        CaseScore(name="concordance", value=ranked, cases=len(stage), baseline=VOLUME * bool(beside), baseline_value=beside),
        *_right(of, "", stage, probability),
    ]


def _survived(of: _Scored, time: NDArray, event: NDArray[np.bool_]) -> list[CaseScore]:
    """A larger lesion has the earlier event: its volume is a risk as it is."""
    assert of.answers.risk is not None
    value = bootstrap(mean_c_index, [time, event, of.answers.risk, of.fold], of.patients)
    beside = None if of.volume is None else bootstrap(mean_c_index, [time, event, of.volume, of.fold], of.patients)
    return [CaseScore(name="C index", value=value, cases=len(time), baseline=VOLUME * bool(beside), baseline_value=beside)]


def mean_c_index(time: NDArray, event: NDArray, risk: NDArray, fold: NDArray) -> float:
    """The mean of Harrell's C over folds in which a pair is known: risks of models trained apart have no common scale."""
    each = np.array([c_index(time[fold == n], event[fold == n], risk[fold == n]) for n in np.unique(fold)])
    return float(np.nanmean(each)) if not np.isnan(each).all() else float("nan")


def _right(
    of: _Scored, name: str, truth: NDArray[np.int64], probability: NDArray, known: NDArray[np.int64] | None = None
) -> list[CaseScore]:
    """Accuracy and macro F1 beside those of the class that is most frequent in what each fold's model was trained on."""
    rows = np.arange(len(truth)) if known is None else known
    counted = np.isin(np.arange(len(truth)), rows)
    said, usual = probability.argmax(axis=1)[rows], usual_class(truth, of.fold, counted)[rows]
    clusters = [of.patients[row] for row in rows.tolist()]
    return [
        CaseScore(
            name=f"{name}{title}", cases=len(rows), baseline=MAJORITY,
            value=bootstrap(statistic, [truth[rows], said], clusters),
            baseline_value=bootstrap(statistic, [truth[rows], usual], clusters),
        )
        for title, statistic in (("accuracy", _accuracy), ("macro F1", _macro_f1))
    ]  # fmt: skip


def usual_class(truth: NDArray[np.int64], fold: NDArray[np.int64], known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each case the most frequent class among the known ones of the other folds."""
    found = np.zeros(len(truth), dtype=np.int64)
    for one in np.unique(fold):
        others = truth[(fold != one) & known]
        found[fold == one] = np.bincount(others).argmax() if len(others) else 0
    return found


def _accuracy(truth: NDArray, said: NDArray) -> float:
    return float((truth == said).mean())


def _macro_f1(truth: NDArray, said: NDArray) -> float:
    return macro_f1(truth.tolist(), said.tolist())
