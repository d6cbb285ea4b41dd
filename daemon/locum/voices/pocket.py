"""Kyutai's pocket-tts on this machine: it streams, and speaks with a recorded voice."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from locum.ports import VoiceSampler
from locum.voices.local import LocalVoice
from locum.voices.process import SpeakingProcess

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

    `folder` is called in a thread, once, and may raise PermanentError. In `cache` the states are
    kept that recordings were read into, by their SHA-256.
    """

    model: str
    folder: Callable[[], Path] | None
    cache: Path
    voice: str = "alba"
    quantized: bool = False


class PocketVoice(LocalVoice):
    """pocket-tts; never online."""

    def __init__(
        self,
        settings: PocketSettings,
        *,
        sampler: VoiceSampler | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        super().__init__(sampler, title="pocket-tts", install=INSTALL, step=STEP)
        self._settings = settings
        # In a meeting nothing is fetched: what is there is used, or nothing.
        self._environ = {**environ, "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}

    @property
    def name(self) -> str:
        settings = self._settings
        own = "the persona's own voice, cloned"
        how = f"{settings.voice}, natural" if self._sampler is None else own
        return f"pocket-tts {settings.model} ({how})"

    @property
    def _manner(self) -> dict[str, object]:
        return {"voice": self._settings.voice}

    def _found(self) -> SpeakingProcess:
        settings = self._settings
        return SpeakingProcess(
            "locum.voices.pocket_process",
            settings.model if settings.folder is None else str(settings.folder()),
            str(settings.cache.absolute()),
            "quantized" if settings.quantized else "whole",
            name="pocket-tts",
            patience=_PATIENCE,
            environ=self._environ,
        )
