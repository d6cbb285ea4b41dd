"""Makes the recordings of the scenarios' people, and says what a recogniser hears of them.

    python -m tests.scenarios.record          all of them, anew
    python -m tests.scenarios.record --hear   only what pocketsphinx makes of those that are there

No human speech with a clear licence says what these people say, so a synthesiser does: flite, by
way of ffmpeg, with three of its voices (their licence is beside the recordings). None of them is
a voice of the stand-in's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from locum.rehearsal.scenario import Scenario, TalkLine, builtin_scenarios, load_scenario
from locum.rehearsal.stage import RECORDINGS

VOICES = {
    "Dana Reyes": "rms",
    "Jonas Lind": "awb",
    "Kim Osei": "rms",
    "Mia Sandberg": "slt",
}
_BIT_RATE = "24k"
_TRIM = "silenceremove=start_periods=1:start_threshold=-46dB"
"""From the first audible sound to the last one: a recording's end is where the speech ends."""


def recorded_lines(scenario: Scenario) -> list[TalkLine]:
    """Answer the lines that have a recording."""
    return [] if scenario.talk is None else [x for x in scenario.talk.lines if x.recording]


def record(line: TalkLine) -> Path:
    """Make one line's recording.

    Raises:
        KeyError: Nobody's voice is known for who says it.
        subprocess.CalledProcessError: ffmpeg failed; it must have been built with flite.
    """
    file = RECORDINGS / line.recording
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
        text.write(line.says)
        text.flush()
        voice = f"flite=textfile={text.name}:voice={VOICES[line.who]}"
        filters = (
            f"aresample=48000,{_TRIM},areverse,{_TRIM},areverse,loudnorm=I=-20,aresample=48000"
        )
        subprocess.run(
            [
                *("ffmpeg", "-y", "-v", "error", "-f", "lavfi", "-i", voice, "-af", filters),
                *("-ac", "1", "-c:a", "libopus", "-application", "voip", "-b:a", _BIT_RATE),
                *("-map_metadata", "-1", "-fflags", "+bitexact", str(file)),
            ],
            check=True,
        )
    return file


def heard(file: Path) -> str:
    """Answer what pocketsphinx makes of a recording, as it is by default."""
    from pocketsphinx import Decoder

    from locum.rehearsal.meet.media.speaking import read_sound

    samples = read_sound(file)[::3]  # 48 to 16 kHz: there is nothing above 8 kHz in it.
    pcm = np.asarray(np.clip(samples, -1, 1) * 32_767, "<i2").tobytes()
    decoder = Decoder(loglevel="FATAL")
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return found.hypstr if found else ""


def main(arguments: list[str]) -> int:
    for name, path in builtin_scenarios().items():
        for line in recorded_lines(load_scenario(path)):
            file = RECORDINGS / line.recording if "--hear" in arguments else record(line)
            print(f"{name} {file.name} {file.stat().st_size} bytes: {line.says}")
            print(f"    {heard(file)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
