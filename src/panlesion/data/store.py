"""A folder of cases: ours or a foreign PASTA-Gen folder, stored in full or as deltas."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from panlesion.ct.volume import LabelMap, Volume
from panlesion.data.case import PASTA_FILES, RECORD_FILE, REPORT_FILE, Case, read_case, read_record
from panlesion.data.delta import DELTA_FILE, read_delta, restore_case
from panlesion.data.host_folder import HOSTS_FOLDER, read_host
from panlesion.errors import StoreError
from panlesion.lesion.taxonomy import TYPES, LesionType

TYPE_OF_FOLDER: Mapping[str, LesionType] = MappingProxyType({info.folder: type_ for type_, info in TYPES.items()})
DELTA_FILES: tuple[str, ...] = (DELTA_FILE, REPORT_FILE, RECORD_FILE)
_DEPTH = 3  # <Organ>/<Kind>/<id>


class StoredAs(StrEnum):
    """How the voxels of a case lie on disk."""

    FULL = "full"
    DELTA = "delta"


@dataclass(frozen=True, kw_only=True)
class CaseFolder:
    """A case found on disk, not opened yet.

    `type` is None where neither the record nor the folder names tell it; `missing` names the files a complete case
    would have.
    """

    path: Path
    id: str
    type: LesionType | None
    stored_as: StoredAs
    missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        return not self.missing


def find_case(path: Path, root: Path) -> CaseFolder | None:
    """The case in one folder below `root`, or None when it holds no file of a case."""
    names = {entry.name for entry in os.scandir(path) if entry.is_file()}
    if DELTA_FILE in names:
        stored_as, wanted = StoredAs.DELTA, DELTA_FILES
    elif names.intersection(PASTA_FILES):
        stored_as, wanted = StoredAs.FULL, PASTA_FILES
    else:
        return None
    parts = path.relative_to(root).parts if path != root else (path.name,)
    return CaseFolder(
        path=path,
        id=path.name,
        type=TYPE_OF_FOLDER.get("/".join(parts[:2]), TYPE_OF_FOLDER.get("/".join(path.parts[-3:-1]))),
        stored_as=stored_as,
        missing=tuple(name for name in wanted if name not in names),
    )


def iterate_cases(root: Path) -> Iterator[CaseFolder]:
    """Every case below a folder, `<Organ>/<Kind>/<id>/` or shallower, sorted by path; incomplete ones too.

    Raises:
        StoreError: the folder does not exist.
    """
    if not root.is_dir():
        raise StoreError(f"{root} is no folder; give the folder of a cohort or of PASTA-Gen cases")
    yield from _walk(root, root, 0)


def _walk(path: Path, root: Path, depth: int) -> Iterator[CaseFolder]:
    found = find_case(path, root)
    if found is not None:
        yield found
        return
    if depth == _DEPTH:
        return
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        if entry.is_dir() and not entry.name.startswith(".") and not (depth == 0 and entry.name == HOSTS_FOLDER):
            yield from _walk(Path(entry.path), root, depth + 1)


class CaseReader:
    """Opens cases of one folder, full or delta, keeping the last host in memory: read delta cases ordered by host."""

    def __init__(self, root: Path) -> None:
        self._hosts = root / HOSTS_FOLDER
        self._last: tuple[str, Volume, LabelMap] | None = None

    def read(self, case: CaseFolder) -> Case:
        """Image, label, organ map, report and record.

        Raises:
            StoreError: a file is missing or damaged, or a delta's host is absent or another one.
        """
        if case.missing:
            raise StoreError(f"{case.path / case.missing[0]} is missing; the case is incomplete")
        if case.stored_as is StoredAs.FULL:
            return read_case(case.path)
        host = read_delta(case.path).host
        if self._last is None or self._last[0] != host:
            self._last = None  # drop the old host before the next one takes its room
            ct, organs = read_host(self._hosts / host)
            self._last = (host, ct, organs)
        return restore_case(case.path, self._last[1], self._last[2])


def order_by_host(cases: Sequence[CaseFolder]) -> list[CaseFolder]:
    """The same cases, those of one host together, so that a reader opens each host once."""
    return sorted(cases, key=lambda case: (str(read_record(case.path).get("host", "")), case.path))
