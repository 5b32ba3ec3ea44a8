"""gzip on the way out, where it saves time: bytes that are not compressed yet, to a client on another machine that takes it.

isal packs a CT at some 400 MB/s to less than half, which pays off up to links of about 3 Gbit/s; on this very machine it never
does. A proxy on this machine is given plain bytes too, and packs for its own clients as it is told to.
"""

from collections.abc import Iterator
from ipaddress import ip_address

from fastapi import Request
from isal import isal_zlib

from panlesion.aid.imaging.accept import takes_gzip

LEAST_BYTES = 1024
_LEVEL, _GZIP = 1, 31


def pays_off(request: Request, size: int) -> bool:
    """Whether a body of that many plain bytes is better sent packed."""
    if size < LEAST_BYTES or not takes_gzip(request.headers.get("accept-encoding")):
        return False
    try:
        return request.client is None or not ip_address(request.client.host).is_loopback
    except ValueError:
        return True


def packed(data: bytes) -> bytes:
    """A gzip file of the bytes."""
    packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)
    return bytes(packer.compress(data) + packer.flush())


def packed_chunks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """A gzip stream of pieces, as they come."""
    packer = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP)
    for chunk in chunks:
        yield bytes(packer.compress(chunk))
    yield bytes(packer.flush())
