"""What speaks where a voice can't: never silent without a word, and never silently another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta

import structlog

from locum.core.speech import Spoken
from locum.core.spoken import CUT, Part, heard_of
from locum.errors import LocumError, TransientError
from locum.ports import Finding, Voice

_log = structlog.get_logger(__name__)

_AGAIN_AFTER = timedelta(minutes=2)
"""How long a voice that can't speak as it is configured is left alone: somebody may mend it."""


class FallbackVoice:
    """Speaks with `voice`; where that fails, `plain` says what is still to be said, and the next.

    `told` gets a sentence for the record each time that it changes who speaks, once a reason.
    """

    def __init__(self, voice: Voice, plain: Voice, *, told: Callable[[str], None]) -> None:
        self._voice = voice
        self._plain = plain
        self._told = told
        self._reasons: set[str] = set()
        self._again_at = 0.0

    @property
    def name(self) -> str:
        return self._plain.name if self._is_resting else self._voice.name

    @property
    def _is_resting(self) -> bool:
        try:
            return asyncio.get_running_loop().time() < self._again_at
        except RuntimeError:
            return False

    async def warm(self) -> None:
        await asyncio.gather(self._voice.warm(), self._plain.warm())

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        """Say `text`. See `locum.ports.Voice`; it raises what `plain` does."""
        rest, part = text, Part(text)
        if not self._is_resting:
            speaking = self._voice.speak(text)
            try:
                async for piece in speaking:
                    part.pieces.append(piece)
                    yield piece
            except LocumError as error:
                self._rest(error)
                rest = _unsaid(part)
            else:
                return
            finally:
                await _close(speaking)
        if rest:
            speaking = self._plain.speak(rest)
            begun = len(text) - len(rest)
            try:
                async for piece in speaking:
                    yield _moved(piece, begun)
            finally:
                await _close(speaking)

    def _rest(self, error: LocumError) -> None:
        again = error.retry_after if isinstance(error, TransientError) else _AGAIN_AFTER
        pause = min(again, _AGAIN_AFTER).total_seconds()
        self._again_at = asyncio.get_running_loop().time() + pause
        reason = str(error)
        _log.error("voice_failed", voice=self._voice.name, problem=reason)
        if reason not in self._reasons and len(self._reasons) < 20:
            self._reasons.add(reason)
            self._told(
                f"The voice {self._voice.name} failed, and {self._plain.name} spoke instead: "
                f"{reason}"
            )

    async def check(self) -> tuple[Finding, ...]:
        return (*await self._voice.check(), *await self._plain.check())

    async def aclose(self) -> None:
        await asyncio.gather(self._voice.aclose(), self._plain.aclose())


def _unsaid(part: Part) -> str:
    """Answer the words that are still to be said where sound broke off; in doubt, one too many."""
    if not part.pieces:
        return part.text
    words = part.text.split()
    heard = heard_of([part], part.duration).text.removesuffix(CUT)
    return " ".join(words[len(heard.split()) :])


def _moved(piece: Spoken, by: int) -> Spoken:
    """Tell a piece's words by their places in the whole text."""
    if not piece.words or not by:
        return piece
    words = tuple(type(w)(w.start + by, w.stop + by, w.at) for w in piece.words)
    return Spoken(piece.sound, piece.phones, piece.text, words)


async def _close(speaking: object) -> None:
    aclose = getattr(speaking, "aclose", None)
    if aclose is not None:
        await aclose()
