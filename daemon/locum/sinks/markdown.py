"""A folder of summaries by date: Markdown to read, and beside it a JSON twin for scripts.

Titles are other people's text: in paths only letters and digits of them stay. What stands in
the files is rendered (and escaped) by `locum.rendering`.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import re
import shutil
import unicodedata
from pathlib import Path

from locum.errors import TransientError
from locum.files import replace_file
from locum.ports import Finding, Health, Summary
from locum.rendering import Renderer, as_json

_LONGEST_SLUG = 60
_ROOM_FOR_SUMMARIES = 1024 * 1024  # Bytes; a summary with its twin has some 10 KB.


class MarkdownFolder:
    def __init__(self, name: str, folder: Path, renderer: Renderer | None = None) -> None:
        self._name = name
        self._folder = folder
        self._renderer = renderer or Renderer()

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
        return (await asyncio.to_thread(self._examine, f"sink {self._name}"),)

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

    def _write(self, summary: Summary) -> str:
        start = summary.start.astimezone()
        folder = self._folder / f"{start:%Y-%m-%d}"
        stem = f"{start:%H%M}-{_slug(summary.title)}-{_fingerprint(summary)}"
        markdown = folder / f"{stem}.md"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # The twin first: who sees the Markdown finds both.
            twin = json.dumps(as_json(summary), indent=2) + "\n"
            replace_file(folder / f"{stem}.json", twin.encode())
            text = self._renderer.markdown(summary)
            replace_file(markdown, text.encode(errors="replace"))
        except OSError as error:
            kind = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
            raise TransientError(f"{markdown} can't be written: {kind}.") from error
        return str(markdown)


def _slug(title: str) -> str:
    plain = unicodedata.normalize("NFKC", title).casefold()
    slug = re.sub(r"[\W_]+", "-", plain).strip("-")[:_LONGEST_SLUG].rstrip("-")
    # A letter can be four bytes, and a file name has 255.
    return slug.encode()[:120].decode(errors="ignore") or "untitled"


def _fingerprint(summary: Summary) -> str:
    """Tell apart two meetings of the same minute and title; the same for the same meeting."""
    identity = f"{summary.session}\n{summary.key}".encode(errors="backslashreplace")
    return hashlib.sha256(identity).hexdigest()[:8]
