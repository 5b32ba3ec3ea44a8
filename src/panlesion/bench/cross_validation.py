"""Cross-validation by patient: folds in a file, strengths chosen inside the training folds, predictions of unseen patients.

Nothing of a test fold reaches its own predictions: imputation, scaling, strength and weights come from the other folds.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from panlesion.data.publish import write_text
from panlesion.errors import StoreError

FOLDS = 5
INNER_FOLDS = 3
_OUTER, _INNER, _SHUFFLE = 0x666F6C64, 0x696E6E65, 0x73687566

Predictor = Callable[[NDArray], NDArray]
"""Features (N, F) to predictions (N, P)."""


class Fit(Protocol):
    """A model that can be fitted at several strengths of its penalty.

    `quality` says how well predictions (N, P) fit outcomes (N, K), more is better; it chooses the strength. `evidence` is what
    predictions rank cases by.
    """

    @property
    def strengths(self) -> Sequence[float]:
        """Strongest first: of two that are as good the first is taken."""

    def fitted(self, features: NDArray, outcome: NDArray, strength: float) -> Predictor: ...
    def quality(self, outcome: NDArray, predicted: NDArray) -> float: ...
    def evidence(self, predicted: NDArray) -> NDArray: ...


@dataclass(frozen=True, kw_only=True)
class Folds:
    """One repetition: patients by the fold that tests them."""

    seed: int
    tests: tuple[tuple[str, ...], ...]

    def of(self, patients: Sequence[str]) -> NDArray[np.intp]:
        """Fold of each case."""
        number = {name: n for n, fold in enumerate(self.tests) for name in fold}
        return np.array([number[patient] for patient in patients], dtype=np.intp)


def draw_folds(patients: Sequence[str], strata: Sequence[int], *, folds: int = FOLDS, seed: Sequence[int]) -> Folds:
    """Patients dealt to folds at random, one stratum after another; a patient's stratum is the highest of its cases.

    Raises:
        ValueError: Fewer patients than folds, or fewer than two folds.
    """
    highest: dict[str, int] = {}
    for patient, stratum in zip(patients, strata, strict=True):
        highest[patient] = max(int(stratum), highest.get(patient, int(stratum)))
    if not 2 <= folds <= len(highest):
        raise ValueError(f"{len(highest)} patients cannot be dealt to {folds} folds; at least 2 folds, a patient for each")
    rng = np.random.default_rng(list(seed))
    order: list[str] = []
    for stratum in sorted(set(highest.values())):
        names = sorted(name for name, one in highest.items() if one == stratum)
        order += [names[int(n)] for n in rng.permutation(len(names))]
    # Dealt like cards, so that every stratum is spread as evenly as its size allows, and so are the folds' sizes.
    turn = rng.permutation(folds)
    return Folds(seed=int(seed[0]), tests=tuple(tuple(order[int(first) :: folds]) for first in turn))


def repeated_folds(patients: Sequence[str], strata: Sequence[int], *, repetitions: int, folds: int = FOLDS) -> list[Folds]:
    """Independent draws with the seeds 0, 1, 2 and so on."""
    return [draw_folds(patients, strata, folds=folds, seed=(seed, _OUTER)) for seed in range(repetitions)]


def stored_folds(path: Path, patients: Sequence[str], strata: Sequence[int], *, repetitions: int) -> list[Folds]:
    """The folds in a file, drawn and written there the first time.

    Raises:
        StoreError: The file is damaged, or its folds are not those of these patients.
    """
    if not path.exists():
        drawn = repeated_folds(patients, strata, repetitions=repetitions)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps([asdict(one) for one in drawn]) + "\n")
        return drawn
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        found = [Folds(seed=int(row["seed"]), tests=tuple(tuple(map(str, test)) for test in row["tests"])) for row in rows]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is no file of folds ({error}); remove it to draw new ones") from error
    names = sorted(set(patients))
    for one in found:
        there = sorted(name for test in one.tests for name in test)
        if there != names or len(one.tests) < 2 or not all(one.tests):
            odd = (
                sorted(set(there) ^ set(names))
                or [name for name in names if there.count(name) > 1]
                or ["a fold with no patient"]
            )
            raise StoreError(
                f"{path}, seed {one.seed}: every patient must be in exactly one of two folds or more; wrong are "
                f"{', '.join(odd[:3])} ({len(odd)} in all). Use the folds of the same data, or remove the file to draw new ones"
            )
    if len(found) < repetitions:
        raise StoreError(f"{path} holds {len(found)} repetitions, {repetitions} are asked for; remove it to draw them all anew")
    return found[:repetitions]


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """Cases of one endpoint: features (N, F) with NaN where unknown, outcomes (N, K), strata (N,) and patients."""

    features: NDArray[np.float64]
    outcome: NDArray[np.float64]
    strata: NDArray[np.int64]
    patients: tuple[str, ...]

    def __post_init__(self) -> None:
        sizes = {len(self.features), len(self.outcome), len(self.strata), len(self.patients)}
        if len(sizes) != 1 or self.features.ndim != 2 or self.outcome.ndim != 2:
            raise ValueError(
                f"features {self.features.shape}, outcome {self.outcome.shape}, {len(self.strata)} strata and "
                f"{len(self.patients)} patients; they must be tables of the same cases"
            )

    def rows(self, chosen: NDArray) -> "Sample":
        """Some of the cases, by mask or index."""
        index = np.arange(len(self.patients))[chosen]
        patients = tuple(self.patients[int(n)] for n in index)
        return Sample(features=self.features[index], outcome=self.outcome[index], strata=self.strata[index], patients=patients)

    def shuffled(self, seed: int) -> "Sample":
        """The same cases with outcomes (and strata) dealt out anew: what a method makes of labels that mean nothing."""
        order = np.random.default_rng([seed, _SHUFFLE]).permutation(len(self.patients))
        return Sample(features=self.features, outcome=self.outcome[order], strata=self.strata[order], patients=self.patients)


@dataclass(frozen=True, kw_only=True, eq=False)
class OutOfFold:
    """Predictions (N, P) of every case by the model that had not seen its patient, and each fold's chosen strength."""

    predicted: NDArray[np.float64]
    strengths: tuple[float, ...]


