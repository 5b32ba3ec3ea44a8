"""Lesion masks of a reading: gzip of uint8, i fastest, on the CT's grid; kept, never changed, a new file for each version."""

from collections.abc import Collection
from pathlib import Path
from secrets import token_hex
from typing import cast
from uuid import UUID

import numpy as np
from isal import igzip, isal_zlib
from numpy.typing import NDArray

from panlesion.aid.settings import Settings
from panlesion.ct.volume import Box, Index3
from panlesion.data.publish import publishing_file
from panlesion.errors import PanlesionError, ReadError

LEVEL = 1
_GZIP = 31
_AT_ONCE = 1 << 20
Labels = NDArray[np.uint8]


class MaskError(PanlesionError):
    """A mask that was sent is damaged, of another size, or has labels of no finding."""


def pack(labels: Labels) -> bytes:
    """Labels (I, J, K) as they are kept; equal labels give equal bytes."""
    flat = labels.transpose(2, 1, 0)
    if not flat.flags.c_contiguous:
        # turning the whole array about takes ten times as long as turning the part that is not empty
        part = Box.of(labels)
        flat = np.zeros(flat.shape, dtype=np.uint8)
        flat.transpose(2, 1, 0)[part.slices] = labels[part.slices]
    return igzip.compress(flat, compresslevel=LEVEL, mtime=0)


def unpack(packed: bytes, shape: Index3) -> Labels:
    """Labels (I, J, K), in memory as they are kept; never more is unpacked than the shape holds.

    Raises:
        MaskError: No gzip, or not of exactly the shape's size.
    """
    i, j, k = shape
    size = i * j * k
    raw = _unpacked(packed, size)
    if len(raw) != size:
        raise MaskError(f"the mask unpacks to {len(raw)} bytes; {i}x{j}x{k} voxels have {size}. Send exactly these planes")
    return np.frombuffer(raw, dtype=np.uint8).reshape(k, j, i).transpose(2, 1, 0)


def _unpacked(packed: bytes, size: int) -> bytearray:
    """What gzip data hold, read in pieces that stop as soon as there is more than `size` bytes."""
    inflate = isal_zlib.decompressobj(wbits=_GZIP)
    out, rest = bytearray(), packed
    try:
        while not inflate.eof:
            piece = inflate.decompress(rest, _AT_ONCE)
            out += piece
            if len(out) > size:
                raise MaskError(f"the mask unpacks to more than the {size} bytes of its planes; send exactly these planes")
            rest = inflate.unconsumed_tail
            if not piece and not rest:
                raise MaskError("the mask's gzip data end early; send it again")
    except cast(type[Exception], isal_zlib.error) as error:
        raise MaskError(f"the mask is not gzip data ({error}); compress the planes with gzip") from error
    if inflate.unused_data:
        raise MaskError(f"{len(inflate.unused_data)} bytes follow the mask's gzip data; send one gzip stream")
    return out


def write_mask(settings: Settings, study_id: UUID, version: int, labels: Labels) -> str:
    """Keep a mask under a name of its own; returns its path below the data folder.

    Raises:
        DiskFullError: No room.
    """
    relative = Path("readings") / str(study_id) / f"mask-{version}-{token_hex(8)}.gz"
    path = settings.data / relative
    path.parent.mkdir(parents=True, exist_ok=True)
    with publishing_file(path) as stream:
        stream.write(pack(labels))
    return relative.as_posix()


def read_mask(settings: Settings, kept: str, shape: Index3) -> Labels:
    """A mask that was kept.

    Raises:
        ReadError: It is gone or damaged.
    """
    try:
        return unpack((settings.data / kept).read_bytes(), shape)
    except OSError as error:
        raise ReadError(f"the mask of this reading cannot be read ({error.strerror}); restore the data folder") from error
    except MaskError as error:
        raise ReadError(f"the mask of this reading is damaged ({error}); restore the data folder") from error


def with_planes(labels: Labels, planes: Labels, first_k: int, numbers: Collection[int]) -> tuple[Labels, frozenset[int]]:
    """A mask with some planes replaced, and the labels whose voxels are not the same as before.

    Args:
        labels: (I, J, K), whose labels are all allowed.
        planes: (I, J, planes), as `unpack` gives them.
        first_k: Where they go.
        numbers: The labels there may be.

    Raises:
        MaskError: The planes have others; it names them.
    """
    part = slice(first_k, first_k + planes.shape[2])
    before, after = labels.transpose(2, 1, 0)[part].reshape(-1), planes.transpose(2, 1, 0).reshape(-1)
    differ = np.flatnonzero(before != after)
    gone, come = (np.unique(one[differ]).tolist() for one in (before, after))
    strange = [n for n in come if n and n not in numbers]
    if strange:
        told = ", ".join(map(str, strange[:10]))
        raise MaskError(f"the mask has label {told}, which is no finding of this reading; add the finding first")
    fresh = labels.copy(order="K")
    fresh[:, :, part] = planes
    return fresh, frozenset([*gone, *come]) - {0}


def without(labels: Labels, numbers: Collection[int]) -> Labels:
    """A mask without some labels."""
    table = np.arange(256, dtype=np.uint8)
    table[list(numbers)] = 0
    return np.take(table, labels.transpose(2, 1, 0)).transpose(2, 1, 0)


def same_label(a: Labels, b: Labels, number: int) -> bool:
    """Whether a label has the same voxels in two masks; plane by plane, stopping at the first that differs."""
    planes = zip(a.transpose(2, 1, 0), b.transpose(2, 1, 0), strict=True)
    return all(np.array_equal(one == number, other == number) for one, other in planes)
