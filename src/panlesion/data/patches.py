"""Blocks of training patches: a file holds a few dozen cubes, each compressed by itself, so that one is read in a millisecond.

The file is a JSON header between a magic number and the compressed cubes. A plain container of ours, rather than a Blosc2
frame, because opening a frame may run expressions stored in it and tells damage late or never; here every byte stands
under a CRC-32 that is checked before the decompressor sees it.
"""

import json
import struct
import zlib
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from panlesion.data.publish import publishing_file
from panlesion.errors import MissingExtraError, StoreError

BLOCK_SUFFIX = ".block"
_MAGIC = b"PLBLOCK1"
_START = struct.Struct("<8sQI")  # magic, bytes of the header, CRC-32 of the header
_LEVEL = 5  # Zstandard: higher levels cost five times the time for 1 % of the size


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Patches in memory: `hu` int16 (P, S, S, S), `targets` uint8 (P, G, S, S, S), one JSON-able row per patch."""

    hu: NDArray[np.int16]
    targets: NDArray[np.uint8]
    rows: list[dict[str, Any]]

    def __post_init__(self) -> None:
        if self.hu.dtype != np.int16 or self.targets.dtype != np.uint8:
            raise ValueError(f"hu is {self.hu.dtype} and targets {self.targets.dtype}; they must be int16 and uint8")
        if self.hu.ndim != 4 or len(set(self.hu.shape[1:])) != 1 or 0 in self.hu.shape:
            raise ValueError(f"hu has shape {self.hu.shape}; it must be (P, S, S, S) with at least one voxel")
        wanted = (len(self.hu), *self.targets.shape[1:2], *self.hu.shape[1:])
        if self.targets.ndim != 5 or self.targets.shape != wanted or self.targets.shape[1] == 0:
            raise ValueError(f"targets has shape {self.targets.shape}; it must be (P, G, S, S, S) beside hu {self.hu.shape}")
        if len(self.rows) != len(self.hu):
            raise ValueError(f"{len(self.rows)} rows for {len(self.hu)} patches; there must be one each")


@dataclass(frozen=True, kw_only=True)
class OpenBlock:
    """A block on disk whose header has been read; patches are read one by one. It holds no file open and can be pickled."""

    path: Path
    rows: tuple[dict[str, Any], ...]
    groups: int
    size: int
    index: tuple[tuple[int, int, int, int], ...]

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, index: int) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """One patch: HU (S, S, S) and targets (G, S, S, S), both freshly made and writable.

        Raises:
            IndexError: the block has no such patch.
            StoreError: the file is gone or its bytes are not what was written.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"patch {index} of {self.path}; it has {len(self)}")
        offset, hu_bytes, target_bytes, check = self.index[index]
        try:
            with self.path.open("rb") as stream:
                stream.seek(offset)
                raw = stream.read(hu_bytes + target_bytes)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be read: {error}; make the block again") from error
        if zlib.crc32(raw) != check:
            raise _damaged(self.path, f"patch {index} differs from its CRC-32 {check:08x}")
        cube = (self.size,) * 3
        hu = np.empty(cube, dtype=np.int16)
        targets = np.empty((self.groups, *cube), dtype=np.uint8)
        self._unpack(raw[:hu_bytes], hu)
        self._unpack(raw[hu_bytes:], targets)
        return hu, targets

    def _unpack(self, raw: bytes, out: NDArray) -> None:
        blosc2 = _blosc2()
        try:
            size = blosc2.get_cbuffer_sizes(raw)[0]
            if size != out.nbytes:
                raise _damaged(self.path, f"a patch unpacks to {size} bytes, the header says {out.nbytes}")
            blosc2.decompress2(raw, dst=out, nthreads=1)
        except (RuntimeError, ValueError) as error:
            raise _damaged(self.path, f"a patch cannot be unpacked ({error})") from error


def write_block(path: Path, block: Block) -> None:
    """Write or replace a block file: there whole or not at all, equal bytes for equal blocks.

    Raises:
        DiskFullError: the disk or the quota is full; nothing is left behind.
        MissingExtraError: blosc2 is not installed.
        ValueError: a row is not JSON-able.
    """
    packed: list[bytes] = []
    index, offset = [], 0
    for hu, targets in zip(block.hu, block.targets, strict=True):
        parts = (_pack(hu), _pack(targets))
        check = zlib.crc32(parts[1], zlib.crc32(parts[0]))
        index.append([offset, len(parts[0]), len(parts[1]), check])
        offset += len(parts[0]) + len(parts[1])
        packed.extend(parts)
    header = {"groups": block.targets.shape[1], "size": block.hu.shape[1], "bytes": offset, "index": index, "rows": block.rows}
    try:
        text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"a row of {path} is not JSON-able: {error}; use plain numbers, text, lists and dicts") from error
    with publishing_file(path) as stream:
        stream.write(_START.pack(_MAGIC, len(text), zlib.crc32(text)))
        stream.write(text)
        for part in packed:
            stream.write(part)


def open_block(path: Path) -> OpenBlock:
    """Read and check a block's header; no patch is unpacked yet.

    Raises:
        MissingExtraError: blosc2 is not installed.
        StoreError: the file is missing, no block, cut short or damaged; the message names the rule it breaks.
    """
    _blosc2()
    try:
        total = path.stat().st_size
        with path.open("rb") as stream:
            start, text = stream.read(_START.size), b""
            if len(start) == _START.size and start[:8] == _MAGIC:
                text = stream.read(min(_START.unpack(start)[1], total))
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error}; make the block again") from error
    if start[:8] != _MAGIC:
        raise StoreError(f"{path} begins with {start[:8]!r}; a block of patches begins with {_MAGIC!r}")
    if len(start) < _START.size or len(text) < _START.unpack(start)[1]:
        raise _damaged(path, f"it ends after {total} bytes, inside its header")
    if zlib.crc32(text) != _START.unpack(start)[2]:
        raise _damaged(path, "its header differs from its CRC-32")
    header = json.loads(text)
    first = _START.size + len(text)
    if total != first + header["bytes"]:
        raise _damaged(path, f"it has {total} bytes, its header says {first + header['bytes']}")
    return OpenBlock(
        path=path,
        rows=tuple(header["rows"]),
        groups=header["groups"],
        size=header["size"],
        index=tuple((first + offset, hu, targets, check) for offset, hu, targets, check in header["index"]),
    )


def _damaged(path: Path, rule: str) -> StoreError:
    return StoreError(f"{path} is damaged: {rule}; remove it and make the block again")


def _pack(array: NDArray) -> bytes:
    blosc2 = _blosc2()
    # Organ maps are runs of whole bytes; HU share their upper bits, which bit planes bring together (6 % smaller).
    filters = [blosc2.Filter.BITSHUFFLE if array.itemsize > 1 else blosc2.Filter.NOFILTER]
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    settings = blosc2.CParams(codec=blosc2.Codec.ZSTD, clevel=_LEVEL, typesize=array.itemsize, filters=filters, nthreads=1)
    return bytes(blosc2.compress2(array, cparams=settings))


def _blosc2() -> ModuleType:
    try:
        return import_module("blosc2")
    except ImportError as error:
        raise MissingExtraError("blosc2 is not installed; training patches need it: pip install 'panlesion[model]'") from error
