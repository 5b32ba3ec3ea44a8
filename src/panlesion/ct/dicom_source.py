"""Where DICOM objects come from: a file, a folder, a zip. Everything else lying beside them is passed over.

Zips are read in memory, member by member and within limits; nothing is ever unpacked to disk, so no member's name matters.
"""

import logging
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from panlesion.errors import ReadError

_log = logging.getLogger(__name__)

MAX_FILES = 200_000
MAX_FILE_BYTES = 2 << 30
MAX_ZIP_BYTES = 16 << 30
"""Limits of ours: a whole-body CT has some 3,000 slices of half a megabyte; one Enhanced CT file may hold them all."""

_HEAD_BYTES = 1024
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file that begins as DICOM does; `name` is what messages call it."""

    name: str
    path: Path
    member: zipfile.ZipInfo | None = None
    archive: zipfile.ZipFile | None = field(default=None, repr=False)

    def read(self) -> bytes:
        """All bytes of the file.

        Raises:
            ReadError: Larger than `MAX_FILE_BYTES`, gone, or a damaged zip member.
        """
        return self._read(MAX_FILE_BYTES)

    def head(self) -> bytes:
        """The first bytes, enough to know DICOM by."""
        return self._read(_HEAD_BYTES, whole=False)

    def _read(self, most: int, *, whole: bool = True) -> bytes:
        try:
            if self.archive is not None and self.member is not None:
                with self.archive.open(self.member) as stream:
                    data = stream.read(most + 1 if whole else most)
            else:
                with self.path.open("rb") as stream:
                    size = os.fstat(stream.fileno()).st_size
                    data = stream.read(min(size, most + 1) if whole else most)
        except _ZIP_FAULTS as error:
            raise ReadError(f"{self.name}: cannot be read ({error}). Copy or export it again") from error
        if len(data) > most:
            raise ReadError(f"{self.name}: larger than {most} bytes; no CT image is")
        return data


@contextmanager
def dicom_sources(path: Path) -> Iterator[list[Source]]:
    """The DICOM files of a file, folder (with its subfolders) or zip, in name order; usable while the context lasts.

    Raises:
        ReadError: Nothing there, none of it DICOM, a damaged zip or one that would unpack beyond all measure.
    """
    if path.is_dir():
        yield _only_dicom(_files_below(path), path)
    elif zipfile.is_zipfile(path):
        with _archive(path) as archive:
            yield _only_dicom(_members(archive, path), path)
    elif path.is_file():
        yield _only_dicom(iter([Source(name=str(path), path=path)]), path)
    else:
        raise ReadError(f"{path}: no such file or folder")


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except _ZIP_FAULTS as error:
        raise ReadError(f"{path}: the zip is damaged ({error}). Copy it again") from error
    with archive:
        yield archive


def _files_below(folder: Path) -> Iterator[Source]:
    """Regular files in name order; links are followed, each folder once."""

    def refuse(error: OSError) -> None:
        raise ReadError(f"{error.filename}: cannot be read: {error.strerror}") from error

    seen: set[str] = set()
    for root, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for file in sorted(files):
            path = Path(root) / file
            if path.is_file():
                yield Source(name=str(path), path=path)


def _members(archive: zipfile.ZipFile, path: Path) -> Iterator[Source]:
    members = [member for member in archive.infolist() if not member.is_dir()]
    total = sum(member.file_size for member in members)
    if total > MAX_ZIP_BYTES:
        raise ReadError(f"{path}: would unpack to {total} bytes (limit {MAX_ZIP_BYTES}). Unpack it yourself if you trust it")
    for member in sorted(members, key=lambda m: m.filename):
        if member.flag_bits & 1:
            raise ReadError(f"{path}: {member.filename} is encrypted. Unpack it with its password first")
        yield Source(name=f"{path}:{member.filename}", path=path, member=member, archive=archive)


def _only_dicom(candidates: Iterator[Source], path: Path) -> list[Source]:
    found, others = [], []
    for number, source in enumerate(candidates):
        if number >= MAX_FILES:
            raise ReadError(f"{path}: more than {MAX_FILES} files. Give the folder of one study")
        head = source.head()
        if not _begins_as_dicom(head):
            others.append(source.path.name if source.member is None else source.member.filename)
        elif _DEFLATED in head:
            raise ReadError(f"{source.name}: deflated transfer syntax. Convert it (gdcmconv --raw, dcmconv +te) first")
        else:
            found.append(source)
    if not found:
        beside = f" ({len(others)} other files, such as {others[0]})" if others else " (it is empty)"
        raise ReadError(f"{path}: no DICOM file{'' if path.is_file() else beside}")
    if others:
        _log.info("%s: passed over %d files that are no DICOM, such as %s", path, len(others), others[0])
    # A DICOMDIR is an index of other files.
    return [source for source in found if not source.name.upper().endswith("DICOMDIR")] or found


def _begins_as_dicom(head: bytes) -> bool:
    """The DICM mark after the preamble, or a data set that begins without one, as old scanners write."""
    if head[128:132] == b"DICM":
        return True
    group_8_or_2 = head[:2] in (b"\x08\x00", b"\x02\x00")
    return group_8_or_2 and head[2:4] in (b"\x00\x00", b"\x01\x00", b"\x05\x00", b"\x08\x00", b"\x12\x00", b"\x16\x00")
