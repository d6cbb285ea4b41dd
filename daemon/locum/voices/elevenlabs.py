"""ElevenLabs' voices, which tell when each letter is said.

https://elevenlabs.io/docs/api-reference/text-to-speech/stream-with-timestamps: JSON objects, one a
line, each with sound in Base64 and the letters that are said in it.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field, ValidationError

from locum.core.speech import Sound, Spoken, Word
from locum.errors import TransientError
from locum.ports import Finding, VoiceSampler
from locum.voices.process import sayable
from locum.voices.service import Cutter, ServiceSettings, SpeechService, chunks_of

if TYPE_CHECKING:
    import httpx

_LONGEST_LINE = 8 << 20
_MOST_LETTERS = 20_000
_Seconds = Annotated[float, Field(ge=0, le=7200, allow_inf_nan=False)]


class _Alignment(BaseModel):
    characters: list[str] = Field(max_length=_MOST_LETTERS)
    character_start_times_seconds: list[_Seconds] = Field(max_length=_MOST_LETTERS)


class _Line(BaseModel):
    audio_base64: str = ""
    alignment: _Alignment | None = None


class ElevenLabsVoice:
    """Speaks through ElevenLabs; a voice that is a real person's needs a `sampler`'s leave."""

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        voice: str,
        model: str = "eleven_flash_v2_5",
        rate: int = 24_000,
        sampler: VoiceSampler | None = None,
    ) -> None:
        self._service = SpeechService(settings, lambda key: {"xi-api-key": key.reveal()})
        self._voice = voice
        self._model = model
        self._rate = rate
        self._sampler = sampler

    @property
    def name(self) -> str:
        how = "natural" if self._sampler is None else "the persona's own voice, cloned"
        return f"{self._voice} of {self._model} at ElevenLabs ({how})"

    async def warm(self) -> None:
        await self._service.warm(f"/v1/voices/{self._voice}")

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        """Say `text` as it comes, with the instants of its words. See `locum.ports.Voice`."""
        said = sayable(text)
        if not said:
            return
        if self._sampler is not None:
            await self._sampler.sample()
        path = (
            f"/v1/text-to-speech/{self._voice}/stream/with-timestamps"
            f"?output_format=pcm_{self._rate}"
        )
        payload = {"text": said, "model_id": self._model}
        async with self._service.asked("POST", path, payload) as answer:
            following = _Following(said)
            cutter = Cutter(self._rate, said)
            async for line in _lines(answer, said):
                began = cutter.lasting
                following.note(line.alignment, following.received)
                sound = cutter.add(self._pcm(line, following))
                if sound is not None:
                    yield Spoken(sound, words=following.take(began))
            began = cutter.lasting
            sound = cutter.rest()
            if sound is not None:
                yield Spoken(sound, words=following.take(began))
            if not cutter.lasting:
                raise TransientError("ElevenLabs answers, and says nothing.")

    def _pcm(self, line: _Line, following: _Following) -> bytes:
        try:
            pcm = binascii.a2b_base64(line.audio_base64.encode("ascii"))
        except (ValueError, binascii.Error) as error:
            raise TransientError("ElevenLabs sends what is no sound.") from error
        following.received += Sound(self._rate, pcm).duration
        return pcm

    async def check(self) -> tuple[Finding, ...]:
        return await self._service.check(f"/v1/voices/{self._voice}", self.name)

    async def aclose(self) -> None:
        await self._service.aclose()


async def _lines(answer: httpx.Response, text: str) -> AsyncGenerator[_Line, None]:
    """Read objects as they come, each on a line of its own; blank lines are none."""
    rest = bytearray()
    async for chunk in chunks_of(answer, text):
        rest += chunk
        while (end := rest.find(b"\n")) >= 0:
            line = bytes(rest[:end])
            del rest[: end + 1]
            if line.strip():
                yield _line(line)
        if len(rest) > _LONGEST_LINE:
            raise TransientError("ElevenLabs sends a line without an end.")
    if rest.strip():
        yield _line(bytes(rest))


def _line(raw: bytes) -> _Line:
    try:
        return _Line.model_validate_json(raw)
    except ValidationError as error:
        told = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise TransientError(f"ElevenLabs sends nonsense: {told}.") from None


@dataclass
class _Following:
    """Goes along `text` with the letters that are told, and keeps the words that begin.

    Letters count from the beginning of all, as the service tells them; should it begin anew
    with each line, they count from where that line's sound begins.
    """

    text: str
    received: timedelta = timedelta(0)  #: How much sound came with the lines so far.
    _at: int = 0
    _last_s: float = 0.0
    _begun: list[Word] = field(default_factory=list)
    _stops: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._stops = {match.start(): match.end() for match in re.finditer(r"\S+", self.text)}

    def note(self, alignment: _Alignment | None, began: timedelta) -> None:
        """Take the letters of a line whose sound begins at `began`."""
        if alignment is None:
            return
        starts = alignment.character_start_times_seconds
        anew = bool(starts) and starts[0] + 0.05 < self._last_s
        offset_s = began.total_seconds() if anew else 0.0
        for letters, start in zip(alignment.characters, starts, strict=False):
            at_s = max(start + offset_s, self._last_s)
            if self._at in self._stops:
                stop = self._stops[self._at]
                self._begun.append(Word(self._at, stop, timedelta(seconds=at_s)))
            self._at += len(letters)
            self._last_s = at_s

    def take(self, began: timedelta) -> tuple[Word, ...]:
        """Answer what was told since, with instants from the piece that begins at `began`."""
        words = tuple(Word(w.start, w.stop, w.at - began) for w in self._begun)
        self._begun.clear()
        return words
