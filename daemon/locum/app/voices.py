"""The voices of the config: which one a persona speaks with on an engine of ours, and trying it.

Building one imports nothing heavy: a daemon that sits idle doesn't pay for a model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import structlog

from locum.config.engines import ChromiumEngine
from locum.config.model import Config
from locum.config.talking import (
    ElevenLabsTable,
    EspeakTable,
    PocketTable,
    SherpaTable,
    SpeechServiceTable,
    VoiceTable,
)
from locum.keys import KeyPlace
from locum.models import find_model
from locum.persona import PersonaCard
from locum.persona.lending import LentVoice
from locum.persona.states import states_home
from locum.ports import Clock, Finding, Voice, VoiceSampler
from locum.voices.elevenlabs import ElevenLabsVoice
from locum.voices.espeak import EspeakVoice
from locum.voices.fallback import FallbackVoice
from locum.voices.openai import OpenAIVoice
from locum.voices.pocket import PocketSettings, PocketVoice
from locum.voices.service import ServiceSettings
from locum.voices.sherpa import SherpaSettings, SherpaVoice

_log = structlog.get_logger(__name__)

CREDENTIAL_NAME = "voice_api_key"
KEY_VARIABLE = "LOCUM_VOICE_API_KEY"


@dataclass(frozen=True)
class VoiceMaker:
    """Makes voices for one persona; `card` None is for trying a voice that is nobody's."""

    config: Config
    state: Path
    now: Callable[[], datetime]
    card: PersonaCard | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    def named(self, name: str) -> Voice:
        """Answer a voice of [voices], or one of espeak-ng's of that name."""
        table = self.config.voices.get(name)
        return (
            EspeakVoice(name, environ=self.environ) if table is None else self.of(name, table)
        )

    def of(self, name: str, table: VoiceTable) -> Voice:
        match table:
            case EspeakTable():
                return EspeakVoice(table.voice, environ=self.environ)
            case SherpaTable():
                settings = SherpaSettings(
                    table.model,
                    lambda: find_model(self.state, table.model),
                    speaker=table.speaker,
                    speed=table.speed,
                    threads=table.threads,
                    said=table.said_in_recording,
                )
                sampler = self._sampler(cloned=table.cloned)
                return SherpaVoice(settings, sampler=sampler, environ=self.environ)
            case PocketTable():
                return self._pocket(table)
            case SpeechServiceTable():
                return OpenAIVoice(
                    self._service(name, table),
                    model=table.model,
                    voice=table.voice,
                    rate=table.rate,
                    instructions=table.instructions,
                    sampler=self._sampler(cloned=table.cloned),
                )
            case ElevenLabsTable():
                return ElevenLabsVoice(
                    self._service(name, table),
                    voice=table.voice,
                    model=table.model,
                    rate=table.rate,
                    sampler=self._sampler(cloned=table.cloned),
                )

    def _pocket(self, table: PocketTable) -> Voice:
        is_ours = table.model.replace("_", "").isalnum() and table.model.islower()
        settings = PocketSettings(
            table.model,
            None if is_ours else lambda: find_model(self.state, table.model),
            cache=states_home(self.state),
            voice=table.voice,
            quantized=table.quantized,
        )
        sampler = self._sampler(cloned=table.cloned)
        return PocketVoice(settings, sampler=sampler, environ=self.environ)

    def _service(
        self, name: str, table: SpeechServiceTable | ElevenLabsTable
    ) -> ServiceSettings:
        setting = f"voices.{name}"
        place = KeyPlace(
            "The voice's", f"{setting}.api_key_file", CREDENTIAL_NAME, KEY_VARIABLE
        )
        return ServiceSettings(
            table.base_url,
            lambda: place.find(table.api_key_file, self.environ),
            setting=setting,
            key_file=table.api_key_file,
        )

    def _sampler(self, *, cloned: bool) -> VoiceSampler | None:
        if not cloned:
            return None
        card = self.card or PersonaCard("(no persona)", "", "", Path(), "")
        return LentVoice(card, self.state, self.now)


def voice_name(config: Config, engine: str, persona: str) -> str:
    """Answer what the config names for a persona to speak with on an engine of ours."""
    table = config.engines.get(engine)
    personas = config.personas.get(persona)
    own = None if personas is None else personas.speaks_with
    return own or (table.voice if isinstance(table, ChromiumEngine) else "en-gb")


def voices_of(
    config: Config,
    *,
    state: Path,
    clock: Clock,
    card: PersonaCard | None,
    told: Callable[[str], None] = lambda _: None,
    environ: Mapping[str, str] = os.environ,
) -> dict[str, Voice]:
    """Answer with what voice a persona speaks, by the name of each engine of ours.

    Whatever it is, espeak-ng takes over where it fails; `told` gets a sentence for the record.
    Close them after use.
    """
    maker = VoiceMaker(config, state, clock.now, card, environ)
    found: dict[str, Voice] = {}
    for engine, table in config.engines.items():
        if not isinstance(table, ChromiumEngine):
            continue
        name = voice_name(config, engine, "" if card is None else card.name)
        voice = maker.named(name)
        if not isinstance(voice, EspeakVoice):
            voice = FallbackVoice(voice, EspeakVoice(environ=environ), told=told)
        found[engine] = voice
    return found


async def check_voices(
    config: Config, *, state: Path, clock: Clock, cards: Mapping[str, PersonaCard]
) -> tuple[Finding, ...]:
    """Try every voice that somebody would speak with on an engine of ours. Raises nothing."""
    wanted = {
        (voice_name(config, engine, persona), persona)
        for engine, table in config.engines.items()
        if isinstance(table, ChromiumEngine)
        for persona in (list(config.personas) or [""])
    }
    findings: list[Finding] = []
    tried: set[str] = set()
    for name, persona in sorted(wanted):
        table = config.voices.get(name)
        is_somebodys = bool(getattr(table, "cloned", False))
        if name in tried and not is_somebodys:
            continue
        tried.add(name)
        voice = VoiceMaker(config, state, clock.now, cards.get(persona)).named(name)
        whose = f" of {persona}" if is_somebodys else ""
        try:
            found = await voice.check()
        finally:
            await voice.aclose()
        findings += [replace(each, subject=f"voice {name}{whose}") for each in found]
    return tuple(findings)
