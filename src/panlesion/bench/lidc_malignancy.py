"""Malignancy of lung nodules as radiologists judge it, from a frozen network, from measured attributes, and from size alone.

The reference is the median of up to four readers' suspicion on CT, not pathology. Of nodules with a median between 2 and 4 the
readers did not know: the first endpoint leaves them out, the second puts them in the middle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from panlesion.bench.clinical import REPETITIONS, Arm, Endpoint, Metric, chosen_arms, predict_arms, tables
from panlesion.bench.clinical_pictures import draw_roc
from panlesion.bench.fits import RidgeOrdinal, need_fits
from panlesion.bench.network_vectors import CROP, LOOK, named, network_vectors, vector_columns
from panlesion.bench.nodule_attributes import SPACING_MM, measured
from panlesion.bench.protocol import Asked, Table, Watch
from panlesion.bench.rows import append_line, claim_folder, fingerprint, read_lines
from panlesion.data.sources.lidc_nodules import Score, ScoredNodule, read_lidc
from panlesion.errors import StoreError
from panlesion.measure.attributes import Attributes
from panlesion.measure.concordance import class_pairs, ordered_pairs
from panlesion.nets.attributes import look_of
from panlesion.nets.checkpoint import load_model
from panlesion.nets.model import Model

NODULES = "nodules.jsonl"
SUSPICIOUS, HARMLESS = 4.0, 2.0
CROP_VOXELS = 32
"""80 mm at 2.5 mm around a nodule whose cube has 50 mm: the rest is air. The next smaller crop would cut the cube."""
READERS = tuple(score for score in Score if score is not Score.MALIGNANCY)


@dataclass(frozen=True, kw_only=True)
class NoduleReading:
    """One nodule: what readers scored, what was measured, and what the network made of it."""

    case: str
    patient: str
    scores: Mapping[str, float]
    numbers: Mapping[str, float]
    vectors: Mapping[str, Sequence[float]]

    @property
    def grade(self) -> int | None:
        """0 harmless, 2 suspicious, 1 between, where the readers did not know; None where they did not say."""
        score = self.scores.get(Score.MALIGNANCY)
        return None if score is None else 2 if score >= SUSPICIOUS else int(score > HARMLESS)


def _numbers(found: Attributes) -> dict[str, float]:
    """What is measured, as columns; no edge to be seen has no width."""
    margin = found.margin.sigma_mm
    return {
        "log diameter": float(np.log(found.size.diameter_mm)),
        "log volume": float(np.log(found.size.volume_ml)),
        "sphericity": found.form.sphericity,
        "solidity": found.form.solidity,
        "roughness": found.form.roughness,
        "elongation": found.form.elongation,
        "contact": found.surface_contact,
        "density": found.offset_hu,
        "heterogeneity": found.heterogeneity_sd_hu,
        "edge visible": float(found.margin.visible),
        **({} if margin is None else {"edge width": margin}),
    }


MEASURED = (
    "log diameter", "log volume", "sphericity", "solidity", "roughness", "elongation", "contact", "density", "heterogeneity",
    "edge visible", "edge width",
)  # fmt: skip


def read_nodules(asked: Asked, folder: str, model: Model, watch: Watch) -> list[NoduleReading]:
    """Every nodule, measured and looked at once; a second run reads the first's."""
    claim_folder(asked.out, {"model": fingerprint(model), "crop": CROP_VOXELS})
    path = asked.out / NODULES
    known = {row["case"]: row for row in read_lines(path)}
    found = []
    for number, nodule in enumerate(read_lidc(asked.root / folder, spacing_mm=SPACING_MM)):
        if asked.choices.cases is not None and number >= asked.choices.cases:
            break
        if nodule.id not in known:
            watch(f"reading {nodule.id}", number, 0)
            known[nodule.id] = _read(nodule, model)
            append_line(path, known[nodule.id])
        found.append(NoduleReading(**known[nodule.id]))
    return found


def _read(nodule: ScoredNodule, model: Model) -> dict[str, object]:
    return {
        "case": nodule.id,
        "patient": nodule.patient,
        "scores": {str(score): value for score, value in nodule.scores.items()},
        "numbers": _numbers(measured(nodule)),
        "vectors": network_vectors(model, nodule.ct, nodule.label, crop_voxels=CROP_VOXELS),
    }


