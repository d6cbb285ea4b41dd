"""The config is watched for real: on a real folder, with real saves of every kind."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from locum.config import watch as watching_module
from locum.config.watch import watch

pytestmark = pytest.mark.anyio

WITHIN = 60.0
"""How long to wait for what must come true: it ends a hang, and is no promise."""


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio, as the daemon does."""
    return "asyncio"


class Seen:
    """What the watcher told: the file's text at each call."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.texts: list[str | None] = []
        self._told = anyio.Event()

    async def note(self) -> None:
        try:
            self.texts.append(self._path.read_text())
        except OSError:
            self.texts.append(None)
        self._told.set()

    async def wait_for(self, text: str | None) -> None:
        """Wait until the last call saw `text`."""
        with anyio.fail_after(WITHIN):
            while not self.texts or self.texts[-1] != text:
                await self.next()

    async def next(self) -> None:
        self._told = anyio.Event()
        await self._told.wait()


@asynccontextmanager
async def watching(path: Path) -> AsyncIterator[Seen]:
    """Watch `path` until the block ends, then stop in good order."""
    seen = Seen(path)
    stop = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(watch, path, seen.note, stop)
        with anyio.fail_after(WITHIN):
            await seen.next()
        await anyio.sleep(0.1)  # Let it get past its first look.
        yield seen
        stop.set()


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def renamed_over(path: Path, text: str) -> None:
    beside = path.with_name(".locum.toml.swp")
    beside.write_text(text)
    beside.replace(path)


def deleted_and_made_anew(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def moved_to_a_backup(path: Path, text: str) -> None:
    path.rename(path.with_name("locum.toml~"))
    path.write_text(text)


def with_the_same_size_and_time(path: Path, text: str) -> None:
    status = path.stat()
    path.write_text(text)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    "save",
    [
        in_place,
        renamed_over,
        deleted_and_made_anew,
        moved_to_a_backup,
        with_the_same_size_and_time,
    ],
)
async def test_save_is_told(tmp_path: Path, save: Callable[[Path, str], None]) -> None:
    """However an editor saves, each save is told, once."""
    path = tmp_path / "locum.toml"
    path.write_text("a = 0")
    async with watching(path) as seen:
        for number in (1, 2):
            save(path, f"a = {number}")
            await seen.wait_for(f"a = {number}")
        await anyio.sleep(0.6)

    assert seen.texts == ["a = 0", "a = 1", "a = 2"]


def test_save_is_told_within_a_second() -> None:
    """All that is waited for, one after the other: the next look, the watch, and the settling."""
    gathers = watching_module._GATHER_MS / 1000
    settles = watching_module._SETTLE * watching_module._SETTLE_ROUNDS
    assert watching_module._LOOK + gathers + settles <= 1


async def test_burst_of_writes_is_told_few_times(tmp_path: Path) -> None:
    """Twenty writes within 0.4 s are one save or two, and the last one counts."""
    path = tmp_path / "locum.toml"
    path.write_text("")
    async with watching(path) as seen:
        began = time.monotonic()
        for number in range(20):
            path.write_text(f"a = {number}")
            await anyio.sleep(0.02)
        lasted = time.monotonic() - began
        await seen.wait_for("a = 19")

    # On a busy machine it is no burst: no more than one can settle in the time that it took.
    more = max(lasted - 0.6, 0) / (watching_module._SETTLE + 0.05)
    assert len(seen.texts) <= 4 + more


async def test_file_written_without_end_is_told_all_the_same(tmp_path: Path) -> None:
    """A file that never comes to rest doesn't hold the news back."""
    path = tmp_path / "locum.toml"
    path.write_text("")
    async with watching(path) as seen:
        with anyio.fail_after(WITHIN):
            while len(seen.texts) < 2:
                path.write_text(f"a = {time.monotonic()}")
                await anyio.sleep(0.02)


async def test_other_files_beside_it_are_not_told(tmp_path: Path) -> None:
    """The folder is busy with others; the config is as it was."""
    path = tmp_path / "locum.toml"
    path.write_text("a = 0")
    async with watching(path) as seen:
        for number in range(30):
            (tmp_path / f"other-{number}").write_text("x")
            await anyio.sleep(0.02)

    assert seen.texts == ["a = 0"]


