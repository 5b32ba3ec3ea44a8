"""Zips that people upload: read member by member, within limits; no member's name is ever a path."""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from panlesion.aid.store.check import RefusedError
from panlesion.aid.store.files import CHUNK, Landing

ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
MOST_DIRECTORY_BYTES = 64 << 20
"""Python reads a zip's whole directory into memory; 20,000 images with long names need a tenth of this."""
SLACK_BYTES = 64 << 20
"""Empty images shrink a thousandfold, so the ratio is asked of what is more than this in all."""
_FAULTS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError, struct.error)
_TAIL_BYTES = 65_557
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""The others take as much memory as the zip says (LZMA), or raise errors of their own."""


class TooMuchError(RefusedError):
    """More than one upload may bring: not a file is refused, but the rest of the upload."""


@dataclass(kw_only=True)
class Budget:
    """What one upload may still bring, its zips unpacked."""

    files: int
    bytes: int

    def one_file(self) -> None:
        """Count a file.

        Raises:
            TooMuchError: One too many.
        """
        self.files -= 1
        if self.files < 0:
            raise TooMuchError("more files than one upload may bring; what was taken stays. Send the rest on its own")

    def some_bytes(self, count: int) -> None:
        """Count bytes.

        Raises:
            TooMuchError: Too many.
        """
        self.bytes -= count
        if self.bytes < 0:
            raise TooMuchError("more bytes than one upload may bring; what was taken stays. Send the rest on its own")


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file in a zip; `refusal` says why it is not read, "" where nothing speaks against it."""

    name: str
    refusal: str
    info: zipfile.ZipInfo = field(repr=False)
    archive: zipfile.ZipFile = field(repr=False)

    def pour(self, into: Landing, budget: Budget) -> None:
        """Unpack it.

        Raises:
            RefusedError: Damaged, or more than it said, or than the upload may bring.
        """
        try:
            with self.archive.open(self.info) as stream:
                while piece := stream.read(CHUNK):
                    budget.some_bytes(len(piece))
                    into.write(piece)
        except _FAULTS as error:
            reason = str(error) or type(error).__name__
            raise RefusedError(f"{self.name}: damaged in its zip ({reason}). Zip or send it again") from error


def members(path: Path, *, name: str, budget: Budget, most_ratio: int) -> Iterator[Member]:
    """The files of a zip, in its order.

    Raises:
        RefusedError: The zip is damaged, or would unpack beyond all measure.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        _check_directory(stream, size, name)
        try:
            archive = zipfile.ZipFile(stream)
        except _FAULTS as error:
            raise RefusedError(f"{name}: the zip is damaged or truncated ({error}). Zip or send it again") from error
        with archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            _check_sum(infos, size, name, budget, most_ratio)
            for info in infos:
                yield Member(name=f"{name}/{info.filename}", refusal=_refusal(info), info=info, archive=archive)


def _check_sum(infos: list[zipfile.ZipInfo], size: int, name: str, budget: Budget, most_ratio: int) -> None:
    total = sum(info.file_size for info in infos)
    if len(infos) > budget.files:
        raise RefusedError(f"{name}: {len(infos)} files; one upload may bring {budget.files} more. Send it in parts")
    if total > budget.bytes or total > most_ratio * size + SLACK_BYTES:
        raise RefusedError(
            f"{name}: {size} bytes that would unpack to {total}; one upload may bring {budget.bytes} more, and a zip "
            f"{most_ratio} times its size. Unpack it yourself if you trust it"
        )


def _refusal(info: zipfile.ZipInfo) -> str:
    name = info.orig_filename.replace("\\", "/")
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or (parts and parts[0].endswith(":")):
        return "its name leaves the folder; a zip with such names was made to harm"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a link, not a file"
    if info.flag_bits & 1:
        return "encrypted. Unpack it with its password first"
    if info.compress_type not in _METHODS:
        return f"compressed by method {info.compress_type}; stored and deflated files are read. Zip it anew"
    return ""


def _check_directory(stream: BinaryIO, size: int, name: str) -> None:
    """Refuse a directory that is too large to be read, by what the zip's end says of it."""
    stream.seek(max(size - _TAIL_BYTES, 0))
    tail = stream.read(_TAIL_BYTES)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or at + 22 > len(tail):
        raise RefusedError(f"{name}: the zip is truncated: its directory is missing. Zip or send it again")
    (directory,) = struct.unpack("<I", tail[at + 12 : at + 16])
    large = tail.rfind(b"PK\x06\x06")
    if directory == 0xFFFFFFFF and 0 <= large <= len(tail) - 56:
        (directory,) = struct.unpack("<Q", tail[large + 40 : large + 48])
    stream.seek(0)
    if directory > MOST_DIRECTORY_BYTES:
        raise RefusedError(f"{name}: its directory has {directory} bytes; at most {MOST_DIRECTORY_BYTES}. Send it in parts")
