"""A room's tracks become happenings: who speaks, when, in which words; and what isn't told."""

from __future__ import annotations

import array
import asyncio
import math
from collections.abc import AsyncIterator
from datetime import timedelta

import numpy as np
import pytest

from locum.core.speech import Sound
from locum.core.talk import Heard, VoiceBegan, VoicePaused
from locum.ears.hearing import CAPTIONS, NOT_UNDERSTOOD, Happened, Hearing, Listening
from locum.ears.voicing import Voicing
from locum.errors import HumanNeededError, TransientError
from locum.ports import HeardSound, Said
from tests.integration.ears_rig import (
    PIECE,
    RATE_HZ,
    START,
    Scripted,
    all_of,
    second_of,
    silence,
    sounds,
)

pytestmark = pytest.mark.anyio


def voice(seconds: float, pitch: float = 150.0) -> bytes:
    """Answer something as loud and as long as speech, in syllables of its own."""
    at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    shape = 0.55 + 0.45 * np.sin(2 * math.pi * (3 + pitch / 100) * at + 7 * np.sin(at))
    tone = np.sin(2 * math.pi * pitch * at * (1 + 0.1 * np.sin(5 * at)))
    rich = tone + 0.5 * np.sin(4 * math.pi * pitch * at + tone) + 0.3 * np.sin(900 * at)
    return bytes((6000 * shape * rich).astype("<i2").tobytes())


def loud() -> Voicing:
    """Take everything loud for a voice: the sounds here are no speech."""
    return Voicing(
        lambda window: float(max(array.array("h", window)) > 1000), forget=lambda: None
    )


def hearing(recognizer: Scripted | None, settings: Listening | None = None) -> Hearing:
    return Hearing(recognizer, settings or Listening(partial=None), voicing=loud)


def heard(happened: list[Happened], *, final: bool = True) -> list[Heard]:
    return [each for each in happened if isinstance(each, Heard) and each.final is final]


async def test_an_utterance_is_told_from_its_beginning_to_its_words() -> None:
    """Voice, pause, words: dated by the sound, with who spoke and from when to when."""
    ears = hearing(Scripted(["shall we begin"]))
    room = {"a": silence(1) + voice(1.5) + silence(3)}

    began, paused, words = await all_of(ears, sounds(room, {"a": "Dana"}))

    assert (type(began), type(paused)) == (VoiceBegan, VoicePaused)
    assert second_of(began.at) == pytest.approx(1.0, abs=0.06)
    assert second_of(paused.at) == pytest.approx(2.5, abs=0.06)
    assert isinstance(words, Heard)
    assert (words.text, words.speaker, words.track) == ("shall we begin", "Dana", "a")
    assert words.final
    assert words.until is not None
    assert (words.at, words.until) == (began.at, paused.at)


async def test_the_recogniser_gets_what_came_before_the_voice_was_one() -> None:
    """Its stretch begins 300 ms earlier, and goes on for 400 ms of the silence."""
    recognizer = Scripted(["well"])
    room = {"a": silence(1) + voice(1.5) + silence(3)}

    await all_of(hearing(recognizer), sounds(room))

    assert recognizer.opened[0].heard[0] == pytest.approx(2.2, abs=0.1)
    assert recognizer.opened[0].closed


async def test_whoever_ends_a_turn_gets_its_words_and_so_does_the_transcript() -> None:
    """`finish` answers them, after `happenings` had them; the silence and the tail are known."""
    ears = hearing(Scripted(["is it done", "nothing more"]))
    room = {"a": silence(0.5) + voice(1) + silence(1.2)}
    told: list[Happened] = []

    async for happened in ears.happenings(sounds(room, speed=10)):
        told.append(happened)
        if isinstance(happened, VoicePaused):
            assert ears.silence("a") >= timedelta(milliseconds=90)
            assert ears.tail("a").duration > timedelta(seconds=1.5)
            assert await ears.guess("a") == "is it done"
            assert await ears.finish("a") == "is it done"
            assert await ears.finish("a") == ""

    assert [each.text for each in heard(told)] == ["is it done"]
    assert ears.silence("nobody") == timedelta(0)
    assert (await ears.finish("nobody"), ears.tail("nobody").pcm) == ("", b"")


