"""Voices of services, and the stage's: both held to the contract, through everything that can fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

import openai
import pytest

from locum.core.secret import Secret
from locum.core.speech import Sound, Spoken
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Health, VoiceSample
from locum.rehearsal.faults import Fault
from locum.rehearsal.serving import served
from locum.rehearsal.speech import SpeechSettings, SpeechStage, speech_app
from locum.voices.elevenlabs import ElevenLabsVoice
from locum.voices.lips import lips
from locum.voices.openai import OpenAIVoice
from locum.voices.service import ServiceSettings

SENTENCE = "Good morning everybody, I am here for Alex."
KEY = "sk-rehearsal"

Speaker = OpenAIVoice | ElevenLabsVoice
Stages = Callable[..., Speaker]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[SpeechStage, str]]:
    stage = SpeechStage()
    with served(speech_app(stage)) as running:
        yield stage, running.base_url


@pytest.fixture
def stage(server: tuple[SpeechStage, str]) -> Iterator[SpeechStage]:
    yield server[0]
    server[0].faults.clear()
    server[0].configure(**vars(SpeechSettings()))


@pytest.fixture(params=["openai", "elevenlabs"])
def make(request: pytest.FixtureRequest, server: tuple[SpeechStage, str]) -> Stages:
    def made(
        *, key: str = KEY, patience: timedelta = timedelta(seconds=8), sampler: object = None
    ) -> Speaker:
        root = server[1] + ("/v1" if request.param == "openai" else "")
        settings = ServiceSettings(
            root, lambda: Secret(key), setting="voices.mine", patience=patience
        )
        if request.param == "openai":
            return OpenAIVoice(
                settings,
                model="stage-voice",
                voice="stage",
                sampler=sampler,  # type: ignore[arg-type]
            )
        return ElevenLabsVoice(settings, voice="stage", sampler=sampler)  # type: ignore[arg-type]

    return made


@asynccontextmanager
async def closing(voice: Speaker) -> AsyncIterator[Speaker]:
    try:
        yield voice
    finally:
        await voice.aclose()


async def said(voice: Speaker, text: str = SENTENCE) -> list[Spoken]:
    async with closing(voice):
        return [piece async for piece in voice.speak(text)]


def whole(pieces: list[Spoken]) -> Sound:
    return Sound(pieces[0].sound.rate, b"".join(piece.sound.pcm for piece in pieces))


def test_a_text_is_said_in_pieces_the_first_one_short(stage: SpeechStage, make: Stages) -> None:
    """All of the sound comes, bit by bit, at the rate that it has."""
    pieces = asyncio.run(said(make()))

    assert len(pieces) > 5
    assert pieces[0].sound.duration <= timedelta(milliseconds=100)
    assert {piece.sound.rate for piece in pieces} == {24_000}
    assert len(whole(pieces).pcm) == stage.said[-1].whole
    assert timedelta(seconds=1.5) < whole(pieces).duration < timedelta(seconds=5)


def test_openais_own_client_hears_the_same(server: tuple[SpeechStage, str]) -> None:
    """A client of others takes the stage for OpenAI's speech, and gets each byte of it."""
    client = openai.OpenAI(base_url=f"{server[1]}/v1", api_key=KEY, max_retries=0)
    with (
        client,
        client.audio.speech.with_streaming_response.create(
            model="stage-voice", voice="stage", input=SENTENCE, response_format="pcm"
        ) as answer,
    ):
        pcm = b"".join(answer.iter_bytes())
    assert len(pcm) == server[0].said[-1].whole
    with (
        pytest.raises(openai.AuthenticationError),
        openai.OpenAI(base_url=f"{server[1]}/v1", api_key="sk-bad", max_retries=0) as stranger,
    ):
        stranger.audio.speech.create(model="stage-voice", voice="stage", input="Hello")


