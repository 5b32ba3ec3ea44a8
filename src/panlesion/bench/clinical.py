"""Clinical endpoints: every arm cross-validated on the same folds, beside shuffled labels and against the trivial arm.

An endpoint is an outcome with the ridge model that predicts it and the metrics that judge it; an arm is a set of columns. All
arms of a row are compared with its first, which is the trivial one, and the comparisons of a row are corrected together.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from panlesion.bench.cross_validation import Fit, Folds, Sample, draw_folds, out_of_fold, stored_folds
from panlesion.bench.predictions import Said, write_predictions
from panlesion.bench.protocol import Table, Watch
from panlesion.bench.scores import Score
from panlesion.data.publish import write_text
from panlesion.measure.concordance import Comparison, Pairs, compare, concordance, concordance_interval
from panlesion.measure.paired import holm
from panlesion.measure.resampling import Interval

REPETITIONS = 5
EVIDENCE = "evidence-{}.csv"
FOLDS_FILE = "folds-{}.json"


@dataclass(frozen=True, kw_only=True)
class Arm:
    """A named set of columns."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A concordance, by the pairs it is taken over, from outcomes (N, K)."""

    name: str
    pairs: Callable[[NDArray], Pairs]


@dataclass(frozen=True, kw_only=True, eq=False)
class Endpoint:
    """An outcome (N, K) of cases with their columns, the model that predicts it and the metrics; the first is on the control.

    `strata` are what folds are balanced by. `counts` says in words how many there are of what.
    """

    id: str
    title: str
    counts: str
    cases: tuple[str, ...]
    patients: tuple[str, ...]
    columns: Mapping[str, NDArray[np.float64]]
    outcome: NDArray[np.float64]
    strata: NDArray[np.int64]
    fit: Fit
    metrics: tuple[Metric, ...]

    def sample(self, arm: Arm) -> Sample:
        """What an arm sees.

        Raises:
            ValueError: It names a column that the endpoint lacks.
        """
        if lacking := [name for name in arm.columns if name not in self.columns]:
            raise ValueError(f"{arm.name} asks for {', '.join(lacking)}, which {self.id} has no column of")
        features = np.column_stack([self.columns[name] for name in arm.columns])
        return Sample(features=features, outcome=self.outcome, strata=self.strata, patients=self.patients)


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """One arm on one endpoint: evidence (R, N) and predictions (R, N, P) of unseen patients, and the control's concordances."""

    endpoint: Endpoint
    arm: Arm
    evidence: NDArray[np.float64]
    predicted: NDArray[np.float64]
    control: tuple[float, ...]


def predict_arms(
    endpoints: Sequence[Endpoint], arms: Mapping[str, Sequence[Arm]], out: Path, *, repetitions: int, watch: Watch
) -> list[Predicted]:
    """Cross-validate every arm of every endpoint; `arms` are by the endpoint's id. Folds and predictions stay in `out`.

    Raises:
        StoreError: A file of folds in `out` is damaged or of other patients.
    """
    total = sum(len(arms[one.id]) for one in endpoints)
    found: list[Predicted] = []
    for endpoint in endpoints:
        path = out / FOLDS_FILE.format(endpoint.id)
        folds = stored_folds(path, endpoint.patients, endpoint.strata.tolist(), repetitions=repetitions)
        here: list[Predicted] = []
        for arm in arms[endpoint.id]:
            watch(f"{endpoint.id}: {arm.name}", len(found) + len(here), total)
            here.append(_predict(endpoint, arm, folds))
        write_text(out / EVIDENCE.format(endpoint.id), _csv(here))
        found += here
    write_predictions(out, [said for one in found for said in _said(one)])
    watch("done", total, total)
    return found


def _said(one: Predicted) -> list[Said]:
    """One answer a case, its mean rank over repetitions, where curves can be drawn of it: two classes, or a time."""
    endpoint = one.endpoint
    survival = endpoint.outcome.shape[1] > 1
    if not survival and not set(np.unique(endpoint.outcome).tolist()) <= {0.0, 1.0}:
        return []
    rank = (rankdata(one.evidence, axis=1) / len(endpoint.cases)).mean(axis=0)
    return [
        Said(
            case=case, patient=patient, arm=one.arm.name, evidence=float(value), question=endpoint.title,
            truth=None if survival else outcome[0] > 0, time=outcome[0] if survival else None,
            event=outcome[1] > 0 if survival else None,
        )
        for case, patient, value, outcome in zip(
            endpoint.cases, endpoint.patients, rank.tolist(), endpoint.outcome.tolist(), strict=True
        )
    ]  # fmt: skip


def _predict(endpoint: Endpoint, arm: Arm, folds: Sequence[Folds]) -> Predicted:
    sample = endpoint.sample(arm)
    runs = [out_of_fold(endpoint.fit, sample, one) for one in folds]
    return Predicted(
        endpoint=endpoint,
        arm=arm,
        evidence=np.stack([endpoint.fit.evidence(run.predicted) for run in runs]),
        predicted=np.stack([run.predicted for run in runs]),
        control=tuple(_control(endpoint, sample, one) for one in folds),
    )


