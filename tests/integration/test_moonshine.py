"""Moonshine in its process: with a tiny network of the same shape, and with the real one.

The real one isn't here: LOCUM_MOONSHINE names the folder that it lies in, where it does.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from locum.core.speech import Sound
from locum.ears.moonshine import MoonshineRecognizer
from locum.ears.moonshine_listener import MoonshineListener
from locum.ears.moonshine_network import FILES, Network
from locum.errors import PermanentError
from locum.ports import Health, Recognition
from tests.bench.ears import wrong
from tests.integration.moonshine_rig import moonshine_folder
from tests.speech import Recording, recordings

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(find_spec("onnxruntime") is None, reason="needs onnxruntime"),
]

RATE_HZ = 16_000
PIECE = 1280
REAL = os.environ.get("LOCUM_MOONSHINE", "")
has_weights = pytest.mark.skipif(not REAL, reason="LOCUM_MOONSHINE names no model")

AH, OH = 0.3, 0.1


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return moonshine_folder(tmp_path_factory.mktemp("moonshine"))


@pytest.fixture(scope="session")
def real() -> MoonshineListener:
    return MoonshineListener(REAL)


def sound(*parts: tuple[float, float]) -> bytes:
    """Answer sound of (seconds, amplitude) each."""
    samples = [np.full(round(seconds * RATE_HZ), level) for seconds, level in parts]
    return pcm(np.concatenate(samples))


def pcm(samples: NDArray[np.floating]) -> bytes:
    return bytes((np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())


def hear(listener: MoonshineListener, number: int, heard: bytes) -> None:
    for start in range(0, len(heard), PIECE):
        listener.hear(number, heard[start : start + PIECE])


def feed(stream: Recognition, heard: bytes) -> None:
    for start in range(0, len(heard), PIECE):
        stream.hear(Sound(RATE_HZ, heard[start : start + PIECE]))


# ── the network ──────────────────────────────────────────────────────────────────────────


def test_a_draft_changes_nothing_but_the_time(tiny: Path) -> None:
    """Right, wrong, too long or with holes in it: the tokens are those that are heard."""
    network, dice = Network(tiny), random.Random(1)
    for _ in range(200):
        levels = [dice.choice((0.0, OH, AH)) for _ in range(dice.randint(1, 12))]
        samples = np.repeat(np.array(levels, np.float32), 3200)
        heard = network.hear(samples)
        draft = [dice.randint(0, 36) if dice.random() < 0.3 else t for t in heard]
        del draft[dice.randint(0, len(draft)) :]
        draft[dice.randint(0, len(draft)) :] = [dice.randint(-1, 40)] * dice.randint(0, 3)

        kinds = [{0.0: 0, OH: 1, AH: 2}[level] for level in levels]
        assert [(token - 3) % 3 for token in heard] == kinds
        assert network.hear(samples, draft) == heard, (levels, draft)


def test_there_is_no_word_in_a_moment(tiny: Path) -> None:
    """Of less than 0.1 s there is nothing to be heard, whatever was drafted."""
    assert Network(tiny).hear(np.full(1599, AH, np.float32), [5, 5]) == []


# ── streams ──────────────────────────────────────────────────────────────────────────────


def test_each_stretch_and_each_stream_is_its_own(tiny: Path) -> None:
    """What one says isn't another's, and nothing is left of a stretch that has ended."""
    listener = MoonshineListener(str(tiny))
    hear(listener, 1, sound((0.4, AH), (0.4, 0)))
    hear(listener, 2, sound((0.6, OH)))

    assert listener.guess(1).split() == ["ah"] * 2
    assert listener.finish(2).split() == ["oh"] * 3
    assert listener.finish(2) == listener.guess(2) == listener.guess(9) == ""
    listener.close(1)
    assert listener.finish(1) == ""


def test_a_pause_is_not_heard_again(tiny: Path) -> None:
    """The words stay what they were, without a look; a voice after it is looked at."""
    listener = MoonshineListener(str(tiny))
    hear(listener, 1, sound((0.4, 0), (0.8, AH), (0.12, 0)))
    told = listener.guess(1)
    looked = listener._streams[1].covers
    hear(listener, 1, sound((0.4, 0.001)))

    assert (told.split(), listener.guess(1)) == (["ah"] * 4, told)
    assert listener._streams[1].covers == looked
    hear(listener, 1, sound((0.4, OH)))
    assert listener.finish(1).split()[:5] == [*(["ah"] * 4), "oh"]


def test_those_who_speak_at_once_share_the_time(tiny: Path) -> None:
    """A look at each takes turns with the others'; who has fallen silent is answered at once."""
    seconds = itertools.count()
    listener = MoonshineListener(str(tiny), clock=lambda: float(next(seconds)))
    for number in (1, 2, 3):
        hear(listener, number, sound((0.4, AH)))
    assert len(listener.guess(1).split()) == 2
    hear(listener, 1, sound((0.4, AH)))
    assert len(listener.guess(1).split()) == 2
    hear(listener, 1, sound((0.12, 0)))
    assert len(listener.guess(1).split()) == 4
    hear(listener, 1, sound((0.2, AH)))
    assert len(listener.finish(1).split()) >= 5


