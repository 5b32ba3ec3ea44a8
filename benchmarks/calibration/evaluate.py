"""How far synthetic lesions are from real ones: distances per feature, and a classifier that tries to tell them apart."""

from dataclasses import asdict, dataclass

import numpy as np
from fit import SHAPE, Copula, classifier, transformed
from numpy.typing import NDArray
from real import FEATURES, Row
from scipy.special import ndtri
from scipy.stats import ks_2samp, wasserstein_distance
from sklearn.inspection import permutation_importance
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedGroupKFold
from synthetic import sample

from panlesion.lesion.priors.size import Size, draw_size
from panlesion.lesion.priors.size_tables import LEVELS
from panlesion.lesion.taxonomy import LesionType

TYPES_OF = {
    "lung_nodule": LesionType.LUNG_TUMOR,
    "liver_tumour": LesionType.LIVER_TUMOR,
    "pancreas_tumour": LesionType.PANCREAS_TUMOR,
    "colon_tumour": LesionType.COLORECTAL_CANCER,
    "kidney_tumour": LesionType.KIDNEY_TUMOR,
    "kidney_cyst": LesionType.KIDNEY_CYST,
    "bone_lesion": LesionType.BONE_METASTASIS,
}
BOOTSTRAPS = 300
Interval = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Report:
    """One family. Intervals are (value, low, high) at 95 %."""

    family: str
    real: int
    patients: int
    synthetic: int
    wasserstein: dict[str, Interval]
    ks: dict[str, Interval]
    auc: Interval
    auc_shape_only: Interval
    auc_no_reader: Interval
    auc_permuted: float
    importance: dict[str, float]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def draw_features(
    family: str, rows: list[Row], copula: Copula | None, count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Features of `count` lesions of the shipped prior, on the slices of real lesions of about their size."""
    logs = np.array([row.features[1] for row in rows])
    found = []
    while len(found) < count:
        size = draw_size(TYPES_OF[family], rng)
        near = rng.choice(len(rows), min(12, len(rows)), replace=False)
        row = rows[near[np.argmin(np.abs(logs[near] - np.log(size.diameter_mm)))]]
        reader = 0.0 if copula is None else reader_of(size, copula, rng)
        made = sample(size, row.spacing_mm, rng, thickness_mm=row.thickness_mm, reader=reader)
        if made is not None:
            found.append(made.features)
    return np.array(found)


def reader_of(size: Size, copula: Copula, rng: np.random.Generator) -> float:
    """The simulated reader's amplitude given the drawn size, by the copula both were fitted in."""
    values = (
        np.log(size.diameter_mm),
        size.ratios[1],
        size.ratios[2] / size.ratios[1],
        np.log(size.roughness),
        size.slope,
        np.log(size.wavelength_radii[0]),
        size.bend,
    )
    scores = [np.interp(v, knots, ndtri(LEVELS)) for v, knots in zip(values, copula.knots[:-1], strict=True)]
    weights = np.linalg.solve(copula.correlation[:-1, :-1], copula.correlation[:-1, -1])
    rest = max(0.0, 1 - float(weights @ copula.correlation[:-1, -1]))
    score = float(weights @ np.array(scores)) + np.sqrt(rest) * rng.standard_normal()
    assert SHAPE[-1] == "reader"
    return float(np.exp(np.interp(score, ndtri(LEVELS), copula.knots[-1])))


def discriminate(
    real: NDArray, synthetic: NDArray, groups: NDArray, rng: np.random.Generator
) -> tuple[Interval, dict[str, float]]:
    """AUC out of fold, no patient in two folds, with a bootstrap over patients; mean loss of AUC per permuted feature."""
    x = np.vstack([real, synthetic])
    y = np.r_[np.zeros(len(real)), np.ones(len(synthetic))].astype(int)
    group = np.r_[groups, groups.max() + 1 + np.arange(len(synthetic))]
    chance, losses = np.zeros(len(y)), []
    for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(x, y, group):
        model = classifier(0).fit(x[train], y[train])
        chance[test] = model.predict_proba(x[test])[:, 1]
        loss = permutation_importance(model, x[test], y[test], scoring="roc_auc", n_repeats=5, random_state=0)
        losses.append(loss.importances_mean)
    names, member = np.unique(group, return_inverse=True)
    values = []
    for _ in range(BOOTSTRAPS):
        weight = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))[member]
        values.append(roc_auc_score(y, chance, sample_weight=weight))
    low, high = np.percentile(values, [2.5, 97.5])
    loss = np.mean(losses, axis=0)
    ranked = {FEATURES[k]: round(float(loss[k]), 3) for k in np.argsort(-loss)} if x.shape[1] == len(FEATURES) else {}
    return (round(float(roc_auc_score(y, chance)), 3), round(float(low), 3), round(float(high), 3)), ranked


def distances(real: NDArray, synthetic: NDArray, rng: np.random.Generator) -> tuple[Interval, Interval]:
    """Wasserstein distance in SDs of the real values, and Kolmogorov–Smirnov, with basic bootstrap intervals.

    The percentile interval would lie above the value: a resample is always further away than its sample.
    """
    scale = real.std()

    def both(a: NDArray, b: NDArray) -> tuple[float, float]:
        return wasserstein_distance(a, b) / scale, ks_2samp(a, b).statistic

    here = np.array(both(real, synthetic))
    again = np.array([both(rng.choice(real, len(real)), rng.choice(synthetic, len(synthetic))) for _ in range(BOOTSTRAPS)])
    high, low = np.maximum(0.0, 2 * here - np.percentile(again, [2.5, 97.5], axis=0))
    wasserstein, ks = ((round(float(here[k]), 3), round(float(low[k]), 3), round(float(high[k]), 3)) for k in range(2))
    return wasserstein, ks


def evaluate(family: str, rows: list[Row], copula: Copula, seed: int) -> tuple[Report, NDArray]:
    """The report of one family and the synthetic features it rests on."""
    rng = np.random.default_rng(seed)
    real = np.array([row.features for row in rows])
    _, groups = np.unique([row.patient for row in rows], return_inverse=True)
    synthetic = draw_features(family, rows, copula, len(rows), rng)
    bare = draw_features(family, rows, None, len(rows), rng)
    auc, importance = discriminate(transformed(real), transformed(synthetic), groups, rng)
    no_reader, _ = discriminate(transformed(real), transformed(bare), groups, rng)
    shape_only, _ = discriminate(transformed(real)[:, 2:], transformed(synthetic)[:, 2:], groups, rng)
    mixed = rng.permutation(np.vstack([transformed(real), transformed(synthetic)]))
    permuted, _ = discriminate(mixed[: len(real)], mixed[len(real) :], np.arange(len(real)), rng)
    pairs = {name: distances(real[:, k], synthetic[:, k], rng) for k, name in enumerate(FEATURES)}
    report = Report(
        family=family,
        real=len(rows),
        patients=int(groups.max()) + 1,
        synthetic=len(synthetic),
        wasserstein={name: pair[0] for name, pair in pairs.items()},
        ks={name: pair[1] for name, pair in pairs.items()},
        auc=auc,
        auc_shape_only=shape_only,
        auc_no_reader=no_reader,
        auc_permuted=permuted[0],
        importance=importance,
    )
    return report, synthetic
