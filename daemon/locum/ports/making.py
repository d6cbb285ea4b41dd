"""What makes a persona's face and voice."""

from __future__ import annotations

from typing import Protocol


class VoiceCloner(Protocol):
    """A place where a voice is cloned from a recording."""

    async def clone(
        self, sample: bytes, filename: str, *, name: str, noise_reduction: bool
    ) -> str:
        """Upload a recording (16-bit WAV, MP3 or M4A) and answer the new voice's id.

        Not idempotent: each call makes a voice.

        Raises:
            TransientError: Not now; see `retry_after`.
            HumanNeededError: The key or credits.
            PermanentError: This recording will never be taken.
        """
        ...

    async def aclose(self) -> None: ...


class ImageMaker(Protocol):
    """Something that draws what it is told."""

    async def generate(self, description: str) -> bytes:
        """Draw one image and answer the file's bytes. They are a stranger's: check them.

        Raises:
            TransientError: Not now; see `retry_after`.
            HumanNeededError: The key or credits.
            PermanentError: It won't draw that.
        """
        ...

    async def aclose(self) -> None: ...