def test_of_a_long_stretch_no_word_is_lost_or_doubled(tiny: Path) -> None:
    """Whoever speaks for long is heard piece by piece, with guesses in between and without."""
    sentences = [(4.0, AH), (0.6, 0), (3.0, OH), (0.6, 0)] * 5
    for guessed in (True, False):
        listener, longest = MoonshineListener(str(tiny)), 0
        for number, (seconds, level) in enumerate(sentences):
            hear(listener, 1, sound((seconds, level)))
            longest = max(longest, len(listener._streams[1].sound))
            if guessed and number % 2:
                listener.guess(1)
        said = listener.finish(1)

        groups = [(word, len([*same])) for word, same in itertools.groupby(said.split())]
        # Where a piece is parted its twentieths of a second are counted anew.
        lengths = {"ah": 20, "oh": 15}
        long = [(word, count) for word, count in groups if count > 2]
        assert [word for word, _ in long] == ["ah", "oh"] * 5
        assert all(abs(count - lengths[word]) <= 1 for word, count in long), groups
        assert longest <= 2 * 10 * RATE_HZ


# ── in its process ───────────────────────────────────────────────────────────────────────


async def test_it_hears_in_a_process_of_its_own(tiny: Path) -> None:
    """Two speakers in one, stretch by stretch; what is hinted counts for nothing."""
    recognizer = MoonshineRecognizer(lambda: tiny)
    one, other = await recognizer.open(hints=("Robin",)), await recognizer.open()
    try:
        feed(one, sound((0.4, AH), (0.2, 0)))
        feed(other, sound((0.4, OH)))
        assert (await one.guess()).split() == ["ah"] * 2
        assert (await other.finish()).split() == ["oh"] * 2
        assert (await one.finish()).split() == ["ah"] * 2
        assert await one.finish() == ""
    finally:
        await one.aclose()
        await other.aclose()
        await recognizer.aclose()


async def test_doctor_lets_it_read_its_model(tiny: Path) -> None:
    """It is well where that can be read, and leaves no process behind."""
    recognizer = MoonshineRecognizer(lambda: tiny)

    [finding] = await recognizer.check()
    assert (finding.health, finding.detail) == (Health.OK, recognizer.name)
    assert recognizer._process is not None
    assert recognizer._process._process is None


def _empty(folder: Path) -> None:
    for name in FILES:
        (folder / name).unlink()


def _cut_off(folder: Path) -> None:
    decoder = folder / "decoder_model_merged.onnx"
    decoder.write_bytes(decoder.read_bytes()[:1000])


def _mistaken(folder: Path) -> None:
    (folder / "encoder_model.onnx").rename(folder / "decoder_model_merged.onnx")
    moonshine_folder(folder / "again").joinpath("encoder_model.onnx").rename(
        folder / "encoder_model.onnx"
    )


def _unlike(folder: Path) -> None:
    encoder = folder / "encoder_model.onnx"
    encoder.write_bytes(encoder.read_bytes().replace(b"Mul", b"Mud"))


def _wordless(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}", "utf-8")


