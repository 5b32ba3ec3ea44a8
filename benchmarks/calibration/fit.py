"""Indirect inference: which outlines come out, once drawn, rasterised and measured, with the features of real lesions?

Every simulated lesion takes diameter, spacing and slices from one real lesion, so only shape is fitted. A first bank of
outlines over a broad range is weighted by nearness to the real features; then, for some rounds, outlines are drawn from the
fitted copula, a classifier estimates the density ratio real : synthetic from the features alone (out of fold), and the ratio
is the weight with which each outline enters the next fit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from real import Row
from scipy.special import ndtri
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from synthetic import sample

from panlesion.lesion.priors.size import LONGEST_WAVELENGTH_RADII, Size
from panlesion.lesion.priors.size_tables import LEVELS, PARAMETERS

SHAPE = (*PARAMETERS[1:], "reader")
BOUNDS = {
    "second_ratio": (0.3, 1.0),
    "third_ratio": (0.3, 1.0),
    "roughness": (0.015, 0.45),
    "slope": (-0.3, 2.5),
    "shortest_wavelength": (0.2, 0.9),
    "bend": (-0.5, 1.0),  # below 0 counts as straight
    "reader": (0.01, 0.25),
}
LOGARITHMIC = frozenset({"roughness", "shortest_wavelength", "reader"})
# A share of every round stays broad, so that a fit can widen as well as narrow.
BROAD_SHARE = 0.25
KNOTS = np.asarray(LEVELS)


@dataclass(frozen=True, kw_only=True, eq=False)
class Copula:
    """Knots of log diameter and of the shape parameters (logarithms where so scaled), and the correlation of their scores."""

    knots: NDArray
    correlation: NDArray

    def draw(self, log_diameter: NDArray, rng: np.random.Generator) -> NDArray:
        """Shape parameters (N, 7) given log diameters (N,)."""
        first = np.interp(log_diameter, self.knots[0], ndtri(KNOTS))
        along = self.correlation[1:, 0]
        rest = self.correlation[1:, 1:] - np.outer(along, along)
        noise = rng.multivariate_normal(np.zeros(len(along)), rest, size=len(first), check_valid="ignore")
        scores = noise + first[:, None] * along
        return np.stack([np.interp(scores[:, k], ndtri(KNOTS), self.knots[k + 1]) for k in range(len(along))], axis=1)


def transformed(features: NDArray) -> NDArray:
    """Features for comparing: the volume becomes the share of the diameter's cube, which is a matter of shape."""
    out = np.array(features, dtype=float)
    out[:, 0] -= 3 * out[:, 1]
    return out


def classifier(seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.06, max_leaf_nodes=8, min_samples_leaf=15, l2_regularization=1.0, random_state=seed
    )


def out_of_fold(real: NDArray, synthetic: NDArray, seed: int) -> tuple[float, NDArray]:
    """AUC, and for every synthetic lesion the odds real : synthetic by a classifier that never saw it."""
    x = np.vstack([transformed(real), transformed(synthetic)])
    y = np.r_[np.ones(len(real)), np.zeros(len(synthetic))]
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    chance = cross_val_predict(classifier(seed), x, y, cv=folds, method="predict_proba")[:, 1]
    share = chance[len(real) :]
    return float(roc_auc_score(y, chance)), share / np.maximum(1 - share, 1e-3) * len(synthetic) / len(real)


def broad(count: int, rng: np.random.Generator) -> NDArray:
    """Shape parameters (N, 7), uniform within `BOUNDS` (log-uniform where so scaled)."""
    columns = []
    for name in SHAPE:
        low, high = BOUNDS[name]
        columns.append(rng.uniform(*np.log([low, high]), count) if name in LOGARITHMIC else rng.uniform(low, high, count))
    return np.stack(columns, axis=1)


def size_of(diameter_mm: float, shape: NDArray, *, form: str = "full") -> tuple[Size, float]:
    """The size of one row of shape parameters, and the reader. `form` restricts the outline, see run.py."""
    value = {name: float(np.exp(v)) if name in LOGARITHMIC else float(v) for name, v in zip(SHAPE, shape, strict=True)}
    plain = form == "plain"
    size = Size(
        diameter_mm=diameter_mm,
        ratios=(1.0, value["second_ratio"], value["second_ratio"] * value["third_ratio"]),
        roughness=value["roughness"],
        wavelength_radii=(0.45 if plain else value["shortest_wavelength"], LONGEST_WAVELENGTH_RADII),
        slope=1.0 if plain else value["slope"],
        bend=0.0 if plain else max(0.0, value["bend"]),
    )
    return size, value["reader"] if form == "full" else 0.0


