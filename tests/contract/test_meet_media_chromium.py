"""The page's media module in a real Chromium: it publishes, it plays, it comes back."""

from __future__ import annotations

import asyncio
import http.server
import importlib.resources
import json
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from locum.rehearsal.meet.media.observer import Region
from locum.rehearsal.meet.media.room import Hooks, MediaRoom
from tests.contract.meet_media_rig import Peer, an_observer, sees, syllables, until

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.xdist_group("meet_media"),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium"),
]

PAGE = b"""<!doctype html><title>media</title><body></body>
<script type="module" src="/page.js"></script>"""

SCRIPT = b"""
import { MeetingMedia } from "/media.js";
const make = (name, count) => Array.from({ length: count }, () => {
  const element = document.createElement(name);
  element.muted = name === "video";
  document.body.append(element);
  return element;
});
window.states = [];
window.shown = [];
window.video = make("video", 2);
window.media = new MeetingMedia({
  send: (message) => window.toServer(JSON.stringify(message)),
  audio: make("audio", 3),
  video: window.video,
  onSlots: (shown) => (window.shown = shown.map((each) => each.participant)),
  onState: (state) => window.states.push(state),
  patience: 500,
});
window.fromServer = (text) => window.media.take(JSON.parse(text));
window.publish = async () => {
  const canvas = document.createElement("canvas");
  canvas.width = 640;
  canvas.height = 360;
  const draw = canvas.getContext("2d");
  const sound = new AudioContext();
  const gain = sound.createGain();
  const out = sound.createMediaStreamDestination();
  const tone = sound.createOscillator();
  tone.connect(gain).connect(out);
  tone.start();
  let frames = 0;
  setInterval(() => {
    const on = (0b1011001110100101 >> (Math.floor(sound.currentTime * 6) % 16)) & 1;
    gain.gain.setValueAtTime(on ? 0.4 : 0, sound.currentTime);
    draw.fillStyle = on ? "#000" : "#fff";
    draw.fillRect(0, 0, 640, 300);
    draw.fillStyle = "#a33";
    draw.fillRect((frames++ * 7) % 640, 310, 40, 40);
  }, 1000 / 30);
  const [video] = canvas.captureStream(30).getVideoTracks();
  const [audio] = out.stream.getAudioTracks();
  await window.media.start({ audio, video });
};
window.ready = true;
"""

POLICY = (
    "default-src 'none'; script-src 'self'; media-src 'self' blob: mediastream:; "
    "connect-src 'self'; require-trusted-types-for 'script'; trusted-types 'none'"
)


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """A page with nothing but the module, under a policy as strict as a meeting's."""
    module = importlib.resources.files("locum.rehearsal.meet") / "page" / "media.js"
    files = {
        "/": (PAGE, "text/html"),
        "/page.js": (SCRIPT, "text/javascript"),
        "/media.js": (module.read_bytes(), "text/javascript"),
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, kind = files.get(self.path, (b"", "text/plain"))
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(anyio_backend: str) -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright

    with tempfile.TemporaryDirectory() as folder:
        async with async_playwright() as playwright:
            context = await playwright.chromium.launch_persistent_context(
                folder,
                executable_path=shutil.which("setpriv") or "setpriv",
                ignore_default_args=True,
                args=[
                    *("--pdeathsig", "KILL", "--", shutil.which("chromium") or "chromium"),
                    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                    *("--disable-background-networking", "--disable-component-update"),
                    *("--disable-sync", "--remote-debugging-pipe", "--no-startup-window"),
                    f"--user-data-dir={folder}",
                    "--autoplay-policy=no-user-gesture-required",
                ],
            )
            yield context
            await context.close()


async def holds(page: Any, claim: str) -> None:
    """Wait until an expression is true in a page whose policy forbids Playwright's own way."""
    for _ in range(400):
        if await page.evaluate(claim):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within 20 s: {claim}")


class Meeting:
    """A room, and the pages in it: their messages go to and fro as over their socket."""

    def __init__(self, site: str, browser: Any) -> None:
        self.room = MediaRoom("abc-defg-hij", hooks=Hooks(slots=self._slots))
        self.pages: dict[str, Any] = {}
        self.problems: list[str] = []
        self._site = site
        self._browser = browser
        self._sending: set[asyncio.Task[Any]] = set()

    def _slots(self, participant: str, message: dict[str, Any]) -> None:
        if participant in self.pages:
            self._send(participant, message)

    def _send(self, participant: str, message: dict[str, Any]) -> None:
        page = self.pages[participant]
        sending = asyncio.ensure_future(
            page.evaluate("(text) => { window.fromServer(text); }", json.dumps(message))
        )
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def open(self, participant: str) -> Any:
        page = await self._browser.new_page()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda line: self.problems.append(line.text))
        self.pages[participant] = page

        async def to_server(text: str) -> None:
            message = json.loads(text)
            answer = await self.room.negotiate(participant, message["sdp"])
            self._send(participant, {"type": "answer", "sdp": answer, "id": message["id"]})

        await page.expose_function("toServer", to_server)
        await page.goto(self._site)
        await holds(page, "window.ready")
        return page

    async def aclose(self) -> None:
        for page in self.pages.values():
            await page.close()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self.room.aclose()


