"""Nothing of a browser is left, whichever process of its tree is killed; real ones, really killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from locum.engines.chromium import processes
from locum.engines.chromium.browser import NAMES, BrowserSettings, find_browser
from locum.engines.chromium.processes import Process
from locum.engines.chromium.profiles import Profiles
from locum.errors import HumanNeededError

pytestmark = pytest.mark.xdist_group("chromium-browser")

HOLDER = Path(__file__).parent / "chromium_holder.py"
SOON = timedelta(seconds=30)


def need_browser() -> None:
    pytest.importorskip("playwright")
    try:
        find_browser(BrowserSettings())
    except HumanNeededError as error:
        pytest.skip(str(error))


@dataclass
class Held:
    """A process of its own with a browser: see `chromium_holder`."""

    holder: subprocess.Popen[str]
    profile: Path
    tree: frozenset[Process]

    def named(self, part: str) -> list[Process]:
        return [process for process in self.tree if part in process.command]

    def end(self) -> str | None:
        """Let it end in order, and answer why it thinks that its browser was gone before."""
        assert self.holder.stdin is not None
        self.holder.stdin.close()
        return self.ended()

    def ended(self) -> str | None:
        """Wait for its end; answer as `end`."""
        assert self.holder.stdout is not None
        assert self.holder.wait(SOON.total_seconds()) == 0
        why: str | None = json.loads(self.holder.stdout.read().splitlines()[-1])["gone"]
        return why


def left_of(tree: frozenset[Process]) -> list[str]:
    """Wait until none of the tree runs; answer the commands of what still does after a while."""
    return [left.command for left in asyncio.run(processes.gone(tree, patience=SOON))]


@contextlib.contextmanager
def held(state_dir: Path, account: str = "work") -> Iterator[Held]:
    need_browser()
    tree: frozenset[Process] = frozenset()
    with subprocess.Popen(
        [sys.executable, str(HOLDER), str(state_dir), account],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        try:
            assert holder.stdout is not None
            profile = Path(json.loads(holder.stdout.readline())["profile"])
            own = processes.read_process(holder.pid)
            assert own is not None
            tree = processes.tree_of(profile) | {own, *processes.descendants(holder.pid)}
            yield Held(holder, profile, tree)
        finally:
            holder.kill()
            asyncio.run(processes.end(tree, patience=SOON))


@pytest.mark.parametrize("victim", ["holder", "driver", "browser"])
def test_nothing_outlives_a_part_that_all_hangs_on(tmp_path: Path, victim: str) -> None:
    """Killed without warning, each of the three takes the whole tree along, and we are told."""
    with held(tmp_path) as session:
        browser = processes.main_of(session.profile)
        assert browser is not None
        driver = processes.driver_of(browser)
        assert driver is not None
        assert len(session.tree) > 8, sorted(one.command[:80] for one in session.tree)
        pids = {"holder": session.holder.pid, "driver": driver.pid, "browser": browser.pid}
        # Without its driver the browser ends too, and may be seen to first.
        told = {
            "driver": {
                "what drives the browser ended by itself",
                "the browser ended by itself",
            },
            "browser": {"the browser ended by itself"},
        }

        os.kill(pids[victim], signal.SIGKILL)

        if victim in told:
            assert session.ended() in told[victim]
        assert left_of(session.tree) == []
        assert processes.tree_of(session.profile) == frozenset()


def test_nothing_is_left_after_any_other_part_is_killed(tmp_path: Path) -> None:
    """Whatever helper is killed in a session's course, its end in order leaves nothing."""
    with held(tmp_path) as session:
        helpers = [*session.named("crashpad_handler"), *session.named("--type=")]
        kinds = ("crashpad", "=zygote", "=gpu", "=utility", "=renderer")
        assert all(any(kind in one.command for one in helpers) for kind in kinds)
        asyncio.run(processes.end(helpers, patience=SOON))
        assert processes.still_running(helpers) == ()

        session.end()

        assert left_of(session.tree) == []
        assert processes.tree_of(session.profile) == frozenset()


def test_a_left_over_browser_is_ended_before_its_profile_is_taken(tmp_path: Path) -> None:
    """Even what hangs with its process killed doesn't keep the account's profile from us."""
    with held(tmp_path) as session:
        browser = processes.main_of(session.profile)
        assert browser is not None
        driver = processes.driver_of(browser)
        assert driver is not None
        # A driver that is stopped notices nothing, so its browser goes on.
        os.kill(driver.pid, signal.SIGSTOP)
        session.holder.kill()
        session.holder.wait()
        assert browser in processes.tree_of(session.profile)

        async def take() -> tuple[Path, list[str]]:
            async with Profiles(tmp_path).taken("work") as profile:
                return profile, [one.command for one in processes.still_running(session.tree)]

        assert asyncio.run(take()) == (session.profile, [])


def test_without_setpriv_a_closed_pipe_ends_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the kernel isn't asked to kill it, a browser whose driver is gone still ends."""
    tools = tmp_path / "tools"
    tools.mkdir()
    # What Debian's script in front of the browser calls.
    script = [
        "sh",
        "ls",
        "tr",
        "findmnt",
        "uname",
        "grep",
        "dirname",
        "readlink",
        "cat",
        "sed",
        "basename",
        "mkdir",
    ]
    for name in (*NAMES, *script):
        found = shutil.which(name)
        if found:
            (tools / name).symlink_to(found)
    need_browser()
    monkeypatch.setenv("PATH", str(tools))
    with held(tmp_path) as session:
        browser = processes.main_of(session.profile)
        assert browser is not None
        driver = processes.driver_of(browser)
        assert driver is not None
        os.kill(driver.pid, signal.SIGKILL)
        session.ended()
        assert left_of(session.tree) == []


def test_a_number_given_anew_is_not_mistaken() -> None:
    """A process is known by its start too: another one with its number is never ended."""
    with subprocess.Popen(["sleep", "60"]) as sleeper:
        real = processes.read_process(sleeper.pid)
        assert real is not None
        stranger = Process(real.pid, real.started - 1, real.parent, real.command)
        assert asyncio.run(processes.end([stranger], patience=SOON)) == ()
        assert sleeper.poll() is None
        assert processes.still_running([stranger, real]) == (real,)
        sleeper.kill()


def test_only_exact_folders_are_ours() -> None:
    """A folder's name that begins or ends with ours is somebody else's."""
    commands = {
        "--user-data-dir=/a/profile": True,
        "--user-data-dir=/a/profile --lang=x": True,
        "--database=/a/profile/xdg/Crash Reports": True,
        "--user-data-dir=/a/profile2": False,
        "--user-data-dir=/a/profile/next": False,
        "--user-data-dir=/b/a/profile": False,
        "--note=--user-data-dir=/a/profile": False,
    }
    found = {
        command: processes.names_folder(f"chromium {command}", Path("/a/profile"))
        for command in commands
    }
    assert found == commands
