"""Any server with OpenAI's transcription call, hosted or on this machine: a WAV a stretch.

https://platform.openai.com/docs/api-reference/audio/createTranscription. It doesn't stream: the
words so far are those of the last upload, of which there are few, because each is paid for.
"""

from __future__ import annotations

import array
import asyncio
import io
import json
import sys
import wave
from collections.abc import Sequence
from typing import Any

import httpx

from locum.core.speech import Sound
from locum.ears.hosted import RATE_HZ, Service, finding, refusal
from locum.errors import LocumError, PermanentError, TransientError
from locum.ports import Finding, Health

BASE_URL = "https://api.openai.com/v1"
MODEL = "gpt-4o-mini-transcribe"

_TIMEOUT = httpx.Timeout(9.0, connect=5.0)
_LARGEST_ANSWER = 1 << 18
_MOST_KEPT = 60 * 2 * RATE_HZ
_LEAST = RATE_HZ // 5  #: Bytes: a tenth of a second is what services take at least.
_GUESS_EVERY_S = 1.0
_QUIET = 0.12
"""How loud, beside what was said before, what has come since may be, to hold no words."""
_MOST_PROMPT = 400


class OpenAIRecognizer:
    """Hears through a server with OpenAI's transcription call."""

    def __init__(
        self, service: Service, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._service = service
        self._client = httpx.AsyncClient(
            timeout=_TIMEOUT, transport=transport, follow_redirects=False
        )
        self._host = httpx.URL(service.base_url).host

    @property
    def name(self) -> str:
        return (
            f"{self._service.model} of {self._host} (one upload a sentence, good words, "
            "half a second later)"
        )

    async def open(self, *, hints: Sequence[str] = ()) -> OpenAIRecognition:
        """Begin a speaker's stream. See `locum.ports.Recognizer`."""
        self._service.key()
        return OpenAIRecognition(self, ", ".join(hints)[:_MOST_PROMPT])

    async def words_of(self, pcm: bytes, prompt: str) -> str:
        """Answer the words of a stretch, 16 kHz.

        Raises:
            HumanNeededError: The key or the account.
            TransientError: Not now.
            PermanentError: Not with this model or language, or it isn't such a server.
        """
        key = self._service.key()
        asked = {"model": self._service.model, "response_format": "json", "temperature": "0"}
        asked["language"] = self._service.language.partition("-")[0]
        if prompt:
            asked["prompt"] = prompt
        try:
            async with self._client.stream(
                "POST",
                f"{self._service.base_url.rstrip('/')}/audio/transcriptions",
                data=asked,
                files={"file": ("speech.wav", _wav(pcm), "audio/wav")},
                headers={"Authorization": f"Bearer {key.reveal()}"} if key else {},
            ) as answer:
                body = await _read(answer, self._host)
        except httpx.HTTPError as error:
            raise TransientError(
                f"{self._host} can't be reached: {type(error).__name__}."
            ) from error
        text = body.decode("utf-8", "replace")
        if answer.status_code != 200:
            told = _told(key.scrub(text) if key else text)
            raise refusal(
                self._host,
                answer.status_code,
                told,
                retry_after=answer.headers.get("retry-after", ""),
            )
        return _words(text, self._host)

    async def check(self) -> tuple[Finding, ...]:
        """Let it hear a second of silence: that costs a hundredth of a cent at most."""
        try:
            await self.words_of(bytes(2 * RATE_HZ), "")
        except LocumError as error:
            return (finding(error),)
        return (Finding("hearing", Health.OK, self.name),)

    async def aclose(self) -> None:
        await self._client.aclose()


class OpenAIRecognition:
    """One speaker's stream."""

    def __init__(self, recognizer: OpenAIRecognizer, prompt: str) -> None:
        self._recognizer = recognizer
        self._prompt = prompt
        self._sound = bytearray()
        self._lost = False
        self._asked_at = 0.0
        self._known = ""  # The words of the first `_covers` bytes of this stretch.
        self._covers = 0
        self._asking: asyncio.Lock = asyncio.Lock()

    def hear(self, sound: Sound) -> None:
        """Take sound of 16 kHz. See `locum.ports.Recognition`."""
        self._sound += sound.pcm
        over = len(self._sound) - _MOST_KEPT
        if over > 0:
            del self._sound[:over]
            self._lost, self._covers = True, 0

    async def guess(self) -> str:
        async with self._asking:
            sound = self._sound
            now = asyncio.get_running_loop().time()
            if self._knows(sound) or now - self._asked_at < _GUESS_EVERY_S:
                return self._known
            if len(sound) < _LEAST:
                return ""
            self._asked_at = now
            covers = len(sound)
            words = await self._recognizer.words_of(bytes(sound), self._prompt)
            if sound is self._sound:
                self._known, self._covers = words, covers
            return words

    async def finish(self) -> str:
        sound, self._sound = self._sound, bytearray()
        known = self._known if self._knows(sound) else None
        lost, self._lost = self._lost, False
        self._known, self._covers, self._asked_at = "", 0, 0.0
        if len(sound) < _LEAST:
            return ""
        if known is None:
            known = await self._recognizer.words_of(bytes(sound), self._prompt)
        return f"(…) {known}" if lost and known else known

    def _knows(self, sound: bytearray) -> bool:
        """Whether the last upload held all words: since then there was only silence."""
        if not self._covers:
            return False
        before, since = _loudness(sound[: self._covers]), _loudness(sound[self._covers :])
        return since <= _QUIET * before

    async def aclose(self) -> None:
        """Nothing is kept."""


def _loudness(pcm: bytes | bytearray) -> float:
    """Answer the loudest tenth of a second's mean amplitude."""
    samples = array.array("h", bytes(pcm[: len(pcm) // 2 * 2]))
    if sys.byteorder == "big":
        samples.byteswap()
    step = RATE_HZ // 10
    parts = (samples[start : start + step] for start in range(0, len(samples), step))
    return max((sum(map(abs, part)) / len(part) for part in parts), default=0.0)


def _wav(pcm: bytes) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm)
    return out.getvalue()


async def _read(answer: httpx.Response, host: str) -> bytes:
    body = bytearray()
    async for part in answer.aiter_bytes():
        body += part
        if len(body) > _LARGEST_ANSWER:
            raise TransientError(f"{host}'s answer has no end.")
    return bytes(body)


def _told(text: str) -> str:
    """Answer what an error says, as OpenAI writes them; else all of it."""
    try:
        found: Any = json.loads(text)
        return str(found["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return text


def _words(text: str, host: str) -> str:
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise TransientError(f"{host}'s answer can't be read.") from None
    if not isinstance(found, dict) or not isinstance(found.get("text"), str):
        raise PermanentError(
            f"{host} answers without words. Is hearing.base_url a server with OpenAI's "
            "/audio/transcriptions?"
        )
    return " ".join(str(found["text"]).split())
