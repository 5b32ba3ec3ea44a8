"""Frames of an image by their place in its file: read with one `pread`, decoded only for who cannot take them as stored."""

import os
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from panlesion.aid.imaging.objects import Kept
from panlesion.ct.dicom_codestream import codestream_fault, decoder_of
from panlesion.ct.dicom_header import damaged
from panlesion.errors import ReadError

MAX_FRAGMENTS, MAX_DECODED_BYTES = 200_000, 1 << 28
MAX_PICTURE_PIXELS = 1 << 25
"""Windowing takes some twenty bytes a pixel, and single bits make a picture of many of them out of a small file."""
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1"})
_BIG_ENDIAN = "1.2.840.10008.1.2.2"
_ITEM, _UNDEFINED = b"\xfe\xff\x00\xe0", 0xFFFFFFFF
_WANTED = (
    *("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated", "BitsStored", "PixelRepresentation"),
    *("PhotometricInterpretation", "PlanarConfiguration", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
)

Span = tuple[int, int]
"""Offset in the file and length."""


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """Where the pixels of a file lie and what they are. `spans` holds the fragments of every frame of compressed ones."""

    name: str
    syntax: str
    rows: int
    columns: int
    samples: int
    frames: int
    bits: int
    bits_stored: int
    signed: bool
    photometric: str
    planar: int
    offset: int
    length: int
    spans: tuple[tuple[Span, ...], ...] | None

    @property
    def frame_bits(self) -> int:
        """Bits of one frame that is not compressed."""
        samples = 2 if self.photometric == "YBR_FULL_422" and self.spans is None else self.samples
        return self.rows * self.columns * samples * self.bits


def pixels_of(image: Kept) -> Pixels:
    """Where an image's pixels lie.

    Raises:
        ReadError: The file is gone, damaged, deflated or without pixels.
    """
    return _located(image.path, image.sha256, image.sop_uid, image.transfer_syntax)


@lru_cache(maxsize=4096)
def _located(path: Path, sha256: str, sop_uid: str, syntax: str) -> Pixels:  # noqa: ARG001  (the hash tells versions apart)
    name = f"image {sop_uid}"
    if syntax in DEFLATED:
        raise ReadError(f"{name}: deflated transfer syntax {syntax}; its frames are not served, only the whole image")
    with damaged(name, "the place of its pixels cannot be told"), path.open("rb") as stream:
        ds = pydicom.dcmread(stream, stop_before_pixels=True, force=True, specific_tags=list(_WANTED))
        return _placed(ds, stream, name, syntax)


def _placed(ds: Dataset, stream: BinaryIO, name: str, syntax: str) -> Pixels:
    implicit = ds.original_encoding[0]
    order = ">" if syntax == _BIG_ENDIAN else "<"
    head = stream.read(8 if implicit else 12)
    if len(head) < (8 if implicit else 12):
        raise ReadError(f"{name}: no pixels: it is no image, or its file is truncated")
    (length,) = struct.unpack(f"{order}I", head[-4:])
    frames, offset = int(ds.get("NumberOfFrames") or 1), stream.tell()
    rows, columns, samples = (int(ds.get(key) or 0) for key in ("Rows", "Columns", "SamplesPerPixel"))
    if min(rows, columns, samples, frames) < 1:
        raise ReadError(
            f"{name}: Rows {rows}, Columns {columns}, SamplesPerPixel {samples}, NumberOfFrames {frames}; all from 1"
        )
    made: dict[str, Any] = {
        "rows": rows,
        "columns": columns,
        "samples": samples,
        "frames": frames,
        "bits": int(ds.get("BitsAllocated") or 0),
        "bits_stored": int(ds.get("BitsStored") or ds.get("BitsAllocated") or 0),
        "signed": bool(ds.get("PixelRepresentation") or 0),
        "photometric": str(ds.get("PhotometricInterpretation") or ""),
        "planar": int(ds.get("PlanarConfiguration") or 0),
    }
    spans = _frame_spans(ds, stream, name, frames) if length == _UNDEFINED else None
    found = Pixels(name=name, syntax=syntax, offset=offset, length=length, spans=spans, **made)
    if spans is None:
        _check_native(found, os.fstat(stream.fileno()).st_size)
    return found


def _check_native(found: Pixels, size: int) -> None:
    if found.bits not in (1, 8, 16, 32, 64):
        raise ReadError(f"{found.name}: BitsAllocated is {found.bits}; the rule is 1, 8, 16, 32 or 64")
    need = (found.frame_bits * found.frames + 7) // 8
    there = min(found.length, size - found.offset)
    if there < need:
        raise ReadError(
            f"{found.name}: {there} bytes of pixels where Rows, Columns and NumberOfFrames need {need}; send it again"
        )


def _frame_spans(ds: Dataset, stream: BinaryIO, name: str, frames: int) -> tuple[tuple[Span, ...], ...]:
    """The fragments of every frame: by the offset tables, or one each where there are as many as frames."""
    fragments = _fragments(stream, name)
    (table, table_length), *fragments = fragments
    if frames == 1:
        return (tuple(fragments),)
    if len(fragments) == frames:
        return tuple((fragment,) for fragment in fragments)
    first = fragments[0][0] - 8 if fragments else 0
    extended = ds.get("ExtendedOffsetTable")
    if extended:
        starts = struct.unpack(f"<{len(extended) // 8}Q", extended[: len(extended) // 8 * 8])
    else:
        stream.seek(table)
        starts = struct.unpack(f"<{table_length // 4}I", stream.read(table_length // 4 * 4))
    begins = {start - 8 - first: n for n, (start, _) in enumerate(fragments)}
    firsts = [begins.get(start, -1) for start in starts]
    if len(firsts) != frames or -1 in firsts or firsts != sorted(set(firsts)):
        raise ReadError(
            f"{name}: {len(fragments)} fragments for {frames} frames, and no offset table that tells which belong together"
        )
    return tuple(tuple(fragments[begin:end]) for begin, end in zip(firsts, [*firsts[1:], len(fragments)], strict=True))


def _fragments(stream: BinaryIO, name: str) -> list[Span]:
    """All items of encapsulated pixels, the basic offset table first."""
    found: list[Span] = []
    size = os.fstat(stream.fileno()).st_size
    while len(found) <= MAX_FRAGMENTS:
        head = stream.read(8)
        if head[:4] != _ITEM or len(head) < 8:
            break
        at, length = stream.tell(), int.from_bytes(head[4:], "little")
        if at + length > size:
            raise ReadError(f"{name}: its compressed pixels end early: the file is truncated; send it again")
        found.append((at, length))
        stream.seek(length, os.SEEK_CUR)
    if len(found) < 2 or len(found) > MAX_FRAGMENTS:
        raise ReadError(f"{name}: {len(found)} items of compressed pixels; the rule is 2 to {MAX_FRAGMENTS}")
    return found


def stored_frame(image: Kept, pixels: Pixels, frame: int) -> bytes:
    """The bytes of a frame as they lie in the file; frames of single bits begin at a byte of their own.

    Args:
        image: Whose file it is.
        pixels: Its `pixels_of`.
        frame: From 0.
    """
    with damaged(pixels.name, "the frame cannot be read"), image.path.open("rb", buffering=0) as stream:
        handle = stream.fileno()
        if pixels.spans is not None:
            return b"".join(os.pread(handle, length, at) for at, length in pixels.spans[frame])
        begin, bits = frame * pixels.frame_bits, pixels.frame_bits
        if bits % 8 == 0:
            return os.pread(handle, bits // 8, pixels.offset + begin // 8)
        data = os.pread(handle, (begin + bits + 7) // 8 - begin // 8, pixels.offset + begin // 8)
        single = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[begin % 8 : begin % 8 + bits]
        return np.packbits(single, bitorder="little").tobytes()


def plain_frame(image: Kept, pixels: Pixels, frame: int) -> bytes:
    """A frame uncompressed, little endian, as Explicit VR Little Endian has it.

    Raises:
        ReadError: No decoder, or a compressed frame that is damaged.
    """
    stored = stored_frame(image, pixels, frame)
    if pixels.spans is None:
        swapped = pixels.syntax == _BIG_ENDIAN and pixels.bits > 8
        return np.frombuffer(stored, f">u{pixels.bits // 8}").astype(f"<u{pixels.bits // 8}").tobytes() if swapped else stored
    return _decoded(pixels, stored).tobytes()


def frame_values(image: Kept, pixels: Pixels, frame: int) -> NDArray:
    """Stored values (rows, columns) of a grey frame, (rows, columns, 3) of a coloured one.

    Raises:
        ReadError: As `plain_frame`; values that no picture can be made of.
    """
    if pixels.rows * pixels.columns > MAX_PICTURE_PIXELS:
        raise ReadError(
            f"{pixels.name}: {pixels.columns} x {pixels.rows} pixels; pictures are made of at most {MAX_PICTURE_PIXELS}"
        )
    data = plain_frame(image, pixels, frame)
    shape = (pixels.rows, pixels.columns)
    if pixels.bits == 1 and pixels.samples == 1:
        return np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[: shape[0] * shape[1]].reshape(shape)
    if pixels.bits not in (8, 16, 32) or pixels.samples not in (1, 3) or "422" in pixels.photometric:
        raise ReadError(
            f"{pixels.name}: no picture can be made of {pixels.samples} samples of {pixels.bits} bits, {pixels.photometric}"
        )
    values = np.frombuffer(data, f"<{'i' if pixels.signed else 'u'}{pixels.bits // 8}")
    if pixels.samples == 1:
        return values.reshape(shape)
    return values.reshape(3, *shape).transpose(1, 2, 0) if pixels.planar else values.reshape(*shape, 3)


def _decoded(pixels: Pixels, stored: bytes) -> NDArray:
    plugin = decoder_of(pixels.syntax)
    if plugin is None or pixels.samples != 1 or pixels.bits not in (8, 16, 32):
        raise ReadError(
            f"{pixels.name}: frames of transfer syntax {pixels.syntax} with {pixels.samples} samples of {pixels.bits} bits are "
            "not decoded here; ask for them as stored (transfer-syntax=*)"
        )
    if pixels.rows * pixels.columns * pixels.bits // 8 > MAX_DECODED_BYTES:
        raise ReadError(
            f"{pixels.name}: {pixels.columns} x {pixels.rows} pixels; at most {MAX_DECODED_BYTES} bytes are decoded"
        )
    fault = codestream_fault(stored, pixels.syntax, pixels.rows, pixels.columns)
    if fault:
        raise ReadError(f"{pixels.name}: its compressed frame cannot be decoded: {fault}. Send the image again")
    told: dict[str, Any] = {
        "rows": pixels.rows,
        "columns": pixels.columns,
        "samples_per_pixel": 1,
        "bits_allocated": pixels.bits,
        "bits_stored": pixels.bits_stored,
        "number_of_frames": 1,
        "photometric_interpretation": pixels.photometric,
        "pixel_representation": int(pixels.signed),
        "pixel_keyword": "PixelData",
    }
    with damaged(pixels.name, "the frame cannot be decoded"):
        decoder = get_decoder(UID(pixels.syntax))
        values, _ = decoder.as_array(encapsulate([stored]), index=0, raw=True, decoding_plugin=plugin, **told)
    if values.shape != (pixels.rows, pixels.columns):
        raise ReadError(
            f"{pixels.name}: the decoded frame is {values.shape}, Rows and Columns say {(pixels.rows, pixels.columns)}"
        )
    return values.astype(f"<{'i' if pixels.signed else 'u'}{pixels.bits // 8}")
