"""How quickly voices begin, stop and begin again: `python -m tests.bench.voices [STATE]`.

Prints one `name value unit` a line. With a state directory in which `voice-joe` was pulled,
sherpa-onnx is measured too. The services are the stage's, whose speech takes 100 ms: what is above
that is ours.
"""

from __future__ import annotations

import asyncio
import resource
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from locum.core.secret import Secret
from locum.models import find_model
from locum.ports import Voice
from locum.rehearsal.serving import served
from locum.rehearsal.speech import SpeechSettings, SpeechStage, speech_app
from locum.voices.elevenlabs import ElevenLabsVoice
from locum.voices.espeak import EspeakVoice
from locum.voices.openai import OpenAIVoice
from locum.voices.service import ServiceSettings
from locum.voices.sherpa import SherpaSettings, SherpaVoice

_TIMES = 20
_CLAUSE = "Good morning everybody, I am here for Alex."
_LONG = f"{_CLAUSE} The report is on Friday, and the rest comes next week. " * 10


def main() -> None:
    with ExitStack() as stack:
        stage = SpeechStage(SpeechSettings(delay_s=0.1))
        server = stack.enter_context(served(speech_app(stage)))
        for name, voice in _voices(server.base_url, sys.argv[1:]):
            asyncio.run(_measured(name, voice))


def _voices(base_url: str, arguments: list[str]) -> Iterator[tuple[str, Voice]]:
    yield "espeak", EspeakVoice()
    if arguments:
        state = Path(arguments[0])
        settings = SherpaSettings("voice-joe", lambda: find_model(state, "voice-joe"))
        yield "sherpa", SherpaVoice(settings)
    key = Secret("sk-rehearsal")
    openai = ServiceSettings(f"{base_url}/v1", lambda: key)
    yield "openai", OpenAIVoice(openai, model="stage-voice", voice="stage")
    yield "elevenlabs", ElevenLabsVoice(ServiceSettings(base_url, lambda: key), voice="stage")


async def _measured(name: str, voice: Voice) -> None:
    try:
        _print(name, "first_cold", [await _first(voice, _CLAUSE)])
        _print(name, "first_warm", [await _first(voice, _CLAUSE) for _ in range(_TIMES)])
        stops, again = [], []
        for _ in range(_TIMES):
            speaking = voice.speak(_LONG)
            async for _piece in speaking:
                break
            began = time.monotonic()
            await speaking.aclose()  # type: ignore[attr-defined]
            stops.append(time.monotonic() - began)
            again.append(await _first(voice, _CLAUSE))
        _print(name, "stop", stops)
        _print(name, "first_after_stop", again)
    finally:
        await voice.aclose()
    await _cpu(name, voice)


async def _cpu(name: str, voice: Voice) -> None:
    """What a second of speech costs, of this process and of those that it has waited for."""
    before, lasting = _used(), 0.0
    await voice.warm()
    async for piece in voice.speak(_LONG):
        lasting += piece.sound.duration.total_seconds()
    await voice.aclose()
    print(f"{name}_cpu_a_second {1000 * (_used() - before) / lasting:.0f} ms")


def _used() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(kind) for kind in kinds]
    return sum(each.ru_utime + each.ru_stime for each in used)


async def _first(voice: Voice, text: str) -> float:
    began, first = time.monotonic(), 0.0
    async for _ in voice.speak(text):
        first = first or time.monotonic() - began
    return first


def _print(name: str, what: str, seconds: list[float]) -> None:
    found = sorted(1000 * each for each in seconds)
    if len(found) == 1:
        print(f"{name}_{what} {found[0]:.0f} ms")
        return
    print(f"{name}_{what}_p50 {statistics.median(found):.1f} ms")
    print(f"{name}_{what}_p95 {found[int(len(found) * 0.95) - 1]:.1f} ms")


if __name__ == "__main__":
    main()
