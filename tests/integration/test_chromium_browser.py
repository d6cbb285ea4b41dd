"""A browser that is really started: what its pages may, what it says of itself, how it ends."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from locum.engines.chromium import browser, processes
from locum.engines.chromium.browser import BrowserSettings, find_browser, launched
from locum.errors import HumanNeededError, TransientError

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("chromium-browser")]

ORIGIN = "https://meet.example"
ASK = """() => navigator.mediaDevices.getUserMedia({audio: true, video: true})
  .then((stream) => stream.getTracks().length, (error) => error.name)"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _needs_a_browser() -> None:
    pytest.importorskip("playwright")
    try:
        find_browser(BrowserSettings())
    except HumanNeededError as error:
        pytest.skip(str(error))


def environment_of(pid: int) -> bytes:
    # The browser writes its name over its own; its crash handlers keep theirs.
    return Path(f"/proc/{pid}/environ").read_bytes()


async def test_devices_are_the_meetings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its origin gets camera and microphone, no other does; and nothing hides what we are."""
    monkeypatch.setenv("PIKA_DEV_KEY", "dk_not_for_it")
    profile = tmp_path / "a profile"
    settings = BrowserSettings(width=640, height=360)
    async with launched(settings, profile, origin=ORIGIN) as context:
        await context.route(
            "**/*", lambda route: route.fulfill(content_type="text/html", body="<p>here")
        )
        page = await context.new_page()
        await page.goto(f"{ORIGIN}/abc-defg-hij")
        assert await page.evaluate(ASK) == 2
        assert await page.evaluate("navigator.webdriver") is True
        assert "HeadlessChrome/" in await page.evaluate("navigator.userAgent")
        assert await page.evaluate("navigator.language") == "en-US"
        assert await page.evaluate("[innerWidth, innerHeight]") == [640, 360]
        await page.goto("https://elsewhere.example/")
        assert await page.evaluate(ASK) == "NotAllowedError"
        given = [environment_of(each.pid) for each in processes.using_folder(profile)]
        assert any(b"HOME=" in each for each in given)
        assert not any(b"dk_not_for_it" in each for each in given)
    assert processes.tree_of(profile) == frozenset()


async def test_what_grows_too_large_is_ended_without_a_display_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Headed on a screen of our own; over its limit of memory it ends, and we are told why."""
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.setattr(browser, "_LOOK_EVERY", browser._LOOK_EVERY / 50)
    gone: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    settings = BrowserSettings(headless=False, width=640, height=360, memory_limit=1)
    async with launched(settings, tmp_path / "profile", on_gone=gone.set_result):
        screens = [
            each for each in processes.descendants(os.getpid()) if "Xvfb" in each.command
        ]
        assert len(screens) == 1
        assert "MiB of memory, and may take 1" in await asyncio.wait_for(gone, 30)
    assert processes.tree_of(tmp_path / "profile") == frozenset()
    assert processes.still_running(screens) == ()


async def test_a_browser_that_does_not_start_is_no_riddle(tmp_path: Path) -> None:
    """One that ends at once: said in a line, worth another try, nothing left."""
    broken = tmp_path / "chromium"
    broken.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo Chromium 150.0.1.1 && exit\nexit 7\n'
    )
    broken.chmod(0o755)
    with pytest.raises(TransientError, match="The browser didn't start") as refusal:
        async with launched(BrowserSettings(executable=broken), tmp_path / "profile"):
            pass
    assert len(str(refusal.value)) < 300
    assert processes.tree_of(tmp_path / "profile") == frozenset()
