"""Ridge models of clinical endpoints: logistic, cumulative logistic for ordered classes, Cox. Libraries load when fitted."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panlesion.bench.cross_validation import Predictor
from panlesion.errors import MissingExtraError

STRENGTHS = (1000.0, 100.0, 10.0, 1.0, 0.1)
"""Ridge strengths 1 / C of the logistic models on standardised features."""
COX_STRENGTHS = (1.0, 0.1, 0.01)
"""lifelines' penalizer, which is per event, so smaller numbers mean the same."""
MANY_COLUMNS = 40
COMPONENTS = 20
"""Cox on more columns than the first sees the leading principal components of the training cases: with a death for every few
columns a ridge alone does not settle."""
_LEAST_P = 1e-6


def need_fits() -> None:
    """Raise unless the libraries of the extra `bench` are installed.

    Raises:
        MissingExtraError: Names the first that is not, and how to install it.
    """
    try:
        import lifelines  # noqa: F401
        import sklearn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"models of clinical endpoints need {error.name}; "
            "install it with: pip install -c constraints.txt 'panlesion[bench]'"
        ) from error


def _prepared(features: NDArray, components: int | None = None) -> Any:
    """Median for what is unknown, then mean 0 and SD 1, then components where asked for, all of the training cases."""
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    steps = [SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()]
    if components is not None:
        steps += [PCA(n_components=components, svd_solver="full"), StandardScaler()]
    return make_pipeline(*steps).fit(features)


def _logistic(x: NDArray, present: NDArray, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1 / strength, max_iter=2000).fit(x, present)


def _log_likelihood(present: NDArray, p: NDArray) -> float:
    clipped = np.clip(p, _LEAST_P, 1 - _LEAST_P)
    return float(np.where(present, np.log(clipped), np.log(1 - clipped)).mean())


@dataclass(frozen=True, kw_only=True)
class RidgeOrdinal:
    """Logistic models of "above grade c" for each cut c; a single cut is plain logistic regression.

    Outcome (N, 1): the grade. Predictions (N, cuts): the probability of each cut, made to fall. Evidence: their sum, which for
    cuts between all grades is the expected grade.
    """

    cuts: tuple[float, ...] = (0.5,)
    strengths: Sequence[float] = STRENGTHS

    def fitted(self, features: NDArray, outcome: NDArray, strength: float) -> Predictor:
        prepare = _prepared(features)
        x = prepare.transform(features)
        models = [self._model(x, outcome[:, 0] > cut, strength) for cut in self.cuts]

        def predict(more: NDArray) -> NDArray:
            z = prepare.transform(more)
            p = [np.full(len(z), one) if isinstance(one, float) else one.predict_proba(z)[:, 1] for one in models]
            return np.asarray(np.minimum.accumulate(np.column_stack(p), axis=1))

        return predict

    @staticmethod
    def _model(x: NDArray, present: NDArray, strength: float) -> Any:
        """A model, or the share of one class where the other does not occur."""
        if present.all() or not present.any():
            return float(present.mean())
        return _logistic(x, present, strength)

    def quality(self, outcome: NDArray, predicted: NDArray) -> float:
        """Mean log likelihood over the cuts."""
        return float(np.mean([_log_likelihood(outcome[:, 0] > cut, predicted[:, n]) for n, cut in enumerate(self.cuts)]))

    def evidence(self, predicted: NDArray) -> NDArray:
        return np.asarray(predicted.sum(axis=1))


@dataclass(frozen=True, kw_only=True)
class RidgeCox:
    """Cox's proportional hazards with a ridge (lifelines). Outcome (N, 2): days and whether dead. Prediction: log hazard."""

    strengths: Sequence[float] = COX_STRENGTHS

    def fitted(self, features: NDArray, outcome: NDArray, strength: float) -> Predictor:
        import pandas as pd
        from lifelines import CoxPHFitter

        few = features.shape[1] <= MANY_COLUMNS
        prepare = _prepared(features, None if few else min(COMPONENTS, len(features) - 1))
        x = prepare.transform(features)
        varying = x.std(axis=0) > 0
        table = pd.DataFrame(x[:, varying], columns=[f"x{n}" for n in np.flatnonzero(varying)])
        table["days"], table["dead"] = outcome[:, 0], outcome[:, 1]
        with warnings.catch_warnings():
            # That a feature all but separates the dead is what the ridge is for.
            warnings.simplefilter("ignore")
            model = CoxPHFitter(penalizer=strength).fit(table, "days", "dead")
        weights = model.params_.to_numpy()

        def predict(more: NDArray) -> NDArray:
            return np.asarray((prepare.transform(more)[:, varying] @ weights)[:, None])

        return predict

    def quality(self, outcome: NDArray, predicted: NDArray) -> float:
        """Partial log likelihood (Breslow) per death."""
        days, dead = outcome[:, 0], outcome[:, 1] > 0
        hazard = predicted[:, 0] - predicted[:, 0].max()
        if not dead.any():
            return 0.0
        at_risk = days[None, :] >= days[dead][:, None]
        return float((hazard[dead] - np.log((at_risk * np.exp(hazard)).sum(axis=1))).mean())

    def evidence(self, predicted: NDArray) -> NDArray:
        return np.asarray(predicted[:, 0])
