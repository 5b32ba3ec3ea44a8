"""Pathological T stage of kidney tumours from the shape of their masks, beside size alone.

Up to pT2 the stage *is* a size (4, 7 and 10 cm), so size is no weak baseline but nearly the answer. What shape could add is
seen where size does not decide: pT3 and pT4 are invasion of vein, fat or neighbours at any size.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from panlesion.bench import kits_features as features
from panlesion.bench.clinical import REPETITIONS, Arm, Endpoint, Metric, Predicted, chosen_arms, predict_arms, tables
from panlesion.bench.clinical_pictures import draw_roc
from panlesion.bench.fits import RidgeOrdinal, need_fits
from panlesion.bench.kits_features import KitsCase, bad_lines, columns, measured_cases
from panlesion.bench.protocol import Asked, Table, Watch
from panlesion.data.sources.kits_masks import OTHER_STAGING, TStage, read_clinical
from panlesion.errors import StoreError
from panlesion.measure.concordance import class_pairs, ordered_pairs
from panlesion.measure.resampling import Interval, bootstrap_mean

GRADES = {TStage.T1A: 0, TStage.T1B: 1, TStage.T2A: 2, TStage.T2B: 2, TStage.T3: 3, TStage.T4: 3}
"""1a, 1b, 2, 3 and more: 2a, 2b and 4 have too few to stand alone."""
NAMES = ("pT1a", "pT1b", "pT2", "pT3-4")

ARMS = (
    Arm(name="size alone", columns=features.SIZE),
    Arm(name="five sizes", columns=features.SIZES),
    Arm(name="form and seat, no size", columns=features.SHAPE),
    Arm(name="sizes, form and seat", columns=(*features.SIZES, *features.SHAPE)),
    Arm(name="sizes, form, seat, age, sex, BMI", columns=(*features.SIZES, *features.SHAPE, *features.DEMOGRAPHY)),
    Arm(name="radiologist's size", columns=features.READER_SIZE),
)


def staged_cases(cases: Sequence[KitsCase]) -> tuple[list[KitsCase], str]:
    """Cases whose stage follows the rules of renal cell carcinoma, and who was left out in words."""
    kept = [case for case in cases if case.patient.staged]
    why: Counter[str] = Counter()
    for case in cases:
        one = case.patient
        if one.malignant is False:
            why["benign"] += 1
        elif one.malignant and one.histology in OTHER_STAGING:
            why["urothelial carcinoma or Wilms tumour, staged by other rules"] += 1
        elif not one.staged:
            why["stage or malignancy unknown"] += 1
    left_out = "; ".join(f"{count} {reason}" for reason, count in sorted(why.items())) or "none"
    return kept, f"Of {len(cases)} cases {len(kept)} are staged; left out: {left_out}."


def endpoints(cases: Sequence[KitsCase], extra: dict[str, NDArray] | None = None) -> list[Endpoint]:
    """pT2 and more; the four grades; pT3 and more.

    Raises:
        StoreError: A class has fewer than five cases, so it cannot be in every fold.
    """
    grades = np.array([GRADES[case.patient.staged] for case in cases if case.patient.staged is not None])
    counts = np.bincount(grades, minlength=len(NAMES))
    if counts.min() < 5:
        short = ", ".join(f"{count} of {name}" for name, count in zip(NAMES, counts, strict=True))
        raise StoreError(f"there are {short}; each stage must have 5 cases at least to be in every fold: raise --cases")
    seen = {**columns(cases), **(extra or {})}
    names = tuple(case.patient.case for case in cases)

    def endpoint(id: str, title: str, counted: str, outcome: NDArray, cuts: tuple[float, ...], metric: Metric) -> Endpoint:
        return Endpoint(
            id=id, title=title, counts=counted, cases=names, patients=names, columns=seen,
            outcome=outcome[:, None].astype(np.float64), strata=grades, fit=RidgeOrdinal(cuts=cuts), metrics=(metric,),
        )  # fmt: skip

    area = Metric(name="AUC", pairs=lambda outcome: class_pairs(outcome[:, 0] > 0))
    ordered = Metric(name="ordinal C", pairs=lambda outcome: ordered_pairs(outcome[:, 0]))
    high, out = grades >= 2, grades >= 3
    many = ", ".join(f"{count} {name}" for name, count in zip(NAMES, counts, strict=True))
    return [
        endpoint("t2", "pT2-4 against pT1", f"{high.sum()} against {(~high).sum()}.", high, (0.5,), area),
        endpoint("grade", "pT1a < pT1b < pT2 < pT3-4", f"{many}.", grades, (0.5, 1.5, 2.5), ordered),
        endpoint("t3", "pT3-4 (invasion) against pT1-2", f"{out.sum()} against {(~out).sum()}.", out, (0.5,), area),
    ]


def run_kits_stage(folder: str, asked: Asked, watch: Watch) -> list[Table]:
    """Measure the masks, cross-validate every arm, and leave tables, folds, predictions and a picture.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        StoreError: The data are not as laid out, or too few.
        ValueError: An unknown arm.
    """
    need_fits()
    arms = chosen_arms(ARMS, asked.choices.arms)
    root = asked.root / folder
    clinical = read_clinical(root)
    cases, refused = measured_cases(clinical, root, asked.out, watch, most=asked.choices.cases)
    kept, who = staged_cases(cases)
    asks = endpoints(kept)
    found = predict_arms(
        asks, {one.id: arms for one in asks}, asked.out, repetitions=asked.choices.seeds or REPETITIONS, watch=watch
    )
    draw_roc(asked.out / "roc.png", found, ("t2", "t3"))
    made = tables("kits-stage", found, asks)
    about = Table(
        title="Cases", header=("what", "n"), rows=(("staged", str(len(kept))),), notes=(who, *bad_lines(clinical.bad, refused))
    )
    return [about, *made, hits(found)]


def hits(found: Sequence[Predicted]) -> Table:
    """How far probabilities and predicted grades can be believed: Brier scores, grades hit exactly and within one."""
    rows = []
    by_arm = {arm: {one.endpoint.id: one for one in found if one.arm.name == arm} for arm in {one.arm.name: 0 for one in found}}
    for arm, by in by_arm.items():
        grade = by["grade"]
        truth = grade.endpoint.outcome[:, 0]
        off = np.abs((grade.predicted[:, :, :-1] > 0.5).sum(axis=2) - truth)
        cells = [_brier(by[id]) for id in ("t2", "t3")]
        rows.append((arm, *cells, *(str(_mean(values, grade.endpoint.patients)) for values in (off == 0, off <= 1))))
    some = {one.endpoint.id: one.endpoint.outcome[:, 0] for one in found}
    share = [f"{(some[id].mean() * (1 - some[id].mean())):.3f}" for id in ("t2", "t3")]
    commonest = np.bincount(some["grade"].astype(int)).argmax()
    near = [f"{np.mean(np.abs(some['grade'] - commonest) <= reach):.3f}" for reach in (0, 1)]
    return Table(
        title="Probabilities and grades",
        header=("arm", "Brier score pT2-4", "Brier score pT3-4", "grade hit", "grade within one"),
        rows=(("share of each class; commonest grade", *share, *near), *rows),
        notes=("The first line knows no mask: what predicting the share, or the commonest grade, for everybody gives.",),
    )


def _brier(one: Predicted) -> str:
    off = (one.predicted[:, :, 0] - one.endpoint.outcome[:, 0]) ** 2
    return str(_mean(off, one.endpoint.patients))


def _mean(values: NDArray, patients: Sequence[str]) -> Interval:
    """Mean of values (R, N) with its interval over patients."""
    return bootstrap_mean(values.astype(np.float64).ravel().tolist(), list(patients) * len(values))
