"""What makes words: on this machine, and hosted, on the stage."""

from __future__ import annotations

import array
import asyncio
import base64
import contextlib
import random
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import openai as openai_sdk
import pytest

from locum.core.secret import Secret
from locum.core.speech import Sound
from locum.ears.deepgram import DeepgramRecognizer
from locum.ears.hosted import Service
from locum.ears.openai import OpenAIRecognizer
from locum.ears.pronouncing import pronunciations
from locum.ears.sherpa import SherpaRecognizer
from locum.ears.sphinx import SphinxRecognizer
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Health, Recognition
from locum.rehearsal.faults import Fault
from locum.rehearsal.recognition import (
    LARGEST_FRAME,
    RecognitionStage,
    recognition_app,
)
from locum.rehearsal.serving import served
from tests.integration.ears_rig import RATE_HZ, eventually, silence, spoken, tone

pytestmark = pytest.mark.anyio

has_espeak = pytest.mark.skipif(
    not (shutil.which("espeak-ng") and shutil.which("sox")), reason="needs espeak-ng and sox"
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def noise(seconds: float) -> bytes:
    """Answer something loud at all pitches."""
    dice = random.Random(1)
    size = round(seconds * RATE_HZ)
    return array.array("h", (dice.randint(-12000, 12000) for _ in range(size))).tobytes()


def hear(stream: Recognition, pcm: bytes) -> None:
    """Let it hear sound in pieces of 40 ms."""
    for start in range(0, len(pcm), 1280):
        stream.hear(Sound(RATE_HZ, pcm[start : start + 1280]))


# ── on this machine ──────────────────────────────────────────────────────────────────────


@has_espeak
@pytest.mark.skipif(find_spec("pocketsphinx") is None, reason="needs pocketsphinx")
async def test_pocketsphinx_really_hears() -> None:
    """Two speakers at once in one process, stretch by stretch; what it hears is theirs."""
    recognizer = SphinxRecognizer()
    one, other = await recognizer.open(), await recognizer.open()
    try:
        hear(one, silence(0.3) + spoken("the report", voice="en-us") + silence(0.3))
        hear(other, silence(0.5))
        # Whoever doesn't wait for an answer leaves the process, and the words, as they are.
        hasty = asyncio.ensure_future(one.guess())
        await asyncio.sleep(0)
        hasty.cancel()
        guessed = await one.guess()
        told = await one.finish()

        assert "report" in told
        assert "report" in guessed
        assert await other.finish() == ""
        hear(one, silence(0.5))
        assert await one.finish() == ""
    finally:
        await one.aclose()
        await other.aclose()
        await recognizer.aclose()


@pytest.mark.skipif(find_spec("pocketsphinx") is None, reason="needs pocketsphinx")
async def test_a_listening_process_that_ends_is_begun_anew() -> None:
    """Its stretch is lost, and said to be; the next stream is heard by the next process."""
    recognizer = SphinxRecognizer()
    stream = await recognizer.open()
    try:
        process = await recognizer._process.running()
        process._kill()
        hear(stream, silence(0.2))
        with pytest.raises(TransientError):
            await stream.finish()

        again = await recognizer.open()
        assert await again.finish() == ""
    finally:
        await recognizer.aclose()


async def test_pocketsphinx_says_what_it_cant() -> None:
    """Another language is refused with what to set instead; doctor says that it hears poorly."""
    german = SphinxRecognizer("de")
    with pytest.raises(PermanentError, match=r'hearing\.language is "de"'):
        await german.open()

    assert [each.health for each in await german.check()] == [Health.BROKEN]
    [finding] = await SphinxRecognizer().check()
    assert (finding.health, "every second word" in finding.detail) == (Health.WARNING, True)


@has_espeak
async def test_names_are_pronounced_for_the_recogniser() -> None:
    """Each word of the hints, once; what is no word is left out."""
    told = dict(await pronunciations(["Locum", "Dana  Reyes", "dana", "!!", "x" * 99]))

    assert set(told) == {"locum", "dana", "reyes"}
    assert told["locum"] == "L OW K AH M"


TINY = (
    "CAg64wIKMgoMYXVkaW9fc2lnbmFsCgJheBIBbSIKUmVkdWNlTWVhbioPCghrZWVwZGltcxgAoAECChcKAW0KBGxh"
    "c3QSAXUiCVVuc3F1ZWV6ZQoOCgF1CgF3EgFzIgNNdWwKDgoBcwoBYhIBYSIDQWRkCi8KAWESCGxvZ3Byb2JzIgpM"
    "b2dTb2Z0bWF4KhQKBGF4aXMY////////////AaABAhIEdGlueSoSCAEQB0ICYXhKCAEAAAAAAAAAKhQIARAHQgRs"
    "YXN0SggCAAAAAAAAACoZCAEIAQgDEAFCAXdKDAAAgD8AAAAAAACAvyoZCAEIAQgDEAFCAWJKDAAAAEEAAMjCAAAA"
    "wVokCgxhdWRpb19zaWduYWwSFAoSCAESDgoDEgFOCgIIUAoDEgFUWhUKBmxlbmd0aBILCgkIBxIFCgMSAU5iIAoI"
    "bG9ncHJvYnMSFAoSCAESDgoDEgFOCgMSAVQKAggDQgQKABAScg8KCnZvY2FiX3NpemUSATJyFwoSc3Vic2FtcGxp"
    "bmdfZmFjdG9yEgExchIKDm5vcm1hbGl6ZV90eXBlEgByHAoKbW9kZWxfdHlwZRIORW5jRGVjQ1RDTW9kZWxyDwoK"
    "aXNfZ2lnYV9hbRIBMA=="
)
"""A model of ours for sherpa-onnx, in ONNX: the mean of a frame's 80 bands, and whether it is
above -8. Whatever is loud is an "ah"."""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    if find_spec("sherpa_onnx") is None:
        pytest.skip("needs sherpa-onnx")
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(base64.b64decode(TINY))
    (folder / "tokens.txt").write_text("▁ah 0\n▁oh 1\n<blk> 2\n", encoding="utf-8")
    return folder


async def test_sherpa_hears_with_a_model_of_ones_own(tiny: Path) -> None:
    """A tiny one that calls all that is loud "ah": silence is nothing, a stretch its own."""
    recognizer = SherpaRecognizer(str(tiny), lambda: tiny)
    stream = await recognizer.open(hints=("Robin",))
    try:
        hear(stream, silence(0.5))
        assert await stream.guess() == ""
        hear(stream, noise(0.5) + silence(0.5))
        await eventually(stream.guess, lambda words: set(words.split()) == {"ah"})
        assert set((await stream.finish()).split()) == {"ah"}
        hear(stream, silence(0.5))
        assert await stream.finish() == ""
    finally:
        await stream.aclose()
        await recognizer.aclose()


async def test_a_model_that_ends_its_process_doesnt_end_ours(tiny: Path) -> None:
    """One without its notes: sherpa-onnx exits at it, and we say that it can't be used."""
    model = tiny / "model.onnx"
    model.write_bytes(model.read_bytes().replace(b"vocab_size", b"vocab_sice"))
    recognizer = SherpaRecognizer(str(tiny), lambda: tiny)

    with pytest.raises((PermanentError, TransientError)):
        await recognizer.open()
    [finding] = await recognizer.check()
    assert (finding.health, bool(finding.next_step)) == (Health.BROKEN, True)


async def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    """The message has the folder, and what to do."""
    if find_spec("sherpa_onnx") is None:
        pytest.skip("needs sherpa-onnx")
    with pytest.raises(PermanentError, match=r"holds no model.*hearing\.model"):
        await SherpaRecognizer(str(tmp_path), lambda: tmp_path).open()


# ── hosted ───────────────────────────────────────────────────────────────────────────────

Served = tuple[RecognitionStage, str]


@contextlib.contextmanager
def staged() -> Iterator[Served]:
    stage = RecognitionStage()
    with served(recognition_app(stage), largest_frame=LARGEST_FRAME) as server:
        yield stage, server.base_url


@pytest.fixture
def stage() -> Iterator[Served]:
    with staged() as found:
        yield found


def service(
    url: str, *, key: str | None = "dg-rehearsal", model: str = "stage-hears"
) -> Service:
    return Service(url, model, key=lambda: None if key is None else Secret(key))


def deepgram(stage: Served, key: str | None = "dg-rehearsal") -> DeepgramRecognizer:
    return DeepgramRecognizer(service(stage[1], key=key))


def transcriber(stage: Served, key: str | None = "dg-rehearsal") -> OpenAIRecognizer:
    return OpenAIRecognizer(service(f"{stage[1]}/v1", key=key))


async def test_deepgram_hears_as_it_is_spoken(stage: Served) -> None:
    """Words grow while the sound comes; each stretch ends when we say so, the hints are sent."""
    stage[0].will_hear("we could ship it on friday", "and then")
    stream = await deepgram(stage).open(hints=("Robin", "x" * 200))
    try:
        hear(stream, tone(1.2))
        await eventually(stream.guess, lambda words: words == "we could ship")
        hear(stream, tone(0.9) + silence(0.3))
        assert await stream.finish() == "we could ship it on friday"
        assert await stream.finish() == ""
        hear(stream, tone(0.7, 300) + silence(0.3))
        assert await stream.finish() == "and then"
    finally:
        await stream.aclose()
    asked = stage[0].asked[0]
    assert (asked["language"], asked["interim_results"], asked["keywords"]) == (
        *("en", "true"),
        "Robin",
    )


async def test_deepgram_hears_a_stretch_again_where_the_line_dropped(stage: Served) -> None:
    """It is connected anew, and nothing of what was said is missing."""
    stage[0].will_hear("we could ship it on friday")
    stage[0].configure(hang_up_after_s=0.6, hang_ups=1)
    stream = await deepgram(stage).open()
    try:
        hear(stream, tone(2.0) + silence(0.3))
        assert await stream.finish() == "we could ship it on friday"
    finally:
        await stream.aclose()
    assert stage[0].connections == 2


async def test_deepgrams_nonsense_is_passed_over(stage: Served) -> None:
    """What isn't as documented changes nothing."""
    stage[0].will_hear("still here")
    stage[0].configure(malformed=True)
    stream = await deepgram(stage).open()
    try:
        hear(stream, tone(0.8))
        assert await stream.finish() == "still here"
    finally:
        await stream.aclose()


async def test_deepgram_that_never_answers_holds_nobody_up(stage: Served) -> None:
    """After some seconds the stretch has no words, which is what is known of it."""
    stage[0].configure(mute=True)
    stream = await deepgram(stage).open()
    try:
        hear(stream, tone(0.5))
        assert await stream.finish() == ""
    finally:
        await stream.aclose()


async def test_deepgram_that_is_gone_is_said_to_be(stage: Served) -> None:
    """A line that drops again and again loses the stretch, with an error that passes."""
    stage[0].configure(hang_up_after_s=0.1, hang_ups=100)
    stream = await deepgram(stage).open()
    try:
        hear(stream, tone(0.5))
        with pytest.raises(TransientError, match="hung up"):
            await stream.finish()
    finally:
        await stream.aclose()


@pytest.mark.parametrize(
    ("key", "status", "error", "says"),
    [
        ("wrong", None, HumanNeededError, "hearing.api_key_file"),
        (None, None, HumanNeededError, "no key"),
        ("dg-rehearsal", 402, HumanNeededError, "credit"),
        ("dg-rehearsal", 429, TransientError, "429"),
        ("dg-rehearsal", 503, TransientError, "503"),
        ("dg-rehearsal", 400, PermanentError, "hearing.model"),
    ],
)
async def test_deepgrams_refusals_say_what_to_do(
    stage: Served, key: str | None, status: int | None, error: type[LocumError], says: str
) -> None:
    """Each has its class, and doctor's next step; no key is ever quoted."""
    stage[0].configure(status=status)
    recognizer = deepgram(stage, key)
    with pytest.raises(error) as caught:
        await recognizer.open()

    assert says in str(caught.value)
    assert "dg-rehearsal" not in str(caught.value)
    [finding] = await recognizer.check()
    assert (finding.health, bool(finding.next_step)) == (Health.BROKEN, True)


async def test_nobody_there_is_an_error_that_passes() -> None:
    """An address at which nothing listens, for both kinds."""
    here = service("http://127.0.0.1:9")
    with pytest.raises(TransientError, match="can't be reached"):
        await DeepgramRecognizer(here).open()

    recognizer = OpenAIRecognizer(here)
    stream = await recognizer.open()
    hear(stream, tone(0.5))
    with pytest.raises(TransientError, match="can't be reached"):
        await stream.finish()
    await recognizer.aclose()


async def test_both_are_well(stage: Served) -> None:
    """Doctor tries the key and the model, and neither hears anything for it."""
    recognizer = transcriber(stage)
    found = [*await deepgram(stage).check(), *await recognizer.check()]
    await recognizer.aclose()

    assert [each.health for each in found] == [Health.OK, Health.OK]


async def test_a_transcriber_is_asked_once_a_stretch(stage: Served) -> None:
    """A guess at the pause is the answer, if only silence came after it; the hints go along."""
    stage[0].will_hear("we could ship it on friday")
    recognizer = transcriber(stage)
    stream = await recognizer.open(hints=("Robin", "Dana"))
    hear(stream, tone(2.0) + silence(0.1))

    assert await stream.guess() == "we could ship it on friday"
    hear(stream, silence(0.3))
    assert await stream.finish() == "we could ship it on friday"
    assert await stream.finish() == ""
    assert [each["prompt"] for each in stage[0].asked] == ["Robin, Dana"]
    await recognizer.aclose()


async def test_a_transcriber_is_asked_again_where_more_was_said(stage: Served) -> None:
    """But for guesses no more than once a second."""
    stage[0].will_hear("we could ship it")
    recognizer = transcriber(stage)
    stream = await recognizer.open()
    hear(stream, tone(0.5))
    for _ in range(5):
        await stream.guess()
        hear(stream, tone(0.2))
    await stream.finish()
    await recognizer.aclose()

    assert len(stage[0].asked) == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=401, body={"error": {"message": "Incorrect key"}}), HumanNeededError),
        (Fault(status=429, headers={"Retry-After": "7"}), TransientError),
        (Fault(status=500, body="oops"), TransientError),
        (Fault(status=413, body="too large"), PermanentError),
        (Fault(body="{"), TransientError),
        (Fault(body={"words": "none"}), PermanentError),
        (Fault(body="[" * 100_000), TransientError),
        (Fault(drop=True), TransientError),
        (Fault(endless=True), TransientError),
    ],
)
async def test_a_transcribers_faults_are_typed(
    stage: Served, fault: Fault, error: type[LocumError]
) -> None:
    """Refusals, half an answer, none, one without an end: bounded, and never words."""
    stage[0].faults.add(fault)
    recognizer = transcriber(stage)
    stream = await recognizer.open()
    hear(stream, tone(0.5))

    with pytest.raises(error) as caught:
        await stream.finish()
    await recognizer.aclose()
    if isinstance(caught.value, TransientError) and fault.headers:
        assert caught.value.retry_after == timedelta(seconds=7)