def simulate(rows: list[Row], shapes: NDArray, rng: np.random.Generator, *, form: str = "full") -> tuple[NDArray, NDArray]:
    """Parameters (log diameter first) and features of the simulated lesions that came out, one shape for each row."""
    kept, found = [], []
    for row, shape in zip(rows, shapes, strict=True):
        size, reader = size_of(float(np.exp(row.features[1])), shape, form=form)
        made = sample(size, row.spacing_mm, rng, thickness_mm=row.thickness_mm, reader=reader)
        if made is not None:
            kept.append(np.r_[row.features[1], shape])
            found.append(made.features)
    return np.array(kept), np.array(found)


def nearness(real: NDArray, synthetic: NDArray, neighbours: int = 8) -> NDArray:
    """Weights of the synthetic lesions: every real one shares itself among its nearest, in standardised features."""
    a, b = transformed(real), transformed(synthetic)
    centre, scale = a.mean(axis=0), a.std(axis=0)
    d2 = ((((a - centre) / scale)[:, None] - ((b - centre) / scale)[None]) ** 2).sum(axis=-1)
    width = np.partition(d2, neighbours, axis=1)[:, neighbours][:, None]
    kernel = np.exp(-0.5 * d2 / width)
    return (kernel / kernel.sum(axis=1, keepdims=True)).mean(axis=0)


def fitted(parameters: NDArray, weights: NDArray, log_diameters: NDArray, rng: np.random.Generator) -> Copula:
    """The copula of weighted parameters; diameters keep the knots of the real ones."""
    weights = weights / weights.sum()
    knots, scores = [np.quantile(log_diameters, KNOTS)], []
    for k, column in enumerate(parameters.T):
        jittered = column + rng.uniform(-1e-9, 1e-9, len(column))
        order = np.argsort(jittered)
        middle = np.cumsum(weights[order]) - weights[order] / 2
        rank = np.empty(len(column))
        rank[order] = middle
        scores.append(ndtri(np.clip(rank, 1e-4, 1 - 1e-4)))
        if k:
            knots.append(np.interp(KNOTS, middle, column[order]))
    stacked = np.array(scores)
    stacked -= (stacked * weights).sum(axis=1, keepdims=True)
    covariance = (stacked * weights) @ stacked.T
    scale = np.sqrt(np.diag(covariance))
    return Copula(knots=np.array(knots), correlation=0.95 * covariance / np.outer(scale, scale) + 0.05 * np.eye(len(scale)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """The best round of a family, and the AUC of every round."""

    copula: Copula
    aucs: tuple[float, ...]


def fit(
    rows: list[Row],
    *,
    seed: int,
    first: int = 1200,
    size: int = 700,
    rounds: int = 3,
    form: str = "full",
    start: Copula | None = None,
) -> Fit:
    """Fit one family, from a broad bank or from an earlier fit.

    The AUC of a round is that of the lesions drawn from its copula against the real ones; the best round is kept.
    """
    rng = np.random.default_rng(seed)
    real = np.array([row.features for row in rows])
    if start is None:
        parameters, features = simulate([rows[k] for k in _shuffled(len(rows), first, rng)], broad(first, rng), rng, form=form)
        start = fitted(parameters, nearness(real, features), real[:, 1], rng)
    copula = best = start
    lowest, aucs = 2.0, []
    for turn in range(rounds + 1):
        last = turn == rounds
        own_rows = [rows[k] for k in _shuffled(len(rows), max(400, len(rows)) if last else size, rng)]
        shapes = copula.draw(np.array([row.features[1] for row in own_rows]), rng)
        parameters, features = simulate(own_rows, shapes, rng, form=form)
        auc, _ = out_of_fold(real, features, seed)
        aucs.append(round(auc, 3))
        if auc < lowest:
            best, lowest = copula, auc
        if not last:
            wide = int(BROAD_SHARE * size)
            more = simulate([rows[k] for k in _shuffled(len(rows), wide, rng)], broad(wide, rng), rng, form=form)
            parameters, features = np.vstack([parameters, more[0]]), np.vstack([features, more[1]])
            _, odds = out_of_fold(real, features, seed)
            copula = fitted(parameters, np.clip(odds, 0.02, 20), real[:, 1], rng)
    return Fit(copula=best, aucs=tuple(aucs))


def _shuffled(population: int, count: int, rng: np.random.Generator) -> list[int]:
    """Numbers below `population`, each as often as the others, in random order."""
    return rng.permuted(np.tile(np.arange(population), count // population + 1))[:count].tolist()
