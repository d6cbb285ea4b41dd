"""Frames of a face, drawn by a browser on this machine outside of any meeting.

By the very scripts that draw it in a meeting's page: what is seen here is what is seen there.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locum.core.speech import Mouth
from locum.engines.chromium.browser import BrowserSettings, launched
from locum.engines.chromium.face import face_source, read_script
from locum.ports import Rig

if TYPE_CHECKING:
    from playwright.async_api import JSHandle, Page

_MOST_AT_ONCE = 64  # Frames in one answer: 720p has 1.4 MB each.


@dataclass(frozen=True)
class Mood:
    """What a face is told beside its mouth; a `nod` begins one."""

    attentive: bool = False
    speaking: bool = False
    nod: bool = False


_REST, _CALM = Mouth(), Mood()


@dataclass(frozen=True)
class Shot:
    """One frame: when, on the face's own clock, with which mouth, in which mood."""

    at: timedelta
    mouth: Mouth = _REST
    mood: Mood = _CALM

    def as_arguments(self) -> list[Any]:
        mouth = {name: _number(weight) for name, weight in asdict(self.mouth).items()}
        return [self.at / timedelta(milliseconds=1), mouth, asdict(self.mood)]


def _number(weight: float) -> float | str:
    return weight if math.isfinite(weight) else str(weight)  # JSON has no such numbers.


class Easel:
    """A page that draws faces."""

    def __init__(self, page: Page, script: JSHandle) -> None:
        self._page = page
        self._script = script
        self._made = 0

    async def face(self, rig: Rig, width: int, height: int) -> DrawnFace:
        """Make a face of `width` × `height` pixels, both even.

        Raises:
            playwright.async_api.Error: The rig's textures can't be read.
        """
        self._made += 1
        name = str(self._made)
        clothes = {
            "kind": rig.kind,
            "document": rig.document.decode(),
            "textures": {
                texture: base64.b64encode(png).decode() for texture, png in rig.textures.items()
            },
            "width": width,
            "height": height,
        }
        await self.call("face", name, clothes)
        return DrawnFace(self, name)

    async def moments(self, picture_sha256: str) -> dict[str, timedelta]:
        """Answer when a face of this picture does what it does by itself; see easel.js."""
        found = await self.call("moments", picture_sha256)
        return {name: timedelta(milliseconds=at) for name, at in found.items()}

    async def motion(
        self, picture_sha256: str, shots: Sequence[Shot]
    ) -> list[dict[str, float]]:
        """Answer what a face of this picture does by itself in these shots.

        `yaw`, `pitch`, `roll` in radians, `tx`, `ty` in pixels of the rig's frame, `lids` (1 is
        closed), `gazeX`, `gazeY` (-1 to 1), `nod` (1 is deepest), and more.
        """
        some = [shot.as_arguments() for shot in shots]
        found: list[dict[str, float]] = await self.call("motion", picture_sha256, some)
        return found

    async def call(self, function: str, *arguments: Any) -> Any:
        # As text: Playwright's own way with large values is ten times slower.
        answer = await self._page.evaluate(
            "async ([easel, name, args]) => JSON.stringify("
            "(await easel[name](...JSON.parse(args))) ?? null)",
            [self._script, function, json.dumps(arguments)],
        )
        return json.loads(answer)


class DrawnFace:
    """One face on an easel. It remembers its mood from shot to shot, as in a meeting."""

    def __init__(self, easel: Easel, name: str) -> None:
        self._easel = easel
        self._name = name

    async def frames(self, shots: Sequence[Shot]) -> list[bytes]:
        """Draw, and answer the pictures in I420 (BT.601, narrow range)."""
        found: list[bytes] = []
        for first in range(0, len(shots), _MOST_AT_ONCE):
            some = [shot.as_arguments() for shot in shots[first : first + _MOST_AT_ONCE]]
            answers = await self._easel.call("frames", self._name, some)
            found += [base64.b64decode(answer) for answer in answers]
        return found

    async def last(self, shots: Sequence[Shot]) -> bytes:
        """Draw all, and answer the last picture."""
        some = [shot.as_arguments() for shot in shots]
        return base64.b64decode(await self._easel.call("last", self._name, some))

    async def patched(self, shot: Shot, box: tuple[int, int, int, int], level: int) -> bytes:
        """Draw with a grey piece laid over `box`, in pixels of the rig's frame."""
        arguments = [shot.as_arguments(), list(box), level]
        return base64.b64decode(await self._easel.call("patched", self._name, *arguments))

    async def digests(self, shots: Sequence[Shot], *, anew: bool = False) -> list[str]:
        """Draw, and answer a digest of each picture; each by a face of its own if `anew`."""
        some = [shot.as_arguments() for shot in shots]
        answers: list[str] = await self._easel.call("digests", self._name, some, anew)
        return answers

    async def timings(self, shots: Sequence[Shot]) -> list[timedelta]:
        """Draw, and answer how long each picture took."""
        some = [shot.as_arguments() for shot in shots]
        answers = await self._easel.call("timings", self._name, some)
        return [timedelta(milliseconds=each) for each in answers]


@contextlib.asynccontextmanager
async def open_easel(settings: BrowserSettings | None = None) -> AsyncIterator[Easel]:
    """Start a browser that draws; it has a new profile, and is ended with the block.

    Raises:
        HumanNeededError: There is no browser that could, or the extra isn't installed; `hint`
            says what to do.
        TransientError: It doesn't start.
    """
    source = "\n".join((face_source(), read_script("easel.js"), "return easel;"))
    with tempfile.TemporaryDirectory(prefix="locum-easel-") as folder:
        # Seen by nobody, whatever the engine's own settings say.
        unseen = replace(settings or BrowserSettings(), headless=True)
        async with launched(unseen, Path(folder)) as context:
            page = await context.new_page()
            yield Easel(
                page, await page.evaluate_handle(f"(() => {{ 'use strict';\n{source} }})()")
            )
