"""What Obsidian makes of a note: tags and other names, and links to people and the series.

All of it goes into the front matter, where Obsidian takes a quoted "[[…]]" for a link; the
note's text stays as it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from locum.core.notice_texts import own
from locum.ports import Summary

_MOST_PEOPLE = 100
_LONGEST_NAME = 120

# No link or file name of Obsidian's holds these; "[[../secrets]]" would leave the vault.
_NOT_IN_NAMES = re.compile(r'[\[\]#^|\\/:*"<>?]+')


def with_links(markdown: str, summary: Summary, tags: Sequence[str]) -> str:
    """Add tags, aliases and links to a note's front matter; what it has already stays."""
    start, front, body = _taken_apart(markdown)
    present = {line.partition(":")[0] for line in front.splitlines()}
    added = [
        f"{key}: {json.dumps(value, ensure_ascii=False)}"
        for key, value in _properties(summary, tags).items()
        if value and key not in present
    ]
    lines = "\n".join(filter(None, (front, *added)))
    return f"{start}{lines}\n---\n{body}" if lines else markdown


def _taken_apart(markdown: str) -> tuple[str, str, str]:
    if markdown.startswith("---\n"):
        front, mark, body = markdown[4:].partition("\n---\n")
        if mark:
            return "---\n", front, body
    return "---\n", "", f"\n{markdown}"


def _properties(summary: Summary, tags: Sequence[str]) -> Mapping[str, object]:
    name = _name(summary.title)
    organizer = () if summary.organizer is None else (summary.organizer.label,)
    people = dict.fromkeys(_name(each) for each in (*organizer, *summary.invited))
    return {
        "tags": list(tags),
        "aliases": [f"{name} {summary.start.astimezone():%Y-%m-%d}"] if name else [],
        "series": f"[[{name}]]" if name else "",
        "people": [f"[[{each}]]" for each in people if each][:_MOST_PEOPLE],
    }


def _name(text: str) -> str:
    """Answer a text as the name of a note: one that can't be hidden, nor lead elsewhere."""
    return own(_NOT_IN_NAMES.sub(" ", own(text, _LONGEST_NAME)), _LONGEST_NAME).strip(". ")
