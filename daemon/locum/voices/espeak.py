"""The voice of a fresh machine: espeak-ng, robotic, quick, and with exact timings for the lips."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncGenerator, Mapping
from datetime import timedelta

from locum.core.speech import Spoken
from locum.errors import LocumError, PermanentError
from locum.ports import Finding
from locum.voices.checking import try_out
from locum.voices.process import MissingError, SpeakingProcess, sayable

INSTALL = "Install it: `sudo apt install espeak-ng`."

_PATIENCE = timedelta(seconds=10)
_WORDS_PER_MINUTE = 165


class EspeakVoice:
    """Speaks through espeak-ng in a process of its own, which is kept for the next sentence.

    `voice` is one of `espeak-ng --voices`, with a variant if one likes ("en-gb", "de+f3").
    """

    def __init__(
        self, voice: str = "en-gb", *, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._voice = voice
        self._process = SpeakingProcess(
            "locum.voices.espeak_process",
            name="espeak-ng",
            patience=_PATIENCE,
            environ=environ,
        )

    @property
    def name(self) -> str:
        return f"espeak-ng {self._voice} (robotic)"

    async def warm(self) -> None:
        """Start its process ahead, so that the first word needn't wait for it."""
        with contextlib.suppress(LocumError):
            await self._process.ready(self._wanted)

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        """Say `text` in pieces of about a quarter of a second. See `locum.ports.Voice`."""
        said = sayable(text)
        if not said:
            return
        speaking = self._process.speak(said, self._wanted)
        try:
            async for piece in speaking:
                yield piece
        except MissingError as error:
            raise PermanentError(f"{error}. {INSTALL}") from error
        except PermanentError as error:
            raise PermanentError(f"{error}. See `espeak-ng --voices`.") from error
        finally:
            await speaking.aclose()

    @property
    def _wanted(self) -> dict[str, object]:
        return {"voice": self._voice, "words_per_minute": _WORDS_PER_MINUTE}

    async def check(self) -> tuple[Finding, ...]:
        """Let it say one word to nobody."""
        return await try_out(self, otherwise=INSTALL)

    async def aclose(self) -> None:
        await self._process.aclose()
