"""Recognisers on the stage: Deepgram's live WebSocket, and OpenAI's /audio/transcriptions.

https://developers.deepgram.com/reference/speech-to-text/listen-streaming and
https://platform.openai.com/docs/api-reference/audio/createTranscription, as far as a client needs
them: keys, models, formats, errors, results that grow, `Finalize`, `KeepAlive`, the hanging up
after ten seconds without either. What is heard isn't: each new stretch of speech has the next
words of a script, which come out as its sound comes in. `by_pocketsphinx` really listens.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import io
import json
import threading
import time
import wave
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from locum.rehearsal.faults import Faults, RequestLog, control_routes, with_faults

RATE_HZ = 16_000
LARGEST_FRAME = 1 << 17
_LONGEST = 60 * 2 * RATE_HZ
_LOUD = 500
_SECONDS_A_WORD = 0.3
_PREFIX = 3200  #: Bytes by which a stretch is known again.

Hear = Callable[[bytes], str]
"""Makes words of a stretch, or of its beginning: 16 kHz."""


@dataclass(frozen=True)
class RecognitionSettings:
    """How it behaves; a change counts from the next connection or request on.

    `delay_s` is how long it takes for results. Of a live connection: `status` refuses it,
    `hang_up_after_s` of sound it is dropped (the next `hang_ups` of them), `malformed` sends
    nonsense between the results, `mute` never answers.
    """

    api_key: str = "dg-rehearsal"
    model: str = "stage-hears"
    delay_s: float = 0.0
    status: int | None = None
    hang_up_after_s: float | None = None
    hang_ups: int = 0
    malformed: bool = False
    mute: bool = False


class RecognitionStage:
    """What the server has: its settings, its script, and what it was asked. For any thread."""

    def __init__(
        self,
        settings: RecognitionSettings | None = None,
        *,
        hear: Hear | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._settings = settings or RecognitionSettings()
        self._script: deque[str] = deque()
        self._known: dict[bytes, str] = {}
        self._hear = hear
        self.connections = 0  #: How many live ones were let in.
        self.kept_alive = 0
        self.asked: deque[dict[str, str]] = deque(maxlen=200)
        """What each request or connection asked for."""
        self.faults = Faults()
        self.log = RequestLog(now or (lambda: datetime.now(timezone.utc)))

    @property
    def settings(self) -> RecognitionSettings:
        with self._lock:
            return self._settings

    def configure(self, **changes: Any) -> None:
        with self._lock:
            self._settings = replace(self._settings, **changes)

    def will_hear(self, *texts: str) -> None:
        """Let the next stretches of speech have these words, one each."""
        with self._lock:
            self._script.extend(texts)

    def words(self, pcm: bytes, *, whole: bool) -> str:
        """Answer what is heard in a stretch; in its beginning, if it isn't `whole`."""
        samples = np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2")
        loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _LOUD)
        if len(loud) == 0 or len(pcm) - 2 * int(loud[0]) < _PREFIX:
            return ""
        if self._hear is not None:
            return self._hear(pcm)
        first = 2 * int(loud[0])
        prefix = bytes(pcm[first : first + _PREFIX])
        with self._lock:
            if prefix not in self._known:
                self._known[prefix] = self._script.popleft() if self._script else ""
            text = self._known[prefix]
        spoken_s = len(loud) and (int(loud[-1]) - int(loud[0])) / RATE_HZ
        words = text.split()
        return " ".join(words if whole else words[: int(spoken_s / _SECONDS_A_WORD)])

    def drops(self, heard_s: float) -> bool:
        """Whether a live connection is to be dropped now; counts it."""
        with self._lock:
            after = self._settings.hang_up_after_s
            if after is None or self._settings.hang_ups <= 0 or heard_s < after:
                return False
            self._settings = replace(self._settings, hang_ups=self._settings.hang_ups - 1)
            return True


def recognition_app(stage: RecognitionStage) -> Starlette:
    """Serve `/v1/audio/transcriptions` and the live `/v1/listen`; one key is good for both.

    Serve it with `largest_frame=LARGEST_FRAME`.
    """

    async def transcribe(request: Request) -> Response:
        return await _transcribed(stage, request)

    async def listen(websocket: WebSocket) -> None:
        await _Live(stage, websocket).serve()

    routes = [
        Route("/v1/audio/transcriptions", transcribe, methods=["POST"]),
        WebSocketRoute("/v1/listen", listen),
        *control_routes(stage.faults, stage.log),
    ]
    app = Starlette(routes=routes, exception_handlers={_RefusedError: _refuse})
    return with_faults(app, stage.faults, stage.log)


# ── OpenAI's ─────────────────────────────────────────────────────────────────────────────


class _RefusedError(Exception):
    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


async def _refuse(request: Request, refused: Exception) -> Response:
    del request
    if not isinstance(refused, _RefusedError):
        raise refused
    error = {
        "message": str(refused),
        "type": "invalid_request_error",
        "param": None,
        "code": refused.code,
    }
    return JSONResponse({"error": error}, status_code=refused.status)


