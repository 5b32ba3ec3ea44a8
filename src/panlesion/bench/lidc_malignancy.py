"""Malignancy of lung nodules as radiologists judge it, from a frozen network, from measured attributes, and from size alone.

The reference is the median of up to four readers' suspicion on CT, not pathology. Nodules with a median between 2 and 4 are
left out: the readers did not know.
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
from panlesion.measure.concordance import class_pairs
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
    def suspicious(self) -> bool | None:
        """Malignant or not by the readers' median; None where they did not know or did not say."""
        score = self.scores.get(Score.MALIGNANCY)
        if score is None or HARMLESS < score < SUSPICIOUS:
            return None
        return score >= SUSPICIOUS


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


def endpoint(readings: Sequence[NoduleReading]) -> Endpoint:
    """Suspicious against harmless.

    Raises:
        StoreError: Fewer than five of one kind.
    """
    kept = [one for one in readings if one.suspicious is not None]
    yes = np.array([bool(one.suspicious) for one in kept], dtype=bool)
    if min(yes.sum(), (~yes).sum()) < 5:
        raise StoreError(
            f"{yes.sum()} suspicious and {(~yes).sum()} harmless nodules; at least 5 of each are needed: raise --cases"
        )
    unscored = sum(Score.MALIGNANCY not in one.scores for one in readings)
    patients = tuple(one.patient for one in kept)

    def column(read: str, table: str) -> NDArray:
        return np.array([getattr(one, table).get(read, np.nan) for one in kept], dtype=np.float64)

    columns = {
        **{name: column(name, "numbers") for name in MEASURED},
        **{f"reader's {score}": column(score, "scores") for score in READERS},
        **vector_columns([one.vectors for one in kept]),
    }
    return Endpoint(
        id="malignancy",
        title="Malignancy by the readers' median",
        counts=(
            f"{yes.sum()} suspicious (4 and more) against {(~yes).sum()} harmless (2 and less) nodules of {len(set(patients))} "
            f"patients; left out: {len(readings) - unscored - len(kept)} between, {unscored} without a score."
        ),
        cases=tuple(one.case for one in kept),
        patients=patients,
        columns=columns,
        outcome=yes[:, None].astype(np.float64),
        strata=yes.astype(np.int64),
        fit=RidgeOrdinal(),
        metrics=(Metric(name="AUC", pairs=lambda outcome: class_pairs(outcome[:, 0] > 0)),),
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
    ask = endpoint(read_nodules(asked, folder, model, watch))
    crop, look = named(ask.columns, CROP), named(ask.columns, LOOK)
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
    found = predict_arms([ask], {ask.id: chosen}, asked.out, repetitions=asked.choices.seeds or REPETITIONS, watch=watch)
    draw_roc(asked.out / "roc.png", found, (ask.id,))
    return tables("lidc-malignancy", found, [ask])
