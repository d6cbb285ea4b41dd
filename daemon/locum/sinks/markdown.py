"""A folder of summaries by date: Markdown to read, and beside it a JSON twin for scripts.

Titles, names and notes are other people's text. In Markdown they are escaped, in front
matter and JSON they are quoted strings, and in paths only letters and digits of them stay.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from locum.core.filing import filing_key
from locum.core.identity import Identity
from locum.core.model import EndReason
from locum.errors import TransientError
from locum.ports import Finding, Health, Summary
from locum.sinks.git import GitError, Repository
from locum.sinks.obsidian import with_links
from locum.sinks.texts import heading

_log = structlog.get_logger(__name__)

SCHEMA_VERSION = 1
"""Of the JSON twin; raised when a reader of the old form would misread the new one."""

_LONGEST_SLUG = 60
_ROOM_FOR_SUMMARIES = 1024 * 1024  # Bytes; a summary with its twin has some 10 KB.

# Control characters (a terminal obeys them), what has no width, and what turns the direction.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]"
)

_HOW_IT_ENDED = {
    EndReason.SCHEDULED_END: "it left at the planned end",
    EndReason.MEETING_OVER: "the meeting was over",
    EndReason.ROOM_EMPTY: "the room was empty",
    EndReason.CANCELLED: "the meeting was cancelled",
    EndReason.DECLINED: "the invitation was declined",
    EndReason.MOVED: "the meeting was moved",
    EndReason.LINK_CHANGED: "the meeting's link was changed",
    EndReason.UNWANTED: "the calendar no longer asked for it",
    EndReason.STOPPED_BY_USER: "you made it leave",
    EndReason.OPTED_OUT: "somebody opted out of having a stand-in there",
    EndReason.LENGTH_CAP: "it had been in for the longest time that the config allows",
    EndReason.SHUTDOWN: "locum was stopped",
    EndReason.NOT_ADMITTED: "nobody let it in",
    EndReason.DENIED: "it was denied entry",
    EndReason.REMOVED: "somebody removed it",
    EndReason.ENGINE_LOST: "the engine lost the meeting",
    EndReason.ENGINE_REFUSED: "the engine refused to join",
    EndReason.LOST_JOIN: "the engine's answer to the join was lost",
    EndReason.TOO_LATE: "it was over before the join",
}


class MarkdownFolder:
    """A folder on this machine.

    `tags` is for Obsidian: they and links go into each note's front matter; None leaves both
    away. With `git`, each filing is committed.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        tags: Sequence[str] | None = None,
        git: bool = False,
    ) -> None:
        self._name = name
        self._folder = folder
        self._tags = tags
        self._repository = Repository(folder) if git else None

    @property
    def name(self) -> str:
        return self._name

    @property
    def can_revise(self) -> bool:
        return True

    async def file(self, summary: Summary) -> str:
        return await asyncio.to_thread(self._write, summary)

    async def check(self) -> tuple[Finding, ...]:
        # Nothing is made, not even the folder: who asks may be another user than who files.
        found = await asyncio.to_thread(self._examine, f"sink {self._name}")
        if self._repository is None or found.health is not Health.OK:
            return (found,)
        return found, await asyncio.to_thread(self._examine_git, self._repository)

    def _examine_git(self, repository: Repository) -> Finding:
        subject = f"git of sink {self._name}"
        step = f"Run `git init {self._folder}` as the user that locum runs as."
        try:
            repository.examine()
            left_out = repository.left_out()
        except GitError as error:
            told = f"nothing is committed: {error}"
            return Finding(subject, Health.WARNING, told, step)
        if left_out:
            told = f"{left_out} files of {self._folder} aren't committed"
            return Finding(subject, Health.WARNING, told, "Commit them, or finish the merge.")
        return Finding(subject, Health.OK, "all is committed")

    def _examine(self, subject: str) -> Finding:
        step = "Make the folder writable for locum, or name another in [[sinks]]."
        try:
            existing = next(
                each for each in (self._folder, *self._folder.parents) if os.path.lexists(each)
            )
            free = shutil.disk_usage(existing).free
        except OSError as error:
            told = f"{self._folder} can't be looked at: {error.strerror}"
            return Finding(subject, Health.BROKEN, told, step)
        if not existing.is_dir():
            return Finding(subject, Health.BROKEN, f"{existing} is no folder", step)
        if not os.access(existing, os.W_OK | os.X_OK):
            return Finding(subject, Health.BROKEN, f"{existing} can't be written", step)
        if free < _ROOM_FOR_SUMMARIES:
            told = f"the disk of {existing} is full"
            return Finding(
                subject, Health.BROKEN, told, "Make room: summaries wait until then."
            )
        told = "is writable" if existing == self._folder else "will be made"
        return Finding(subject, Health.OK, f"{self._folder} {told}")

    def place_of(self, summary: Summary) -> Path:
        """Answer where a summary's Markdown goes, whether it is there or not."""
        start = summary.start.astimezone()
        # Tells apart two meetings of the same minute and title.
        mark = filing_key(summary.session, summary.key)[:8]
        name = f"{start:%H%M}-{slug(summary.title)}-{mark}.md"
        return self._folder / f"{start:%Y-%m-%d}" / name

    def _write(self, summary: Summary) -> str:
        markdown = self.place_of(summary)
        twin = markdown.with_name(f"{markdown.name.removesuffix('.md')}.json")
        text = as_markdown(summary)
        if self._tags is not None:
            text = with_links(text, summary, self._tags)
        try:
            markdown.parent.mkdir(parents=True, exist_ok=True)
            # The twin first: who sees the Markdown finds both.
            _replace(twin, json.dumps(as_json(summary), indent=2) + "\n")
            _replace(markdown, text)
        except OSError as error:
            kind = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
            raise TransientError(f"{markdown} can't be written: {kind}.") from error
        if self._repository is not None:
            try:
                self._repository.commit((markdown, twin), f"Summary: {heading(summary)}")
            except GitError as error:
                # The file is where it belongs; the next edition, or a person, commits it.
                _log.warning("summary_not_committed", sink=self._name, problem=str(error))
        return str(markdown)


