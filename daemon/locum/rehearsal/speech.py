"""Voices on the stage: OpenAI's /audio/speech and ElevenLabs' stream with timestamps.

https://platform.openai.com/docs/api-reference/audio/createSpeech and
https://elevenlabs.io/docs/api-reference/text-to-speech/stream-with-timestamps, as far as a client
needs them: keys, voices, models, formats, errors, sound that is sent as it is made. What is said
is espeak-ng's, or a warble of that length; what goes wrong comes from `faults`. ElevenLabs' own
letters aren't known here: each gets its share of the sound, silences aside.
"""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

import anyio
import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from locum.rehearsal.faults import Faults, RequestLog, control_routes, with_faults
from locum.rehearsal.meet.media.sound import Samples
from locum.rehearsal.meet.media.speaking import voice
from locum.rehearsal.meet.media.wire import AUDIO_HZ

RATE_HZ = 24_000
_LONGEST = {"openai": 4096, "elevenlabs": 40_000}
_CHUNK_S = 0.1
_SPOKEN_KEPT = 200
_LOUD = 0.01


@dataclass(frozen=True)
class SpeechSettings:
    """How it behaves. A change counts for the requests after it.

    `delay_s` is how long after a request its first sound leaves, in the host's seconds;
    `speed` is how many times faster than it sounds the rest follows, 0 all at once. `endless`
    goes on with silence after the last word.
    """

    api_key: str = "sk-rehearsal"
    model: str = "stage-voice"
    voice: str = "stage"
    delay_s: float = 0.0
    speed: float = 0.0
    endless: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.delay_s <= 3600:
            raise ValueError("delay_s must be from 0 to 3600")


@dataclass
class Spoke:
    """One request that was answered; `sent` is how many bytes of sound of `whole`."""

    text: str
    whole: int
    sent: int = 0
    finished: bool = False


