"""pocket-tts in its process, and what it keeps of a recorded voice: no longer than is consented."""

from __future__ import annotations

import array
import asyncio
import os
import stat
from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest

from locum.errors import HumanNeededError, TransientError
from locum.persona.lending import LentVoice
from locum.persona.states import forget_unconsented, states_home
from locum.voices.pocket import PocketSettings, PocketVoice
from tests.integration.persona_rig import NOW, Household
from tests.integration.pocket_rig import LOUD, QUIET, pocket_package

pytestmark = pytest.mark.skipif(find_spec("numpy") is None, reason="numpy isn't installed")


@pytest.fixture(autouse=True)
def pocket(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(pocket_package(tmp_path_factory.mktemp("pocket")))


@pytest.fixture
def home(tmp_path: Path) -> Household:
    """Answer a household of robin, whose voice is Alex's, who agreed for a month."""
    made = Household(tmp_path)
    made.make(voice="cloned")
    made.consent(days=30)
    return made


def _voice(
    home: Household, now: datetime = NOW, environ: Mapping[str, str] = os.environ
) -> PocketVoice:
    settings = PocketSettings("english", None, cache=states_home(home.state))
    sampler = LentVoice(home.card(), home.state, lambda: now)
    return PocketVoice(settings, sampler=sampler, environ=environ)


async def _loudness(voice: PocketVoice, text: str = "Good morning.") -> set[int]:
    try:
        pcm = [piece.sound.pcm async for piece in voice.speak(text)]
    finally:
        await voice.aclose()
    return set(array.array("h", b"".join(pcm)))


def _kept(home: Household) -> list[Path]:
    return sorted(states_home(home.state).glob("*"))


def test_a_recording_is_read_once(home: Household) -> None:
    """The next meeting speaks with what was kept, which is for its owner's eyes."""
    assert asyncio.run(_loudness(_voice(home))) == {QUIET}
    (kept,) = _kept(home)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert asyncio.run(_loudness(_voice(home))) == {LOUD}


def test_what_was_kept_and_is_damaged_is_read_anew(home: Household) -> None:
    """A file that was cut off doesn't silence the voice for good: the recording is still there."""
    asyncio.run(_loudness(_voice(home)))
    (kept,) = _kept(home)
    whole = kept.read_bytes()
    kept.write_bytes(whole[:3])
    assert asyncio.run(_loudness(_voice(home))) == {QUIET}
    assert kept.read_bytes() == whole


def test_a_voice_that_is_lent_no_more_is_forgotten(home: Household) -> None:
    """From the next sentence on: its state isn't on the disk, nor in the memory of a process."""
    now = [NOW]
    settings = PocketSettings("english", None, cache=states_home(home.state))
    sampler = LentVoice(home.card(), home.state, lambda: now[0])

    async def scenario() -> None:
        voice = PocketVoice(settings, sampler=sampler)
        await voice.warm()
        assert voice._process is not None
        process = voice._process._process
        assert process is not None
        assert len(_kept(home)) == 1
        now[0] = NOW + timedelta(days=31)
        with pytest.raises(HumanNeededError, match="consent ended"):
            await anext(voice.speak("Good morning."))
        assert process.returncode is not None
        await voice.aclose()

    asyncio.run(scenario())
    assert _kept(home) == []


def test_only_what_somebody_consents_to_is_kept(home: Household) -> None:
    """The one whose time is up goes, with drafts of it; another's stays, and what is nobody's."""
    asyncio.run(_loudness(_voice(home)))
    home.make("wren", voice="cloned")
    (home.folder("wren") / "voice.wav").write_bytes(b"RIFF" + b"\2" * 4000)
    home.consent("wren")
    asyncio.run(_loudness(PocketVoice(
        PocketSettings("english", None, cache=states_home(home.state)),
        sampler=LentVoice(home.card("wren"), home.state, lambda: NOW),
    )))  # fmt: skip
    robins, wrens = (home.snapshot(name).sample for name in ("robin", "wren"))
    draft = states_home(home.state) / f"pocket-{'0' * 16}-{robins}.4711"
    draft.touch()
    other = states_home(home.state) / "README"
    other.touch()

    assert forget_unconsented(home.state, NOW) == 0
    assert forget_unconsented(home.state, NOW + timedelta(days=31)) == 2

    assert other in _kept(home)
    assert [path for path in _kept(home) if robins in path.name] == []
    assert len([path for path in _kept(home) if wrens in path.name]) == 1


def test_who_is_killed_while_reading_leaves_no_recording(
    home: Household, tmp_path: Path
) -> None:
    """A meeting may end while the voice is still being read: no copy of it stays in /tmp."""
    temporary, begun = tmp_path / "temporary", tmp_path / "begun"
    temporary.mkdir()
    environ = {**os.environ, "TMPDIR": str(temporary), "STAND_IN_HANGS": str(begun)}

    async def scenario() -> None:
        voice = _voice(home, environ=environ)
        warming = asyncio.ensure_future(voice.warm())
        while not begun.exists():
            assert not warming.done()
            await asyncio.sleep(0.01)
        await voice.aclose()
        await warming

    asyncio.run(asyncio.wait_for(scenario(), 60))
    left = [path for path in temporary.rglob("*") if path.is_file()]
    assert left == []


def test_unheard_sound_does_not_keep_a_process(home: Household) -> None:
    """Who is interrupted leaves much unheard: closing the voice waits for nobody to hear it."""

    async def scenario() -> None:
        voice = _voice(home, environ={**os.environ, "STAND_IN_BABBLES": "1"})
        speaking = voice.speak("Good morning. " * 100)
        await anext(speaking)
        assert voice._process is not None
        process = voice._process._process
        assert process is not None
        assert process.stdout is not None
        # Until asyncio itself reads no more.
        while len(process.stdout._buffer) < 1 << 19:  # type: ignore[attr-defined]
            assert process.returncode is None
            await asyncio.sleep(0.01)
        await speaking.aclose()
        await asyncio.wait_for(voice.aclose(), 30)
        assert process.returncode is not None

    asyncio.run(scenario())


def test_a_model_that_finds_no_end_is_ended(home: Household) -> None:
    """Sound that goes on long after so few words can have ended is given up, and its process."""
    voice = _voice(home, environ={**os.environ, "STAND_IN_BABBLES": "1"})
    with pytest.raises(TransientError, match="goes on speaking"):
        asyncio.run(asyncio.wait_for(_loudness(voice, "Hello."), 60))
