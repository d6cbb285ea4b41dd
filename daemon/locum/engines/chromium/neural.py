"""A face drawn by a neural network, in a process of its own: the port, and one adapter (Ditto).

Sound with timestamps goes in, patches of the face with timestamps come out, and the page lays
them over the rig's frame (face-patch.js). The rig is always drawn beneath: where patches are
late, or the process is gone, it is what one sees, and nobody's face freezes.

Untried: no such network has ever run behind this here, for want of its weights and of a graphics
card to measure on. What is tested is this side: framing, bounds, time-outs and lateness, against
a process that speaks the protocol. No session uses it yet, and nothing in the config can switch it
on: that comes with the first machine on which it can be tried.

The protocol, on the process's stdin and stdout; its stderr is its own
------------------------------------------------------------------------
A message is two numbers of 4 bytes, big endian (the lengths of what follows), then a header in
JSON and a body of bytes. Milliseconds count from the beginning of an utterance.

    to it     {"kind": "portrait", "protocol": 1}                   a PNG of the face
              {"kind": "sound", "utterance": n, "at_ms": t}         PCM, 16 kHz, mono, 16 bits
              {"kind": "hush", "utterance": n}                      no more patches of it are wanted
    from it   {"kind": "ready", "protocol": 1}                      the portrait has been taken in
              {"kind": "patch", "utterance": n, "at_ms": t, "box": [left, top, width, height]}
                                                                    a JPEG; the box is in pixels of
                                                                    the portrait
              {"kind": "failed", "why": "…"}                        and then it ends
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import structlog
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from locum.core.speech import Sound
from locum.errors import HumanNeededError, PermanentError, TransientError

if TYPE_CHECKING:
    from locum.engines.chromium.resampling import Resampler

_log = structlog.get_logger(__name__)

HEARS_HZ = 16_000
_PROTOCOL = 1
_LENGTHS = struct.Struct(">II")
_LARGEST_HEADER = 4096
_LARGEST_PATCH = 512 * 1024
_STARTING = timedelta(seconds=60)  # Weights of some gigabytes are read, and a card warmed up.
_WRITING = timedelta(seconds=2)
_ENDING = timedelta(seconds=3)
_PATCHES_KEPT = 32


@dataclass(frozen=True)
class Patch:
    """A piece of the face, as it looks `at` after its utterance's beginning.

    `box` is left, top, width and height, in pixels of the portrait; `jpeg` any size.
    """

    utterance: int
    at: timedelta
    box: tuple[int, int, int, int]
    jpeg: bytes = field(repr=False)


class NeuralRenderer(Protocol):
    """Draws a face that speaks, from its portrait and its voice."""

    async def hear(self, utterance: int, at: timedelta, sound: Sound) -> None:
        """Give what is about to be said, ahead of its sounding.

        Raises:
            TransientError: It takes nothing any more. The rig goes on without it.
        """
        ...

    async def hush(self, utterance: int) -> None:
        """Want no more of an utterance: it was interrupted."""
        ...

    def patches(self) -> AsyncIterator[Patch]:
        """Answer patches as they come, until it ends; what nobody fetches in time is dropped."""
        ...

    async def aclose(self) -> None: ...


# ── when the rig is shown instead ────────────────────────────────────────────────────────


class Punctuality:
    """Decides, for each frame, whether patches are shown or the rig alone.

    One late patch means nothing; a face that changes back and forth would. So it takes some
    late ones in a row to fall back, and a second of punctual ones to come again.
    """

    def __init__(
        self,
        *,
        slack: timedelta = timedelta(milliseconds=45),
        falls_back_after: int = 3,
        returns_after: int = 25,
    ) -> None:
        self._slack = slack
        self._falls_back_after = falls_back_after
        self._returns_after = returns_after
        self._late = 0
        self._punctual = 0
        self.shows_patches = True

    def judge(self, newest: timedelta | None, playing: timedelta) -> bool:
        """Answer whether to show patches, where the newest is of `newest` and `playing` sounds."""
        if newest is None or playing - newest > self._slack:
            self._late, self._punctual = self._late + 1, 0
        else:
            self._late, self._punctual = 0, self._punctual + 1
        if self._late >= self._falls_back_after:
            self.shows_patches = False
        elif self._punctual >= self._returns_after:
            self.shows_patches = True
        return self.shows_patches


# ── the adapter ──────────────────────────────────────────────────────────────────────────


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class _Ready(_Message):
    kind: Literal["ready"]
    protocol: int


class _Failed(_Message):
    kind: Literal["failed"]
    why: str = Field(max_length=2000)


_Pixel = Annotated[int, Field(ge=0, le=8192)]


class _PatchHeader(_Message):
    kind: Literal["patch"]
    utterance: int = Field(ge=0, le=2**31)
    at_ms: float = Field(ge=0, le=3_600_000, allow_inf_nan=False)
    box: list[_Pixel] = Field(min_length=4, max_length=4)


_FROM_IT: TypeAdapter[_Ready | _Failed | _PatchHeader] = TypeAdapter(
    Annotated[_Ready | _Failed | _PatchHeader, Field(discriminator="kind")]
)


class DittoProcess:
    """Ditto (Apache-2.0), or whatever else speaks the protocol, as a process on this machine.

    Ditto itself needs a graphics card, its own environment and its weights; `command` starts a few
    lines around its streaming pipeline there. Its bundled face detector, whose licence forbids
    commercial use, must be left out. Untried here; see the module.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._found: asyncio.Queue[Patch | None] = asyncio.Queue(_PATCHES_KEPT)
        self._hushed = -1
        self._reading: asyncio.Task[None] | None = None
        self._hearing: tuple[int, int, Resampler] | None = None
        self.dropped = 0  #: Patches that nobody fetched in time.

    @classmethod
    async def started(
        cls,
        command: tuple[str, ...],
        portrait: bytes,
        *,
        patience: timedelta = _STARTING,
        environ: Mapping[str, str] | None = None,
    ) -> DittoProcess:
        """Start it with a face's portrait, a PNG, and wait until it is ready.

        Raises:
            HumanNeededError: There is no such command; `hint` says what to do.
            TransientError: It ended, failed or wasn't ready in time.
            PermanentError: It speaks another protocol.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=None if environ is None else {**environ},
            )
        except OSError as error:
            raise HumanNeededError(
                f"The neural renderer {command[0]} can't be started ({error.strerror}).",
                hint="Correct its command or go without it: the face is drawn all the same.",
            ) from error
        made = cls(process)
        try:
            await asyncio.wait_for(made._introduce(portrait), patience.total_seconds())
        except asyncio.TimeoutError:
            await made.aclose()
            raise TransientError(
                f"The neural renderer wasn't ready within {patience.total_seconds():g} s."
            ) from None
        except BaseException:
            await made.aclose()
            raise
        made._reading = asyncio.create_task(made._read(), name="neural renderer")
        return made

    async def _introduce(self, portrait: bytes) -> None:
        await self._send({"kind": "portrait", "protocol": _PROTOCOL}, portrait)
        answer, _ = await self._receive()
        if isinstance(answer, _Failed):
            raise TransientError(f"The neural renderer failed: {answer.why[:300]}")
        if not isinstance(answer, _Ready) or answer.protocol != _PROTOCOL:
            raise PermanentError(
                f"The neural renderer doesn't speak protocol {_PROTOCOL}: it said {answer!r}."[
                    :300
                ]
            )

    async def hear(self, utterance: int, at: timedelta, sound: Sound) -> None:
        if self._hearing is None or self._hearing[:2] != (utterance, sound.rate):
            from locum.engines.chromium.resampling import Resampler  # numpy

            self._hearing = (utterance, sound.rate, Resampler(sound.rate, HEARS_HZ))
        pcm = self._hearing[2].feed(sound.pcm)
        at_ms = at / timedelta(milliseconds=1)
        await self._send({"kind": "sound", "utterance": utterance, "at_ms": at_ms}, pcm)

    async def hush(self, utterance: int) -> None:
        self._hushed = max(self._hushed, utterance)
        await self._send({"kind": "hush", "utterance": utterance})

    async def patches(self) -> AsyncIterator[Patch]:
        while (patch := await self._found.get()) is not None:
            if patch.utterance > self._hushed:
                yield patch
        self._found.put_nowait(None)  # For whoever asks again.

    async def ended(self) -> None:
        """Wait until it sends nothing any more: it went, or went wrong."""
        if self._reading is not None:
            await asyncio.wait([self._reading])

    async def aclose(self) -> None:
        """End it, by force where it doesn't go by itself."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _ENDING.total_seconds())
        except asyncio.TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    # ── framing ──────────────────────────────────────────────────────────────────────────

    async def _send(self, header: dict[str, Any], body: bytes = b"") -> None:
        stdin = self._process.stdin
        if stdin is None or stdin.is_closing():
            raise TransientError("The neural renderer has ended.")
        head = json.dumps(header).encode()
        try:
            stdin.write(_LENGTHS.pack(len(head), len(body)) + head + body)
            # One that doesn't read must not hold up a voice.
            await asyncio.wait_for(stdin.drain(), _WRITING.total_seconds())
        except (OSError, asyncio.TimeoutError) as error:
            raise TransientError("The neural renderer takes nothing any more.") from error

    async def _receive(self) -> tuple[_Ready | _Failed | _PatchHeader, bytes]:
        stdout = self._process.stdout
        if stdout is None:
            raise TransientError("The neural renderer has no output.")
        try:
            head, body = _LENGTHS.unpack(await stdout.readexactly(_LENGTHS.size))
            if head > _LARGEST_HEADER or body > _LARGEST_PATCH:
                raise PermanentError(
                    f"The neural renderer sent {head + body:,} bytes at once;"
                    f" {_LARGEST_PATCH:,} are the most."
                )
            header = await stdout.readexactly(head)
            content = await stdout.readexactly(body)
        except asyncio.IncompleteReadError:
            raise TransientError("The neural renderer has ended.") from None
        try:
            return _FROM_IT.validate_json(header), content
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise PermanentError(
                f"The neural renderer sent what is no message: {first}."
            ) from None

    async def _read(self) -> None:
        try:
            while True:
                message, body = await self._receive()
                if isinstance(message, _PatchHeader):
                    left, top, width, height = message.box
                    at = timedelta(milliseconds=message.at_ms)
                    self._keep(Patch(message.utterance, at, (left, top, width, height), body))
                elif isinstance(message, _Failed):
                    _log.warning("neural_renderer_failed", why=message.why[:300])
        except (TransientError, PermanentError) as error:
            _log.warning("neural_renderer_ended", why=str(error))
        finally:
            self._keep(None)

    def _keep(self, patch: Patch | None) -> None:
        """Keep the newest: an old patch is of no use to anybody."""
        if self._found.full():
            self._found.get_nowait()
            self.dropped += 1
        self._found.put_nowait(patch)
