"""A folder of summaries: hostile titles, two files that agree, and all or nothing."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.model import EndReason, MeetingKey, Person, SessionKey
from locum.errors import TransientError
from locum.ports import Attendance, EngineNote, Health, Summary
from locum.rendering import as_json, as_markdown
from locum.rendering.schema import json_schema
from locum.sinks import MarkdownFolder
from tests.unit.builders import TEN, at, room

thorough = settings(max_examples=1000, derandomize=True, deadline=None)
NOT_ROOT = os.geteuid() != 0

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def summary(**changes: Any) -> Summary:
    base = Summary(
        key=MeetingKey("weekly@20261123T100000Z"),
        session=SessionKey("weekly@20261123T100000Z"),
        title="Weekly sync",
        start=TEN,
        end=at(30),
        room=room(),
        organizer=Person("boss@example.com", "Boss"),
        invited=("Boss", "Anna"),
        persona="Robin (AI stand-in for Alex)",
        engine="stage",
        attendance=Attendance(
            joined_at=TEN,
            left_at=at(29),
            end_reason=EndReason.MEETING_OVER,
            detail="",
            attempts=1,
        ),
        source="what the engine gave back, word for word",
        notes=(EngineNote("stage", "Anna will send the figures."),),
        unknown=("Who was there.",),
        estimated_cost=8.25,
    )
    return replace(base, **changes)


HOSTILE = [
    "../../../etc/passwd",
    "a\n# Not a heading\n---\nb",
    "---",
    "<script>alert(1)</script> [x](javascript:1) `code` **bold** ![i](http://evil.test/p.png)",
    "x" * 300,
    "😀" * 300,
    "会" * 300,
    "اجتماع الأسبوع",
    "\u202egnp.exe",
    "\x1b]0;owned\x07\x1b[2J",
    "nul\x00byte",
    "\ud83d half a pair",
    "CON.txt:stream",
    ".hidden",
    "~root",
    "",
    "   ",
]


def contents(folder: Path) -> dict[str, str]:
    """Read every file below a folder, by its path in it."""
    return {
        str(each.relative_to(folder)): each.read_text()
        for each in sorted(folder.rglob("*"))
        if each.is_file()
    }


@pytest.mark.parametrize("title", HOSTILE)
async def test_any_title_becomes_a_plain_name_in_its_day_s_folder(
    tmp_path: Path, title: str
) -> None:
    """Letters, digits and hyphens; never outside the folder, never too long a name."""
    where = Path(await MarkdownFolder("notes", tmp_path).file(summary(title=title)))
    start = TEN.astimezone()
    assert where.parent == tmp_path / f"{start:%Y-%m-%d}"
    assert re.fullmatch(rf"{start:%H%M}-[\w-]+-[0-9a-f]{{8}}\.md", where.name)
    assert len(where.name.encode()) < 200
    found = contents(where.parent)
    assert sorted(found) == sorted([where.name, where.with_suffix(".json").name])
    assert json.loads(found[where.with_suffix(".json").name])["title"] == title


@pytest.mark.parametrize("title", HOSTILE)
def test_any_title_is_text_in_the_markdown(title: str) -> None:
    """One line, no markup, nothing that a terminal obeys or that turns the text around."""
    text = as_markdown(summary(title=title, invited=(title,), persona=title, source=title))
    front, _, body = text.removeprefix("---\n").partition("\n---\n")
    assert json.loads(front.partition("\n")[0].removeprefix("title: ")) == title
    heading = body.strip().splitlines()[0]
    assert heading.startswith("# ")
    assert not re.search(r"(?<!\\)[<>`*\[\]_]", heading)
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", body
    )
    headings = [line for line in body.splitlines() if line.startswith("#")]
    assert headings[1:] == ["## Notes", "## Not known", "## Who was invited"]


def test_an_empty_title_is_said_to_be_missing() -> None:
    """A heading without words helps nobody."""
    assert "# Untitled meeting\n" in as_markdown(summary(title=" \n "))


@thorough
@given(st.text(), st.text(), st.text())
def test_notes_stay_in_their_fence(text: str, detail: str, source: str) -> None:
    """Word for word, and whatever they hold, what follows is ours again."""
    attendance = replace(summary().attendance, detail=detail)
    note = EngineNote(source, text)
    written = as_markdown(summary(notes=(note,), attendance=attendance))
    fence = next(line for line in written.split("\n") if line.startswith("```"))
    marks = fence.removesuffix("text")
    assert f"\n{marks}text\n{text}\n{marks}\n\n## Not known\n" in written
    assert marks not in text


def test_the_twin_follows_its_schema() -> None:
    """For a whole summary, and for one of a meeting that was never entered."""
    never = Attendance(None, None, None, "", 0)
    for each in (summary(), summary(attendance=never, notes=(), organizer=None)):
        jsonschema.validate(as_json(each), json_schema())
    bare = as_json(summary(estimated_cost=None))
    jsonschema.validate(bare, json_schema())
    assert bare["estimated_cost"] is None


@pytest.mark.parametrize("reason", list(EndReason))
def test_every_ending_has_its_words(reason: EndReason) -> None:
    """A summary tells how it ended, whatever happened."""
    was_in = replace(summary().attendance, end_reason=reason)
    text = as_markdown(summary(attendance=was_in))
    assert re.search(r"was in the meeting .* \(29 min\); [a-z].*\.", text)
    jsonschema.validate(as_json(summary(attendance=was_in)), json_schema())


@pytest.mark.parametrize(
    ("lasted", "words"),
    [
        (timedelta(seconds=42), "42 s"),
        (timedelta(minutes=59, seconds=59), "59 min"),
        (timedelta(hours=1, minutes=5), "1 h 5 min"),
        (timedelta(seconds=-5), "0 s"),
    ],
)
def test_how_long_we_were_in(lasted: timedelta, words: str) -> None:
    """In the unit that a person would use; a clock set back makes it nothing."""
    was_in = replace(summary().attendance, left_at=TEN + lasted, end_reason=None)
    assert f"({words}). Estimated cost: 8.25 USD." in as_markdown(summary(attendance=was_in))


def test_not_in_the_meeting_is_said_with_its_reason() -> None:
    """With the detail and the tries, and nobody else invited."""
    never = Attendance(None, None, EndReason.DENIED, "the host said no", 3)
    text = as_markdown(
        summary(attendance=never, organizer=None, invited=(), unknown=(), estimated_cost=None)
    )
    assert "**not in this meeting**: it was denied entry." in text
    assert "Detail: the host said no. It took 3 attempts." in text
    assert "Nobody else is on the invitation." in text
    assert "## Not known" not in text
    unknown = replace(never, end_reason=None)
    assert "**not in this meeting**." in as_markdown(summary(attendance=unknown))


def test_a_meeting_over_midnight_tells_both_days() -> None:
    """The end's date stands there where it isn't the start's."""
    text = as_markdown(summary(end=TEN + timedelta(days=1)))
    assert f"to {(TEN + timedelta(days=1)).astimezone():%Y-%m-%d %H:%M}" in text


