"""Seeded splits by patient, stored in a file so that every method is measured on the same ones."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from panlesion.data.publish import write_text
from panlesion.errors import StoreError


@dataclass(frozen=True, kw_only=True)
class FewShotSplit:
    """One repetition: the patients tested on, and the others in the order in which shots are taken from them.

    The first n of `train` are the n-shot set, so that more shots contain the fewer.
    """

    seed: int
    test: tuple[str, ...]
    train: tuple[str, ...]


def few_shot_splits(patients: Sequence[str], *, repetitions: int, test_share: float = 0.35) -> list[FewShotSplit]:
    """Independent random splits by patient, one for each repetition.

    Raises:
        ValueError: Too few patients for a test and a training patient.
    """
    names = sorted(set(patients))
    count = round(len(names) * test_share)
    if count < 1 or count >= len(names):
        raise ValueError(f"{len(names)} patients cannot be split into a test share of {test_share} and a rest")
    splits = []
    for seed in range(repetitions):
        order = [names[int(n)] for n in np.random.default_rng([seed, 0x73706C69]).permutation(len(names))]
        splits.append(FewShotSplit(seed=seed, test=tuple(order[:count]), train=tuple(order[count:])))
    return splits


def fold_splits(patients: Sequence[str], *, folds: int) -> list[FewShotSplit]:
    """Cross-validation by patient: every patient is tested on in one split, `seed` is its number.

    Raises:
        ValueError: Fewer than two folds, or fewer patients than folds.
    """
    names = sorted(set(patients))
    if not 2 <= folds <= len(names):
        raise ValueError(f"{len(names)} patients in {folds} folds; there must be 2 folds or more, and a patient for each")
    order = [names[int(n)] for n in np.random.default_rng(0x666F6C64).permutation(len(names))]
    return [
        FewShotSplit(
            seed=fold, test=tuple(order[fold::folds]), train=tuple(n for at, n in enumerate(order) if at % folds != fold)
        )
        for fold in range(folds)
    ]


def stored_splits(
    path: Path, patients: Sequence[str], *, repetitions: int, cross_validated: bool = False
) -> list[FewShotSplit]:
    """The splits in a file, drawn and written there the first time; `cross_validated` makes the repetitions folds.

    Raises:
        StoreError: The file is damaged, or names patients that the data does not have.
    """
    if not path.exists():
        if cross_validated:
            drawn = fold_splits(patients, folds=repetitions)
        else:
            drawn = few_shot_splits(patients, repetitions=repetitions)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps([asdict(split) for split in drawn], indent=1) + "\n")
        return drawn
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        splits = [FewShotSplit(seed=row["seed"], test=tuple(row["test"]), train=tuple(row["train"])) for row in rows]
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is no file of splits ({error}); remove it to draw new ones") from error
    unknown = sorted({name for split in splits for name in (*split.test, *split.train)} - set(patients))
    if unknown:
        raise StoreError(f"{path} names {', '.join(unknown)}, which the data does not hold; use its own file of splits")
    if len(splits) < repetitions:
        raise StoreError(f"{path} holds {len(splits)} splits, {repetitions} are asked for; remove it to draw them all anew")
    return splits[:repetitions]
