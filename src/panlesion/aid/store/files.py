"""The files of the data folder: how they land, where they lie, and what a kill may leave of them."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Protocol
from uuid import UUID

from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from panlesion.aid.settings import Settings
from panlesion.aid.store.check import RefusedError
from panlesion.ct.dicom_header import damaged
from panlesion.data.publish import DiskFullError, naming_full_disk

CHUNK = 1 << 20
KEEP_FREE_BYTES = 512 << 20
"""The database and the readings must still be writable when images no longer fit."""
_HEAD_BYTES = 4096


class Readable(Protocol):
    """What bytes come from."""

    def read(self, most: int, /) -> bytes: ...


class Landing:
    """A file on its way in; `finish` syncs it, and until it is moved elsewhere it vanishes with `landing`'s block."""

    def __init__(self, path: Path, *, name: str, most: int) -> None:
        self.path, self.name, self.size = path, name, 0
        self._most, self._hash = most, hashlib.sha256()
        self._stream = path.open("xb")
        # as long as it is locked, its writer lives: a server that starts leaves it to whoever that is
        fcntl.flock(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._whole = False

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            RefusedError: More than the file may have.
            DiskFullError: The disk is full.
        """
        self.size += len(data)
        if self.size > self._most:
            raise RefusedError(f"{self.name}: larger than {self._most} bytes, the most that one file may have here")
        with naming_full_disk(self.path):
            self._stream.write(data)
        self._hash.update(data)

    def finish(self) -> str:
        """Bring it to the disk; returns its SHA-256."""
        if not self._whole:
            with naming_full_disk(self.path):
                self._stream.flush()
                os.fsync(self._stream.fileno())
            self._whole = True
        return self._hash.hexdigest()

    def drop(self) -> None:
        """Leave nothing of it, unless it was moved to its place."""
        with contextlib.suppress(OSError):
            self._stream.close()
        self.path.unlink(missing_ok=True)


def open_landing(settings: Settings, *, name: str, most: int | None = None) -> Landing:
    """A new file in `incoming/`, to be dropped by who opened it.

    Raises:
        DiskFullError: Too little room is left for images.
    """
    folder = settings.data / "incoming"
    folder.mkdir(parents=True, exist_ok=True)
    check_room(settings)
    return Landing(folder / f"{token_hex(12)}.part", name=name, most=settings.max_file_bytes if most is None else most)


@contextmanager
def landing(settings: Settings, *, name: str, most: int | None = None) -> Iterator[Landing]:
    """`open_landing`, dropped at the end of the block."""
    made = open_landing(settings, name=name, most=most)
    try:
        yield made
    finally:
        made.drop()


def check_room(settings: Settings, need: int = 0) -> None:
    """Refuse before the disk is full to the brim.

    Raises:
        DiskFullError: Less than `KEEP_FREE_BYTES` would be left.
    """
    free = shutil.disk_usage(settings.data).free
    if free - need < KEEP_FREE_BYTES:
        raise DiskFullError(
            f"only {free >> 20} MiB are free where the data lie and {KEEP_FREE_BYTES >> 20} MiB are kept so: "
            "no image is taken. Free some space, then send again"
        )


def pour(stream: Readable, into: Landing) -> None:
    """Copy a stream to its end, a piece at a time."""
    while piece := stream.read(CHUNK):
        into.write(piece)


def is_deflated(path: Path, *, name: str) -> bool:
    """Whether a DICOM file's data set is deflated as a whole, which nothing else here reads.

    Raises:
        ReadError: Its file meta information is damaged.
    """
    with path.open("rb") as stream:
        if stream.read(132)[128:] != b"DICM":
            return False
    with damaged(name, "the DICOM header cannot be read"):
        return read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian


def inflate(path: Path, into: Landing) -> None:
    """Write a deflated file anew as the explicit little endian that its deflated bytes are.

    Raises:
        RefusedError: It unpacks beyond all measure, or is damaged.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
        end = _end_of_meta(head)
        if end is None:
            raise RefusedError(f"{into.name}: the length of its file meta information is missing or wrong. Export it again")
        with damaged(into.name, "the DICOM header cannot be read"):
            meta = read_file_meta_info(path)
            meta.TransferSyntaxUID = ExplicitVRLittleEndian
            written = DicomBytesIO()
            write_file_meta_info(written, meta, enforce_standard=False)
        into.write(head[:132] + written.getvalue())
        stream.seek(end)
        _unpack(stream, into)


def _unpack(stream: Readable, into: Landing) -> None:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        while not unpacker.eof and (piece := unpacker.unconsumed_tail or stream.read(CHUNK)):
            into.write(unpacker.decompress(piece, CHUNK))
    except zlib.error as error:
        raise RefusedError(f"{into.name}: the deflated data set is damaged ({error}). Send it again") from error
    if not unpacker.eof:
        raise RefusedError(f"{into.name}: truncated: the deflated data set has no end. Send it again")


def _end_of_meta(head: bytes) -> int | None:
    """Where the file meta information ends, by its own length; None where the file does not begin with one."""
    if head[128:132] != b"DICM" or head[132:140] != b"\x02\x00\x00\x00UL\x04\x00":
        return None
    end = 144 + int.from_bytes(head[140:144], "little")
    return end if end <= len(head) else None


def content_sha256(path: Path) -> str:
    """SHA-256 of the data set alone: each sender writes a file meta of its own before the same image."""
    with path.open("rb") as stream:
        stream.seek(_end_of_meta(stream.read(_HEAD_BYTES)) or 0)
        return hashlib.file_digest(stream, "sha256").hexdigest()


def image_path(study_id: UUID, series_id: UUID, sop_uid: str) -> str:
    """Where an image lies, relative to the data folder."""
    return f"dicom/{study_id}/{series_id}/{sop_uid}.dcm"


def settle_down(landed: Path, target: Path) -> None:
    """Give a synced file its place, and make the new name survive a power cut."""
    with naming_full_disk(target):
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            for folder in (target.parent.parent, target.parent.parent.parent):
                _sync_folder(folder)
        landed.replace(target)
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_study(settings: Settings, study_id: UUID) -> None:
    """Remove all files of a study; its row must be gone already."""
    for room in ("dicom", "results", "readings", "signed"):
        shutil.rmtree(settings.data / room / str(study_id), ignore_errors=True)
