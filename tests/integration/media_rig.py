"""Two pages of one real Chromium that talk over WebRTC: ours, and another participant's."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from playwright.async_api import BrowserContext, Page, async_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from locum.core.speech import Mouth, MouthAt, Sound, Spoken
from locum.engines.chromium.media import MediaSettings, PageMedia
from locum.rehearsal.serving import served

Samples = np.ndarray[Any, np.dtype[np.float64]]

PAGES = Path(__file__).parent / "pages"
CHROMIUM = Path("/usr/bin/chromium")
VOICE_HZ = 24_000
HEARD_HZ = 48_000
LOUD = 600  #: Of 32,767: what counts as a sound, and not as a room's noise.
SMALL = MediaSettings(640, 360)

#: As strict as can be: no Worker, no policy for trusted types, no connection.
STRICT = (
    "default-src 'none'; script-src 'nonce-test'",
    "require-trusted-types-for 'script'; trusted-types",
)
#: Google Meet's, as far as it matters here.
MEET = (
    "require-trusted-types-for 'script'",
    "script-src 'report-sample' 'nonce-test' 'unsafe-inline'; worker-src 'self'",
    "object-src 'none'; base-uri 'self'",
    "script-src 'unsafe-inline' 'unsafe-eval' blob: data: 'self' https://apis.google.com",
)
POLICIES = {"near": STRICT, "meet": MEET, "open": (), "far": ()}

_FLAGS = (
    *("--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--no-startup-window"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
    *("--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection"),
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)


@contextlib.contextmanager
def pages_served() -> Iterator[str]:
    """Serve the pages, each under its policy, and give the address."""

    async def page(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in POLICIES:
            return Response(status_code=404)
        file = PAGES / ("far.html" if name == "far" else "near.html")
        answer = Response(file.read_text(), media_type="text/html")
        for policy in POLICIES[name]:
            answer.headers.append("Content-Security-Policy", policy)
        return answer

    async def hearing(_: Request) -> Response:
        return Response((PAGES / "hearing.js").read_text(), media_type="text/javascript")

    routes = [Route("/hearing.js", hearing), Route("/{name}", page)]
    with served(Starlette(routes=routes)) as server:
        yield server.base_url


@contextlib.asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[BrowserContext]:
    """Launch one that dies with us."""
    if shutil.which(str(CHROMIUM)) is None:
        pytest.skip(f"There is no {CHROMIUM}: apt install chromium.")
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            profile,
            executable_path="/usr/bin/setpriv",
            ignore_default_args=True,
            headless=True,
            args=[
                *("--pdeathsig", "KILL", "--", str(CHROMIUM), *_FLAGS, *sandbox),
                *("--remote-debugging-pipe", f"--user-data-dir={profile}"),
            ],
        )
        yield context
        await context.close()


def now() -> datetime:
    return datetime.now(timezone.utc)


def lips(spoken: Spoken) -> Sequence[MouthAt]:
    """Open and close the mouth ten times a second."""
    count = int(spoken.sound.duration / timedelta(milliseconds=50))
    return [
        MouthAt(timedelta(milliseconds=50 * i), Mouth(jaw=0.6 * (i % 2))) for i in range(count)
    ]


def tone(frequency: float, seconds: float, *, rate: int = VOICE_HZ, start: int = 0) -> bytes:
    """A sine; `start` is the sample that it begins at."""
    at = np.arange(start, start + round(seconds * rate))
    wave = np.sin(2 * np.pi * frequency * at / rate) * 8000
    return bytes(wave.astype("<i2").tobytes())


async def speech(
    frequency: float, seconds: float, *, rate: int = VOICE_HZ
) -> AsyncIterator[Spoken]:
    """One tone in pieces of uneven lengths, as voices give them."""
    lengths = itertools.cycle((0.71, 0.07, 0.2, 0.45))
    done, total = 0, round(seconds * rate)
    while done < total:
        count = min(round(next(lengths) * rate), total - done)
        pcm = tone(frequency, count / rate, rate=rate, start=done)
        done += count
        yield Spoken(Sound(rate, pcm))


def pitch(samples: Samples, rate: int) -> float:
    """The loudest frequency, in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum[1:]) + 1) * rate / len(samples)


def loud_part(samples: Samples) -> Samples:
    """From the first to the last sample that is loud; empty if none is."""
    (loud,) = np.nonzero(np.abs(samples) > LOUD)
    return samples[loud[0] : loud[-1] + 1] if loud.size else samples[:0]


async def until(
    claim: Callable[[], Awaitable[bool]], what: str, *, seconds: float = 20
) -> None:
    """Wait until `claim` holds; `what` says which, where it never does."""
    with anyio.move_on_after(seconds):
        while not await claim():  # noqa: ASYNC110 - What a page does can only be looked at.
            await anyio.sleep(0.05)
        return
    pytest.fail(f"Never in {seconds} s: {what}")


@dataclass
class Kept:
    """What a page has kept of a track, as it is fetched bit by bit."""

    page: Page
    samples: Samples = field(default_factory=lambda: np.zeros(0))

    async def fetch(self) -> Samples:
        told = await self.page.evaluate("fetchHeard()")
        fresh = np.frombuffer(base64.b64decode(told["pcm"]), "<i2").astype(np.float64)
        self.samples = np.concatenate([self.samples, fresh])
        return fresh

    async def forget(self) -> None:
        await self.fetch()
        self.samples = np.zeros(0)

    async def becomes(self, *, loud: bool) -> None:
        """Wait for 100 ms in a row that are loud, or aren't."""

        async def so() -> bool:
            fresh = (await self.fetch())[-4800:]
            level = np.abs(fresh) > LOUD
            return fresh.size >= 2400 and bool(level.any() if loud else not level.any())

        await until(so, f"the track is {'loud' if loud else 'silent'}")


@dataclass
class Room:
    """Our page and another's, connected."""

    media: PageMedia
    near: Page
    far: Page
    sent: Kept  #: What leaves our page.
    heard: Kept  #: What arrives at the other's.

    async def connect(self, tones: Sequence[float]) -> None:
        await self.near.evaluate("begin()")
        await self.near.evaluate("void keep(stream.getAudioTracks()[0].clone())")
        offer = await self.near.evaluate("(n) => offer(n)", len(tones))
        answer = await self.far.evaluate("([s, t]) => answer(s, t)", [offer, list(tones)])
        await self.near.evaluate("(s) => accept(s)", answer)

    async def picture(self) -> dict[str, Any]:
        seen: dict[str, Any] = await self.far.evaluate("picture()")
        return seen


@contextlib.asynccontextmanager
async def room(
    context: BrowserContext, base_url: str, *, tones: Sequence[float] = (440,)
) -> AsyncIterator[Room]:
    """Open both pages, and connect them: the other sends one track for each of `tones`."""
    near, far = await context.new_page(), await context.new_page()
    media = await PageMedia.install(near, SMALL, rig=None, lips=lips, now=now)
    await near.goto(f"{base_url}/near")
    await far.goto(f"{base_url}/far")
    made = Room(media, near, far, Kept(near), Kept(far))
    yield made
    await media.aclose()
    await near.close()
    await far.close()
