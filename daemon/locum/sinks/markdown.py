"""A folder of summaries by date: Markdown to read, and beside it a JSON twin for scripts.

Titles are other people's text: in paths only letters and digits of them stay. What stands in
the files is rendered (and escaped) by `locum.rendering`.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import structlog

from locum.core.filing import filing_key
from locum.errors import TransientError
from locum.files import replace_file
from locum.ports import Finding, Health, Summary
from locum.rendering import Renderer, as_json
from locum.sinks.git import GitError, Repository
from locum.sinks.obsidian import with_links
from locum.sinks.texts import heading

_log = structlog.get_logger(__name__)

_LONGEST_SLUG = 60
_ROOM_FOR_SUMMARIES = 1024 * 1024  # Bytes; a summary with its twin has some 10 KB.


class MarkdownFolder:
    """A folder on this machine.

    `tags` is for Obsidian: they and links go into each note's front matter; None leaves both
    away. With `git`, each filing is committed.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        renderer: Renderer | None = None,
        *,
        tags: Sequence[str] | None = None,
        git: bool = False,
    ) -> None:
        self._name = name
        self._folder = folder
        self._renderer = renderer or Renderer()
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
        text = self._renderer.markdown(summary)
        if self._tags is not None:
            text = with_links(text, summary, self._tags)
        try:
            markdown.parent.mkdir(parents=True, exist_ok=True)
            # The twin first: who sees the Markdown finds both.
            replace_file(twin, (json.dumps(as_json(summary), indent=2) + "\n").encode())
            replace_file(markdown, text.encode(errors="replace"))
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
