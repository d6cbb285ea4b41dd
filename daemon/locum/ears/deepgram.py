"""Deepgram's streaming recognition: one WebSocket a speaker.

https://developers.deepgram.com/reference/speech-to-text/listen-streaming, /docs/finalize,
/docs/audio-keep-alive. Where a stretch of speech begins and ends is told by us (`Finalize`); its
own endpointing is off. A connection that drops is made anew, and hears the stretch once more.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from locum.core.secret import Secret
from locum.core.speech import Sound
from locum.ears.hosted import RATE_HZ, Service, finding, refusal
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Finding, Health

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

BASE_URL = "https://api.deepgram.com"
MODEL = "nova-3"

_CONNECT_S, _FINALIZE_S, _SEND_S = 8.0, 3.0, 5.0
_KEEP_ALIVE_S = 4.0  #: It hangs up after 10 s without sound.
_LONGEST_MESSAGE = 1 << 18
_MOST_KEPT = 45 * 2 * RATE_HZ  #: Bytes of a stretch that a new connection hears again.
_MOST_HINTS, _LONGEST_HINT = 50, 60
_TRIES = 3
_STEADY_S = 20.0
_MOST_TEXT = 20_000


class DeepgramRecognizer:
    """Hears through Deepgram, or a server like it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._host = urlsplit(service.base_url).hostname or service.base_url

    @property
    def name(self) -> str:
        return f"Deepgram {self._service.model} (hosted by {self._host}, streams, good words)"

    async def open(self, *, hints: Sequence[str] = ()) -> DeepgramRecognition:
        """Begin a speaker's stream. See `locum.ports.Recognizer`."""
        line = _Line(self._service, self._host, _hints(hints))
        connection = await line.connect()
        return DeepgramRecognition(line, connection)

    async def check(self) -> tuple[Finding, ...]:
        """Connect, and hang up: nothing is billed without sound."""
        try:
            connection = await _Line(self._service, self._host, ()).connect()
        except LocumError as error:
            return (finding(error),)
        await connection.close()
        return (Finding("hearing", Health.OK, self.name),)

    async def aclose(self) -> None:
        """Nothing is kept beside its streams."""


def _hints(hints: Sequence[str]) -> tuple[str, ...]:
    return tuple(hint for hint in hints if 1 < len(hint) <= _LONGEST_HINT)[:_MOST_HINTS]


class _Line:
    """Makes connections."""

    def __init__(self, service: Service, host: str, hints: tuple[str, ...]) -> None:
        self._service = service
        self.host = host
        query = [
            ("model", service.model),
            ("language", service.language),
            ("encoding", "linear16"),
            ("sample_rate", str(RATE_HZ)),
            ("channels", "1"),
            ("interim_results", "true"),
            ("smart_format", "true"),
            ("endpointing", "false"),
        ]
        # What helps it with names is called otherwise since nova-3.
        term = "keyterm" if service.model.startswith("nova-3") else "keywords"
        query += [(term, hint) for hint in hints]
        root = service.base_url.rstrip("/").replace("http", "ws", 1)
        self._address = f"{root}/v1/listen?{urlencode(query)}"

    async def connect(self) -> ClientConnection:
        """Connect.

        Raises:
            HumanNeededError: There is no key, or it isn't taken, or no credit left.
            PermanentError: It doesn't take this model or language.
            TransientError: It can't be reached, or not now.
        """
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import InvalidHandshake, InvalidStatus
        except ImportError:
            raise PermanentError(
                "Deepgram needs websockets: `pip install 'locum[chromium]'`."
            ) from None
        key = self._service.key()
        if key is None:
            raise HumanNeededError(
                "There is no key for Deepgram.", hint="Put one into hearing.api_key_file."
            )
        try:
            return await connect(
                self._address,
                additional_headers={"Authorization": f"Token {key.reveal()}"},
                open_timeout=_CONNECT_S,
                close_timeout=1.0,
                max_size=_LONGEST_MESSAGE,
                max_queue=64,
            )
        except InvalidStatus as error:
            answer = error.response
            told = _scrubbed((answer.body or b"")[:2000].decode("utf-8", "replace"), key)
            raise refusal(
                self.host,
                answer.status_code,
                told,
                retry_after=answer.headers.get("Retry-After", ""),
            ) from None
        except (OSError, asyncio.TimeoutError, InvalidHandshake, ValueError) as error:
            raise TransientError(f"{self.host} can't be reached: {error}.") from None


def _scrubbed(text: str, key: Secret) -> str:
    return key.scrub(text)


class _Stretch:
    """One stretch of speech: its sound, for a connection made anew, and its words so far."""

    def __init__(self) -> None:
        self.sound = bytearray()
        self.lost = False
        self.final: list[str] = []
        self.interim = ""
        self.done = asyncio.Event()
        self.ending = False
        self.sent = 0  #: Bytes of its sound that went out on this connection.
        self.asked = False  #: Whether `Finalize` did.
        self.began_s = 0.0  #: Where it begins in all that this connection got.

    def keep(self, pcm: bytes) -> None:
        self.sound += pcm
        over = len(self.sound) - _MOST_KEPT
        if over > 0:
            del self.sound[:over]
            self.lost = self.lost or self.sent < over
            self.sent = max(self.sent - over, 0)

    def text(self) -> str:
        words = " ".join(part for part in (*self.final, self.interim) if part)[:_MOST_TEXT]
        return f"(…) {words}" if self.lost and words else words

    def again(self) -> None:
        self.final.clear()
        self.interim, self.sent, self.asked = "", 0, False


