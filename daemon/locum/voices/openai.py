"""OpenAI's voices, and those of any server that has its /audio/speech.

https://platform.openai.com/docs/api-reference/audio/createSpeech: `response_format` "pcm" is raw
16-bit mono at 24 kHz, sent as it is made.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from locum.core.speech import Spoken
from locum.ports import Finding, VoiceSampler
from locum.voices.process import sayable
from locum.voices.service import ServiceSettings, SpeechService, pieces_of


class OpenAIVoice:
    """Speaks through a service; a voice that is a real person's needs a `sampler`'s leave."""

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        model: str,
        voice: str,
        rate: int = 24_000,
        instructions: str = "",
        sampler: VoiceSampler | None = None,
    ) -> None:
        self._settings = settings
        self._service = SpeechService(
            settings, lambda key: {"Authorization": f"Bearer {key.reveal()}"}
        )
        self._wanted: dict[str, Any] = {
            "model": model,
            "voice": voice,
            "response_format": "pcm",
            **({"instructions": instructions} if instructions else {}),
        }
        self._rate = rate
        self._sampler = sampler

    @property
    def name(self) -> str:
        how = "synthetic" if self._sampler is None else "the persona's own voice, cloned"
        return f"{self._wanted['voice']} of {self._wanted['model']} at {self._settings.host} ({how})"

    async def warm(self) -> None:
        await self._service.warm("/models")

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        """Say `text` as it comes. See `locum.ports.Voice`."""
        said = sayable(text)
        if not said:
            return
        if self._sampler is not None:
            await self._sampler.sample()
        payload = {**self._wanted, "input": said}
        async with (
            self._service.asked("POST", "/audio/speech", payload) as answer,
            aclosing(pieces_of(answer, self._rate, said)) as pieces,
        ):
            async for sound in pieces:
                yield Spoken(sound)

    async def check(self) -> tuple[Finding, ...]:
        return await self._service.check("/models", self.name)

    async def aclose(self) -> None:
        await self._service.aclose()
