"""Voices of models on this machine, by sherpa-onnx: Piper's, VITS, Kokoro, ZipVoice, Pocket."""

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

INSTALL = "Install it: `pip install 'locum[sherpa]'`; Piper's voices need espeak-ng, too."
STEP = "Hear it with `locum persona voice try`, or take another model: `locum models list`."

_PATIENCE = timedelta(seconds=30)


@dataclass(frozen=True)
class SherpaSettings:
    """`model` is what people call it, `folder` answers where it lies.

    `folder` is called in a thread, once, and may raise PermanentError.
    """

    model: str
    folder: Callable[[], Path]
    speaker: int = 0
    speed: float = 1.0
    threads: int = 1
    said: str = ""  #: In the recording, where it clones.


class SherpaVoice:
    """Speaks through a process of its own, which keeps the model loaded.

    With a `sampler` it speaks in the voice that was recorded, if the model can.
    """

    def __init__(
        self,
        settings: SherpaSettings,
        *,
        sampler: VoiceSampler | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._settings = settings
        self._sampler = sampler
        self._environ = environ
        self._process: SpeakingProcess | None = None
        self._starting = asyncio.Lock()

    @property
    def name(self) -> str:
        how = "synthetic" if self._sampler is None else "the persona's own voice, cloned"
        return f"{self._settings.model} by sherpa-onnx ({how})"

    async def warm(self) -> None:
        with contextlib.suppress(LocumError):
            await (await self._started()).ready({})

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        """Say `text`, clause by clause. See `locum.ports.Voice`."""
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
            raise PermanentError(f"{self._settings.model}: {error}. {STEP}") from error
        finally:
            await speaking.aclose()

    async def _wanted(self) -> dict[str, object]:
        settings = self._settings
        wanted: dict[str, object] = {"speaker": settings.speaker, "speed": settings.speed}
        if self._sampler is not None:
            sample = await self._sampler.sample()
            wanted |= {"sample": str(sample.file), "sha256": sample.sha256}
            wanted |= {"said": settings.said}
        return wanted

    async def _started(self) -> SpeakingProcess:
        async with self._starting:
            if self._process is None:
                folder = await asyncio.to_thread(self._settings.folder)
                self._process = SpeakingProcess(
                    "locum.voices.sherpa_process",
                    str(folder.absolute()),
                    str(self._settings.threads),
                    name="sherpa-onnx",
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
