"""multipart/related out: parts one after the other, with a length that is known before the first byte is sent."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class FilePart:
    """A file sent as it lies; `size` is told by its row and checked when it is sent."""

    media: str
    path: Path
    size: int

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes; an error ends the answer early, so that a shortened file is never taken for a whole one."""
        left = self.size
        with self.path.open("rb") as stream:
            while left and (chunk := stream.read(min(CHUNK, left))):
                left -= len(chunk)
                yield chunk
        if left:
            raise OSError(f"{self.path.name}: {left} bytes shorter than when it was received")


@dataclass(frozen=True, kw_only=True)
class BytesPart:
    """Bytes that are there already."""

    media: str
    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def chunks(self) -> Iterator[bytes]:
        yield self.data


Part = FilePart | BytesPart


def new_boundary() -> str:
    """A boundary that no image holds."""
    return f"panlesion-{secrets.token_hex(16)}"


def media_type(part_media: str, boundary: str) -> str:
    """The Content-Type of a multipart answer whose parts are of one media type."""
    return f'multipart/related; type="{part_media.split(";")[0]}"; boundary={boundary}'


def head_of(part: Part, boundary: str) -> bytes:
    """What stands before a part's bytes."""
    return f"--{boundary}\r\nContent-Type: {part.media}\r\nContent-Length: {part.size}\r\n\r\n".encode()


def tail_of(boundary: str) -> bytes:
    """What stands after the last part's line end."""
    return f"--{boundary}--\r\n".encode()


def length_of(parts: Sequence[Part], boundary: str) -> int:
    """How long `joined` becomes."""
    return sum(len(head_of(part, boundary)) + part.size + 2 for part in parts) + len(tail_of(boundary))


def joined(parts: Sequence[Part], boundary: str, *, last: bool = True) -> Iterator[bytes]:
    """The body, never more than a chunk of a file in memory; not `last`: others follow."""
    for part in parts:
        yield head_of(part, boundary)
        yield from part.chunks()
        yield b"\r\n"
    if last:
        yield tail_of(boundary)
