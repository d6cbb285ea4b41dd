"""A summary in other shapes than the file's: plain text, HTML, and a few lines for a phone.

Titles, names and what was said are other people's text. The Markdown that comes in here has
escaped them already; nothing in it becomes HTML, an image or a script.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from locum.core.minutes import ActionItem, Claim
from locum.core.notice_texts import foreign, own
from locum.ports import Summary

_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")
_LONGEST_TITLE = 120
_LONGEST_LINE = 240
_MOST_LINES = 6
_LONGEST_MESSAGE = 3000

_PAGE = """\
<!DOCTYPE html>
<html>
<head><meta charset="utf-8"><title>{title}</title></head>
<body style="font-family: sans-serif; max-width: 46em">
{body}</body>
</html>
"""


def heading(summary: Summary) -> str:
    """Answer what a mail or message is headed with, on one line, by day and title."""
    title = own(summary.title, _LONGEST_TITLE) or "a meeting without a title"
    update = "Update: " if summary.edition > 1 else ""
    return f"{update}{title}, {summary.start.astimezone():%Y-%m-%d}"


def body_of(markdown: str) -> str:
    """Take the front matter off."""
    if not markdown.startswith("---\n"):
        return markdown
    _, mark, body = markdown[4:].partition("\n---\n")
    return body.lstrip("\n") if mark else markdown


def as_text(markdown: str) -> str:
    """Answer the Markdown as people read it: without the backslashes that keep it tame."""
    return _sendable(_ESCAPE.sub(r"\1", body_of(markdown)))


def as_html(markdown: str, *, title: str) -> str:
    """Answer a page of HTML without images, scripts or anything from elsewhere."""
    from locum import rendering

    body = rendering.as_html(_sendable(markdown))
    return _PAGE.format(title=html.escape(_sendable(title)), body=body)


def _sendable(text: str) -> str:
    # Half a surrogate pair can't be written in UTF-8.
    return text.encode(errors="replace").decode()


# ── a few lines ──────────────────────────────────────────────────────────────────────────


def as_message(summary: Summary, elsewhere: Iterable[str]) -> tuple[str, str]:
    """Answer a title and a short text; `elsewhere` says where the full summary is."""
    lines = [*_gist(summary), "", *(f"In full: {place}" for place in elsewhere)]
    text = "\n".join(lines).strip()
    if len(text) > _LONGEST_MESSAGE:
        text = f"{text[: _LONGEST_MESSAGE - 1]}…"
    return f"Summary: {foreign(heading(summary), _LONGEST_TITLE + 40)}", text


def _gist(summary: Summary) -> Iterator[str]:
    minutes = summary.minutes
    if minutes is None:
        yield f"What was said isn't known. Source: {foreign(summary.source)}."
        return
    for claim in minutes.tldr[:_MOST_LINES]:
        yield foreign(claim.text, _LONGEST_LINE)
    yield from _part("Decided", map(_told, minutes.decisions), len(minutes.decisions))
    yield from _part("To do", map(_task, minutes.actions), len(minutes.actions))
    yield from _part("Asked of you", map(_told, minutes.asked), len(minutes.asked))
    if minutes.questions:
        yield ""
        yield f"Open questions: {len(minutes.questions)}"


def _part(name: str, lines: Iterable[str], count: int) -> Iterator[str]:
    if not count:
        return
    yield ""
    yield f"{name}:"
    for _, line in zip(range(_MOST_LINES), lines, strict=False):
        yield f"- {line}"
    if count > _MOST_LINES:
        yield f"- and {count - _MOST_LINES} more"


def _told(claim: Claim) -> str:
    return foreign(claim.text, _LONGEST_LINE)


def _task(item: ActionItem) -> str:
    owner = f"{foreign(item.owner, 60)}: " if item.owner else ""
    due = f" (by {item.due:%Y-%m-%d})" if item.due else ""
    return f"{owner}{foreign(item.text, _LONGEST_LINE)}{due}"
