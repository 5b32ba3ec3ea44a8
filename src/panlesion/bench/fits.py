"""Ridge models of clinical endpoints: logistic, cumulative logistic for ordered classes, Cox. Libraries load when fitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panlesion.bench.cox import fit_cox
from panlesion.bench.cross_validation import Predictor
from panlesion.errors import MissingExtraError

STRENGTHS = (1000.0, 100.0, 10.0, 1.0)
"""Ridge strengths 1 / C of the logistic models on standardised features."""
COX_STRENGTHS = (10.0, 1.0, 0.1, 0.01)
"""Of Cox's model, per case."""
_LEAST_P = 1e-6


def need_fits() -> None:
    """Raise unless scikit-learn, of the extra `bench`, is installed.

    Raises:
        MissingExtraError: It is not; the message says how to install it.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f"models of clinical endpoints need {error.name}; "
            "install it with: pip install -c constraints.txt 'panlesion[bench]'"
        ) from error


def _prepared(features: NDArray) -> Any:
    """Median for what is unknown, then mean 0 and SD 1, all of the training cases."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()).fit(features)


def _logistic(x: NDArray, present: NDArray, strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1 / strength, solver="newton-cholesky").fit(x, present)


def _log_likelihood(present: NDArray, p: NDArray) -> float:
    clipped = np.clip(p, _LEAST_P, 1 - _LEAST_P)
    return float(np.where(present, np.log(clipped), np.log(1 - clipped)).mean())


@dataclass(frozen=True, kw_only=True)
class RidgeOrdinal:
    """Logistic models of "above grade c" for each cut c; a single cut is plain logistic regression.

    Outcome (N, 1): the grade. Predictions (N, cuts + 1): the probability of each cut, made to fall, and last the evidence: the
    sum of the linear predictors without their intercepts. An intercept says how common a class was in the training folds, which
    is the less the more of it the test fold has: pooled over folds, noise with intercepts ranks below one half.
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
            score = sum((z @ one.coef_[0] for one in models if not isinstance(one, float)), start=np.zeros(len(z)))
            return np.column_stack([np.minimum.accumulate(np.column_stack(p), axis=1), score])

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
        return np.asarray(predicted[:, -1])


@dataclass(frozen=True, kw_only=True)
class RidgeCox:
    """Cox's proportional hazards with a ridge. Outcome (N, 2): days and whether dead. Prediction (N, 1): log hazard."""

    strengths: Sequence[float] = COX_STRENGTHS

    def fitted(self, features: NDArray, outcome: NDArray, strength: float) -> Predictor:
        prepare = _prepared(features)
        weights = fit_cox(prepare.transform(features), outcome[:, 0], outcome[:, 1], strength)
        return lambda more: np.asarray((prepare.transform(more) @ weights)[:, None])

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
