"""Overall survival after an operation for kidney cancer, from the shape of the masks, beside size, age and stage."""

from collections.abc import Sequence

import numpy as np

from panlesion.bench import kits_features as features
from panlesion.bench.clinical import REPETITIONS, Arm, Endpoint, Metric, Predicted, chosen_arms, predict_arms, tables
from panlesion.bench.clinical_pictures import DAYS_A_YEAR, draw_thirds, thirds
from panlesion.bench.fits import RidgeCox, need_fits
from panlesion.bench.kits_features import KitsCase, bad_lines, columns, measured_cases
from panlesion.bench.protocol import Asked, Table, Watch
from panlesion.data.sources.kits_masks import read_clinical
from panlesion.errors import StoreError
from panlesion.measure.concordance import horizon_pairs, survival_pairs
from panlesion.measure.survival import kaplan_meier, log_rank

HORIZON_YEARS = 3
LEAST_EVENTS = 20

ARMS = (
    Arm(name="size alone", columns=features.SIZE),
    Arm(name="age alone", columns=("age",)),
    Arm(name="age, sex, BMI", columns=features.DEMOGRAPHY),
    Arm(name="form and seat, no size", columns=features.SHAPE),
    Arm(name="sizes, form and seat", columns=(*features.SIZES, *features.SHAPE)),
    Arm(name="size, age, sex, BMI", columns=(*features.SIZE, *features.DEMOGRAPHY)),
    Arm(name="sizes, form, seat, age, sex, BMI", columns=(*features.SIZES, *features.SHAPE, *features.DEMOGRAPHY)),
    Arm(name="pathological T, N, M", columns=features.PATHOLOGY),
    Arm(name="T, N, M, age, sex, BMI", columns=(*features.PATHOLOGY, *features.DEMOGRAPHY)),
    Arm(name="T, N, M, sizes, form, seat, age, sex, BMI",
        columns=(*features.PATHOLOGY, *features.SIZES, *features.SHAPE, *features.DEMOGRAPHY)),
)  # fmt: skip
SHOWN = ("size alone", "sizes, form, seat, age, sex, BMI", "T, N, M, age, sex, BMI")


def followed_cases(cases: Sequence[KitsCase]) -> tuple[list[KitsCase], str]:
    """Cancer patients with any follow-up, and who was left out in words."""
    cancer = [case for case in cases if case.patient.malignant]
    kept = [case for case in cancer if case.patient.days > 0]
    benign = sum(case.patient.malignant is False for case in cases)
    unknown = len(cases) - len(cancer) - benign
    return kept, (
        f"Of {len(cases)} cases {len(kept)} are followed; left out: {benign} benign, {unknown} of unknown malignancy, "
        f"{len(cancer) - len(kept)} lost on the day of the operation."
    )


def endpoint(cases: Sequence[KitsCase], *, id: str = "death") -> Endpoint:
    """Time to death of any cause.

    Raises:
        StoreError: Too few deaths to learn from.
    """
    days = np.array([case.patient.days for case in cases], dtype=np.float64)
    dead = np.array([case.patient.dead for case in cases], dtype=bool)
    if dead.sum() < LEAST_EVENTS:
        raise StoreError(
            f"there are {dead.sum()} deaths among {len(cases)} patients; {LEAST_EVENTS} are the least: raise --cases"
        )
    horizon = HORIZON_YEARS * DAYS_A_YEAR
    early, beyond = int((dead & (days <= horizon)).sum()), int((days > horizon).sum())
    names = tuple(case.patient.case for case in cases)
    median = np.median(days) / DAYS_A_YEAR
    return Endpoint(
        id=id,
        title="Overall survival",
        counts=(
            f"{len(cases)} patients, {dead.sum()} deaths, median time seen {median:.1f} years; at {HORIZON_YEARS} years "
            f"{early} had died, {beyond} were known to live, {len(cases) - early - beyond} had been lost."
        ),
        cases=names,
        patients=names,
        columns=columns(cases),
        outcome=np.column_stack([days, dead]).astype(np.float64),
        strata=dead.astype(np.int64),
        fit=RidgeCox(),
        metrics=(
            Metric(name="C-index", pairs=lambda outcome: survival_pairs(outcome[:, 0], outcome[:, 1])),
            Metric(
                name=f"AUC at {HORIZON_YEARS} years", pairs=lambda outcome: horizon_pairs(outcome[:, 0], outcome[:, 1], horizon)
            ),
        ),
    )


def run_kits_survival(folder: str, asked: Asked, watch: Watch) -> list[Table]:
    """Measure the masks, cross-validate every arm, and leave tables, folds, predictions and curves of risk thirds.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        StoreError: The data are not as laid out, or too few died.
        ValueError: An unknown arm.
    """
    need_fits()
    arms = chosen_arms(ARMS, asked.choices.arms)
    root = asked.root / folder
    clinical = read_clinical(root)
    cases, refused = measured_cases(clinical, root, asked.out, watch, most=asked.choices.cases)
    kept, who = followed_cases(cases)
    ask = endpoint(kept)
    found = predict_arms([ask], {ask.id: arms}, asked.out, repetitions=asked.choices.seeds or REPETITIONS, watch=watch)
    shown = [one for one in found if one.arm.name in SHOWN]
    draw_thirds(asked.out / "thirds.png", shown, [log_rank_p(one) for one in shown])
    about = Table(
        title="Cases",
        header=("what", "n"),
        rows=(("followed", str(len(kept))),),
        notes=(who, *bad_lines(clinical.bad, refused)),
    )
    return [about, *tables("kits-survival", found, [ask]), risk_thirds(found)]


def log_rank_p(one: Predicted) -> float:
    """The log-rank test's p that the high and the low third of risk live alike."""
    third, (days, dead) = thirds(one.evidence), one.endpoint.outcome.T
    return log_rank(days[third == 2], dead[third == 2], days[third == 0], dead[third == 0])


def risk_thirds(found: Sequence[Predicted]) -> Table:
    """Survival at the horizon in thirds of out-of-fold risk."""
    at = HORIZON_YEARS * DAYS_A_YEAR
    rows = []
    for one in found:
        days, dead = one.endpoint.outcome[:, 0], one.endpoint.outcome[:, 1] > 0
        parts = [(days[part], dead[part]) for part in (thirds(one.evidence) == n for n in range(3))]
        cells = [f"{kaplan_meier(*part).at(at):.2f} ({part[1].sum()} of {len(part[0])} died)" for part in parts]
        rows.append((one.arm.name, *cells, f"{log_rank_p(one):.1e}"))
    return Table(
        title=f"Alive at {HORIZON_YEARS} years by third of risk (Kaplan-Meier)",
        header=("arm", "low", "middle", "high", "log-rank p, high against low"),
        rows=tuple(rows),
        notes=("Thirds by a patient's mean out-of-fold rank; the p values are of these groups alone and are not corrected.",),
    )
