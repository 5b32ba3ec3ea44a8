"""Files of a server are its own account's: patients' data, hashes of passwords, keys."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_log = logging.getLogger(__name__)
MASK = 0o077
"""Taken from the mode of every file and folder that is made."""
_OTHERS = 0o027
"""What of a folder that somebody made before is taken away; a group may be meant to read it, for backups."""


@contextmanager
def private() -> Iterator[None]:
    """Make every file of the block for its owner alone, also while it has its temporary name."""
    before = os.umask(MASK)
    try:
        yield
    finally:
        os.umask(before)


def open_data(data: Path) -> None:
    """Make the data folder, or close one that is there to all other accounts of the machine."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    mode = data.stat().st_mode & 0o777
    if mode & _OTHERS:
        try:
            data.chmod(mode & ~_OTHERS)
        except OSError as error:  # another account's, or a disk without modes
            _log.warning("the data folder is open to other accounts of this machine, and stays so (%s)", error.strerror)
