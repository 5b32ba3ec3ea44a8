"""Survival: how well a risk ranks patients, the Kaplan-Meier curve and the log-rank test.

Of a patient, `times` is how long it was watched and `events` whether the event ended that (1) or the watching did (0). At equal
times an event comes before the end of watching.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import chi2, norm

from panlesion.measure.columns import numbers, yes_no


@dataclass(frozen=True, kw_only=True)
class KaplanMeier:
    """The product-limit curve (Kaplan & Meier 1958) of `n` patients: a step at each distinct time. JSON-able.

    The interval is Greenwood's variance on the log(−log) scale. It is 1 to 1 before the first event. Where nobody is left
    alive that scale ends, and the upper end is that of the step before.
    """

    n: int
    times: tuple[float, ...]
    at_risk: tuple[int, ...]
    events: tuple[int, ...]
    censored: tuple[int, ...]
    survival: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def at(self, time: float) -> float:
        """Share without an event up to and including `time`; after the last step that step's share."""
        before = int(np.searchsorted(self.times, time, side="right"))
        return self.survival[before - 1] if before else 1.0

    @property
    def median(self) -> float | None:
        """First time by which half have had the event; None where that was not seen."""
        reached = [time for time, share in zip(self.times, self.survival, strict=True) if share <= 0.5 + 1e-12]
        return reached[0] if reached else None


def c_index(times: ArrayLike, events: ArrayLike, risk: ArrayLike) -> float:
    """Harrell's C (Harrell et al. 1996): share of pairs in which the earlier event has the higher risk, ties of risk half.

    A pair counts where it is known who had the event first; two events at one time are no pair, an event and an end of
    watching at one time are (as lifelines counts). NaN where no pair counts.

    Raises:
        ValueError: Columns that do not fit or are empty, a negative time, an event that is not 0 or 1.
    """
    time, event, score = _observed(times, events, risk=risk)
    right = tied = pairs = 0
    for n in np.flatnonzero(event).tolist():
        later = score[(time > time[n]) | ((time == time[n]) & ~event)]
        pairs += len(later)
        right += int(np.count_nonzero(later < score[n]))
        tied += int(np.count_nonzero(later == score[n]))
    return (right + tied / 2) / pairs if pairs else math.nan


def auc_at(times: ArrayLike, events: ArrayLike, risk: ArrayLike, horizon: float) -> float:
    """Cumulative/dynamic AUC: does risk tell who has the event by `horizon` from who is free of it then?

    Events are weighted by the inverse of the chance of still being watched just before them (Uno et al. 2007, Hung & Chiang
    2010), so that those lost before the horizon count through others. NaN where no event or nobody free of it is seen.

    Raises:
        ValueError: As `c_index`; a horizon that is no positive number.
    """
    time, event, score = _observed(times, events, risk=risk)
    had, free = _split(time, event, horizon)
    if not had.any() or not free.any():
        return math.nan
    controls = np.sort(score[free])
    below = (np.searchsorted(controls, score[had], "left") + np.searchsorted(controls, score[had], "right")) / 2
    return float(np.average(below / len(controls), weights=1 / watched(time, event, time[had])))


def brier_at(
    times: ArrayLike, events: ArrayLike, probability: ArrayLike, horizon: float, *, weighted: bool = True
) -> float:  # fmt: skip
    """Brier score of the stated probability of an event by `horizon` (Graf et al. 1999).

    Weighted, those lost before the horizon count through others who were watched; otherwise they are left out, which favours
    whoever is watched long. NaN where nobody's state at the horizon is known.

    Raises:
        ValueError: As `auc_at`; a probability outside 0 to 1.
    """
    time, event, stated = _observed(times, events, probability=probability)
    outside = np.flatnonzero((stated < 0) | (stated > 1))
    if outside.size:
        raise ValueError(f"probability[{outside[0]}] is {stated[outside[0]]}; it must lie in 0 to 1")
    had, free = _split(time, event, horizon)
    known = had | free
    if not known.any():
        return math.nan
    squared = (stated[known] - had[known]) ** 2
    if not weighted:
        return float(squared.mean())
    # An event is seen if watched until just before it, being free of it if watched beyond the horizon.
    until = np.where(had, time, np.nextafter(horizon, np.inf))[known]
    return float((squared / watched(time, event, until)).sum() / len(time))


