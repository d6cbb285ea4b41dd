"""sherpa-onnx on this machine: as good as the model in its folder, in whatever language it knows.

It listens in a process of its own, because it ends its process at a model that it can't use.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from locum.ears.local import LocalProcess, LocalRecognition
from locum.ears.sherpa_listener import layout_of
from locum.errors import LocumError, PermanentError
from locum.ports import Finding, Health

INSTALL = "Install it: `pip install 'locum[sherpa]'`."
NO_MODEL = (
    "Unpack a model of sherpa-onnx into a folder, and name it in hearing.model; see "
    "https://k2-fsa.github.io/sherpa/onnx/pretrained_models/."
)


class SherpaRecognizer:
    """Hears through sherpa-onnx, with a model; `find` answers its folder, and may block.

    What `find` raises is raised by `open`.
    """

    def __init__(
        self,
        model: str,
        find: Callable[[], Path],
        language: str = "en",
        *,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._model = model
        self._find = find
        self._language = language
        self._environ = environ
        self._process: LocalProcess | None = None

    @property
    def name(self) -> str:
        return f"sherpa-onnx with {Path(self._model).name} (on this machine)"

    async def open(self, *, hints: Sequence[str] = ()) -> LocalRecognition:
        """Begin a speaker's stream; hints count for nothing. See `locum.ports.Recognizer`."""
        del hints
        return LocalRecognition(await (await self._ready()).running())

    async def _ready(self) -> LocalProcess:
        if self._process is None:
            folder = await asyncio.to_thread(self._found)
            self._process = LocalProcess(
                *("sherpa", (str(folder), self._language)),
                install=NO_MODEL,
                environ=self._environ,
            )
        return self._process

    def _found(self) -> Path:
        if importlib.util.find_spec("sherpa_onnx") is None:
            raise PermanentError(f"sherpa-onnx isn't installed. {INSTALL}")
        folder = self._find()
        try:
            layout_of(folder)
        except (ValueError, OSError) as error:
            raise PermanentError(f"{error}. {NO_MODEL}") from None
        return folder

    async def check(self) -> tuple[Finding, ...]:
        """Let it read its model, which takes seconds."""
        try:
            await (await self._ready()).running()
        except LocumError as error:
            step = INSTALL if "isn't installed" in str(error) else NO_MODEL
            return (Finding("hearing", Health.BROKEN, str(error), step),)
        await self.aclose()
        return (Finding("hearing", Health.OK, self.name),)

    async def aclose(self) -> None:
        if self._process is not None:
            await self._process.aclose()