async def test_a_long_turn_is_told_in_utterances_and_is_one_turn_all_the_same() -> None:
    """After 15 s the next breath ends an utterance; its words stay the turn's."""
    ears = hearing(Scripted(["the first part", "and the second"]))
    room = {"a": voice(16) + silence(0.7) + voice(1) + silence(1)}
    told: list[Happened] = []
    turn = ""

    async for happened in ears.happenings(sounds(room)):
        told.append(happened)
        if isinstance(happened, VoicePaused) and second_of(happened.at) > 17:
            turn = await ears.finish("a")

    assert [each.text for each in heard(told)] == ["the first part", "and the second"]
    assert turn == "the first part and the second"


async def test_who_never_pauses_is_heard_all_the_same() -> None:
    """After 40 s an utterance ends anywhere, and nothing of the sound is lost at the seam."""
    recognizer = Scripted(["the first part", "and the rest"])
    room = {"a": voice(43) + silence(2.5)}

    told = await all_of(hearing(recognizer), sounds(room, speed=60))

    first, second = heard(told)
    assert first.until == second.at
    assert sum(recognizer.opened[0].heard) == pytest.approx(43.4, abs=0.2)
    assert len([each for each in told if isinstance(each, VoiceBegan)]) == 1


async def test_words_come_while_somebody_speaks() -> None:
    """Each time they are other words than before."""
    ears = hearing(Scripted(["so far so good"]), Listening(partial=timedelta(milliseconds=320)))

    told = await all_of(ears, sounds({"a": voice(2) + silence(2.5)}))

    assert [each.text for each in heard(told, final=False)] == ["so far so good"]


async def test_speakers_at_once_have_a_stream_each() -> None:
    """Two tracks, two recognitions, each with its own speaker; the hints go to both."""
    recognizer = Scripted(["here"])
    room = {"a": silence(0.5) + voice(1) + silence(3), "b": voice(2, 220) + silence(2.5)}
    ears = hearing(recognizer, Listening(partial=None, hints=("Robin",)))

    told = await all_of(ears, sounds(room, {"a": "Dana", "b": "Marek"}))

    assert {(each.speaker, each.text) for each in heard(told)} == {
        ("Dana", "here"),
        ("Marek", "here"),
    }
    assert (len(recognizer.opened), recognizer.hints) == (2, ("Robin",))


async def test_whom_there_is_no_stream_for_isnt_silently_lost() -> None:
    """Of two who speak at once, with one stream, the other one wasn't understood."""
    room = {"a": voice(3) + silence(3), "b": silence(1) + voice(2, 220) + silence(3)}
    ears = hearing(Scripted(["here"]), Listening(partial=None, streams=1))

    told = await all_of(ears, sounds(room))

    assert {(each.track, each.text) for each in heard(told)} == {
        ("a", "here"),
        ("b", NOT_UNDERSTOOD),
    }


async def test_a_name_that_comes_late_counts_from_then_on() -> None:
    """An utterance has the name that was known at its end; before that, nobody's."""
    pcm = voice(2) + silence(2.5)

    async def room() -> AsyncIterator[HeardSound]:
        async for each in sounds({"a": pcm}):
            named = "Dana" if second_of(each.at) > 1 else ""
            yield HeardSound(each.at, each.track, named, each.sound)

    told = await all_of(hearing(Scripted(["here"])), room())

    assert [each.speaker for each in told] == ["", "Dana", "Dana"]


async def test_somebody_else_on_the_same_track_begins_another_utterance() -> None:
    """A room that mixes puts people on one track, one after the other."""
    pcm = voice(2.4) + silence(2.5)

    async def room() -> AsyncIterator[HeardSound]:
        async for each in sounds({"a": pcm}):
            named = "Dana" if second_of(each.at) < 1.2 else "Marek"
            yield HeardSound(each.at, each.track, named, each.sound)

    told = await all_of(hearing(Scripted(["i think", "no wait"])), room())

    assert [(each.speaker, each.text) for each in heard(told)] == [
        ("Dana", "i think"),
        ("Marek", "no wait"),
    ]


async def test_lost_words_are_said_to_be_lost() -> None:
    """A recogniser that fails costs one utterance; the next one is heard."""
    lost = TransientError("gone", retry_after=timedelta(milliseconds=10))
    recognizer = Scripted([lost])
    room = {"a": voice(1) + silence(3) + voice(1) + silence(3)}
    ears = hearing(recognizer)
    told: list[Happened] = []

    async for happened in ears.happenings(sounds(room)):
        told.append(happened)
        if isinstance(happened, Heard):
            recognizer.script = ["back again"]

    assert [each.text for each in heard(told)] == [NOT_UNDERSTOOD, "back again"]


