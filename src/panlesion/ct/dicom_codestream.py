"""A look at compressed frames before a decoder written in C sees them.

Decoders allocate what a stream's own header claims, and GDCM ends the whole process on a JPEG whose segments do not follow
one another as they must. So size, framing and tables are checked here; damage inside the entropy-coded bits, which no
checksum protects, is left to the decoder.
"""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

_JPEG, _JPEG_2000, _RLE = b"\xff\xd8", b"\xff\x4f", b""

_CODECS: Mapping[str, tuple[bytes, str]] = MappingProxyType(
    {
        **{f"1.2.840.10008.1.2.4.{n}": (_JPEG, "gdcm") for n in (50, 51, 57, 70, 80, 81)},
        **{f"1.2.840.10008.1.2.4.{n}": (_JPEG_2000, "pylibjpeg") for n in (90, 91, 201, 202, 203)},
        "1.2.840.10008.1.2.5": (_RLE, "pydicom"),
    }
)
"""Transfer syntax → first bytes of its frames, and the one decoder that gets them. Left alone, pydicom hands what one decoder
refuses to the next, and GDCM ends the process on some JPEG 2000 streams that OpenJPEG merely refuses."""

_STRAY_MARKER = re.compile(rb"\xff+[^\x00\xff]")
_STRAY_MARKER_LS = re.compile(rb"\xff[\x80-\xff]")
_SOF_LOSSLESS, _SOF_LS, _DHT, _SOS, _EOI, _DRI = 0xC3, 0xF7, 0xC4, 0xDA, 0xD9, 0xDD
_FRAMES = frozenset({0xC0, 0xC1, _SOF_LOSSLESS, _SOF_LS})
_TABLES = frozenset({_DHT, 0xDB, _DRI, 0xFE, 0xF8, *range(0xE0, 0xF0)})


def decoder_of(syntax: str) -> str | None:
    """The pydicom plugin that decodes a compressed transfer syntax; None for one that we do not read."""
    return _CODECS[syntax][1] if syntax in _CODECS else None


def codestream_fault(stream: bytes, syntax: str, rows: int, columns: int) -> str | None:
    """What is wrong with one frame of that transfer syntax that should hold rows x columns grey pixels; None for nothing."""
    start = _CODECS[syntax][0]
    if not stream or not stream.startswith(start):
        return f"it begins with {stream[:2].hex() or 'nothing'}, which its transfer syntax {syntax} never does"
    if start == _JPEG:
        return _jpeg_fault(stream, rows, columns)
    return _jpeg2000_fault(stream, rows, columns) if start == _JPEG_2000 else None


def _jpeg2000_fault(stream: bytes, rows: int, columns: int) -> str | None:
    """The SIZ segment comes first (ISO/IEC 15444-1, A.5.1); the end mark, last."""
    if stream[2:4] != b"\xff\x51" or len(stream) < 42:
        return "its size segment is missing"
    x1, y1, x0, y0, tile_x, tile_y = (int.from_bytes(stream[at : at + 4], "big") for at in range(8, 32, 4))
    if (y1 - y0, x1 - x0) != (rows, columns):
        return f"the compressed image is {y1 - y0} x {x1 - x0}, but Rows and Columns say {rows} x {columns}"
    if int.from_bytes(stream[40:42], "big") != 1:
        return "it has several colour components"
    if min(tile_x, tile_y) < 1 or (rows // tile_y + 1) * (columns // tile_x + 1) > 65535:
        return f"its tiles are {tile_x} x {tile_y} pixels"
    return None if b"\xff\xd9" in stream[-16:] else "truncated: its end mark is missing"


def _jpeg_fault(stream: bytes, rows: int, columns: int) -> str | None:
    """Markers and segments as ITU-T T.81, annex B, orders them: tables, one frame header, one scan, the end."""
    frame, restarts = None, False
    for marker, body, end in _segments(stream):
        if marker in _FRAMES and frame is None and len(body) >= 6:
            frame = marker
            size = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
            if size != (rows, columns):
                return f"the compressed image is {size[0]} x {size[1]}, but Rows and Columns say {rows} x {columns}"
            if body[5] != 1 or len(body) != 9 or not 2 <= body[0] <= 16:
                return f"its frame header claims {body[5]} components of {body[0]} bits"
        elif marker == _SOS and frame is not None:
            return _scan_fault(stream, body, end, frame, restarts)
        elif marker == _DHT:
            if not _huffman_fits(body):
                return "its Huffman tables are damaged"
        elif marker not in _TABLES:
            return f"marker {marker:02x} out of place"
        restarts |= marker == _DRI
    return "truncated or damaged: its segments break off before the pixels"


def _segments(stream: bytes) -> Iterator[tuple[int, bytes, int]]:
    """(marker, body, where the next one starts) as long as they follow one another."""
    at = 2
    while at + 4 <= len(stream) and stream[at] == 0xFF:
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        if end < at + 4 or end > len(stream):
            return
        yield stream[at + 1], stream[at + 4 : end], end
        at = end


def _scan_fault(stream: bytes, body: bytes, start: int, frame: int, restarts: bool) -> str | None:
    if len(body) != 6 or body[0] != 1:
        return "its scan header is damaged"
    if frame == _SOF_LOSSLESS and not (1 <= body[3] <= 7 and body[4] == 0 and body[5] <= 15):
        return f"its scan header claims predictor {body[3]}; lossless JPEG has 1 … 7"
    stray = _STRAY_MARKER_LS if frame == _SOF_LS else _STRAY_MARKER
    for found in stray.finditer(stream, start):
        marker = stream[found.end() - 1]
        if marker == _EOI:
            return None if len(stream) - found.end() < 16 else "bytes follow its end mark"
        if not (restarts and 0xD0 <= marker <= 0xD7):
            return f"marker {marker:02x} among its pixels"
    return "truncated: its end mark is missing"


def _huffman_fits(body: bytes) -> bool:
    """Whether every table's codes fit in 16 bits and its values are there and possible (T.81, B.2.4.2)."""
    at = 0
    while at < len(body):
        counts = body[at + 1 : at + 17]
        values = body[at + 17 : at + 17 + sum(counts)]
        room = 1
        for count in counts:
            room = 2 * room - count
            if room < 0:
                return False
        is_dc = body[at] >> 4 == 0
        if len(counts) != 16 or len(values) != sum(counts) or body[at] & 0x0F > 3 or body[at] >> 4 > 1:
            return False
        if is_dc and max(values, default=0) > 16:
            return False
        at += 17 + len(values)
    return at > 0