def endpoints(readings: Sequence[NoduleReading]) -> list[Endpoint]:
    """Suspicious against harmless; and harmless < between < suspicious, which leaves no scored nodule out.

    Raises:
        StoreError: Fewer than five suspicious or harmless nodules.
    """
    scored = [one for one in readings if one.grade is not None]
    grades = np.array([one.grade for one in scored], dtype=np.int64)
    harmless, between, suspicious = np.bincount(grades, minlength=3).tolist()
    if min(harmless, suspicious) < 5:
        raise StoreError(
            f"{suspicious} suspicious and {harmless} harmless nodules; at least 5 of each are needed: raise --cases"
        )
    ends = [one for one in scored if one.grade != 1]
    unscored = len(readings) - len(scored)
    counted = f"{suspicious} suspicious (4 and more) against {harmless} harmless (2 and less) nodules of"
    return [
        _endpoint(
            "malignancy", "Malignancy by the readers' median", ends, grades[grades != 1] // 2, (0.5,),
            Metric(name="AUC", pairs=lambda outcome: class_pairs(outcome[:, 0] > 0)),
            f"{counted} {len({one.patient for one in ends})} patients; left out: {between} between, {unscored} unscored.",
        ),
        _endpoint(
            "grade", "Harmless < between < suspicious", scored, grades, (0.5, 1.5),
            Metric(name="ordinal C", pairs=lambda outcome: ordered_pairs(outcome[:, 0])),
            f"{harmless} harmless, {between} between, {suspicious} suspicious nodules of "
            f"{len({one.patient for one in scored})} patients; left out: {unscored} unscored.",
        ),
    ]  # fmt: skip


def _endpoint(
    id: str, title: str, kept: Sequence[NoduleReading], outcome: NDArray, cuts: tuple[float, ...], metric: Metric, counts: str
) -> Endpoint:
    def column(read: str, table: str) -> NDArray:
        return np.array([getattr(one, table).get(read, np.nan) for one in kept], dtype=np.float64)

    return Endpoint(
        id=id,
        title=title,
        counts=counts,
        cases=tuple(one.case for one in kept),
        patients=tuple(one.patient for one in kept),
        columns={
            **{name: column(name, "numbers") for name in MEASURED},
            **{f"reader's {score}": column(score, "scores") for score in READERS},
            **vector_columns([one.vectors for one in kept]),
        },
        outcome=outcome[:, None].astype(np.float64),
        strata=outcome.astype(np.int64),
        fit=RidgeOrdinal(cuts=cuts),
        metrics=(metric,),
    )


def run_lidc_malignancy(folder: str, asked: Asked, watch: Watch) -> list[Table]:
    """Read the nodules, cross-validate every arm, and leave tables, folds, predictions and a picture.

    Raises:
        MissingExtraError: scikit-learn is not installed.
        StoreError: The data are not as laid out, or too few.
        CheckpointError: The model has no attribute head.
        ValueError: An unknown arm.
    """
    need_fits()
    model = load_model(asked.checkpoint).eval()
    look_of(model)  # refused before anything is read
    asks = endpoints(read_nodules(asked, folder, model, watch))
    crop, look = named(asks[0].columns, CROP), named(asks[0].columns, LOOK)
    arms = (
        Arm(name="diameter alone", columns=("log diameter",)),
        Arm(name="volume alone", columns=("log volume",)),
        Arm(name="measured attributes", columns=MEASURED),
        Arm(name="network, crop around it", columns=crop),
        Arm(name="network, at the lesion", columns=look),
        Arm(name="network, at the lesion, and measured", columns=(*look, *MEASURED)),
        Arm(name="readers' other scores", columns=tuple(f"reader's {score}" for score in READERS)),
    )
    chosen = chosen_arms(arms, asked.choices.arms)
    repetitions = asked.choices.seeds or REPETITIONS
    found = predict_arms(asks, {one.id: chosen for one in asks}, asked.out, repetitions=repetitions, watch=watch)
    draw_roc(asked.out / "roc.png", found, ("malignancy",))
    return tables("lidc-malignancy", found, asks)
