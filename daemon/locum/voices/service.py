"""A service that speaks: asked over one warm connection, and never believed further than needed.

How much sound so many words can be, how long it may take to begin and to go on, and how large an
answer is, are all bounded; redirects, proxies and logins of the environment aren't used. Whoever
stops listening closes the connection, and with it the service's work.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from locum.core.secret import Secret
from locum.core.speech import Sound
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.keys import is_open_to_all
from locum.ports import Finding, Health
from locum.voices.checking import SUBJECT

if TYPE_CHECKING:
    import httpx

_LARGEST_ERROR = 16_384
_LONGEST_RETRY = timedelta(minutes=10)
_CONNECT_S = 5.0
_KEPT_S = 300.0
"""How long an idle connection is kept: people listen for minutes before they speak."""

_SURELY_KEPT_S = 30.0
"""… and for how long the other side surely keeps it, too."""

_SLOWEST = 3.0
"""Letters a second: nobody speaks more slowly, so what goes on for longer never ends."""
_BESIDE_S = 10.0

_FIRST_S = 0.04
_PIECE_S = 0.2


@dataclass(frozen=True)
class ServiceSettings:
    """`base_url` is the API's root; `key` reads the key, None where there is none.

    `setting` names the table in the config, `patience` is how long the service may be silent.
    """

    base_url: str
    key: Callable[[], Secret | None]
    setting: str = "voices"
    key_file: Path | None = None
    patience: timedelta = timedelta(seconds=8)

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).netloc


class SpeechService:
    """One service's connection. `authorise` makes the headers that carry the key.

    Belongs to one event loop.
    """

    def __init__(
        self, settings: ServiceSettings, authorise: Callable[[Secret], Mapping[str, str]]
    ) -> None:
        self._settings = settings
        self._authorise = authorise
        self._client: httpx.AsyncClient | None = None
        self._key: Secret | None = None
        self._warm_until = 0.0

    @contextlib.asynccontextmanager
    async def asked(
        self, method: str, path: str, payload: Mapping[str, Any] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Ask, and give the answer while it comes; leaving the block ends it.

        Raises:
            TransientError: It can't be reached, is too busy, or falls silent.
            HumanNeededError: The key, or credits.
            PermanentError: It doesn't take that; the message is its own.
        """
        import httpx

        secret = self._secret()
        headers = {} if secret is None else dict(self._authorise(secret))
        self._warm_until = 0.0
        try:
            async with self._opened().stream(
                method,
                self._settings.base_url.rstrip("/") + path,
                json=payload,
                headers=headers,
            ) as answer:
                if answer.status_code != 200:
                    raise await self._refused(answer)
                yield answer
            self._warm_until = asyncio.get_running_loop().time() + _SURELY_KEPT_S
        except httpx.TimeoutException:
            told = f"{self._settings.host} was silent for too long."
            raise TransientError(told) from None
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            # Without its cause: that carries the request, and with it the key.
            told = str(error).strip()[:200] or type(error).__name__
            raise TransientError(f"{self._settings.host} can't be heard: {told}.") from None

    def _opened(self) -> httpx.AsyncClient:
        import httpx

        if self._client is None:
            patience_s = self._settings.patience.total_seconds()
            plain = self._settings.base_url.startswith("http://")
            self._client = httpx.AsyncClient(
                timeout=httpx.Timeout(patience_s, connect=_CONNECT_S),
                limits=httpx.Limits(max_connections=4, keepalive_expiry=_KEPT_S),
                # Plain http is for this machine only, and spared the list of certificates.
                verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else True,
                headers={"Accept-Encoding": "identity"},
                trust_env=False,
            )
        return self._client

    def _secret(self) -> Secret | None:
        if self._key is None:
            self._key = self._settings.key()
        return self._key

    async def _refused(self, answer: httpx.Response) -> LocumError:
        status, host = answer.status_code, self._settings.host
        told = _in_a_line(self._scrubbed(await _words_of(answer)))
        said = f'{host} answers {status}: "{told}"' if told else f"{host} answers {status}"
        lacks_credits = status == 402 or "quota" in told.casefold()  # ElevenLabs says 401 then.
        if lacks_credits or status in {401, 403}:
            self._key = None  # It may have been mended in its file.
            mend = f"Put a valid key in its place: {self._settings.setting}.api_key_file."
            buy = "Buy credits there, or take another voice."
            return HumanNeededError(f"{said}.", hint=buy if lacks_credits else mend)
        if status in {408, 409, 425, 429} or status >= 500:
            return TransientError(f"{said}.", retry_after=_retry_after(answer))
        return PermanentError(f"{said}. Correct {self._settings.setting} in the config.")

    def _scrubbed(self, text: str) -> str:
        return text if self._key is None else self._key.scrub(text)

    async def warm(self, path: str) -> None:
        """Open the connection ahead of the next word, unless it surely is. Raises nothing."""
        if asyncio.get_running_loop().time() < self._warm_until:
            return
        with contextlib.suppress(LocumError):
            async with self.asked("GET", path) as answer:
                async for _ in chunks_of(answer, ""):  # Unread, it would be closed.
                    pass

    async def check(self, path: str, name: str) -> tuple[Finding, ...]:
        """Try the key by asking for something that costs nothing. Raises nothing."""
        step = f"Correct {self._settings.setting} in the config."
        try:
            async with self.asked("GET", path):
                found = Finding(SUBJECT, Health.OK, name)
        except HumanNeededError as error:
            found = Finding(SUBJECT, Health.BROKEN, str(error.args[0]), error.hint)
        except TransientError as error:
            found = Finding(SUBJECT, Health.BROKEN, str(error), f"Try again. {step}")
        except LocumError as error:
            # A server of one's own may have no such page, and speak all the same.
            hear = "Hear it with `locum persona voice try`."
            found = Finding(SUBJECT, Health.WARNING, f"{name}: {error}", hear)
        if not is_open_to_all(self._settings.key_file):
            return (found,)
        told = f"{self._settings.key_file} is open to every user of this machine"
        mend = f"chmod 600 {self._settings.key_file}"
        return (found, Finding(SUBJECT, Health.WARNING, told, mend))

    async def aclose(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()


async def _words_of(answer: httpx.Response) -> str:
    """Answer what an error says: OpenAI's and ElevenLabs' shapes, else nothing."""
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > _LARGEST_ERROR:
            return ""
    try:
        told = json.loads(body)
        for key in ("error", "detail"):
            told = told.get(key, told) if isinstance(told, dict) else told
        text = told.get("message", "") if isinstance(told, dict) else told
    except (ValueError, RecursionError):
        return ""
    return text if isinstance(text, str) else ""


def _in_a_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text[:300]).split())