class DeepgramRecognition:
    """One speaker's stream."""

    def __init__(self, line: _Line, connection: ClientConnection) -> None:
        self._line = line
        self._stretches: list[_Stretch] = [_Stretch()]
        self._news = asyncio.Event()
        self._failure: LocumError | None = None
        self._sent = 0  # Bytes that this connection got.
        self._task = asyncio.get_running_loop().create_task(self._run(connection))

    def hear(self, sound: Sound) -> None:
        """Take sound of 16 kHz. See `locum.ports.Recognition`."""
        self._stretches[-1].keep(sound.pcm)
        self._news.set()

    async def guess(self) -> str:
        return self._stretches[-1].text()

    async def finish(self) -> str:
        stretch = self._stretches[-1]
        self._stretches.append(_Stretch())
        if not stretch.sound:
            self._stretches.remove(stretch)
            return ""
        stretch.ending = True
        self._news.set()
        try:
            # It says nothing where it has nothing left to make final.
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stretch.done.wait(), _FINALIZE_S)
        finally:
            if stretch in self._stretches:
                self._stretches.remove(stretch)
        if self._failure is not None:
            raise self._failure
        if not stretch.asked:
            raise TransientError(f"{self._line.host} didn't take the sound in time.")
        return stretch.text()

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait((self._task,))

    async def _run(self, connection: ClientConnection | None) -> None:
        tries = 0
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    connection = connection or await self._line.connect()
                    began = loop.time()
                    async with connection:
                        await self._serve(connection)
                    if loop.time() - began > _STEADY_S:
                        tries = 0
                    raise self._hung_up()
                except TransientError as error:
                    tries += 1
                    if tries >= _TRIES:
                        raise
                    await asyncio.sleep(min(error.retry_after.total_seconds(), tries))
                self._sent = 0
                for stretch in self._stretches:
                    stretch.again()
                connection = None
        except LocumError as error:
            self._failure = error
            for stretch in self._stretches:
                stretch.done.set()

    def _hung_up(self) -> TransientError:
        return TransientError(f"{self._line.host} hung up.", retry_after=timedelta(seconds=0.2))

    async def _serve(self, connection: ClientConnection) -> None:
        """Send and receive until the connection ends."""
        from websockets.exceptions import ConnectionClosed

        sending = asyncio.get_running_loop().create_task(self._send(connection))
        try:
            async for message in connection:
                self._take(message)
        except ConnectionClosed:
            return
        finally:
            sending.cancel()
            await asyncio.wait((sending,))

    async def _send(self, connection: ClientConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        with contextlib.suppress(ConnectionClosed, asyncio.TimeoutError):
            while True:
                self._news.clear()
                for stretch in tuple(self._stretches):
                    await self._send_stretch(connection, stretch)
                try:
                    await asyncio.wait_for(self._news.wait(), _KEEP_ALIVE_S)
                except asyncio.TimeoutError:
                    await connection.send('{"type": "KeepAlive"}')
        await connection.close()

    async def _send_stretch(self, connection: ClientConnection, stretch: _Stretch) -> None:
        while stretch.sent < len(stretch.sound):
            if stretch.sent == 0:
                stretch.began_s = self._sent / (2 * RATE_HZ)
            part = bytes(stretch.sound[stretch.sent : stretch.sent + RATE_HZ])
            stretch.sent += len(part)
            self._sent += len(part)
            await asyncio.wait_for(connection.send(part), _SEND_S)
        if stretch.ending and not stretch.asked:
            stretch.asked = True
            await connection.send('{"type": "Finalize"}')

    def _take(self, message: str | bytes) -> None:
        """Take what it says; what isn't as documented is passed over."""
        try:
            said: Any = json.loads(message)
            if said.get("type") != "Results":
                return
            words = str(said["channel"]["alternatives"][0]["transcript"])
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            return
        if _ends(said) <= self._stretches[0].began_s:
            return  # Of a stretch that wasn't waited for any longer.
        # What it makes final last, because we asked, is the end of the oldest stretch.
        asked = [stretch for stretch in self._stretches if stretch.asked]
        stretch = asked[0] if asked else self._stretches[0]
        if said.get("is_final") is True:
            stretch.final.append(words)
            stretch.interim = ""
        else:
            stretch.interim = words
        if said.get("from_finalize") is True and stretch.asked:
            stretch.done.set()
            self._stretches.remove(stretch)


def _ends(said: dict[str, Any]) -> float:
    """Answer where in the sound a result ends, in seconds; at its end where it doesn't say."""
    try:
        return float(said["start"]) + float(said["duration"])
    except (KeyError, TypeError, ValueError):
        return math.inf