class SpeechStage:
    """What the server has: its settings, and what it was asked to say. For any thread."""

    def __init__(
        self,
        settings: SpeechSettings | None = None,
        *,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._settings = settings or SpeechSettings()
        self._said: deque[Spoke] = deque(maxlen=1000)
        self._spoken: OrderedDict[str, Samples] = OrderedDict()
        self.faults = Faults()
        self.log = RequestLog(now or (lambda: datetime.now(timezone.utc)))

    @property
    def settings(self) -> SpeechSettings:
        with self._lock:
            return self._settings

    def configure(self, **changes: Any) -> None:
        with self._lock:
            self._settings = replace(self._settings, **changes)

    @property
    def said(self) -> tuple[Spoke, ...]:
        with self._lock:
            return tuple(self._said)

    def note(self, spoke: Spoke) -> Spoke:
        with self._lock:
            self._said.append(spoke)
        return spoke

    async def spoken(self, text: str) -> Samples:
        """Answer the text as sound at 24 kHz; what was said before is kept."""
        with self._lock:
            found = self._spoken.get(text)
        if found is None:
            whole = await voice(text)
            step = AUDIO_HZ // RATE_HZ
            found = whole[: len(whole) // step * step].reshape(-1, step).mean(axis=1)
            with self._lock:
                self._spoken[text] = found
                while len(self._spoken) > _SPOKEN_KEPT:
                    self._spoken.popitem(last=False)
        return found


class _RefusedError(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


async def _refuse(request: Request, refused: Exception) -> Response:
    """Answer as either of them writes its errors."""
    if not isinstance(refused, _RefusedError):
        raise TypeError(f"no refusal: {refused!r}")
    if request.url.path.startswith("/v1/text-to-speech"):
        told: dict[str, Any] = {"status": refused.code, "message": str(refused)}
        return JSONResponse({"detail": told}, refused.status)
    kind = {"type": "invalid_request_error", "param": None, "code": refused.code or None}
    return JSONResponse({"error": {"message": str(refused), **kind}}, refused.status)


@dataclass
class _Speaking:
    """One text on its way, in time."""

    stage: SpeechStage
    settings: SpeechSettings
    text: str
    began: float = field(default_factory=anyio.current_time)

    async def chunks(self) -> AsyncIterator[tuple[bytes, int, int]]:
        """Give sound as it is made: PCM, and from which sample to which it is."""
        samples = await self.stage.spoken(self.text)
        pcm = (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()
        spoke = self.stage.note(Spoke(self.text, len(pcm)))
        step = round(_CHUNK_S * RATE_HZ)
        for at in range(0, len(samples), step):
            part = pcm[2 * at : 2 * (at + step)]
            await self._wait_for(at)
            yield part, at, at + len(part) // 2
            spoke.sent += len(part)
        at = len(samples)
        while self.settings.endless:
            await self._wait_for(at)
            yield bytes(2 * step), at, at + step
            at += step
        spoke.finished = True

    async def _wait_for(self, at: int) -> None:
        pace = self.settings.speed * RATE_HZ
        due = self.began + self.settings.delay_s + (at / pace if pace else 0)
        await anyio.sleep_until(due)


def speech_app(stage: SpeechStage) -> Starlette:
    """Serve `/v1/audio/speech`, `/v1/models`, and ElevenLabs' `/v1/text-to-speech/…`.

    With faults around them; one key is good for both.
    """
    routes = [
        *_openai_routes(stage),
        *_elevenlabs_routes(stage),
        *control_routes(stage.faults, stage.log),
    ]
    app = Starlette(routes=routes, exception_handlers={_RefusedError: _refuse})
    return with_faults(app, stage.faults, stage.log)


def _openai_routes(stage: SpeechStage) -> list[Route]:
    def know(request: Request) -> SpeechSettings:
        given = request.headers.get("authorization", "")
        return _known(stage, given.removeprefix("Bearer "))

    async def speak(request: Request) -> Response:
        settings = know(request)
        wanted = await _wanted(request, "openai", "input")
        if wanted.get("model") != settings.model:
            raise _RefusedError(404, f"The model '{wanted.get('model')}' does not exist.")
        if wanted.get("voice") != settings.voice:
            raise _RefusedError(400, f"Invalid value for 'voice': '{wanted.get('voice')}'.")
        if wanted.get("response_format") != "pcm":
            raise _RefusedError(400, "The stage speaks response_format 'pcm' alone.")
        speaking = _Speaking(stage, settings, wanted["input"])

        async def body() -> AsyncIterator[bytes]:
            async for pcm, _, _ in speaking.chunks():
                yield pcm

        return StreamingResponse(body(), media_type="audio/pcm")

    async def models(request: Request) -> Response:
        shown = {
            "id": know(request).model,
            "object": "model",
            "created": 0,
            "owned_by": "stage",
        }
        return JSONResponse({"object": "list", "data": [shown]})

    return [Route("/v1/audio/speech", speak, methods=["POST"]), Route("/v1/models", models)]


def _elevenlabs_routes(stage: SpeechStage) -> list[Route]:
    def know(request: Request) -> SpeechSettings:
        settings = _known(stage, request.headers.get("xi-api-key", ""))
        if request.path_params["voice"] != settings.voice:
            raise _RefusedError(404, "A voice with that id was not found.", "voice_not_found")
        return settings

    async def speak(request: Request) -> Response:
        settings = know(request)
        wanted = await _wanted(request, "elevenlabs", "text")
        if request.query_params.get("output_format") != f"pcm_{RATE_HZ}":
            raise _RefusedError(
                400, "The stage speaks pcm_24000 alone.", "invalid_output_format"
            )
        speaking = _Speaking(stage, settings, wanted["text"])
        letters = _letters(wanted["text"], await stage.spoken(wanted["text"]))

        async def body() -> AsyncIterator[bytes]:
            async for pcm, start, stop in speaking.chunks():
                inside = [each for each in letters if start <= each[1] * RATE_HZ < stop]
                aligned = _alignment(inside) if inside else None
                told = {
                    "audio_base64": base64.b64encode(pcm).decode(),
                    "alignment": aligned,
                    "normalized_alignment": aligned,
                }
                yield json.dumps(told).encode() + b"\n"

        return StreamingResponse(body(), media_type="application/json")

    async def one_voice(request: Request) -> Response:
        return JSONResponse({"voice_id": know(request).voice, "name": "Stage"})

    path = "/v1/text-to-speech/{voice}/stream/with-timestamps"
    return [Route("/v1/voices/{voice}", one_voice), Route(path, speak, methods=["POST"])]


def _known(stage: SpeechStage, key: str) -> SpeechSettings:
    if not hmac.compare_digest(key.encode(), stage.settings.api_key.encode()):
        raise _RefusedError(
            401, f"Incorrect API key provided: {key[:4]}***.", "invalid_api_key"
        )
    return stage.settings


async def _wanted(request: Request, kind: str, key: str) -> dict[str, Any]:
    try:
        wanted = await request.json()
        text = wanted[key]
    except (ValueError, KeyError, TypeError):
        raise _RefusedError(400, f"'{key}' is a required property") from None
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST[kind]:
        raise _RefusedError(400, f"'{key}' must have 1 to {_LONGEST[kind]} characters")
    return dict(wanted)


def _letters(text: str, samples: Samples) -> list[tuple[str, float]]:
    """Answer each letter with the instant at which it begins, in seconds."""
    (loud,) = np.nonzero(np.abs(samples) > _LOUD)
    first, last = (loud[0], loud[-1]) if loud.size else (0, len(samples))
    step = (last - first) / max(len(text), 1) / RATE_HZ
    return [(letter, first / RATE_HZ + number * step) for number, letter in enumerate(text)]


def _alignment(letters: list[tuple[str, float]]) -> dict[str, Any]:
    starts = [round(at, 3) for _, at in letters]
    return {
        "characters": [letter for letter, _ in letters],
        "character_start_times_seconds": starts,
        "character_end_times_seconds": [*starts[1:], starts[-1]],
    }
