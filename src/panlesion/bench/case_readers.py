"""How the bench reads a dataset: one kind of lesion of a `Source`, or of a user's own folder of annotated CTs."""

from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np

from panlesion.bench.case_store import LeftOut
from panlesion.ct.standardise import standardise, standardise_labels
from panlesion.ct.volume import LabelMap
from panlesion.data.sources.labelled_check import on_one_grid
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.data.sources.labelled_folder import LabelledFolder, find_labelled
from panlesion.data.sources.source import Source
from panlesion.errors import StoreError, about

NOT_ANNOTATED = "not annotated"


@runtime_checkable
class CaseReader(Protocol):
    """A reader that knows its cases by name before it opens one, so that reading can go on where it was cut."""

    def ids(self, root: Path) -> tuple[str, ...]: ...
    def without(self, done: Set[str]) -> "CaseReader": ...
    def __call__(self, root: Path, *, spacing_mm: float) -> Iterator[LabelledCT | LeftOut]: ...


@dataclass(frozen=True, kw_only=True)
class SourceReader:
    """The cases of a source in the standard frame, their label 1 where one of the classes `keep` is, else 0."""

    source: Source
    keep: tuple[str, ...]
    skip: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not self.keep or not set(self.keep) <= set(self.source.classes):
            raise ValueError(
                f"keep is {', '.join(self.keep) or 'empty'}; it must name classes of {self.source.id}: "
                f"{', '.join(self.source.classes) or 'there are none'}"
            )

    def ids(self, root: Path) -> tuple[str, ...]:
        """Names of all cases.

        Raises:
            StoreError: The tree is not laid out as published, or holds no case.
        """
        found = tuple(case.id for case in self.source.find(root))
        if not found:
            raise StoreError(f"{root} holds no case of {self.source.id}; lay it out as {self.source.layout}")
        return found

    def without(self, done: Set[str]) -> Self:
        """The same without some cases."""
        return replace(self, skip=frozenset(done))

    def __call__(self, root: Path, *, spacing_mm: float) -> Iterator[LabelledCT | LeftOut]:
        values = {self.source.classes.index(name) + 1 for name in self.keep}
        for found in self.source.find(root):
            if found.id in self.skip:
                continue
            if found.label is None:
                yield LeftOut(id=found.id, patient=found.patient, why=NOT_ANNOTATED)
                continue
            with about(found.id):
                case = self.source.read(found)
                yield _standard(case, frozenset(values), spacing_mm)


@dataclass(frozen=True, kw_only=True)
class OwnReader:
    """A user's own annotated CTs in any layout of `labelled_folder`, in place of data that only the authors have.

    The lesion is the value that the folder names `lesion`; every value where it names none.
    """

    lesion: str
    skip: frozenset[str] = frozenset()

    def ids(self, root: Path) -> tuple[str, ...]:
        """Names of all cases.

        Raises:
            StoreError: The folder has none of the layouts, or a case lacks its partner.
        """
        return tuple(case.id for case in self._folder(root).cases)

    def without(self, done: Set[str]) -> Self:
        """The same without some cases."""
        return replace(self, skip=frozenset(done))

    def __call__(self, root: Path, *, spacing_mm: float) -> Iterator[LabelledCT | LeftOut]:
        folder = self._folder(root)
        values = self._values(folder)
        for files in folder.cases:
            if files.id not in self.skip:
                with about(files.id):
                    yield _standard(folder.read(files), values, spacing_mm)

    @staticmethod
    def _folder(root: Path) -> LabelledFolder:
        folder = find_labelled(root)
        if folder.problems:
            raise StoreError(f"{root} cannot be used yet: {'; '.join(folder.problems)}")
        if folder.ignore is not None:
            raise StoreError(f"{root} marks voxels nobody annotated (value {folder.ignore}); Dice needs labels of whole scans")
        return folder

    def _values(self, folder: LabelledFolder) -> frozenset[int]:
        if not folder.names:
            return frozenset(range(1, 256))
        mine = frozenset(value for value, name in folder.names.items() if name == self.lesion)
        if not mine and len(folder.names) == 1:
            return frozenset(folder.names)
        if not mine:
            named = ", ".join(f"{value} {name}" for value, name in sorted(folder.names.items()))
            raise StoreError(f"{folder.root / 'dataset.json'} names {named}, but no {self.lesion}; name the lesion so")
        return mine


def _standard(case: LabelledCT, values: frozenset[int], spacing_mm: float) -> LabelledCT:
    one = on_one_grid(case)
    label = LabelMap(labels=one.label.mask(values).view(np.uint8), grid=one.label.grid)
    return LabelledCT(
        id=one.id, patient=one.patient, ct=standardise(one.ct, spacing_mm), label=standardise_labels(label, spacing_mm)
    )