def _misshapen(folder: Path) -> None:
    """Its logits are those of no token in particular."""
    decoder = folder / "decoder_model_merged.onnx"
    rows, row = (
        b"".join(size.to_bytes(8, "little", signed=True) for size in shape)
        for shape in ((1, -1, 36), (1, 1, -1))
    )
    assert rows in decoder.read_bytes()
    decoder.write_bytes(decoder.read_bytes().replace(rows, row))


@pytest.mark.parametrize("spoil", [_empty, _cut_off, _mistaken, _unlike, _wordless, _misshapen])
async def test_a_model_that_cant_be_used_is_refused(
    tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """For good, with what to do; it never ends our process, and doctor says the same."""
    folder = moonshine_folder(tmp_path / "model")
    spoil(folder)
    recognizer = MoonshineRecognizer(lambda: folder)

    with pytest.raises(PermanentError, match="locum models pull moonshine"):
        await recognizer.open()
    [finding] = await recognizer.check()
    assert finding.health is Health.BROKEN
    assert "locum models pull moonshine" in finding.next_step


async def test_what_isnt_to_be_had_is_said(tiny: Path) -> None:
    """No model, with what whoever looked for it says; or another language than it knows."""

    def nowhere() -> Path:
        raise PermanentError("The model moonshine isn't here.")

    with pytest.raises(PermanentError, match="isn't here"):
        await MoonshineRecognizer(nowhere).open()
    with pytest.raises(PermanentError, match=r'hearing\.language is "de"'):
        await MoonshineRecognizer(lambda: tiny, "de").open()
    [finding] = await MoonshineRecognizer(lambda: tiny, "de").check()
    assert finding.health is Health.BROKEN


# ── the real one ─────────────────────────────────────────────────────────────────────────


def heard_by(listener: MoonshineListener, recording: Recording) -> str:
    """Answer what it makes of a recording, looked at every 640 ms."""
    heard = pcm(recording.with_tail(0.4).samples)
    for number, start in enumerate(range(0, len(heard), PIECE), 1):
        listener.hear(1, heard[start : start + PIECE])
        if number % 16 == 0:
            listener.guess(1)
    return listener.finish(1)


@has_weights
def test_most_words_of_people_are_right(real: MoonshineListener) -> None:
    """Of all recordings whose words are known, one in fifteen is wrong at most."""
    told = [each for each in recordings().values() if each.said[-1].strip()]
    errors = [wrong(each.said[-1], heard_by(real, each).replace("-", " ")) for each in told]

    assert sum(off for off, _ in errors) / sum(of for _, of in errors) < 1 / 15


@has_weights
def test_nobody_is_heard_where_nobody_speaks(real: MoonshineListener) -> None:
    """Silence, noise, a hum, a tune and clicks, short and long: no word, and no end of words."""
    dice, found = np.random.default_rng(1), []
    for seconds in (0.05, 0.3, 2.0, 12.0):
        at = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
        tune = np.array([262, 330, 392, 523, 440, 349])[(at / 0.25).astype(int) % 6]
        heard = (
            np.zeros(len(at)),
            dice.normal(0, 0.01, len(at)),
            dice.normal(0, 0.1, len(at)),
            0.2 * np.sin(2 * np.pi * 50 * at) + 0.1 * np.sin(2 * np.pi * 150 * at),
            0.3 * np.sin(2 * np.pi * np.cumsum(tune) / RATE_HZ) * np.exp(-4 * (at % 0.25)),
            (np.arange(len(at)) % 5000 == 0) * 0.8,
            dice.normal(0, 0.3, len(at)) * np.exp(-12 * (at % 0.8)),
        )
        for each in heard:
            hear(real, 1, pcm(each))
            found.append(real.finish(1))

    assert [each for each in found if each] == []


@has_weights
def test_a_guess_is_what_the_stretch_ends_in(real: MoonshineListener) -> None:
    """From the pause on nothing changes, unless something more is said."""
    for each in ("austen-0930", "jfk", "one-moment-please"):
        recording = recordings()[each]
        hear(real, 1, pcm(recording.with_tail(0.1).samples))
        guessed = real.guess(1)
        hear(real, 1, pcm(recording.room(0.3)))

        assert real.finish(1) == guessed != ""
