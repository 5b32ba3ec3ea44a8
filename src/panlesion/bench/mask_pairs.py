"""Folders of predicted and true masks: which belong together, and everything that is wrong with them, all of it at once."""

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from panlesion.ct.nifti import read_grid, read_labels
from panlesion.ct.standardise import restore
from panlesion.ct.volume import Grid, LabelMap
from panlesion.errors import PanlesionError, StoreError

SUFFIXES = (".nii.gz", ".nii")
IN_CASE_FOLDER = ("lesions.nii.gz", "label.nii.gz")
"""Mask of a case folder: what `panlesion predict` writes, and what annotated case folders hold."""
EVERYTHING = "lesion"
"""Name of the one class that all values above 0 are merged into."""
_SAME_MM = 0.1  # float32 headers of long scans differ by less
_SHOWN = 10

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class MaskPair:
    """A case with its predicted and its true mask."""

    case: str
    patient: str
    predicted: Path
    truth: Path

    def read(self) -> tuple[LabelMap, LabelMap]:
        """Both masks on the truth's grid; a prediction whose axes are turned is turned back.

        Raises:
            ReadError: A file cannot be read as a label map.
            StoreError: The masks lie on different voxels.
        """
        grid = read_grid(self.truth)
        _refuse_other_grid(read_grid(self.predicted), grid)
        truth, predicted = read_labels(self.truth), read_labels(self.predicted)
        if not predicted.grid.same_as(truth.grid, _SAME_MM):
            predicted = restore(predicted, truth.grid)
        return predicted, truth


@dataclass(frozen=True, kw_only=True)
class ScoredClass:
    """A class by its value in the files; value None stands for everything above 0."""

    name: str
    value: int | None

    def mask(self, labels: LabelMap) -> NDArray[np.bool_]:
        """Where the label map has it."""
        return labels.labels > 0 if self.value is None else labels.labels == self.value


@dataclass(frozen=True, kw_only=True)
class Checked:
    """Pairs and their classes, of use only while `problems` is empty."""

    pairs: tuple[MaskPair, ...]
    classes: tuple[ScoredClass, ...]
    problems: tuple[str, ...]


def find_pairs(predicted: Path, truth: Path, patients: Path | None = None) -> tuple[list[MaskPair], list[str]]:
    """Masks of the same name in two folders, and what has no partner.

    A mask is `<case>.nii.gz`, `<case>.nii`, or in a folder `<case>/` one of `IN_CASE_FOLDER`. `patients` is a CSV file with the
    columns case and patient; without it each case is a patient.

    Raises:
        StoreError: A folder is not there or holds no mask, or both are one.
    """
    if predicted.resolve() == truth.resolve():
        raise StoreError(f"{predicted} is given as prediction and as truth; these are two folders")
    (found, problems), (true, more) = _masks(predicted, "--predicted"), _masks(truth, "--truth")
    problems += more
    problems += [
        f"{case}: no prediction in {predicted}; predict it, or take its truth out of {truth}"
        for case in true
        if case not in found
    ]
    problems += [f"{case}: no truth in {truth}; take its prediction out of {predicted}" for case in found if case not in true]
    whose, wrong = _patients(patients, sorted(found.keys() & true.keys()))
    pairs = [
        MaskPair(case=case, patient=whose.get(case, case), predicted=found[case], truth=true[case])
        for case in sorted(found.keys() & true.keys())
    ]
    return pairs, sorted(problems) + wrong


def check_pairs(
    pairs: Sequence[MaskPair], names: Mapping[int, str], *, merge: bool = False, progress: Progress | None = None
) -> Checked:
    """Open every pair and list what is wrong with any of them.

    Args:
        pairs: As `find_pairs` gives them.
        names: Names of the label values to score; empty: all values that the truth holds, called "class_<value>".
        merge: Everything above 0 is one class.
        progress: Called with pairs done, pairs in all, and the next one's case.
    """
    problems: list[str] = []
    said: dict[str, frozenset[int]] = {}
    true: dict[str, frozenset[int]] = {}
    for number, pair in enumerate(pairs):
        if progress is not None:
            progress(number, len(pairs), pair.case)
        try:
            predicted, truth = pair.read()
        except (PanlesionError, OSError) as error:
            problems.append(f"{pair.case}: {' '.join(str(error).split())}")
            continue
        said[pair.case], true[pair.case] = predicted.values, truth.values
    if merge:
        return Checked(pairs=tuple(pairs), classes=(ScoredClass(name=EVERYTHING, value=None),), problems=tuple(problems))
    # healthy scans alone: what is predicted there has no truth to be named by
    naming = true if any(true.values()) else said
    values = names or {value: f"class_{value}" for held in naming.values() for value in held}
    problems += _unknown(true, values, "the truth")
    if names or len(true) == len(pairs):  # what a truth that cannot be read holds is not known
        problems += _unknown(said, values, "the prediction")
    if not values and not problems:
        problems.append("no mask holds anything above 0; there is nothing to score")
    classes = tuple(ScoredClass(name=name, value=value) for value, name in sorted(values.items()))
    return Checked(pairs=tuple(pairs), classes=classes, problems=tuple(problems))


