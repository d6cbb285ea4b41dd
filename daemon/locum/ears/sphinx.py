"""The recogniser of a fresh machine: pocketsphinx, whose model is in its wheel. English, poor.

It listens in a process of its own, one for all speakers, see `locum.ears.listening`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence

from locum.ears.local import LocalProcess, LocalRecognition
from locum.ears.pronouncing import pronunciations
from locum.errors import PermanentError
from locum.ports import Finding, Health

INSTALL = "Install our engine's parts: `pip install 'locum[chromium]'`."


class SphinxRecognizer:
    """Hears through pocketsphinx. `language` other than English it refuses."""

    def __init__(
        self, language: str = "en", *, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._language = language
        self._process = LocalProcess("sphinx", install=INSTALL, environ=environ)

    @property
    def name(self) -> str:
        return "pocketsphinx (on this machine; English, about every second word right)"

    async def open(self, *, hints: Sequence[str] = ()) -> LocalRecognition:
        """Begin a speaker's stream. See `locum.ports.Recognizer`."""
        if not self._language.startswith("en"):
            raise PermanentError(
                f'pocketsphinx knows English only, and hearing.language is "{self._language}". '
                'Set hearing.type to "sherpa" with a model of that language, to a hosted one, '
                'or to "captions".'
            )
        process = await self._process.running()
        words = await pronunciations(hints)
        if words:
            await process.ask({"do": "words", "words": words})
        return LocalRecognition(process)

    async def check(self) -> tuple[Finding, ...]:
        """See whether it is there, without starting it."""
        if importlib.util.find_spec("pocketsphinx") is None:
            return (Finding("hearing", Health.BROKEN, "pocketsphinx is missing", INSTALL),)
        if not self._language.startswith("en"):
            return (
                Finding(
                    "hearing",
                    Health.BROKEN,
                    f'pocketsphinx knows English only, not "{self._language}"',
                    'Set hearing.type to "sherpa", "deepgram", "openai" or "captions".',
                ),
            )
        return (
            Finding(
                "hearing",
                Health.WARNING,
                self.name,
                'For good words: hearing.type = "local" with Moonshine (see `locum models`), '
                '"sherpa" with a model, or a hosted one.',
            ),
        )

    async def aclose(self) -> None:
        await self._process.aclose()
