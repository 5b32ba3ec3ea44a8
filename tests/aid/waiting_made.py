"""Waiting for what other threads and processes do."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def waited(what: Callable[[], Found], words: str = "", within_s: float = 60.0, every_s: float = 0.05) -> Found:
    """What a question answers once that is true.

    Args:
        what: Asked until its answer is true.
        words: What is amiss where it never is; the question's name if not told.
        within_s: How long it may take.
        every_s: How long nobody asks.
    """
    end = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < end, words or f"{what.__name__} did not come true within {within_s:g} s"
        time.sleep(every_s)
    return found
