"""Moonshine on this machine: good English words from one core and a model of 30 MB.

It listens in a process of its own, one for all speakers, see `locum.ears.listening`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from locum.ears.local import LocalProcess, LocalRecognition
from locum.ears.moonshine_network import FILES
from locum.errors import LocumError, PermanentError
from locum.ports import Finding, Health

MODEL = "moonshine"
"""What `locum models pull` calls it."""
GET = f"pip install 'locum[smart-turn]', then: locum models pull {MODEL}"


def unusable(folder: Path) -> str:
    """Answer why the model in `folder` can't be used, with the next step; empty if it can."""
    if any(importlib.util.find_spec(each) is None for each in ("onnxruntime", "numpy")):
        return f"Moonshine needs onnxruntime and numpy. {GET}"
    missing = [name for name in FILES if not (folder / name).is_file()]
    return (
        f"{folder} is no model of Moonshine's: no {', '.join(missing)}. {GET}"
        if missing
        else ""
    )


class MoonshineRecognizer:
    """Hears through Moonshine; `find` answers the model's folder, and may block.

    What `find` raises is raised by `open`. `language` other than English is refused.
    """

    def __init__(
        self,
        find: Callable[[], Path],
        language: str = "en",
        *,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._find = find
        self._language = language
        self._environ = environ
        self._process: LocalProcess | None = None

    @property
    def name(self) -> str:
        return "Moonshine (on this machine; English)"

    async def open(self, *, hints: Sequence[str] = ()) -> LocalRecognition:
        """Begin a speaker's stream; hints count for nothing. See `locum.ports.Recognizer`."""
        del hints
        return LocalRecognition(await (await self._ready()).running())

    async def _ready(self) -> LocalProcess:
        if not self._language.startswith("en"):
            raise PermanentError(
                f'Moonshine knows English only, and hearing.language is "{self._language}". '
                'Set hearing.type to "sherpa" with a model of that language, to a hosted one, '
                'or to "captions".'
            )
        if self._process is None:
            folder = await asyncio.to_thread(self._found)
            self._process = LocalProcess(
                "moonshine", (str(folder),), install=GET, environ=self._environ
            )
        return self._process

    def _found(self) -> Path:
        folder = self._find()
        if problem := unusable(folder):
            raise PermanentError(problem)
        return folder

    async def check(self) -> tuple[Finding, ...]:
        """Let it read its model, which takes half a second."""
        try:
            await (await self._ready()).running()
        except LocumError as error:
            return (Finding("hearing", Health.BROKEN, str(error), GET),)
        finally:
            await self.aclose()
        return (Finding("hearing", Health.OK, self.name),)

    async def aclose(self) -> None:
        if self._process is not None:
            await self._process.aclose()
