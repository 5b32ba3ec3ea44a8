"""`Score`: one measured number as a file other programs can read, beside the table that people read."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from panlesion.data.publish import write_text
from panlesion.errors import StoreError
from panlesion.measure.resampling import Interval

SCORES = "scores.json"
DIFFERENCE = " difference"
"""Ends the metric of a paired difference of two arms on the same patients, such as "dice difference" of "a over b"."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """A metric of one arm of a row with its 95 % interval over `n` patients (or scans, as `unit` says).

    `shots` is None where all training data was used. `stand_in` marks generated data: such a number is never quoted.
    """

    row: str
    arm: str
    metric: str
    value: float
    low: float
    high: float
    n: int
    unit: str = "patients"
    shots: int | None = None
    repetitions: int = 1
    stand_in: bool = False


def scored(
    row: str,
    arm: str,
    metric: str,
    interval: Interval,
    *,
    unit: str = "patients",
    shots: int | None = None,
    repetitions: int = 1,
) -> Score:
    """A score from a measured interval."""
    return Score(
        row=row, arm=arm, metric=metric, value=interval.mean, low=interval.low, high=interval.high, n=interval.n, unit=unit,
        shots=shots, repetitions=repetitions,
    )  # fmt: skip


def write_scores(out: Path, scores: Sequence[Score]) -> None:
    """Leave the scores in a folder for results, as JSON."""
    write_text(out / SCORES, json.dumps([asdict(score) for score in scores], indent=1) + "\n")


def read_scores(out: Path) -> list[Score]:
    """The scores in a folder for results.

    Raises:
        StoreError: It holds none, or the file is damaged.
    """
    path = out / SCORES
    try:
        scores = [Score(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except FileNotFoundError as error:
        raise StoreError(f"{path} is missing; give a folder that panlesion bench run left") from error
    except (json.JSONDecodeError, TypeError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} holds no scores ({error}); run the row again") from error
    for score in scores:
        numbers = (score.value, score.low, score.high, score.n)
        if not all(isinstance(number, int | float) and not isinstance(number, bool) for number in numbers):
            raise StoreError(f"{path}: {score.metric} of {score.arm} has {numbers}; value, low, high and n are numbers")
    return scores
