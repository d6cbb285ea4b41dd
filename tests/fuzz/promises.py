"""What every reader promises about whatever it is given, and how that is measured."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

SECONDS = 1.0
"""Of the processor's time, so that a busy machine breaks no promise."""

BASE_BYTES = 24 * 1024 * 1024
BYTES_PER_BYTE = 100


class BrokenPromiseError(AssertionError):
    """A reader took too long, took too much, or answered what it must not."""


def promise(holds: object, what: str) -> None:
    """Raise unless it holds."""
    if not holds:
        raise BrokenPromiseError(what)


def promise_text(text: str, what: str, *, most: int, one_line: bool = True) -> None:
    """Raise unless a text is bounded and can be stored; as one line, also shown."""
    promise(len(text) <= most, f"{what} has {len(text)} characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BrokenPromiseError(f"{what} can't be stored: {text[:200]!a}") from None
    promise(not one_line or "\n" not in text, f"{what} isn't one line: {text[:200]!a}")


def timed(read: Callable[[bytes], None], content: bytes) -> None:
    """Read, and raise if it took too long."""
    begun = time.process_time()
    read(content)
    took = time.process_time() - begun
    promise(took < SECONDS, f"{len(content)} bytes took {took:.2f} s")


def weighed(read: Callable[[bytes], None], content: bytes) -> None:
    """Read, and raise if it took too much memory; slows it several times."""
    tracemalloc.start()
    try:
        read(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    most = BASE_BYTES + BYTES_PER_BYTE * len(content)
    promise(peak < most, f"{len(content)} bytes took {peak / 1024**2:.0f} MiB")
