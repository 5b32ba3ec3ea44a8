"""Folders that either are complete or do not exist: filled under a temporary name, synced, renamed."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from panlesion.ct.atomic import replacing
from panlesion.errors import StoreError

_PARTIAL_FOLDER = re.compile(r"^\..+\.partial-\d+$")
_PARTIAL_FILE = re.compile(r"^\..+\.\d+-[0-9a-f]{8}\.part$")  # as `ct.atomic.replacing` names them
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class DiskFullError(StoreError):
    """The disk has no room left; every further case would fail the same way."""


@contextmanager
def publishing(folder: Path) -> Iterator[Path]:
    """Yield a temporary sibling to fill; on leaving it becomes `folder`, on an error it is removed.

    If `folder` already exists by then (another writer was faster), what it holds stays and the new copy is dropped.

    Raises:
        DiskFullError: the disk or the quota is full; nothing is left behind.
    """
    partial = folder.parent / f".{folder.name}.partial-{os.getpid()}"
    shutil.rmtree(partial, ignore_errors=True)  # left by a dead run whose process number is ours now
    try:
        with naming_full_disk(folder):
            partial.mkdir(parents=True)
            yield partial
            for file in partial.iterdir():
                _sync(file)
            _sync(partial)
            _take_place(partial, folder)
            _sync(folder.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _take_place(partial: Path, folder: Path) -> None:
    try:
        partial.rename(folder)
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Turn the system's error of a full disk or quota into `DiskFullError`, which says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFullError(f"{path}: {error.strerror}; free some space and run the same command again") from error
        raise


@contextmanager
def publishing_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file to write or replace; it takes its name when the block ends.

    Raises:
        DiskFullError: the disk or the quota is full; the old file is untouched.
    """
    with naming_full_disk(path), replacing(path) as stream:
        yield stream


def write_text(path: Path, text: str) -> None:
    """Write or replace one small text file atomically.

    Raises:
        DiskFullError: the disk or the quota is full; the old file is untouched.
    """
    with naming_full_disk(path), replacing(path) as stream:
        stream.write(text.encode())


def remove_partials(root: Path) -> list[Path]:
    """Remove what killed writers left anywhere below `root`.

    A writer that is still alive (the worker of a killed run, busy with its last case) loses its folder whole and fails; it can
    never publish a folder that was half removed.
    """
    removed = []
    for parent, folders, files in os.walk(root):
        for name in [name for name in folders if _PARTIAL_FOLDER.match(name)]:
            folders.remove(name)
            if _removed(Path(parent, name)):
                removed.append(Path(parent, name))
        for name in files:
            if _PARTIAL_FILE.match(name):
                Path(parent, name).unlink(missing_ok=True)
                removed.append(Path(parent, name))
    return removed


def _removed(partial: Path) -> bool:
    """Take the folder away from its writer in one step before emptying it; False when the writer was faster."""
    taken = partial.with_name(f".removed-{partial.name.lstrip('.')}.partial-{os.getpid()}")
    try:
        partial.rename(taken)
    except FileNotFoundError:
        return False
    shutil.rmtree(taken)
    return True
