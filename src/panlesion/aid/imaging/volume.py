"""The CT that is read as one array: int16 HU, plane after plane, as `ct.read` has it; decoded once, then only sent."""

import os
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Semaphore
from uuid import UUID

import numpy as np

from panlesion.aid.imaging.metadata import cache_folder, fingerprint
from panlesion.aid.imaging.objects import Kept
from panlesion.ct.read import read_ct
from panlesion.ct.volume import Index3
from panlesion.data.publish import publishing_file
from panlesion.errors import ReadError

VOLUME_FILE = "ct.npy"
"""Of an analysis' folder: int16 (K, J, I), C order, HU with padding as `ct.read` leaves it."""
CHUNK = 1 << 20

_locks: dict[UUID, Lock] = defaultdict(Lock)
_decoding = Semaphore(2)
"""A CT takes three times its size while it is decoded, so not all readers' at once."""


@dataclass(frozen=True, kw_only=True)
class Planes:
    """Where an array of planes lies in its file: `shape` is (I, J, K), plane k begins at `offset` + 2·I·J·k."""

    path: Path
    shape: Index3
    offset: int

    @property
    def plane_bytes(self) -> int:
        return 2 * self.shape[0] * self.shape[1]

    def chunks(self, first: int, last: int) -> Iterator[bytes]:
        """Planes first … last in pieces."""
        at, end = (self.offset + k * self.plane_bytes for k in (first, last + 1))
        with self.path.open("rb", buffering=0) as stream:
            while at < end and (chunk := os.pread(stream.fileno(), min(CHUNK, end - at), at)):
                at += len(chunk)
                yield chunk
        if at < end:
            raise OSError(f"{self.path.name} became shorter while it was sent")


def planes_of(data: Path, images: Sequence[Kept], analysis: str | None) -> Planes:
    """The planes of a series: what its analysis wrote, else what was decoded here once.

    Args:
        data: The data folder.
        images: All images of the series that is read.
        analysis: The folder of its analysis, relative to `data`.

    Raises:
        ReadError: The series is no CT that can be read.
    """
    if analysis is not None:
        written = data / analysis / VOLUME_FILE
        if written.is_file():
            return opened(written)
    path = cache_folder(data, images[0].study_id, images[0].series_id) / f"ct-{fingerprint(images)}.npy"
    with _locks[images[0].series_id]:
        if not path.is_file():
            with _decoding:
                _decode(path, images)
    return opened(path)


def _decode(path: Path, images: Sequence[Kept]) -> None:
    volume = read_ct(images[0].path.parent, series=images[0].series_uid)
    path.parent.mkdir(parents=True, exist_ok=True)
    with publishing_file(path) as stream:
        write_planes(stream.write, volume.hu)
    for old in path.parent.glob("ct-*.npy"):
        if old != path:
            old.unlink(missing_ok=True)


def write_planes(write: object, hu: np.ndarray) -> None:
    """Write HU (I, J, K) as `VOLUME_FILE` has them, slab by slab, without a second copy of the whole."""
    i, j, k = hu.shape
    assert callable(write) and hu.dtype == np.int16
    head = f"{{'descr': '<i2', 'fortran_order': False, 'shape': ({k}, {j}, {i}), }}".encode()
    head = head.ljust(-(-(len(head) + 11) // 64) * 64 - 11) + b"\n"
    write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head)
    for start in range(0, k, 32):
        write(np.ascontiguousarray(hu[:, :, start : start + 32].transpose(2, 1, 0)).astype("<i2", copy=False).data)


def opened(path: Path) -> Planes:
    """What a file of planes holds.

    Raises:
        ReadError: It is none.
    """
    try:
        planes = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ReadError(f"{path.name}: cannot be read as an array ({error}); analyse the study again") from error
    if planes.dtype != np.dtype("<i2") or planes.ndim != 3 or not planes.flags.c_contiguous:
        raise ReadError(f"{path.name}: {planes.dtype} {planes.shape}; the rule is int16 (K, J, I). Analyse the study again")
    assert isinstance(planes, np.memmap)
    k, j, i = planes.shape
    return Planes(path=path, shape=(i, j, k), offset=planes.offset)