def _unknown(held: Mapping[str, frozenset[int]], names: Mapping[int, str], whose: str) -> list[str]:
    """Values that are no class, each with the cases that hold it."""
    odd = Counter(value for values in held.values() for value in values - set(names))
    known = ", ".join(f"{value} {name}" for value, name in sorted(names.items())) or "none"
    problems = []
    for value in sorted(odd):
        cases = [case for case in sorted(held) if value in held[case]]
        listed = ", ".join(cases[:_SHOWN]) + (f" and {len(cases) - _SHOWN} more" if len(cases) > _SHOWN else "")
        problems.append(
            f"{listed}: {whose} holds the value {value}; the classes are {known}. Correct the mask, name the value "
            "(--classes name=value,name=value), or score everything above 0 as one class (--merge)"
        )
    return problems


def _masks(folder: Path, option: str) -> tuple[dict[str, Path], list[str]]:
    """Masks of a folder by case, and what in it is none or is one twice. Names that begin with a dot are not looked at."""
    if not folder.is_dir():
        raise StoreError(f"{folder} is no folder; {option} takes a folder of masks")
    found: dict[str, Path] = {}
    problems = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        case, mask = _mask_of(path)
        if mask is None:
            if path.is_dir():
                problems.append(f"{path.name}: {path} holds neither {' nor '.join(IN_CASE_FOLDER)}; remove it or finish it")
            continue
        if case in found:
            problems.append(f"{case}: {found[case]} and {mask} are both masks of it; remove one")
        found.setdefault(case, mask)
    if not found:
        raise StoreError(f"{folder} holds no mask; {option} takes a folder of <case>.nii.gz or <case>/{IN_CASE_FOLDER[0]}")
    return found, problems


def _mask_of(path: Path) -> tuple[str, Path | None]:
    if path.is_dir():
        return path.name, next((path / name for name in IN_CASE_FOLDER if (path / name).is_file()), None)
    suffix = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), None)
    return (path.name[: -len(suffix)], path) if suffix else (path.name, None)


def _patients(path: Path | None, cases: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Patient of each case, and what is wrong with the file that says so."""
    if path is None:
        return {}, []
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = [(row["case"].strip(), row["patient"].strip()) for row in csv.DictReader(lines)]
    except (OSError, UnicodeDecodeError, KeyError, AttributeError, csv.Error) as error:
        raise StoreError(f"{path} cannot be read ({error!r}); it is a CSV file with the columns case and patient") from error
    whose = dict(rows)
    problems = [
        f"{case}: {path} names it {count} times; once is enough"
        for case, count in Counter(case for case, _ in rows).items()
        if count > 1
    ]
    problems += [f"{case}: {path} names no patient for it" for case in cases if not whose.get(case)]
    return whose, problems


def _refuse_other_grid(predicted: Grid, truth: Grid) -> None:
    if sorted(predicted.shape) != sorted(truth.shape):
        raise StoreError(
            f"the prediction has {_by(predicted.shape)} voxels, the truth {_by(truth.shape)}; bring it onto the truth's grid"
        )
    if (apart := predicted.apart_mm(truth)) > _SAME_MM:
        raise StoreError(
            f"prediction and truth lie {apart:.2f} mm apart (limit {_SAME_MM}): origin, spacing or direction differ. "
            f"Prediction: axes {predicted.axes}, {_by(predicted.spacing_mm)} mm; truth: axes {truth.axes}, "
            f"{_by(truth.spacing_mm)} mm. Write the prediction with the truth's affine"
        )


def _by(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
