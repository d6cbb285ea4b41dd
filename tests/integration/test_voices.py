"""Which voice speaks: the config's, with its owner's consent, or espeak-ng in its place, aloud."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from locum.app.voices import voice_name, voices_of
from locum.clock import SystemClock
from locum.config.load import load
from locum.config.model import Config
from locum.core.speech import Sound, Spoken, Word
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.persona.lending import LentVoice
from locum.ports import Finding, Voice
from locum.voices.fallback import FallbackVoice
from tests import needs
from tests.integration.persona_rig import NOW, Household, hash_of

RATE = 16_000
WORD_S = 0.3


@dataclass
class Wordy:
    """A `Voice` that takes 0.3 s for each word and tells where it is; it breaks off when told."""

    name: str
    fails: LocumError | None = None
    after: int = 0  #: Words, before it fails.
    said: list[str] = field(default_factory=list)
    closed: int = 0

    async def speak(self, text: str) -> AsyncGenerator[Spoken, None]:
        self.said.append(text)
        at = 0
        try:
            for number, word in enumerate(text.split()):
                if self.fails is not None and number == self.after:
                    raise self.fails
                at = text.index(word, at)
                pcm = bytes(2 * int(RATE * WORD_S))
                where = Word(at, at + len(word), timedelta(0))
                yield Spoken(Sound(RATE, pcm), words=(where,))
        finally:
            self.closed += 1

    async def warm(self) -> None:
        pass

    async def check(self) -> tuple[Finding, ...]:
        return ()

    async def aclose(self) -> None:
        pass


async def _words(voice: Voice, text: str) -> list[str]:
    return [
        text[word.start : word.stop]
        async for piece in voice.speak(text)
        for word in piece.words
    ]


def test_what_a_voice_leaves_unsaid_another_says() -> None:
    """A voice that breaks off is followed from the word where it broke; the record says so once."""
    told: list[str] = []
    failing = Wordy("hers", TransientError("It broke.", retry_after=timedelta(seconds=1)), 3)
    plain = Wordy("plain")
    text = "One two three four five six."

    async def scenario() -> None:
        voice = FallbackVoice(failing, plain, told=told.append)
        assert voice.name == "hers"
        # The third word broke off: it is said again rather than left out.
        heard = await _words(voice, text)
        assert heard[:2] == ["One", "two"]
        assert " ".join(heard).endswith("three four five six.")
        assert len(heard) <= 7
        # While it rests, nobody waits for it.
        assert voice.name == "plain"
        assert await _words(voice, "Seven.") == ["Seven."]
        assert failing.said == [text]

    asyncio.run(scenario())
    assert told == ["The voice hers failed, and plain spoke instead: It broke."]


def test_a_voice_that_is_well_again_speaks_again() -> None:
    """After its pause it is asked anew; a reason that comes again isn't told twice."""
    told: list[str] = []
    failing = Wordy("hers", TransientError("Busy.", retry_after=timedelta(0)))
    plain = Wordy("plain")

    async def scenario() -> None:
        voice = FallbackVoice(failing, plain, told=told.append)
        await _words(voice, "One.")
        await _words(voice, "Two.")
        failing.fails = None
        assert await _words(voice, "Three.") == ["Three."]

    asyncio.run(scenario())
    assert plain.said == ["One.", "Two."]
    assert len(told) == 1


def test_who_stops_listening_stops_the_voice_behind() -> None:
    """Closing the iterator ends what was being said, and nobody says the rest."""
    hers, plain = Wordy("hers"), Wordy("plain")

    async def scenario() -> None:
        voice = FallbackVoice(hers, plain, told=lambda _: None)
        speaking = voice.speak("One two three.")
        await anext(speaking)
        await speaking.aclose()

    asyncio.run(scenario())
    assert hers.closed == 1
    assert plain.said == []


def test_both_voices_failing_is_an_error() -> None:
    """Where nothing speaks, whoever asked is told, and can write instead."""
    hers = Wordy("hers", PermanentError("No model."))
    plain = Wordy("plain", PermanentError("No espeak-ng."))

    async def scenario() -> None:
        voice = FallbackVoice(hers, plain, told=lambda _: None)
        with pytest.raises(PermanentError, match="No espeak-ng"):
            await _words(voice, "One.")

    asyncio.run(scenario())


