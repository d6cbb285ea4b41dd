"""Other people's words in a prompt: data that can't end their own fence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def fenced(first: Mapping[str, Any], key: str, lines: Sequence[Mapping[str, Any]]) -> str:
    """Write one JSON object, an entry of its list a line, that can't end its own fence."""
    head = "".join(f"{json_line(name)}: {json_line(value)},\n" for name, value in first.items())
    entries = ",\n".join(json_line(line) for line in lines)
    return f"```json\n{{{head}{json_line(key)}: [\n{entries}\n]}}\n```"


def json_line(value: Any) -> str:
    """Write a value as JSON in one line, in which no fence can end."""
    text = json.dumps(value, ensure_ascii=False)
    # Lone surrogates can't be sent, and are nobody's words.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace("`", "\\u0060").replace("<", "\\u003c")
