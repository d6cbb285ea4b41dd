"""What a fuzzed reader is: how it is opened, and the good inputs that mutations begin with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

Read = Callable[[bytes], None]
"""Reads one input. Raises only if a promise is broken; refusals are expected, and passed over."""


@dataclass(frozen=True)
class Reader:
    """`opened` gets a folder of its own. `pure` readers need no socket, thread or file."""

    name: str
    seeds: tuple[bytes, ...]
    opened: Callable[[Path], AbstractContextManager[Read]]
    pure: bool = False


def pure(name: str, read: Read, seeds: tuple[bytes, ...]) -> Reader:
    return Reader(name, seeds, lambda _folder: nullcontext(read), pure=True)


def as_text(content: bytes) -> str:
    """Decode so that anything comes out, lone surrogates too."""
    try:
        return content.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return content.decode("utf-8", "surrogateescape")