def slug(title: str) -> str:
    """Answer what of a title can stand in a file's name: letters and digits, a few of them."""
    plain = unicodedata.normalize("NFKC", title).casefold()
    slug = re.sub(r"[\W_]+", "-", plain).strip("-")[:_LONGEST_SLUG].rstrip("-")
    # A letter can be four bytes, and a file name has 255.
    return slug.encode()[:120].decode(errors="ignore") or "untitled"


def _replace(path: Path, text: str) -> None:
    """Write all of a file or none of it, on the disk when this returns."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".locum-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def as_json(summary: Summary) -> dict[str, Any]:
    """Answer the twin: instants in UTC (ISO 8601), null where something isn't known."""
    attendance = summary.attendance
    return {
        "schema": SCHEMA_VERSION,
        "key": summary.key,
        "session": summary.session,
        "title": summary.title,
        "start": summary.start.isoformat(),
        "end": summary.end.isoformat(),
        "room": summary.room.url,
        "organizer": None if summary.organizer is None else summary.organizer.label,
        "invited": list(summary.invited),
        "persona": summary.persona,
        "identity": _identity(summary.identity),
        "engine": summary.engine,
        "attendance": {
            "joined_at": _iso(attendance.joined_at),
            "left_at": _iso(attendance.left_at),
            "end_reason": None
            if attendance.end_reason is None
            else attendance.end_reason.value,
            "detail": attendance.detail,
            "attempts": attendance.attempts,
        },
        "source": summary.source,
        "notes": [{"source": note.source, "text": note.text} for note in summary.notes],
        "unknown": list(summary.unknown),
        "estimated_cost": None
        if summary.estimated_cost is None
        else {"amount": round(summary.estimated_cost, 4), "currency": summary.currency},
    }


