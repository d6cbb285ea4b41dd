"""Voices of models on this machine, by sherpa-onnx: Piper's, VITS, Kokoro, ZipVoice, Pocket."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from locum.ports import VoiceSampler
from locum.voices.local import LocalVoice
from locum.voices.process import SpeakingProcess

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


class SherpaVoice(LocalVoice):
    """sherpa-onnx; clones where its model can."""

    def __init__(
        self,
        settings: SherpaSettings,
        *,
        sampler: VoiceSampler | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        super().__init__(sampler, title=settings.model, install=INSTALL, step=STEP)
        self._settings = settings
        self._environ = environ

    @property
    def name(self) -> str:
        how = "synthetic" if self._sampler is None else "the persona's own voice, cloned"
        return f"{self._settings.model} by sherpa-onnx ({how})"

    @property
    def _manner(self) -> dict[str, object]:
        settings = self._settings
        return {"speaker": settings.speaker, "speed": settings.speed, "said": settings.said}

    def _found(self) -> SpeakingProcess:
        return SpeakingProcess(
            "locum.voices.sherpa_process",
            str(self._settings.folder().absolute()),
            str(self._settings.threads),
            name="sherpa-onnx",
            patience=_PATIENCE,
            environ=self._environ,
        )