def test_the_first_piece_comes_before_the_last_is_made(
    stage: SpeechStage, make: Stages
) -> None:
    """It is heard while the service still speaks, and closing it ends the service's work."""

    async def scenario() -> None:
        stage.configure(speed=1.0)
        async with closing(make()) as voice:
            async with aclosing(voice.speak(SENTENCE * 4)) as speaking:
                await anext(speaking)
                assert not stage.said[-1].finished
            sent = stage.said[-1].sent
            # The same connection serves nobody else's words, and the next is whole.
            stage.configure(speed=0.0)
            again = [piece async for piece in voice.speak(SENTENCE)]
            assert len(whole(again).pcm) == stage.said[-1].whole
            assert not stage.said[-2].finished
            assert stage.said[-2].sent - sent < 24_000

    asyncio.run(scenario())


def test_a_warm_connection_is_opened_once(stage: SpeechStage, make: Stages) -> None:
    """Ahead of the first word, and again after one that was cut off; not after each sentence."""

    async def scenario() -> None:
        async with closing(make()) as voice:
            before = stage.log.count
            await voice.warm()
            await voice.warm()
            assert stage.log.count == before + 1
            async with aclosing(voice.speak(SENTENCE * 3)) as speaking:
                await anext(speaking)
            await voice.warm()
            assert stage.log.count == before + 3

    asyncio.run(scenario())


def test_the_declared_delay_is_the_stages(stage: SpeechStage, make: Stages) -> None:
    """A declared delay is the delay: no sound comes before, and none much later."""
    stage.configure(delay_s=0.3)

    async def scenario() -> float:
        async with closing(make()) as voice:
            await voice.warm()
            began = time.monotonic()
            async with aclosing(voice.speak(SENTENCE)) as speaking:
                await anext(speaking)
            return time.monotonic() - began

    assert 0.3 <= asyncio.run(scenario()) < 3


def test_words_are_where_their_letters_are(server: tuple[SpeechStage, str]) -> None:
    """ElevenLabs' letters tell each word once, in order, where it stands, within its sound."""
    settings = ServiceSettings(server[1], lambda: Secret(KEY))
    pieces = asyncio.run(said(ElevenLabsVoice(settings, voice="stage")))
    began = timedelta(0)
    found = []
    for piece in pieces:
        found += [(SENTENCE[w.start : w.stop], began + w.at) for w in piece.words]
        began += piece.sound.duration

    assert [word for word, _ in found] == SENTENCE.split()
    instants = [at for _, at in found]
    assert instants == sorted(instants)
    assert timedelta(0) <= instants[0]
    assert instants[-1] < began


def test_lips_move_with_sound_at_24_khz(make: Stages) -> None:
    """Where a voice gives no sounds of speech, the mouth opens with what is heard, and closes."""
    read = lips()
    keys = [key.mouth.jaw for piece in asyncio.run(said(make())) for key in read(piece)]

    assert max(keys) > 0.3
    assert keys[-1] < 0.15


def _nonsense(body: object, kind: str) -> Fault:
    return Fault("speech", body=body, headers={"content-type": kind})


