"""What voices of models on this machine have in common: the model is found once, and stays loaded."""

from __future__ import annotations

import abc
import asyncio
import contextlib
from collections.abc import AsyncGenerator

from locum.core.speech import Spoken
from locum.errors import LocumError, PermanentError
from locum.ports import Finding, VoiceSampler
from locum.voices.checking import try_out
from locum.voices.process import MissingError, SpeakingProcess, sayable


class LocalVoice(abc.ABC):
    """Speaks through a process of its own, which keeps the model loaded.

    With a `sampler` it speaks in the voice that was recorded.

    Args:
        sampler: Lends that recording.
        title: What an error calls it.
        install: The next step where something isn't installed,
        step: and where anything else is wrong.
    """

    def __init__(
        self, sampler: VoiceSampler | None, *, title: str, install: str, step: str
    ) -> None:
        self._sampler = sampler
        self._title, self._install, self._step = title, install, step
        self._process: SpeakingProcess | None = None
        self._starting = asyncio.Lock()

    @property
    @abc.abstractmethod
    def name(self) -> str: ...

    @abc.abstractmethod
    def _found(self) -> SpeakingProcess:
        """Find the model, in a thread; answers what will speak with it.

        Raises:
            PermanentError: It isn't there; the message has the next step.
        """

    @property
    @abc.abstractmethod
    def _manner(self) -> dict[str, object]:
        """How its process is to speak, beside the text and the recording."""

    async def warm(self) -> None:
        """Have the model loaded, and the voice read, ahead of the first word."""
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
            raise PermanentError(f"{error}. {self._install}") from error
        except PermanentError as error:
            raise PermanentError(f"{self._title}: {error}. {self._step}") from error
        finally:
            await speaking.aclose()

    async def _wanted(self) -> dict[str, object]:
        if self._sampler is None:
            return self._manner
        try:
            sample = await self._sampler.sample()
        except LocumError:
            # Nobody lends that voice any more, and its process has it in memory.
            await self.aclose()
            raise
        return {**self._manner, "sample": str(sample.file), "sha256": sample.sha256}

    async def _started(self) -> SpeakingProcess:
        async with self._starting:
            if self._process is None:
                self._process = await asyncio.to_thread(self._found)
            return self._process

    async def check(self) -> tuple[Finding, ...]:
        """Let it say one word to nobody."""
        return await try_out(self, otherwise=self._step)

    async def aclose(self) -> None:
        if self._process is not None:
            await self._process.aclose()