@pytest.fixture
async def meeting(site: str, browser: Any) -> AsyncIterator[Meeting]:
    meeting = Meeting(site, browser)
    yield meeting
    await meeting.aclose()
    assert meeting.problems == []


async def test_a_page_is_seen_heard_and_recorded_and_comes_back(
    meeting: Meeting, tmp_path: Path
) -> None:
    """An observer measures its frames and its tone; after its connection broke, again."""
    room = meeting.room
    page = await meeting.open("page")
    await page.evaluate("window.publish()")
    observer = an_observer(room, "page", regions=[Region("mouth", 0.2, 0.2, 0.4, 0.4)])
    await observer.join()
    await until(lambda: room.stats("page").sends_video_frames > 5)
    recorder = await room.record("page", tmp_path / "seen.webm")
    assert await sees(observer)
    seen = await observer.watch(6.0)
    assert await recorder.stop() > 4
    assert "640x360" in seen.sizes() or "480x270" in seen.sizes()
    assert seen.flow().per_second > 2
    assert seen.sound_flow(room.number("page")).count > 100
    assert seen.lips("mouth", room.number("page")).windows_ms
    assert (await page.evaluate("window.states")) == ["connecting", "connected"]

    await page.evaluate("window.media.enable('audio', false)")
    await until(lambda: not room.stats("page").speaking)
    await page.evaluate("window.media.enable('audio', true)")
    await until(lambda: room.stats("page").speaking)

    await room._seats["page"].connection.close()
    await holds(page, "window.states.length >= 4")
    states = await page.evaluate("window.states")
    assert states == ["connecting", "connected", "reconnecting", "connected"]
    assert await sees(observer)
    await observer.leave()


async def test_a_page_plays_who_is_on_its_slots(meeting: Meeting) -> None:
    """It sees one person after another on the same slot, and knows by number whom it hears."""
    room = meeting.room
    page = await meeting.open("viewer")
    await page.evaluate("window.media.start()")
    ann = await room.add_person("ann", picture_seed=1)
    ben = await room.add_person("ben", picture_seed=2)
    await holds(page, "window.shown.join() === 'ann,ben'")
    await holds(page, "window.video.every((each) => each.videoWidth === 320)")
    saying = asyncio.create_task(ben.say("Who is it that you hear?" * 3))
    number = room.number("ben")
    await holds(
        page,
        f"window.media.speakers().some((each) => each.source === {number} && each.level > 0.01)",
    )
    saying.cancel()
    await ann.leave()
    peer = Peer(room, "cleo")
    await peer.join()
    performing = asyncio.create_task(peer.perform(60.0, loud=syllables))
    await holds(page, "window.shown.join() === 'cleo,ben'")
    await holds(page, "window.video[0].videoWidth === 160")
    performing.cancel()
    await peer.close()
