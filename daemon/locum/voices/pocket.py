"""Kyutai's pocket-tts on this machine: it streams, and speaks with a recorded voice."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from locum.core.speech import Spoken
from locum.errors import LocumError, PermanentError
from locum.ports import Finding, VoiceSampler
from locum.voices.checking import try_out
from locum.voices.process import MissingError, SpeakingProcess, sayable

INSTALL = "Install it: `pip install 'locum[pocket]'`."
STEP = (
    "Its own models are fetched by pocket-tts itself: `pocket-tts generate` once, as the user "
    "that locum runs as. Then hear it with `locum persona voice try`."
)

_PATIENCE = timedelta(seconds=60)
"""PyTorch takes seconds to import, and a recording to be read, the first time."""


@dataclass(frozen=True)
class PocketSettings:
    """`model` is one of its languages, or what people call a model of which `folder` tells where.

    In `cache` the states are kept that recordings were read into, by their SHA-256.
    """

    model: str
    folder: Callable[[], Path] | None
    cache: Path
    voice: str = "alba"
    quantized: bool = False


class PocketVoice:
    """Speaks through a process of its own, which keeps the model loaded; never online.

    With a `sampler` it speaks in the voice that was recorded.
    """

    def __init__(
        self,
        settings: PocketSettings,
        *,
        sampler: VoiceSampler | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings
        self._sampler = sampler
        # In a meeting nothing is fetched: what is there is used, or nothing.
        self._environ = {**environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
        self._process: SpeakingProcess | None = None
        self._starting = asyncio.Lock()

    @property
    def name(self) -> str:
        settings = self._settings
        own = "the persona's own voice, cloned"
        how = f"{settings.voice}, natural" if self._sampler is None else own
        return f"pocket-tts {settings.model} ({how})"

    async def warm(self) -> None:
        """Load the model, and have it read the voice, ahead of the first word."""
        with contextlib.suppress(LocumError):
            wanted = await self._wanted()
            await (await self._started()).ready(wanted)

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        """Say `text` while it is made. See `locum.ports.Voice`."""
        said = sayable(text)
        if not said:
            return
        wanted = await self._wanted()
        speaking = (await self._started()).speak(said, wanted)
        try:
            async for piece in speaking:
                yield piece
        except MissingError as error:
            raise PermanentError(f"{error}. {INSTALL}") from error
        except PermanentError as error:
            raise PermanentError(f"pocket-tts: {error}. {STEP}") from error
        finally:
            await speaking.aclose()

    async def _wanted(self) -> dict[str, object]:
        if self._sampler is None:
            return {"voice": self._settings.voice}
        sample = await self._sampler.sample()
        return {"sample": str(sample.file), "sha256": sample.sha256}

    async def _started(self) -> SpeakingProcess:
        async with self._starting:
            if self._process is None:
                find = self._settings.folder
                model = self._settings.model
                place = model if find is None else str(await asyncio.to_thread(find))
                self._process = SpeakingProcess(
                    "locum.voices.pocket_process",
                    place,
                    str(self._settings.cache.absolute()),
                    "quantized" if self._settings.quantized else "whole",
                    name="pocket-tts",
                    patience=_PATIENCE,
                    environ=self._environ,
                )
            return self._process

    async def check(self) -> tuple[Finding, ...]:
        """Let it say one word to nobody."""
        return await try_out(self, otherwise=STEP)

    async def aclose(self) -> None:
        if self._process is not None:
            await self._process.aclose()