# ── filing ───────────────────────────────────────────────────────────────────────────────


async def test_the_same_summary_twice_is_the_same_file(tmp_path: Path) -> None:
    """Filing again replaces; another meeting of that minute and title is another file."""
    sink = MarkdownFolder("notes", tmp_path)
    assert sink.name == "notes"
    first = await sink.file(summary())
    again = await sink.file(summary(notes=(EngineNote("stage", "Corrected."),)))
    assert again == first
    [corrected, _] = reversed(contents(tmp_path).values())
    assert "Corrected." in corrected
    other = await sink.file(summary(key=MeetingKey("other@20261123T100000Z")))
    assert other != first
    assert len(contents(tmp_path)) == 4


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the kernel refuse to write files beyond that size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_failing_write_leaves_the_old_file_whole(tmp_path: Path) -> None:
    """Neither half a summary nor a temporary file is left behind."""
    sink = MarkdownFolder("notes", tmp_path)
    where = Path(await sink.file(summary()))
    before = contents(tmp_path)
    big = summary(notes=(EngineNote("stage", "x" * 200_000),))
    with largest_file(16_384), pytest.raises(TransientError, match=r"\.md can't be written"):
        await sink.file(big)
    assert contents(tmp_path) == before
    assert await sink.file(big) == str(where)
    assert "x" * 200_000 in contents(where.parent)[where.name]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    mount = shutil.which("mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    if NOT_ROOT or mount is None:
        pytest.skip("only root can mount a tiny disk")
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=64k", "locum-test", str(disk)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


async def test_a_full_disk_is_said_to_be_full(tiny_disk: Path) -> None:
    """The old summary stays, and the message names the file and the cause."""
    sink = MarkdownFolder("notes", tiny_disk)
    await sink.file(summary())
    before = contents(tiny_disk)
    big = summary(notes=(EngineNote("stage", "x" * 200_000),))
    with pytest.raises(TransientError, match=r"\.md can't be written: the disk is full"):
        await sink.file(big)
    assert contents(tiny_disk) == before
    [finding] = await sink.check()
    assert finding.health is Health.BROKEN
    assert "full" in finding.detail


async def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    """Said before, by the check, and at the filing."""
    (tmp_path / "notes").write_text("not a folder")
    sink = MarkdownFolder("notes", tmp_path / "notes")
    [finding] = await sink.check()
    assert finding.health is Health.BROKEN
    assert finding.next_step
    with pytest.raises(TransientError, match="can't be written"):
        await sink.file(summary())


async def test_a_writable_folder_is_fine_and_left_alone(tmp_path: Path) -> None:
    """The check leaves nothing behind."""
    [finding] = await MarkdownFolder("notes", tmp_path).check()
    assert (finding.health, contents(tmp_path)) == (Health.OK, {})