def _identity(identity: Identity | None) -> dict[str, Any] | None:
    """Write as whom it joined: SHA-256 in hex, null where there is nothing."""
    if identity is None:
        return None
    return {
        "digest": identity.digest,
        "version": identity.version,
        "image": identity.image,
        "voice_id": identity.voice_id,
        "sample": identity.sample or None,
        "consents": list(identity.consents),
    }


def as_markdown(summary: Summary) -> str:
    """Answer one screen with YAML front matter (JSON strings are YAML strings)."""
    lines = [
        "---",
        *(f"{key}: {json.dumps(value)}" for key, value in _front_matter(summary).items()),
        "---",
        "",
        f"# {_escaped(summary.title) or 'Untitled meeting'}",
        "",
        f"{_span(summary.start, summary.end)}, {summary.room.url}",
        "",
        _attended(summary),
        "",
        "## Notes",
        "",
        f"Source: {_escaped(summary.source)}.",
        "",
    ]
    for note in summary.notes:
        lines += [f"From {_escaped(note.source)}:", "", _quoted(note.text), ""]
    if summary.unknown:
        lines += ["## Not known", "", *(f"- {_escaped(item)}" for item in summary.unknown), ""]
    lines += ["## Who was invited", ""]
    if summary.organizer is not None:
        lines.append(f"- {_escaped(summary.organizer.label)} (organizer)")
    organizer = None if summary.organizer is None else summary.organizer.label
    lines += [f"- {_escaped(label)}" for label in summary.invited if label != organizer]
    if lines[-1] == "":
        lines.append("Nobody else is on the invitation.")
    return "\n".join(lines) + "\n"


def _front_matter(summary: Summary) -> dict[str, Any]:
    twin = as_json(summary)
    attendance = twin["attendance"]
    cost = twin["estimated_cost"]
    return {
        "title": twin["title"],
        "start": twin["start"],
        "end": twin["end"],
        "organizer": twin["organizer"],
        "persona": twin["persona"],
        "identity": None if summary.identity is None else summary.identity.digest,
        "engine": twin["engine"],
        "joined_at": attendance["joined_at"],
        "left_at": attendance["left_at"],
        "end_reason": attendance["end_reason"],
        "estimated_cost": None if cost is None else cost["amount"],
        "key": twin["key"],
    }


def _attended(summary: Summary) -> str:
    attendance = summary.attendance
    who = f"**{_escaped(summary.persona)}**"
    ending = ""
    if attendance.end_reason is not None:
        ending = _HOW_IT_ENDED[attendance.end_reason]
    if attendance.joined_at is None or attendance.left_at is None:
        text = f"{who} was **not in this meeting**" + (f": {ending}." if ending else ".")
    else:
        span = _span(attendance.joined_at, attendance.left_at, seconds=True)
        lasted = _lasted(attendance.left_at - attendance.joined_at)
        text = f"{who} was in the meeting {span} ({lasted})"
        text += f"; {ending}." if ending else "."
    if attendance.detail:
        text += f" Detail: {_escaped(attendance.detail)}."
    if attendance.attempts > 1:
        text += f" It took {attendance.attempts} attempts."
    if summary.estimated_cost is not None:
        text += f" Estimated cost: {summary.estimated_cost:.2f} {summary.currency}."
    return text


def _span(start: datetime, end: datetime, *, seconds: bool = False) -> str:
    clock = "%H:%M:%S" if seconds else "%H:%M"
    start, end = start.astimezone(), end.astimezone()
    until = f"{end:{clock}}" if start.date() == end.date() else f"{end:%Y-%m-%d {clock}}"
    return f"{start:%Y-%m-%d {clock}} to {until} ({start:%Z})"


def _lasted(duration: timedelta) -> str:
    seconds = max(round(duration.total_seconds()), 0)
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(seconds // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def _escaped(text: str) -> str:
    """Keep other people's text from becoming markup: one line, nothing special left."""
    one_line = _UNSEEN.sub("", " ".join(text.split()))
    return re.sub(r"([\\`*_{}\[\]<>#|!~&])", r"\\\1", one_line)


def _quoted(text: str) -> str:
    """Quote a note word for word, in a fence that it can't close."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}text\n{text}\n{fence}"
