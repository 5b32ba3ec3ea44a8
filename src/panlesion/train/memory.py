"""Keep memory that was freed, instead of giving it back to the system and asking for it again a moment later."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h of glibc
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Make this process's allocator reuse large blocks; False where it is not glibc's and nothing was done.

    glibc maps every block above 32 MB afresh, so that the kernel clears its pages at each use: a sixth of a `nano` step,
    whose activations are such blocks. For processes that do one thing, as training does; peak memory grows by 2 to 3 %.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # musl
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _NEVER))