async def test_without_a_recogniser_that_works_captions_have_the_words() -> None:
    """A key that isn't taken: what captions say then is told, with their name."""
    ears = hearing(Scripted([], opening=HumanNeededError("no key", hint="Get one.")))
    room = {"a": voice(1) + silence(3)}
    told: list[Happened] = []

    async for happened in ears.happenings(sounds(room, speed=5)):
        told.append(happened)
        if isinstance(happened, VoicePaused):
            assert ears.words_are_captions
            ears.captioned(Said(START, "Dana", "Shall we begin?", until=happened.at))
            assert await ears.finish("a") == "Shall we begin?"

    assert [(each.speaker, each.text, each.track) for each in heard(told)] == [
        ("Dana", "Shall we begin?", "a")
    ]


async def test_captions_alone_can_be_the_words() -> None:
    """Where nobody speaks on a track that would fit, they have one of their own."""
    ears = hearing(None)
    ears.captioned(Said(START, "Dana", "Good morning."))

    told = await all_of(ears, sounds({"a": silence(0.2)}))

    assert [(each.speaker, each.text, each.track) for each in heard(told)] == [
        ("Dana", "Good morning.", CAPTIONS)
    ]


async def test_captions_name_whom_the_room_doesnt() -> None:
    """Only the name is theirs: nearly the same words at the same time."""
    ears = hearing(Scripted(["shell we begin then"]))
    ears.captioned(Said(START, "Dana", "Shall we begin, then?", until=START))

    told = await all_of(ears, sounds({"a": voice(1) + silence(3)}))

    assert [(each.speaker, each.text) for each in heard(told)] == [
        ("Dana", "shell we begin then")
    ]


def softer(pcm: bytes, by: float) -> bytes:
    return bytes((np.frombuffer(pcm, "<i2") * by).astype("<i2").tobytes())


async def spoken_over(
    ears: Hearing, ours: bytes, room: dict[str, bytes], *, began: float
) -> list[Happened]:
    """Say `ours` from the second `began` on, in pieces, while the room is heard."""

    async def heard_then() -> AsyncIterator[HeardSound]:
        async for each in sounds(room, speed=12):
            first = round((second_of(each.at) - began) * RATE_HZ)
            piece = ours[2 * first : 2 * (first + PIECE)] if first >= 0 else b""
            if piece:
                ears.spoke(Sound(RATE_HZ, piece), each.at)
            yield each

    return [each async for each in ears.happenings(heard_then())]


async def test_our_own_voice_from_a_loudspeaker_is_nobodys() -> None:
    """Half as loud and 200 ms later, it begins nothing and has no words."""
    ours = voice(3)
    room = {"a": silence(1.2) + softer(ours, 0.5) + silence(2.5)}

    assert await spoken_over(hearing(Scripted(["echo"])), ours, room, began=1.0) == []


async def test_who_interrupts_us_is_heard() -> None:
    """Somebody else's voice while we speak is a voice, some 100 ms later than otherwise."""
    ours = voice(4)
    room = {"a": silence(2) + voice(1.5, 260) + silence(3)}

    told = await spoken_over(hearing(Scripted(["stop"])), ours, room, began=0.5)

    assert isinstance(told[0], VoiceBegan)
    assert second_of(told[0].at) == pytest.approx(2.0, abs=0.4)
    assert [each.text for each in heard(told)] == ["stop"]


async def test_our_own_words_are_dropped_where_the_sound_passed() -> None:
    """An echo that doesn't sound like us any more is still known by its words."""
    ears = hearing(Scripted(["we can look at the plan on friday"]))
    ears.said("We can look at the plan on Friday.", START)
    ours = voice(2)
    room = {"a": silence(0.3) + voice(1.8, 260) + silence(3)}

    told = await spoken_over(ears, ours, room, began=0.0)

    assert heard(told) == []


async def test_a_track_that_breaks_off_is_silent() -> None:
    """Sound that stops coming while somebody speaks: they have paused, and are heard out."""
    ended = asyncio.Event()

    async def broken() -> AsyncIterator[HeardSound]:
        async for each in sounds({"a": voice(1)}):
            yield each
        await ended.wait()

    ears = hearing(Scripted(["cut off"]))
    told: list[Happened] = []
    async for happened in ears.happenings(broken()):
        told.append(happened)
        if isinstance(happened, VoicePaused):
            assert await ears.finish("a") == "cut off"
            ended.set()

    assert [type(each) for each in told] == [VoiceBegan, VoicePaused, Heard]
