"""Lends a persona's recorded voice to what speaks with it, as long as its owner consents.

The consent is looked at for each text that is to be said, not once a meeting: who withdraws it,
or whose time is up, isn't heard any more from the next sentence on, and what models have read of
their recording is deleted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from locum.errors import HumanNeededError
from locum.persona.card import PersonaCard
from locum.persona.consent import (
    ConsentKey,
    Scope,
    assets_needing_consent,
    check_consent,
    next_step,
)
from locum.persona.folder import VOICES, read_snapshot
from locum.persona.states import forget_states
from locum.persona.wardrobe import stamps_of
from locum.ports import VoiceSample


class LentVoice:
    """One persona's recording: a `locum.ports.VoiceSampler`. `state` holds the consents' key."""

    def __init__(self, card: PersonaCard, state: Path, now: Callable[[], datetime]) -> None:
        self._card = card
        self._state = state
        self._key = ConsentKey(state)
        self._now = now
        self._known: tuple[object, VoiceSample] | None = None

    async def sample(self) -> VoiceSample:
        """See `locum.ports.VoiceSampler`."""
        return await asyncio.to_thread(self._sample)

    def _sample(self) -> VoiceSample:
        folder = self._card.folder
        if folder is None:
            raise HumanNeededError(
                f"The persona {self._card.name} stands in the config and has no recording.",
                hint=f"Make one with a folder: `locum persona new {self._card.name}`.",
            )
        stamps = stamps_of(self._card)
        if self._known is None or self._known[0] != stamps:
            self._known = (stamps, self._read(folder))
        sample = self._known[1]
        consent = check_consent(folder, Scope.VOICE, sample.sha256, self._key, at=self._now())
        if consent.trouble:
            forget_states(self._state, sample.sha256)
            raise HumanNeededError(
                f"The recorded voice of {folder.name} may not be used: {consent.trouble}.",
                hint=next_step(folder.name, Scope.VOICE),
            )
        return sample

    def _read(self, folder: Path) -> VoiceSample:
        snapshot = read_snapshot(folder)
        digest = assets_needing_consent(snapshot).get(Scope.VOICE)
        step = f"Give it one: `locum persona voice clone {folder.name} AUDIO`."
        if digest is None:
            raise HumanNeededError(f"{folder.name} has no recorded voice.", hint=step)
        if snapshot.sample_name != VOICES[0]:
            told = f"The recording of {folder.name} is {snapshot.sample_name}, and no WAV file."
            raise HumanNeededError(told, hint=f"With ffmpeg installed: {step}")
        return VoiceSample(folder / snapshot.sample_name, digest)
