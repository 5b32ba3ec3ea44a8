"""Everything that is wrong with a folder of annotated CTs, found before hours are spent on it, all of it at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import psutil
from isal import isal_zlib
from numpy.typing import NDArray

from panlesion.ct.nifti import read_grid
from panlesion.ct.standardise import standard_target, standardise, standardise_labels
from panlesion.ct.volume import Grid, LabelMap
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.labelled_folder import CaseFiles, LabelledFolder
from panlesion.data.sources.labelled_grid import by, on_grid_of, refuse_other_grid
from panlesion.errors import PanlesionError, StoreError, about

UNKNOWN = 255
"""Target of voxels that nobody annotated."""

MOST_CLASSES = 32
"""More values than this in label maps without names are an organ map or an image; ours."""

_MOSTLY = 0.5
_EDGE_SHARE = 0.05
# Bytes a voxel takes while a case is read (CT, its copy without padding, label) and brought to another grid (CT, label, votes).
_READ_BYTES, _RESAMPLED_BYTES = 6, 11


@dataclass(frozen=True, kw_only=True)
class LabelClasses:
    """The classes to learn, in order: class n + 1 of a target is `values[n]` of the label files."""

    names: tuple[str, ...]
    values: tuple[int, ...]
    ignore: int | None = None

    def target_of(self, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Class indices of label values; `UNKNOWN` where they are to be ignored."""
        table = np.zeros(256, dtype=np.uint8)
        for index, value in enumerate(self.values, 1):
            table[value] = index
        if self.ignore is not None:
            table[self.ignore] = UNKNOWN
        return table[labels]


