"""Cases of a task at one spacing in two flat files: any number of them, of which memory holds what is looked at.

Two files for all cases, not two for each: a thousand mapped files are more than a process may hold open.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from panlesion.bench.rows import append_line, claim_folder, read_lines
from panlesion.ct.standardise import standardise, standardise_labels
from panlesion.ct.volume import Grid, Index3, LabelMap, Volume
from panlesion.data.publish import naming_full_disk, write_text
from panlesion.data.sources.labelled_ct import LabelledCT
from panlesion.errors import StoreError

INDEX, HU, LABELS, DONE = "cases.jsonl", "hu.bin", "labels.bin", "done"
EMPTY = "no lesion of this kind"

Watch = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class StoredCase:
    """A case as the index names it. `first` is its first voxel in the files; one that is `left_out` has none there."""

    id: str
    patient: str
    shape: Index3 = (0, 0, 0)
    affine: tuple[tuple[float, ...], ...] = ()
    first: int = 0
    lesion_voxels: int = 0
    left_out: str = ""

    @property
    def voxels(self) -> int:
        return self.shape[0] * self.shape[1] * self.shape[2]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "StoredCase":
        """Back from JSON."""
        a, b, c = row["shape"]
        return cls(**(dict(row) | {"shape": (a, b, c), "affine": tuple(tuple(line) for line in row["affine"])}))


@dataclass(frozen=True, kw_only=True)
class CaseStore(Sequence[LabelledCT]):
    """The cases of a filled folder, opened when asked for: their arrays are views of the files. It can be pickled."""

    folder: Path
    entries: tuple[StoredCase, ...]
    left_out: tuple[StoredCase, ...] = ()

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> LabelledCT: ...
    @overload
    def __getitem__(self, index: slice) -> list[LabelledCT]: ...
    def __getitem__(self, index: int | slice) -> LabelledCT | list[LabelledCT]:
        if isinstance(index, slice):
            return [self._open(entry) for entry in self.entries[index]]
        return self._open(self.entries[index])

    def of(self, patients: Iterable[str]) -> Iterator[LabelledCT]:
        """The cases of some patients, patient by patient."""
        for name in patients:
            for entry in self._by_patient.get(name, ()):
                yield self._open(entry)

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder, "entries": self.entries, "left_out": self.left_out}  # maps are opened anew

    @cached_property
    def _by_patient(self) -> dict[str, list[StoredCase]]:
        found: dict[str, list[StoredCase]] = {}
        for entry in self.entries:
            found.setdefault(entry.patient, []).append(entry)
        return found

    @cached_property
    def _maps(self) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        total = _total(self.entries)
        return self._mapped(HU, total, np.dtype(np.int16)), self._mapped(LABELS, total, np.dtype(np.uint8))

    def _mapped(self, name: str, total: int, kind: np.dtype) -> NDArray:
        path, wanted = self.folder / name, total * kind.itemsize
        held = path.stat().st_size if path.exists() else 0
        if held != wanted:
            raise StoreError(
                f"{path} has {held} bytes, its index says {wanted}; remove {self.folder}, it is made again from the data"
            )
        return np.memmap(path, dtype=kind, mode="r")

    def _open(self, entry: StoredCase) -> LabelledCT:
        part = slice(entry.first, entry.first + entry.voxels)
        hu, labels = self._maps[0][part].reshape(entry.shape), self._maps[1][part].reshape(entry.shape)
        grid = Grid(shape=entry.shape, affine=np.array(entry.affine))
        return LabelledCT(
            id=entry.id, patient=entry.patient, ct=Volume(hu=hu, grid=grid), label=LabelMap(labels=labels, grid=grid)
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class LeftOut:
    """A case a reader does not give: who, and why."""

    id: str
    patient: str
    why: str


def fill(
    folder: Path, settings: Mapping[str, Any], cases: Iterable[LabelledCT | LeftOut], *,
    keep_empty: bool = False, watch: Watch | None = None,
) -> CaseStore:  # fmt: skip
    """Write cases, one in memory at a time, behind those that are there already; then open the store.

    `cases` are those that `written` does not name. Without `keep_empty` a case without any lesion, which has no Dice, is left
    out; the index says so.

    Raises:
        StoreError: The folder holds cases of other `settings`, or two cases of one name come.
        DiskFullError: What is written stays, and is gone on with.
    """
    claim_folder(folder, settings)
    if (folder / DONE).exists():
        return opened(folder)
    entries = _cut_to_index(folder)
    names = {entry.id for entry in entries}
    first = _total(entries)
    for case in cases:
        if case.id in names:
            raise StoreError(f"{case.id} occurs twice in the data; every case needs a name of its own")
        names.add(case.id)
        entry = _appended(folder, case, first, keep_empty=keep_empty)
        first += entry.voxels
        if watch is not None:
            watch(f"reading {case.id}", len(names), 0)
    write_text(folder / DONE, "all cases are here\n")
    return opened(folder)


def written(folder: Path) -> frozenset[str]:
    """Names of the cases a folder has already."""
    return frozenset(row["id"] for row in read_lines(folder / INDEX))


def opened(folder: Path) -> CaseStore:
    """A filled store.

    Raises:
        StoreError: It is not filled, or damaged; the message names the file.
    """
    if not (folder / DONE).exists():
        raise StoreError(f"{folder} is not filled to the end; run the same command again")
    entries = [StoredCase.of(row) for row in read_lines(folder / INDEX)]
    return CaseStore(
        folder=folder,
        entries=tuple(entry for entry in entries if not entry.left_out),
        left_out=tuple(entry for entry in entries if entry.left_out),
    )


def resampled(store: CaseStore, folder: Path, spacing_mm: float, settings: Mapping[str, Any]) -> CaseStore:
    """The same cases at another spacing, in another folder."""
    done = written(folder)
    again = (
        LabelledCT(
            id=case.id,
            patient=case.patient,
            ct=standardise(case.ct, spacing_mm),
            label=standardise_labels(case.label, spacing_mm),
        )
        for case in (store[n] for n, entry in enumerate(store.entries) if entry.id not in done)
    )
    return fill(folder, dict(settings) | {"resampled_mm": spacing_mm}, again, keep_empty=True)


def _total(entries: Iterable[StoredCase]) -> int:
    return sum(entry.voxels for entry in entries)


def _cut_to_index(folder: Path) -> list[StoredCase]:
    """What the index names; voxels behind it were written by a run that was killed before it could name them."""
    entries = [StoredCase.of(row) for row in read_lines(folder / INDEX)]
    for name, size in ((HU, 2), (LABELS, 1)):
        path, wanted = folder / name, _total(entries) * size
        path.touch()
        if path.stat().st_size < wanted:
            raise StoreError(f"{path} has {path.stat().st_size} bytes, its index says {wanted}; remove {folder}")
        with path.open("r+b") as stream:
            stream.truncate(wanted)
    return entries


def _appended(folder: Path, case: LabelledCT | LeftOut, first: int, *, keep_empty: bool) -> StoredCase:
    if isinstance(case, LeftOut):
        entry = StoredCase(id=case.id, patient=case.patient, left_out=case.why)
    elif not (lesion := int(np.count_nonzero(case.label.labels))) and not keep_empty:
        entry = StoredCase(id=case.id, patient=case.patient, left_out=EMPTY)
    else:
        with naming_full_disk(folder / HU):
            for name, array in ((HU, case.ct.hu), (LABELS, case.label.labels)):
                with (folder / name).open("ab") as stream:
                    stream.write(np.ascontiguousarray(array).data)
        entry = StoredCase(
            id=case.id, patient=case.patient, shape=case.ct.grid.shape, first=first, lesion_voxels=lesion,
            affine=tuple(tuple(line) for line in case.ct.grid.affine.tolist()),
        )  # fmt: skip
    append_line(folder / INDEX, asdict(entry))
    return entry