async def _transcribed(stage: RecognitionStage, request: Request) -> Response:
    settings = stage.settings
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), settings.api_key.encode()):
        message = f"Incorrect API key provided: {given[:4]}***."
        raise _RefusedError(401, message, "invalid_api_key")
    async with request.form(max_files=1, max_part_size=1 << 16) as form:
        asked = {key: value for key, value in form.items() if isinstance(value, str)}
        stage.asked.append(asked)
        if asked.get("model") != settings.model:
            message = f"The model '{asked.get('model')}' does not exist."
            raise _RefusedError(404, message, "model_not_found")
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise _RefusedError(400, "'file' is a required property")
        try:
            pcm = _pcm(await file.read(_LONGEST))
        except (ValueError, wave.Error, EOFError):
            message = "Invalid file format. The stage takes mono WAV of 16 kHz."
            raise _RefusedError(400, message) from None
    if len(pcm) < RATE_HZ // 5:
        message = "Audio file is too short. Minimum audio length is 0.1 seconds."
        raise _RefusedError(400, message, "audio_too_short")
    await asyncio.sleep(settings.delay_s)
    text = await asyncio.to_thread(stage.words, pcm, whole=True)
    if asked.get("response_format", "json") == "text":
        return Response(text + "\n", media_type="text/plain")
    return JSONResponse({"text": text})


def _pcm(content: bytes) -> bytes:
    with wave.open(io.BytesIO(content)) as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE_HZ):
            raise ValueError("another format")
        return bytes(file.readframes(file.getnframes()))


# ── Deepgram's ───────────────────────────────────────────────────────────────────────────


class _Live:
    """One live connection."""

    def __init__(self, stage: RecognitionStage, websocket: WebSocket) -> None:
        self._stage = stage
        self._websocket = websocket
        self._stretch = bytearray()
        self._began_s = 0.0  # Where the stretch begins in all that came.
        self._told = ""

    async def serve(self) -> None:
        settings = self._stage.settings
        refusal = self._refusal(settings)
        if refusal is not None:
            await self._websocket.send_denial_response(refusal)
            return
        await self._websocket.accept()
        self._stage.connections += 1
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await self._listen(settings)

    def _refusal(self, settings: RecognitionSettings) -> Response | None:
        query = self._websocket.query_params
        self._stage.asked.append(dict(query.multi_items()))
        given = self._websocket.headers.get("authorization", "").removeprefix("Token ")
        if not hmac.compare_digest(given.encode(), settings.api_key.encode()):
            return _unwelcome(401, "INVALID_AUTH", "Invalid credentials.")
        if settings.status is not None:
            return _unwelcome(settings.status, "REFUSED", "Refused, as it was told to.")
        if query.get("model") != settings.model:
            return _unwelcome(400, "Bad Request", "No such model/language/tier combination.")
        if (query.get("encoding"), query.get("sample_rate")) != ("linear16", str(RATE_HZ)):
            return _unwelcome(400, "Bad Request", "The stage takes linear16 of 16000 Hz.")
        return None

    async def _listen(self, settings: RecognitionSettings) -> None:
        last = time.monotonic()
        while True:
            left = 10.0 - (time.monotonic() - last)
            try:
                message = await asyncio.wait_for(self._websocket.receive(), max(left, 0.01))
            except asyncio.TimeoutError:
                await self._websocket.close(1011, "NET-0001: no audio or message in 10 s")
                return
            if message["type"] == "websocket.disconnect":
                return
            last = time.monotonic()
            if message.get("bytes"):
                self._stretch += message["bytes"]
                del self._stretch[:-_LONGEST]
                if self._stage.drops(len(self._stretch) / 2 / RATE_HZ):
                    await self._websocket.close(1011, "dropped, as it was told to")
                    return
                await self._tell(settings, whole=False)
            elif not await self._obey(str(message.get("text") or ""), settings):
                return

    async def _obey(self, text: str, settings: RecognitionSettings) -> bool:
        """Do what a control message says; False is the end."""
        try:
            kind = json.loads(text).get("type")
        except (ValueError, AttributeError):
            kind = None
        if kind == "KeepAlive":
            self._stage.kept_alive += 1
            return True
        if kind in {"Finalize", "CloseStream"}:
            await self._tell(settings, whole=True)
            self._began_s += len(self._stretch) / 2 / RATE_HZ
            self._stretch.clear()
            self._told = ""
            if kind == "CloseStream":
                await self._websocket.close(1000)
            return bool(kind == "Finalize")
        await self._websocket.close(1008, "DATA-0000: neither audio nor a known message")
        return False

    async def _tell(self, settings: RecognitionSettings, *, whole: bool) -> None:
        if settings.mute:
            return
        words = await asyncio.to_thread(self._stage.words, bytes(self._stretch), whole=whole)
        if words == self._told and not whole:
            return
        self._told = words
        await asyncio.sleep(settings.delay_s)
        if settings.malformed:
            for nonsense in ("{", "[]", '{"type": "Results", "channel": 7}', '{"type": null}'):
                await self._websocket.send_text(nonsense)
        result = {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": len(self._stretch) / 2 / RATE_HZ,
            "start": self._began_s,
            "is_final": whole,
            "speech_final": whole,
            "channel": {
                "alternatives": [{"transcript": words, "confidence": 0.99, "words": []}]
            },
            "from_finalize": whole,
        }
        await self._websocket.send_text(json.dumps(result))


def _unwelcome(status: int, code: str, message: str) -> Response:
    answer = {"err_code": code, "err_msg": message, "request_id": "stage"}
    return JSONResponse(answer, status_code=status)


# ── really listening ─────────────────────────────────────────────────────────────────────


def by_pocketsphinx() -> Hear:
    """Answer an ear that really listens, to whole stretches, with pocketsphinx: poorly.

    Raises:
        ImportError: It isn't installed.
    """
    from pocketsphinx import Decoder

    decoder = Decoder(fwdflat=False, loglevel="FATAL")
    lock = threading.Lock()

    def hear(pcm: bytes) -> str:
        with lock:
            decoder.start_utt()
            decoder.process_raw(pcm, full_utt=True)
            decoder.end_utt()
            found = decoder.hyp()
        return "" if found is None else str(found.hypstr)

    return hear