def _control(endpoint: Endpoint, sample: Sample, folds: Folds) -> float:
    """Concordance with shuffled labels. Its folds are balanced by them: else pooled predictions would lean below one half."""
    nonsense = sample.shuffled(folds.seed)
    own = draw_folds(nonsense.patients, nonsense.strata.tolist(), folds=len(folds.tests), seed=(folds.seed, 1))
    predicted = out_of_fold(endpoint.fit, nonsense, own).predicted
    return concordance(endpoint.metrics[0].pairs(nonsense.outcome), endpoint.fit.evidence(predicted))


def _csv(found: Sequence[Predicted]) -> str:
    """Evidence of every case: a column for each arm and repetition."""
    endpoint = found[0].endpoint
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = [f"{one.arm.name} / {n}" for one in found for n in range(len(one.evidence))]
    outcomes = [f"outcome {n}" for n in range(endpoint.outcome.shape[1])]
    writer.writerow(["case", "patient", *outcomes, *heads])
    values = np.concatenate([one.evidence for one in found])
    for n, (case, patient) in enumerate(zip(endpoint.cases, endpoint.patients, strict=True)):
        writer.writerow([case, patient, *endpoint.outcome[n].tolist(), *(f"{x:.6g}" for x in values[:, n].tolist())])
    return text.getvalue()


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One arm by one metric; no comparison for the arm that the others are compared with."""

    endpoint: str
    title: str
    metric: str
    arm: str
    value: Interval
    control: tuple[float, ...]
    comparison: Comparison | None


def judge(found: Sequence[Predicted]) -> list[Judged]:
    """Every arm by every metric of its endpoint, against the endpoint's first arm."""
    lines = []
    first: dict[str, Predicted] = {}
    for one in found:
        endpoint = one.endpoint
        trivial = first.setdefault(endpoint.id, one)
        for number, metric in enumerate(endpoint.metrics):
            pairs = metric.pairs(endpoint.outcome)
            comparison = None if trivial is one else compare(pairs, one.evidence, trivial.evidence, endpoint.patients)
            lines.append(
                Judged(
                    endpoint=endpoint.id, title=endpoint.title, metric=metric.name, arm=one.arm.name,
                    value=concordance_interval(pairs, one.evidence, endpoint.patients),
                    control=one.control if number == 0 else (), comparison=comparison,
                )
            )  # fmt: skip
    return lines


def _holm(p_values: Sequence[float]) -> list[float]:
    """As `holm`, which wants at least one; a single arm is compared with none."""
    return holm(p_values) if p_values else []


HEADER = ("arm", "concordance", "shuffled labels", "less the first arm", "p", "p (Holm)")


def tables(row: str, found: Sequence[Predicted], endpoints: Sequence[Endpoint], *, unit: str = "patients") -> list[Table]:
    """A table for each metric of each endpoint; p values are corrected over all of them."""
    lines = judge(found)
    compared = [line for line in lines if line.comparison]
    corrected = dict(zip(map(id, compared), _holm([line.comparison.p for line in compared if line.comparison]), strict=True))
    repetitions = len(found[0].evidence)
    made = []
    for endpoint in endpoints:
        for metric in endpoint.metrics:
            mine = [line for line in lines if (line.endpoint, line.metric) == (endpoint.id, metric.name)]
            made.append(
                Table(
                    title=f"{endpoint.title}: {metric.name}",
                    header=HEADER,
                    rows=tuple(_cells(line, corrected.get(id(line))) for line in mine),
                    notes=(
                        f"{endpoint.counts} {repetitions} repetitions (seeds 0 to {repetitions - 1}) of 5 folds by patient.",
                    ),
                    scores=tuple(_score(row, endpoint, line, repetitions, unit) for line in mine),
                )
            )
    return made


def _cells(line: Judged, corrected: float | None) -> tuple[str, ...]:
    control = f"{np.mean(line.control):.3f} ({min(line.control):.3f}-{max(line.control):.3f})" if line.control else "-"
    if line.comparison is None or corrected is None:
        return (line.arm, str(line.value), control, "-", "-", "-")
    by = line.comparison.difference
    return (
        line.arm, str(line.value), control, f"{by.mean:+.3f} ({by.low:+.3f} to {by.high:+.3f})", f"{line.comparison.p:.4f}",
        f"{corrected:.4f}",
    )  # fmt: skip


def _score(row: str, endpoint: Endpoint, line: Judged, repetitions: int, unit: str) -> Score:
    return Score(
        row=row, arm=line.arm, metric=f"{endpoint.id}: {line.metric}", value=line.value.mean, low=line.value.low,
        high=line.value.high, n=line.value.n, unit=unit, repetitions=repetitions,
    )  # fmt: skip


def chosen_arms(arms: Sequence[Arm], asked: Sequence[str] | None) -> tuple[Arm, ...]:
    """The arms asked for by name, the first always among them: the others are compared with it.

    Raises:
        ValueError: A name that is none of them.
    """
    if asked is None:
        return tuple(arms)
    names = [arm.name for arm in arms]
    if unknown := [name for name in asked if name not in names]:
        raise ValueError(f"{', '.join(unknown)} is no arm; use some of {', '.join(names)}")
    return tuple(arm for n, arm in enumerate(arms) if n == 0 or arm.name in asked)