@dataclass(frozen=True, kw_only=True)
class CheckedCase:
    """A sound case: its label values at the wanted spacing, its volume there, and a checksum of its CT and label."""

    id: str
    patient: str
    values: tuple[int, ...]
    voxels: int
    ct_crc: int
    label_crc: int


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What `check_labelled` found; of use only while `problems` is empty."""

    cases: tuple[CheckedCase, ...]
    classes: LabelClasses
    problems: tuple[str, ...]
    notes: tuple[str, ...]


Progress = Callable[[int, int, str], None]


def check_labelled(
    folder: LabelledFolder,
    *,
    names: Mapping[int, str],
    spacing_mm: float,
    allow_empty: bool = False,
    progress: Progress | None = None,
) -> Checked:
    """Open every case and list what is wrong with any of them.

    Args:
        folder: As `find_labelled` gives it.
        names: Names of label values; empty: those the folder tells, or else "class_<value>" of the values found.
        spacing_mm: What the cases will be resampled to; a lesion that vanishes there is a problem.
        allow_empty: Whether a label without any lesion is that of a healthy CT, not a mistake.
        progress: Called with cases done, cases in all, and the next one's id.
    """
    names = dict(names or folder.names)
    problems, notes = list(folder.problems), list(folder.notes)
    sound: list[CheckedCase] = []
    for number, case in enumerate(folder.cases):
        if progress is not None:
            progress(number, len(folder.cases), case.id)
        try:
            checked, wrong, worth = _check_case(folder, case, names, spacing_mm, allow_empty=allow_empty)
        except (PanlesionError, OSError) as error:
            text = " ".join(str(error).split())
            problems.append(text if text.startswith(f"{case.id}: ") else f"{case.id}: {text}")
            continue
        sound += [checked] if checked else []
        problems += wrong
        notes += worth
    found = sorted({value for case in sound for value in case.values} - {folder.ignore})
    classes = _classes(names or {value: f"class_{value}" for value in found}, folder.ignore)
    problems += _over_all(sound, names, found, classes, complete=len(sound) == len(folder.cases))
    return Checked(cases=tuple(sound), classes=classes, problems=tuple(problems), notes=tuple(notes))


def _classes(names: Mapping[int, str], ignore: int | None) -> LabelClasses:
    values = tuple(sorted(names))
    return LabelClasses(names=tuple(names[value] for value in values), values=values, ignore=ignore)


def _check_case(
    folder: LabelledFolder, case: CaseFiles, names: Mapping[int, str], spacing_mm: float, *, allow_empty: bool
) -> tuple[CheckedCase | None, list[str], list[str]]:
    """The case if it can be used, its problems, and what is worth knowing of it."""
    if case.stored is None and case.ct.is_file():
        # Headers first: cheap, and a huge or foreign grid is known before any memory is taken.
        grid = read_grid(case.ct)
        refuse_other_grid(grid, read_grid(case.label))
        _refuse_huge(grid, spacing_mm)
    opened = on_one_grid(folder.read(case))
    values = opened.label.values
    problems = _values_wrong(values, names, folder.ignore)
    lesions = values - {folder.ignore}
    if not lesions and not allow_empty:
        problems.append("the label is all zero; annotate it, remove the case, or say --allow-empty if nothing is to be found")
    kept = standardise_labels(opened.label, spacing_mm).values
    if lesions and not lesions & kept:
        problems.append(f"nothing of the label is left at {spacing_mm:g} mm; use a finer --spacing")
    notes = [
        f"value {value} is smaller than half a voxel of {spacing_mm:g} mm and is lost there" for value in sorted(lesions - kept)
    ] if lesions & kept else []  # fmt: skip
    notes += _worth_knowing(opened.label, folder.ignore)
    checked = CheckedCase(
        id=case.id,
        patient=case.patient,
        values=tuple(sorted(kept)),
        voxels=int(np.prod(standard_target(opened.ct.grid, spacing_mm).shape)),
        ct_crc=_crc(opened.ct.hu),
        label_crc=_crc(opened.label.labels),
    )
    named = ([f"{case.id}: {text}" for text in texts] for texts in (problems, notes))
    problems, notes = named
    return (None if problems else checked), problems, notes


def _values_wrong(values: frozenset[int], names: Mapping[int, str], ignore: int | None) -> list[str]:
    if not names:
        return []
    if not (other := sorted(values - set(names) - {ignore})):
        return []
    known = ", ".join(f"{value} {name}" for value, name in sorted(names.items()))
    return [
        f"label value{'s' if len(other) > 1 else ''} {', '.join(map(str, other))} unexpected; the classes are 0 background, "
        f"{known}. Correct the label, or name it: --classes name=value,name=value"
    ]


def _worth_knowing(label: LabelMap, ignore: int | None) -> list[str]:
    lesion = label.labels > 0 if ignore is None else (label.labels > 0) & (label.labels != ignore)
    notes = []
    count = int(np.count_nonzero(lesion))
    if count > _MOSTLY * lesion.size:
        notes.append(f"the label covers {count / lesion.size:.0%} of the image; is it turned inside out?")
    # whole planes alone: a lesion that ends at the side of a scan was cut by its field of view
    faces = sum(int(np.count_nonzero(lesion.take(at, axis))) for axis in range(3) for at in (0, -1))
    if faces > _EDGE_SHARE * max(1.0, count ** (2 / 3)):
        notes.append(f"the annotation reaches the image's edge ({faces} voxels): image or lesion is cut there")
    return notes


def _over_all(
    sound: Sequence[CheckedCase], names: Mapping[int, str], found: Sequence[int], classes: LabelClasses, *, complete: bool
) -> list[str]:
    """What no case alone can tell."""
    problems = []
    if not names and len(found) > MOST_CLASSES:
        problems.append(
            f"the labels hold {len(found)} different values: an organ map or an image? Give those to learn with --classes"
        )
    # a class that occurs only in a broken case is not missing
    if complete and sound:
        absent = [
            f"{name} (value {value})" for value, name in zip(classes.values, classes.names, strict=True) if value not in found
        ]
        problems += [f"{', '.join(absent)}: in no label; leave it out with --classes"] if absent and classes.names else []
        if not classes.names:
            problems.append("all labels are empty; there is nothing to learn")
    first: dict[int, str] = {}
    for case in sound:
        if case.ct_crc in first:
            problems.append(f"{case.id}: the same CT as {first[case.ct_crc]}; remove one, or a copy may be tested on")
        first.setdefault(case.ct_crc, case.id)
    return problems


def on_one_grid(case: LabelledCT) -> LabelledCT:
    """The annotation on its CT's array axes; both must mean the same voxels, turned or not.

    A DICOM CT and the label that was drawn on its NIfTI copy differ by flips alone.

    Raises:
        StoreError: The voxels are others.
    """
    with about(case.id):
        return LabelledCT(id=case.id, patient=case.patient, ct=case.ct, label=on_grid_of(case.label, case.ct.grid))


def prepared(case: LabelledCT, classes: LabelClasses, spacing_mm: float) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """HU and class indices of a case on the standard axes at a spacing."""
    one = on_one_grid(case)
    return standardise(one.ct, spacing_mm).hu, classes.target_of(standardise_labels(one.label, spacing_mm).labels)


def _refuse_huge(grid: Grid, spacing_mm: float) -> None:
    after = float(np.prod(standard_target(grid, spacing_mm).shape, dtype=float))
    needed = _READ_BYTES * float(np.prod(grid.shape, dtype=float)) + _RESAMPLED_BYTES * after
    free = psutil.virtual_memory().available
    if needed > free:
        raise StoreError(
            f"{by(grid.shape)} voxels, {after / 1e6:.0f} million at {spacing_mm:g} mm, need about {needed / 1e9:.1f} GB of "
            f"memory; {free / 1e9:.1f} GB are free. Crop the CT, use a coarser --spacing, or a machine with more memory"
        )


def _crc(array: NDArray) -> int:
    return int(isal_zlib.crc32(np.ascontiguousarray(array).view(np.uint8).reshape(-1)))