async def test_an_answer_is_one_line_of_bounded_length(stage: Served) -> None:
    """Whatever lines a server puts into its words."""
    stage[0].faults.add(Fault(body={"text": "one\n\ntwo\t three"}))
    recognizer = transcriber(stage)
    stream = await recognizer.open()
    hear(stream, tone(0.5))

    assert await stream.finish() == "one two three"
    await recognizer.aclose()


def test_others_client_finds_the_stage_as_documented(
    stage: Served, wav: Callable[[bytes], bytes]
) -> None:
    """OpenAI's own client, as a witness: words, and its errors' classes."""
    stage[0].will_hear("good morning")
    with openai_sdk.OpenAI(
        api_key="dg-rehearsal", base_url=f"{stage[1]}/v1", max_retries=0
    ) as client:
        sound = ("speech.wav", wav(tone(0.8)), "audio/wav")

        told = client.audio.transcriptions.create(model="stage-hears", file=sound)
        assert told.text == "good morning"
        with pytest.raises(openai_sdk.NotFoundError):
            client.audio.transcriptions.create(model="another", file=sound)
        short = ("speech.wav", wav(tone(0.05)), "audio/wav")
        with pytest.raises(openai_sdk.BadRequestError):
            client.audio.transcriptions.create(model="stage-hears", file=short)
        with pytest.raises(openai_sdk.AuthenticationError):
            client.with_options(api_key="wrong").audio.transcriptions.create(
                model="stage-hears", file=sound
            )


@pytest.fixture
def wav() -> Callable[[bytes], bytes]:
    from locum.ears.openai import _wav

    return _wav