def out_of_fold(fit: Fit, sample: Sample, folds: Folds) -> OutOfFold:
    """Predict every fold with a model of the others, its strength chosen among them alone."""
    fold = folds.of(sample.patients)
    chosen, predicted = [], None
    for number in range(len(folds.tests)):
        test = fold == number
        train = sample.rows(~test)
        strength = choose_strength(fit, train, seed=(folds.seed, _INNER, number))
        part = fit.fitted(train.features, train.outcome, strength)(sample.features[test])
        predicted = np.empty((len(test), part.shape[1])) if predicted is None else predicted
        predicted[test] = part
        chosen.append(strength)
    assert predicted is not None
    return OutOfFold(predicted=predicted, strengths=tuple(chosen))


def choose_strength(fit: Fit, train: Sample, *, seed: Sequence[int]) -> float:
    """The strength whose predictions of left-out training patients are best; a single column needs none, so the weakest."""
    if train.features.shape[1] == 1 or len(fit.strengths) == 1:
        return fit.strengths[-1]
    folds = draw_folds(train.patients, train.strata.tolist(), folds=INNER_FOLDS, seed=seed)
    fold = folds.of(train.patients)
    best, best_quality = fit.strengths[0], -np.inf
    for strength in fit.strengths:
        predicted: NDArray | None = None
        for number in range(INNER_FOLDS):
            test = fold == number
            part = fit.fitted(train.features[~test], train.outcome[~test], strength)(train.features[test])
            predicted = np.empty((len(test), part.shape[1])) if predicted is None else predicted
            predicted[test] = part
        assert predicted is not None
        quality = fit.quality(train.outcome, predicted)
        if quality > best_quality + 1e-9:
            best, best_quality = strength, quality
    return best
