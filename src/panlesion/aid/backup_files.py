"""What a backup is made of: files with their hashes, written to or read from a folder or a zip."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol
from zipfile import ZIP_DEFLATED, BadZipFile, LargeZipFile, ZipFile
from zlib import error as ZlibError  # noqa: N812 - it is a class

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from panlesion.data.publish import publishing, publishing_file
from panlesion.errors import StoreError

MANIFEST, FORMAT = "manifest.json", 1
_CHUNK = 1024**2
_MOST_MANIFEST_BYTES = 1 << 29
"""Three million images."""
Watch = Callable[[int, int, str], None]
"""Told the files done, all of them, and the next one's name."""


class Kept(BaseModel):
    """One file of a backup."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What a backup holds, by path within it. `missing`: files that the database names and that were not there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    made_at: str
    version: str
    database: str
    files: dict[str, Kept]
    missing: list[str] = []


class Sink(Protocol):
    """Where a backup goes."""

    def write(self, name: str, source: BinaryIO) -> Kept:
        """Copy a stream under a name, and tell what it was."""


class _Folder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, source: BinaryIO) -> Kept:
        with creating(self.folder / name) as target:
            return copy(source, target)


class _Zip:
    def __init__(self, archive: ZipFile) -> None:
        self.archive = archive

    def write(self, name: str, source: BinaryIO) -> Kept:
        with self.archive.open(name, "w", force_zip64=True) as target:
            return copy(source, target)


@contextmanager
def writing(out: Path) -> Iterator[Sink]:
    """A backup to fill, a zip where the name ends so; it is there once the block has ended well, and not at all otherwise.

    Raises:
        StoreError: the name is taken.
    """
    if out.exists():
        raise StoreError(f"{out} exists already; a backup never overwrites: name another")
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix.lower() == ".zip":
        with publishing_file(out) as stream, ZipFile(stream, "w", ZIP_DEFLATED, compresslevel=1) as archive:
            yield _Zip(archive)
        out.chmod(0o600)
        return
    with publishing(out) as folder:
        folder.chmod(0o700)
        yield _Folder(folder)


class Source:
    """A backup to read.

    Raises:
        StoreError: it is none, or says what cannot be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._archive: ZipFile | None = None
        if path.is_file():
            try:
                self._archive = ZipFile(path)
            except (BadZipFile, OSError) as error:
                raise StoreError(f"{path} is no backup: it is neither a folder nor a readable zip") from error
        elif not path.is_dir():
            raise StoreError(f"{path}: there is no such backup")
        self.manifest = self._manifest()

    def close(self) -> None:
        """Let go of the zip."""
        if self._archive is not None:
            self._archive.close()

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """One of its files.

        Raises:
            StoreError: it is not there, or cannot be read.
        """
        try:
            if self._archive is None:
                file = self.path / name
                if file.is_symlink() or not file.resolve().is_relative_to(self.path.resolve()):
                    raise StoreError(f"{self.path}: {name} is a link out of the backup; it was tampered with")
                with file.open("rb") as stream:
                    yield stream
            else:
                with self._archive.open(name) as stream:
                    yield stream  # type: ignore[misc]
        except (KeyError, FileNotFoundError) as error:
            raise StoreError(f"{self.path}: {name} is missing from the backup; use another one") from error
        except (BadZipFile, LargeZipFile, ZlibError, EOFError, NotImplementedError) as error:
            raise StoreError(
                f"{self.path}: {name} cannot be unpacked ({error}); the backup is damaged: use another one"
            ) from error

    def copy(self, name: str, target: BinaryIO | None) -> None:
        """Read a file to its end, into `target` if there is one.

        Raises:
            StoreError: its bytes are not those of the manifest.
        """
        promised = self.manifest.files[name]
        with self.open(name) as source:
            if copy(source, target, most=promised.bytes) != promised:
                raise StoreError(f"{self.path}: {name} is not what was backed up (its SHA-256 differs); use another backup")

    def _manifest(self) -> Manifest:
        try:
            with self.open(MANIFEST) as stream:
                told = stream.read(_MOST_MANIFEST_BYTES + 1)
            if len(told) > _MOST_MANIFEST_BYTES:
                raise StoreError(f"{self.path}: {MANIFEST} has more than {_MOST_MANIFEST_BYTES} bytes; it was made to harm")
            manifest = Manifest.model_validate_json(told)
        except ValidationError as error:
            raise StoreError(
                f"{self.path}: {MANIFEST} is damaged ({error.error_count()} problems); use another backup"
            ) from error
        if manifest.format != FORMAT:
            raise StoreError(
                f"{self.path}: format {manifest.format}, but this version reads {FORMAT}; use the version that made it"
            )
        for name in manifest.files:
            parts = PurePosixPath(name)
            if (
                parts.is_absolute()
                or ".." in parts.parts
                or "\\" in name
                or "\0" in name
                or str(parts) != name
                or name == MANIFEST
            ):
                raise StoreError(
                    f"{self.path}: {MANIFEST} names {name!r}, which leads out of the data folder; it was tampered with"
                )
        return manifest


def copy(source: BinaryIO, target: object | None, *, most: int | None = None) -> Kept:
    """Copy to the end and hash on the way; beyond `most` bytes nothing is written any more."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if most is not None and size > most:
            break
        if target is not None:
            target.write(chunk)  # type: ignore[attr-defined]
    return Kept(bytes=size, sha256=digest.hexdigest())


@contextmanager
def creating(path: Path) -> Iterator[BinaryIO]:
    """A new file that only its owner reads, with its folders; on the disk when the block has ended."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