def _retry_after(answer: httpx.Response) -> timedelta:
    text = str(answer.headers.get("retry-after", ""))
    wait = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 5
    return min(timedelta(seconds=wait), _LONGEST_RETRY)


class Cutter:
    """Makes pieces of sound of the bytes as they come, the first one early.

    Raises:
        TransientError: It is more than anybody needs for so many letters.
    """

    def __init__(self, rate: int, text: str) -> None:
        self._rate = rate
        self._rest = bytearray()
        self._given = 0
        self._most = round(2 * rate * (len(text) / _SLOWEST + _BESIDE_S))

    @property
    def lasting(self) -> timedelta:
        """How much sound was given."""
        return timedelta(seconds=self._given / (2 * self._rate))

    def add(self, pcm: bytes) -> Sound | None:
        """Take more, and answer a piece if there is enough for one."""
        self._rest += pcm
        least = _PIECE_S if self._given else _FIRST_S
        if len(self._rest) < 2 * round(least * self._rate):
            return None
        return self._piece()

    def rest(self) -> Sound | None:
        return self._piece() if len(self._rest) > 1 else None

    def _piece(self) -> Sound:
        size = len(self._rest) // 2 * 2
        piece = bytes(self._rest[:size])
        del self._rest[:size]
        self._given += size
        if self._given > self._most:
            raise TransientError("It goes on speaking long after the words have ended.")
        return Sound(self._rate, piece)


async def chunks_of(answer: httpx.Response, text: str) -> AsyncGenerator[bytes, None]:
    """Give an answer's bytes as they come, however slowly, but not for ever.

    Raises:
        TransientError: So few words can't take so long.
    """
    loop = asyncio.get_running_loop()
    left_s = len(text) / _SLOWEST + _BESIDE_S
    asked_at = loop.time()
    async for chunk in answer.aiter_raw():
        # Only what we waited counts: whoever plays it may take their time.
        left_s -= loop.time() - asked_at
        if left_s < 0:
            raise TransientError("It speaks too slowly to be followed.")
        yield chunk
        asked_at = loop.time()


async def pieces_of(
    answer: httpx.Response, rate: int, text: str
) -> AsyncGenerator[Sound, None]:
    """Make pieces of an answer that is raw PCM.

    Raises:
        TransientError: There is no sound in it, or no end.
        PermanentError: It is something else.
    """
    kind = str(answer.headers.get("content-type", "")).partition(";")[0].strip().casefold()
    if kind.startswith("text/") or kind.endswith("json"):
        raise PermanentError(f"Where sound should be, {kind[:80]} comes. Correct its base_url.")
    cutter = Cutter(rate, text)
    begun = False
    async for chunk in chunks_of(answer, text):
        if not begun and chunk:
            begun = True
            if chunk.startswith((b"RIFF", b"ID3", b"OggS", b"fLaC", b"\xff\xfb")):
                raise PermanentError(
                    "It sends a file of sound where plain PCM was asked for: a server that "
                    'knows no `response_format = "pcm"` can\'t be used.'
                )
        piece = cutter.add(chunk)
        if piece is not None:
            yield piece
    piece = cutter.rest()
    if piece is not None:
        yield piece
    if not cutter.lasting:
        raise TransientError("It answers, and says nothing.")
