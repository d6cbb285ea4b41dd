"""espeak-ng's voice in its process, and the lips that go with it."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import pytest

from locum.core.speech import Sound, Spoken
from locum.errors import PermanentError
from locum.ports import Health
from locum.voices.espeak import EspeakVoice
from locum.voices.lips import lips
from tests import needs

pytestmark = needs.espeak

_SENTENCE = "Hello, I am Robin, and I will tell Alex what you decide about the budget."


async def _said(voice: EspeakVoice, text: str) -> list[Spoken]:
    return [piece async for piece in voice.speak(text)]


def _phones(pieces: list[Spoken]) -> list[str]:
    """Answer what was said; its samples differ a little each time."""
    return [phone.symbol for piece in pieces for phone in piece.phones]


def test_pieces_hold_whole_phones_that_cover_their_sound() -> None:
    """Each piece's phones follow each other, and end where its sound ends."""

    async def scenario() -> None:
        voice = EspeakVoice()
        pieces = await _said(voice, _SENTENCE)
        await voice.aclose()
        assert len(pieces) > 5
        for piece in pieces:
            ends = [phone.end for phone in piece.phones]
            starts = [phone.start for phone in piece.phones]
            assert starts[1:] == ends[:-1]
            assert abs(ends[-1] - piece.sound.duration) < timedelta(milliseconds=2)
        lasting = sum((piece.sound.duration for piece in pieces), timedelta(0))
        assert timedelta(seconds=2.5) < lasting < timedelta(seconds=8)

    asyncio.run(scenario())


def test_what_was_broken_off_is_not_heard_in_the_next_sentence() -> None:
    """After a sentence that was cut short, the next one is itself and nothing else."""

    async def scenario() -> None:
        voice = EspeakVoice()
        alone = _phones(await _said(voice, "Yes."))
        async with contextlib.aclosing(voice.speak(_SENTENCE * 20)) as speaking:
            async for _ in speaking:
                break
        assert _phones(await _said(voice, "Yes.")) == alone
        await voice.aclose()

    asyncio.run(scenario())


def test_who_is_interrupted_speaks_again_through_the_same_process() -> None:
    """A sentence that was cut short costs its voice no new start; what it still gave is dropped."""

    async def scenario() -> None:
        voice = EspeakVoice()
        await voice.warm()
        process = voice._process._process
        assert process is not None
        for _ in range(3):
            async with contextlib.aclosing(voice.speak(_SENTENCE * 60)) as speaking:
                async for _piece in speaking:
                    break
            assert "".join(_phones(await _said(voice, "Yes."))) == "jɛs"
        assert process.returncode is None
        assert voice._process._process is process
        await voice.aclose()

    asyncio.run(scenario())


def test_two_at_once_wait_for_each_other() -> None:
    """Two who speak through one voice each get their own words."""

    async def scenario() -> None:
        voice = EspeakVoice()
        alone = [_phones(await _said(voice, text)) for text in ("Yes.", _SENTENCE)]
        both = await asyncio.gather(_said(voice, "Yes."), _said(voice, _SENTENCE))
        assert [_phones(pieces) for pieces in both] == alone
        await voice.aclose()

    asyncio.run(scenario())


def test_a_killed_process_is_made_anew() -> None:
    """Its process may die at any time: the next sentence is said all the same."""

    async def scenario() -> None:
        voice = EspeakVoice()
        alone = _phones(await _said(voice, "Yes."))
        process = voice._process._process
        assert process is not None
        process.kill()
        await process.wait()
        assert _phones(await _said(voice, "Yes.")) == alone
        await voice.aclose()

    asyncio.run(scenario())


def test_an_unknown_voice_says_where_to_look() -> None:
    """A voice that isn't there is an error that names it, also for `doctor`."""

    async def scenario() -> None:
        voice = EspeakVoice("xx-nobody")
        with pytest.raises(PermanentError, match=r'no voice "xx-nobody".*espeak-ng --voices'):
            await _said(voice, "Yes.")
        assert (await voice.check())[0].health is Health.BROKEN
        await voice.aclose()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("text", "markup", "obeyed"),
    [
        ("[[h@l'oU]] there", "h@l'oU", "hələʊ"),
        ("Yes <break time='9s'/> no", "break time", ""),
        ("<speak>Yes</speak>", "speak", ""),
        ("Yes \x01+50P no", "50", ""),
    ],
)
def test_markup_is_read_out_and_never_obeyed(text: str, markup: str, obeyed: str) -> None:
    """What strangers write steers no voice: phonemes, SSML and commands are words like others."""

    async def scenario() -> None:
        voice = EspeakVoice()
        heard = "".join(_phones(await _said(voice, text)))
        without = "".join(_phones(await _said(voice, text.replace(markup, ""))))
        await voice.aclose()
        assert len(heard) > len(without)
        assert not obeyed or obeyed not in heard

    asyncio.run(scenario())


@pytest.mark.parametrize("text", ["", " \n\t ", "\x00\x1b", "…", "?!", "[[", "»—«"])
def test_nothing_to_say_is_said_by_silence(text: str) -> None:
    """What holds no words gives no sound, and no error."""

    async def scenario() -> None:
        voice = EspeakVoice()
        assert await _said(voice, text) == []
        with contextlib.suppress(ProcessLookupError):
            await voice.aclose()

    asyncio.run(scenario())


def test_lips_meet_for_b_and_part_for_a() -> None:
    """By its phones alone: in "Abba" the lips meet, and are open before and after."""

    async def scenario() -> None:
        voice = EspeakVoice()
        read = lips()
        keys = [key.mouth for piece in await _said(voice, "Abba") for key in read(piece)]
        await voice.aclose()
        sealed = [number for number, mouth in enumerate(keys) if mouth.close > 0.8]
        assert sealed
        assert any(mouth.jaw > 0.3 for mouth in keys[: sealed[0]])
        assert any(mouth.jaw > 0.2 for mouth in keys[sealed[-1] :])

    asyncio.run(scenario())


def test_lips_follow_the_sound_where_there_are_no_timings() -> None:
    """Without phones, the mouth opens with speech and stays shut in silence."""

    async def scenario() -> None:
        voice = EspeakVoice("en-us+f3")
        read = lips()
        spoken = await _said(voice, _SENTENCE)
        await voice.aclose()
        whole = Sound(spoken[0].sound.rate, b"".join(piece.sound.pcm for piece in spoken))
        opened = [key.mouth.jaw for key in read(Spoken(whole))]
        silence = Spoken(Sound(whole.rate, bytes(whole.rate)))
        shut = [key.mouth.jaw for key in lips()(silence)]
        assert max(opened) > 0.4
        assert max(opened) - min(opened) > 0.3
        assert shut
        assert max(shut) < 0.1

    asyncio.run(scenario())