async def test_swapped_link_is_told_in_a_busy_folder(tmp_path: Path) -> None:
    """A link elsewhere swapped under the config's own name moves no file in this folder."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "locum.toml").write_text(name)
    (tmp_path / "now").symlink_to("one")
    folder = tmp_path / "etc"
    folder.mkdir()
    path = folder / "locum.toml"
    path.symlink_to("../now/locum.toml")
    async with watching(path) as seen:
        (tmp_path / "next").symlink_to("two")
        (tmp_path / "next").replace(tmp_path / "now")
        with anyio.fail_after(WITHIN):
            while seen.texts[-1] != "two":
                (folder / f"other-{time.monotonic()}").write_text("x")
                await anyio.sleep(0.02)

    assert seen.texts == ["one", "two"]


async def test_folder_may_go_and_come_back(tmp_path: Path) -> None:
    """A folder deleted, made anew, moved away and replaced is watched again each time."""
    folder = tmp_path / "etc"
    folder.mkdir()
    path = folder / "locum.toml"
    path.write_text("a = 0")
    async with watching(path) as seen:
        shutil.rmtree(folder)
        await seen.wait_for(None)
        await anyio.sleep(0.5)
        folder.mkdir()
        path.write_text("a = 1")
        await seen.wait_for("a = 1")

        folder.rename(tmp_path / "old")
        folder.mkdir()
        path.write_text("a = 2")
        await seen.wait_for("a = 2")
        path.write_text("a = 3")
        await seen.wait_for("a = 3")


async def test_folder_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    """A watch can begin before the config, or its folder, is made."""
    path = tmp_path / "etc" / "locum.toml"
    async with watching(path) as seen:
        assert seen.texts == [None]
        path.parent.mkdir()
        path.write_text("a = 1")
        await seen.wait_for("a = 1")


async def test_edit_between_reading_and_watching_is_told(tmp_path: Path) -> None:
    """The first call comes at once, for what was saved while the daemon was starting."""
    path = tmp_path / "locum.toml"
    path.write_text("a = 0")
    async with watching(path) as seen:
        assert seen.texts == ["a = 0"]


async def test_edit_during_a_call_is_told_after_it(tmp_path: Path) -> None:
    """A save while the last one is being worked on isn't lost."""
    path = tmp_path / "locum.toml"
    path.write_text("a = 0")
    seen = Seen(path)
    stop = anyio.Event()

    async def slowly() -> None:
        await seen.note()
        if seen.texts[-1] == "a = 1":
            path.write_text("a = 2")
            await anyio.sleep(0.7)

    async with anyio.create_task_group() as group:
        group.start_soon(watch, path, slowly, stop)
        await seen.wait_for("a = 0")
        await anyio.sleep(0.1)
        path.write_text("a = 1")
        await seen.wait_for("a = 2")
        stop.set()


@pytest.fixture
def rare_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it look so rarely that whoever waits for a look is found out."""
    monkeypatch.setattr(watching_module, "_LOOK", 2 * WITHIN)
    monkeypatch.setattr(watching_module, "_LOOK_MS", 2000 * int(WITHIN))


@pytest.mark.parametrize("event", [anyio.Event, asyncio.Event])
@pytest.mark.parametrize("is_there", [True, False])
async def test_stop_ends_it_soon(
    tmp_path: Path,
    rare_looks: None,
    event: Callable[[], anyio.Event | asyncio.Event],
    *,
    is_there: bool,
) -> None:
    """Stopping waits for no look, with a folder and without."""
    path = (tmp_path if is_there else tmp_path / "none") / "locum.toml"
    seen = Seen(path)
    stop = event()
    with anyio.fail_after(WITHIN):
        async with anyio.create_task_group() as group:
            group.start_soon(watch, path, seen.note, stop)
            await seen.wait_for(None)
            await anyio.sleep(0.2)
            stop.set()


async def test_cancelling_it_leaves_the_callers_event_alone(tmp_path: Path) -> None:
    """A cancelled watch ends, with the look that is under way, and tells nobody else to stop."""
    path = tmp_path / "locum.toml"
    seen = Seen(path)
    stop = anyio.Event()
    with anyio.fail_after(WITHIN):
        async with anyio.create_task_group() as group:
            group.start_soon(watch, path, seen.note, stop)
            await seen.wait_for(None)
            await anyio.sleep(0.2)
            group.cancel_scope.cancel()

    assert not stop.is_set()
