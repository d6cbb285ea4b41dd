"""How well and how fast ears hear: `python -m tests.bench.ears` prints `name value unit`.

Recorded people (`tests.speech`, with ends marked by hand), espeak-ng, and festival where they are
installed; pocketsphinx makes the words, and Moonshine where LOCUM_MOONSHINE names its folder. Time
is that of the process, or of a pass at the pace of life where it says `_live`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from locum.app.hearing import LOOK_AGAIN_EVERY
from locum.core.alignment import words_of
from locum.core.talk import Heard, VoiceBegan, VoicePaused
from locum.ears.hearing import Happened, Hearing, Listening
from locum.ears.moonshine import MoonshineRecognizer
from locum.ears.sphinx import SphinxRecognizer
from locum.ports import HeardSound, Recognizer
from tests.integration.ears_rig import (
    RATE_HZ,
    all_of,
    second_of,
    silence,
    sounds,
    spoken,
)
from tests.speech import Recording, recordings

SENTENCES = (
    "Could you send me the report before Friday?",
    "I think we should look at the budget first.",
    "Robin, what is the status of the project?",
    "The customer asked for a new price last week.",
    "Let us talk about that in the next meeting.",
    "We have three open questions for the team.",
)

_AT_ONCE_S = 12


@dataclass(frozen=True)
class Kind:
    """A recogniser that is measured, and how often it is looked at while somebody speaks."""

    make: Callable[[], Recognizer]
    listening: Listening


def kinds(environ: Mapping[str, str] = os.environ) -> dict[str, Kind]:
    found = {"pocketsphinx": Kind(SphinxRecognizer, Listening())}
    if folder := environ.get("LOCUM_MOONSHINE"):
        found["moonshine"] = Kind(
            lambda: MoonshineRecognizer(lambda: Path(folder)),
            Listening(partial=LOOK_AGAIN_EVERY),
        )
    return found


def wrong(said: str, heard: str) -> tuple[int, int]:
    """Answer how many words are wrong, missing or too many, and how many were said."""
    truth, guess = [[w.plain for w in words_of(text)] for text in (said, heard)]
    row = list(range(len(guess) + 1))
    for number, word in enumerate(truth, 1):
        diagonal, row[0] = row[0], number
        for place, other in enumerate(guess, 1):
            best = min(row[place] + 1, row[place - 1] + 1, diagonal + (word != other))
            diagonal, row[place] = row[place], best
    return row[-1], len(truth)


def tell(name: str, value: float, unit: str) -> None:
    print(f"{name} {value:.3g} {unit}", flush=True)


def pcm_of(recording: Recording) -> bytes:
    padded = recording.with_tail(2.6)
    return (padded.samples * 32_767).astype("<i2").tobytes()


def festival(text: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "text").write_text(text, "utf-8")
        made = Path(folder) / "made.wav"
        subprocess.run(["text2wave", f"{folder}/text", "-o", made], check=True)
        return subprocess.run(
            ["sox", made, "-r", "16000", "-c", "1", "-b", "16", "-t", "raw", "-"],
            check=True,
            capture_output=True,
        ).stdout


def final(told: Sequence[Happened]) -> str:
    return " ".join(each.text for each in told if isinstance(each, Heard) and each.final)


def percentiles(name: str, values: Sequence[float], unit: str) -> None:
    ordered = sorted(values)
    tell(f"{name}_p50", statistics.median(ordered), unit)
    tell(f"{name}_p95", ordered[min(round(0.95 * len(ordered)), len(ordered) - 1)], unit)


async def bounds(speed: float) -> None:
    """How far off the begins and ends of voices are."""
    late, ends, missed = [], [], 0
    for recording in recordings().values():
        ears = Hearing(None, Listening(partial=None))
        told = await all_of(ears, sounds({"a": pcm_of(recording)}, speed=speed))
        begins = [second_of(each.at) for each in told if isinstance(each, VoiceBegan)]
        paused = [second_of(each.at) for each in told if isinstance(each, VoicePaused)]
        if not begins or not paused:
            missed += 1
            continue
        late.append(1000 * (begins[0] - recording.stretches[0][0]))
        ends.append(1000 * (paused[-1] - recording.end))
    tell("recordings_missed", missed, "of " + str(len(recordings())))
    percentiles("onset_found_late", late, "ms")
    percentiles("end_found_late", ends, "ms")


async def words(name: str, kind: Kind, speed: float) -> None:
    """How many words are wrong."""
    recognizer = kind.make()
    said = {
        "recorded": [
            (each.said[-1], pcm_of(each))
            for each in recordings().values()
            if each.said[-1].strip()
        ]
    }
    for voice, program, made in (
        ("espeak", "espeak-ng", spoken),
        ("festival", "text2wave", festival),
    ):
        if shutil.which(program) and shutil.which("sox"):
            said[voice] = [
                (each, silence(0.5) + made(each) + silence(2.5)) for each in SENTENCES
            ]
    for voice, sentences in said.items():
        off = of = 0
        for sentence, pcm in sentences:
            ears = Hearing(recognizer, Listening(partial=None))
            told = await all_of(ears, sounds({"a": pcm}, speed=speed))
            errors, count = wrong(sentence, re.sub("[-]", " ", final(told)))
            off, of = off + errors, of + count
        tell(f"{name}_words_wrong_{voice}", 100 * off / of, "%")
    await recognizer.aclose()


async def costs() -> None:
    """What a track costs: silent, with room tone, with a voice, without words."""
    speech = pcm_of(recordings()["two-cities"])
    quiet = recordings()["two-cities"].room(30)
    hum = (quiet * 32_767).astype("<i2").tobytes()
    for name, pcm in (("silent", silence(30)), ("room_tone", hum), ("speaking", speech)):
        began = time.process_time()
        await all_of(Hearing(None, Listening(partial=None)), _hurried(pcm))
        took = time.process_time() - began
        tell(f"track_{name}", 100 * took / (len(pcm) / 2 / RATE_HZ), "% of a core")


async def _hurried(pcm: bytes) -> AsyncIterator[HeardSound]:
    async for each in sounds({"a": pcm}, speed=1000):
        yield each


async def speakers(name: str, kind: Kind) -> None:
    """How much of a core the words of several cost who speak at once, at the pace of life."""
    pcm = pcm_of(recordings()["two-cities"])[: 2 * _AT_ONCE_S * RATE_HZ] + silence(2.5)
    before = _used_by_children()
    await kind.make().check()
    started = _used_by_children() - before if name == "moonshine" else 0.0
    for count in (1, 2, 6):
        recognizer = kind.make()
        before = _used_by_children()
        room = {f"t{number}": pcm for number in range(count)}
        told = await all_of(Hearing(recognizer, kind.listening), sounds(room, speed=1))
        await recognizer.aclose()
        took = _used_by_children() - before - started
        tell(f"{name}_while_speaking_{count}", 100 * took / _AT_ONCE_S, "% of a core")
        lost = sum("not understood" in e.text for e in told if isinstance(e, Heard))
        tell(f"{name}_utterances_lost_{count}", lost, "of them")
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    tell(f"{name}_memory", memory / 1024, "MB at most, of it and of those before")


def _used_by_children() -> float:
    """Answer the seconds of a core that processes took which have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def guesses(name: str, kind: Kind) -> None:
    """At the pace of life: how long the words take from the pause on, and for good."""
    recognizer = kind.make()
    asked: list[float] = []
    finished: list[float] = []
    for each in ("austen-0870", "austen-0890", "jfk", "cards-005", "goforward", "austen-0930"):
        ears = Hearing(recognizer, kind.listening)
        async for happened in ears.happenings(
            sounds({"a": pcm_of(recordings()[each])}, speed=1)
        ):
            if isinstance(happened, VoicePaused):
                began = time.perf_counter()
                await ears.guess("a")
                asked.append(1000 * (time.perf_counter() - began))
                if ears.silence("a") > timedelta(milliseconds=90):
                    began = time.perf_counter()
                    await ears.finish("a")
                    finished.append(1000 * (time.perf_counter() - began))
    await recognizer.aclose()
    percentiles(f"{name}_guess_live", asked, "ms")
    percentiles(f"{name}_finish_live", finished, "ms")


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["bounds", "words", "costs", "speakers", "guesses"])
    parser.add_argument("--kind", choices=list(kinds()))
    parser.add_argument("--speed", type=float, default=4.0)
    args = parser.parse_args()
    if args.only in {None, "costs"}:
        await costs()
    if args.only in {None, "bounds"}:
        await bounds(args.speed)
    for name, kind in kinds().items():
        if args.kind not in {None, name}:
            continue
        if args.only in {None, "guesses"}:
            await guesses(name, kind)
        if args.only in {None, "words"}:
            await words(name, kind, args.speed)
        if args.only in {None, "speakers"}:
            await speakers(name, kind)


if __name__ == "__main__":
    asyncio.run(main())
