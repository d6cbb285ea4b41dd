"""Names that others see: what they may hold, so that they read the same to everybody."""

from __future__ import annotations

import re

# Letters and marks by Unicode's book, and yet nothing is seen of them.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def parse_shown_name(value: str) -> str:
    """Check a name that others will see: it must read the same to everybody.

    Raises:
        ValueError: It is blank, or holds characters that hide or turn round others.
    """
    for char in value:
        if not char.isprintable() or char in _INVISIBLE:
            raise ValueError(
                f"the character U+{ord(char):04X} can't be seen, or turns text round; "
                "write the name without it"
            )
    if value != value.strip():
        raise ValueError("a name neither begins nor ends with a blank")
    return value


PLACE = re.compile(r"\{([a-z][a-z0-9_]{0,39})\}")
"""A place in an argument of a program, where a value goes: its name between braces."""
