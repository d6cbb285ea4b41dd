"""A text that must not be shown: its repr, str and format say that it is one, not what it is.

Whoever needs the text asks for it by name (`reveal`), so that a search finds every place.
"""

from __future__ import annotations

from typing import NoReturn


class Secret:
    """A key or token. Compares by identity: nobody should compare secrets by value."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Answer the text itself, for the one header that carries it."""
        return self._text

    def scrub(self, text: str) -> str:
        """Take this secret out of `text`, which came from somebody who may echo it."""
        return text.replace(self._text, "[redacted]") if self._text else text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is never pickled or copied")