@pytest.mark.parametrize(
    ("fault", "expected", "told"),
    [
        (Fault("speech", status=429, headers={"retry-after": "7"}), TransientError, "429"),
        (Fault("speech", status=503), TransientError, "503"),
        (Fault("speech", status=400, body={"error": {"message": "no such\x1b model"}}), PermanentError, "no such  ?model.*voices.mine"),
        (Fault("speech", status=429, body={"error": {"message": "You exceeded your current quota"}}), HumanNeededError, "credits"),
        (Fault("speech", status=401, body={"detail": {"status": "quota_exceeded", "message": "This request exceeds your quota of 10000."}}), HumanNeededError, "credits"),
        (Fault("speech", status=302, headers={"location": "https://example.com"}), PermanentError, "302"),
        (Fault("speech", drop=True), TransientError, "can't be heard"),
        (Fault("speech", cut_after=20_000), TransientError, "can't be heard"),
        (Fault("speech", stall_after=20_000), TransientError, "silent for too long"),
        (Fault("speech", delay_s=60), TransientError, "silent for too long"),
        (Fault("speech", status=200, body=""), LocumError, "."),
        (_nonsense("<html>hello</html>", "text/html"), LocumError, "."),
        (_nonsense('{"audio_base64": "%%%"}\n', "application/json"), LocumError, "."),
        (_nonsense('{"audio_base64": 7}\n' * 9, "application/json"), LocumError, "."),
        (_nonsense(b"RIFF" + bytes(4000), "audio/wav"), LocumError, "."),
        (Fault("speech", endless=True), LocumError, "."),
    ],
    ids=lambda value: f"{value.status}-{value.delay_s}-{value.cut_after}" if isinstance(value, Fault) else None,
)  # fmt: skip
def test_what_fails_is_said_and_bounded(
    stage: SpeechStage, make: Stages, fault: Fault, expected: type[LocumError], told: str
) -> None:
    """Whatever the service does, an error of ours comes in bounded time, with what to do next."""
    stage.faults.add(fault)
    voice = make(patience=timedelta(seconds=0.4))

    with pytest.raises(expected, match=rf"(?s){told}") as raised:
        asyncio.run(asyncio.wait_for(said(voice, "Hello."), 30))

    assert KEY not in str(raised.value)
    if "retry-after" in fault.headers and isinstance(raised.value, TransientError):
        assert raised.value.retry_after == timedelta(seconds=7)


def test_a_key_that_is_echoed_is_told_in_no_part(stage: SpeechStage, make: Stages) -> None:
    """Where a long message is cut within the key that it repeats, no part of the key is left."""
    for before in range(285, 301):
        message = f"{'-' * before}{KEY} isn't known"
        stage.faults.add(Fault("speech", status=400, body={"error": {"message": message}}))
        with pytest.raises(PermanentError) as raised:
            asyncio.run(said(make(), "Hello."))
        assert KEY[:2] not in str(raised.value)


def test_speech_without_an_end_is_ended(stage: SpeechStage, make: Stages) -> None:
    """Sound that goes on long after so few words can have ended is given up."""
    stage.configure(endless=True)

    with pytest.raises(TransientError, match="goes on speaking"):
        asyncio.run(asyncio.wait_for(said(make(), "Hello."), 30))


def test_a_bad_key_is_a_persons_business_and_read_anew(
    stage: SpeechStage, make: Stages
) -> None:
    """It is told where the key stands; once it is mended there, it counts without a restart."""
    with pytest.raises(HumanNeededError, match=r"401.*voices\.mine\.api_key_file"):
        asyncio.run(said(make(key="sk-wrong")))

    async def scenario() -> list[Spoken]:
        async with closing(make()) as voice:
            stage.configure(api_key="sk-new")
            with pytest.raises(HumanNeededError):
                await anext(voice.speak(SENTENCE))
            stage.configure(api_key=KEY)
            return [piece async for piece in voice.speak(SENTENCE)]

    assert asyncio.run(scenario())


def test_a_check_spends_nothing(stage: SpeechStage, make: Stages) -> None:
    """Doctor learns whether the key is taken, and nobody says a word."""
    before = len(stage.said)

    async def health(key: str) -> Health:
        async with closing(make(key=key)) as voice:
            return (await voice.check())[0].health

    assert asyncio.run(health(KEY)) is Health.OK
    assert asyncio.run(health("sk-wrong")) is Health.BROKEN
    assert len(stage.said) == before


def test_a_persons_voice_is_silent_without_their_consent(
    stage: SpeechStage, make: Stages
) -> None:
    """Where the consent is gone, the service isn't even asked."""

    class Withdrawn:
        async def sample(self) -> VoiceSample:
            raise HumanNeededError("There is no consent.", hint="Ask.")

    before = stage.log.count
    with pytest.raises(HumanNeededError, match="no consent"):
        asyncio.run(said(make(sampler=Withdrawn())))
    assert stage.log.count == before