# ── whose voice ──────────────────────────────────────────────────────────────────────────


def test_a_recording_is_lent_while_its_owner_consents(tmp_path: Path) -> None:
    """Without a consent, after its end, once it is withdrawn or the recording is another, it isn't."""
    home = Household(tmp_path)
    folder = home.make(voice="cloned")
    now = [NOW]
    lent = LentVoice(home.card(), home.state, lambda: now[0])

    async def refused(told: str) -> None:
        with pytest.raises(HumanNeededError, match=told):
            await lent.sample()

    async def scenario() -> None:
        await refused(r"nobody's consent.*locum persona consent robin --scope voice")
        home.consent(days=30)
        sample = await lent.sample()
        assert sample.sha256 == hash_of(sample.file)
        now[0] = NOW + timedelta(days=31)
        await refused("consent ended")
        now[0] = NOW
        (folder / "voice.wav").write_bytes(b"RIFF" + b"\2" * 4000)
        await refused("another voice")
        (folder / "voice.wav").write_bytes(b"RIFF" + b"\1" * 4000)
        assert await lent.sample() == sample
        (folder / "consent-voice.toml").unlink()
        await refused("nobody's consent")

    asyncio.run(scenario())


def test_a_stock_voice_lends_nothing(tmp_path: Path) -> None:
    """A persona without a recording is told how to get one, also one that has no folder."""
    home = Household(tmp_path)
    home.make()
    lent = LentVoice(home.card(), home.state, lambda: NOW)
    with pytest.raises(HumanNeededError, match=r"no recorded voice.*voice clone robin"):
        asyncio.run(lent.sample())


CONFIG = """
state_dir = "state"
[[calendar.accounts]]
name = "work"
token_file = "t.json"
[attend]
persona = "robin"
[personas.robin]
speaks_with = "mine"
[personas.ada]
[engines.own]
type = "chromium"
voice = "en-us"
[voices.mine]
type = "openai"
base_url = "http://127.0.0.1:9/v1"
cloned = true
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "locum.toml"
    path.write_text(CONFIG)
    return load(path, environ={"HOME": "/nonexistent"}).config


def test_a_persona_speaks_with_its_own_voice_else_its_engines(config: Config) -> None:
    """What the persona names counts first, then the engine; "en-us" is espeak-ng's."""
    assert voice_name(config, "own", "robin") == "mine"
    assert voice_name(config, "own", "ada") == "en-us"


@needs.espeak
def test_a_withdrawn_consent_is_another_voice_and_is_said(
    config: Config, tmp_path: Path
) -> None:
    """Without its owner's consent, a cloned voice is silent: espeak-ng speaks, and it is told."""
    home = Household(tmp_path / "state")
    home.make(voice="cloned")
    told: list[str] = []

    async def scenario() -> None:
        voice = voices_of(
            config, state=home.state, clock=SystemClock(), card=home.card(), told=told.append
        )["own"]
        try:
            pieces = [piece async for piece in voice.speak("Good morning.")]
            assert pieces[0].phones
            assert "robotic" in voice.name
        finally:
            await voice.aclose()

    asyncio.run(scenario())
    (note,) = told
    assert "nobody's consent to using this voice is on file" in note
    assert "espeak-ng en-gb (robotic) spoke instead" in note


def test_a_persona_with_a_recording_goes_where_our_voices_speak(tmp_path: Path) -> None:
    """An engine of ours needs no clone at a service: nothing is uploaded, and it may go."""
    from locum.persona import Wardrobe

    home = Household(tmp_path)
    home.make(voice="cloned")
    home.consent()
    wardrobe = Wardrobe(home.state, {"pika": home.cloner}, ours={"own"})

    appearance = asyncio.run(wardrobe.appear(home.card(), engine="own", now=NOW))

    assert appearance.face.voice_id == ""
    assert home.cloner.samples == []
