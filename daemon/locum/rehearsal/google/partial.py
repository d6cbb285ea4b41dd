"""The `fields` parameter: `items(id,start/dateTime),nextPageToken` and the like."""

from __future__ import annotations

import re
from typing import Any

from locum.rehearsal.google.errors import ApiError

Mask = dict[str, Any]
_WORDS = re.compile(r"[^,()/\s]+|[,()/]")


def read_mask(text: str) -> Mask:
    """Read a field mask into nested names; an empty one stands for everything below.

    Raises:
        ApiError: 400, it is malformed.
    """
    words = _WORDS.findall(text)
    mask, rest = _read_list(words)
    if rest or not mask:
        raise ApiError(400, "invalidParameter", f"Invalid field selection {text}", "fields")
    return mask


def _read_list(words: list[str]) -> tuple[Mask, list[str]]:
    mask: Mask = {}
    while words and words[0] not in ",()/":
        name, words = words[0], words[1:]
        below, words = _read_below(words)
        mask[name] = below
        if not words or words[0] != ",":
            break
        words = words[1:]
    return mask, words


def _read_below(words: list[str]) -> tuple[Mask, list[str]]:
    if words[:1] == ["/"]:
        if len(words) < 2 or words[1] in ",()/":
            raise ApiError(400, "invalidParameter", "Invalid field selection", "fields")
        below, rest = _read_below(words[2:])
        return {words[1]: below}, rest
    if words[:1] == ["("]:
        below, rest = _read_list(words[1:])
        if rest[:1] != [")"]:
            raise ApiError(400, "invalidParameter", "Invalid field selection", "fields")
        return below, rest[1:]
    return {}, words


def masked(value: Any, mask: Mask) -> Any:
    """Answer what a mask leaves of a JSON value; `*` names every field."""
    if not mask:
        return value
    if isinstance(value, list):
        return [masked(each, mask) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: masked(each, mask[name] if name in mask else mask["*"])
        for name, each in value.items()
        if name in mask or "*" in mask
    }