def kaplan_meier(times: ArrayLike, events: ArrayLike, *, level: float = 0.95) -> KaplanMeier:
    """The curve of patients that were watched for `times`.

    Raises:
        ValueError: As `c_index`.
    """
    time, event = _observed(times, events)
    steps, at_risk, died, lost = _table(time, event)
    survival = np.cumprod(1 - died / at_risk)
    z = float(norm.ppf((1 + level) / 2))
    spread, ends = 0.0, [(1.0, 1.0)]
    for n, (risk, deaths, share) in enumerate(zip(at_risk.tolist(), died.tolist(), survival.tolist(), strict=True)):
        if deaths == risk:
            ends.append((0.0, ends[-1][1]))
            continue
        spread += deaths / (risk * (risk - deaths))
        half = z * math.sqrt(spread) / math.log(share) if survival[n] < 1 else 0.0
        ends.append((share ** math.exp(-half), share ** math.exp(half)))
    return KaplanMeier(
        n=len(time), times=tuple(steps.tolist()), at_risk=tuple(at_risk.tolist()), events=tuple(died.tolist()),
        censored=tuple(lost.tolist()), survival=tuple(survival.tolist()), low=tuple(low for low, _ in ends[1:]),
        high=tuple(high for _, high in ends[1:]),
    )  # fmt: skip


def log_rank(times_a: ArrayLike, events_a: ArrayLike, times_b: ArrayLike, events_b: ArrayLike) -> float:
    """Two-sided p of the hypothesis that two groups have the same hazard (Mantel 1966); 1 where no event compares them.

    Raises:
        ValueError: As `c_index`.
    """
    first, second = _observed(times_a, events_a), _observed(times_b, events_b)
    time, event = (np.concatenate(pair) for pair in zip(first, second, strict=True))
    moments = np.unique(time[event])
    at_risk = _at_least(time, moments)
    mine = _at_least(first[0], moments)
    died = _at_least(time[event], moments) - _at_least(time[event], np.nextafter(moments, np.inf))
    share = mine / at_risk
    excess = int(first[1].sum()) - float((died * share).sum())
    variance = float((died * share * (1 - share) * (at_risk - died) / np.maximum(at_risk - 1, 1)).sum())
    return float(chi2.sf(excess**2 / variance, 1)) if variance > 0 else 1.0


def _observed(times: ArrayLike, events: ArrayLike, **more: ArrayLike) -> list[NDArray]:
    time, event, *rest = numbers(times=times, events=events, **more)
    negative = np.flatnonzero(time < 0)
    if negative.size:
        raise ValueError(f"times[{negative[0]}] is {time[negative[0]]}; a time is 0 or more")
    return [time, yes_no("events", event), *rest]


def _split(time: NDArray, event: NDArray, horizon: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Who had the event by the horizon, and who was watched beyond it."""
    if not (math.isfinite(horizon) and horizon > 0):
        raise ValueError(f"horizon is {horizon}; it must be a positive number, in the unit of the times")
    return event & (time <= horizon), time > horizon


def _at_least(values: NDArray, limits: NDArray) -> NDArray[np.intp]:
    """How many values are at least as large as each limit."""
    return len(values) - np.searchsorted(np.sort(values), limits, side="left")


def _table(time: NDArray, event: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Distinct times with how many were at risk, had the event, and were lost at each."""
    steps, of = np.unique(time, return_inverse=True)
    died = np.bincount(of, weights=event, minlength=len(steps)).astype(int)
    return steps, _at_least(time, steps), died, np.bincount(of, minlength=len(steps)) - died


def watched(time: NDArray, event: NDArray, until: NDArray) -> NDArray[np.float64]:
    """Chance of being watched until just before each time, by the Kaplan-Meier curve of the ends of watching.

    Whoever has the event at a time cannot be lost at it any more, so only the others are at risk of that.
    """
    steps, at_risk, died, lost = _table(time, event)
    kept = np.concatenate([[1.0], np.cumprod(1 - lost / np.maximum(at_risk - died, 1))])
    return kept[np.searchsorted(steps, until, side="left")]
