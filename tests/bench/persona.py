"""What it takes to import a face and to prepare a voice: `python -m tests.bench.persona`.

A photograph of 12 megapixels and a recording of five minutes are made on the spot (Pillow's
noise, ffmpeg's flite). Time is the host's; memory is the peak of the program that reads the
stranger's file, as the kernel counted it (ru_maxrss), and of this process apart.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from locum.persona.avatar import make_face, read_picture
from locum.persona.folder import FaceKind
from locum.persona.recording import has_ffmpeg, prepare

_WORDS = (
    "Every meeting starts on time and ends with a short summary for everybody who could not "
    "be there. Please send the figures by Friday, and tell Anna about the new plan."
)
_MINUTES = 5


def photograph(folder: Path) -> Path:
    """Make 4,000 × 3,000 pixels that compress as badly as a photograph at dusk."""
    path = folder / "photo.jpg"
    image = Image.merge("RGB", [Image.effect_noise((4000, 3000), 40) for _ in range(3)])
    image.save(path, "JPEG", quality=88)
    return path


def recording(folder: Path) -> Path:
    """Have a sentence spoken again and again, with a pause of half a second, for 4:50."""
    said, path = folder / "said.wav", folder / "recording.m4a"
    graph = f"flite=text='{_WORDS}':voice=slt,apad=pad_dur=0.5,aresample=48000"
    _ffmpeg("-f", "lavfi", "-i", graph, said)
    length = str(_MINUTES * 60 - 10)
    _ffmpeg("-stream_loop", "-1", "-i", said, "-t", length, "-ac", "2", "-b:a", "128k", path)
    return path


def _ffmpeg(*arguments: str | Path) -> None:
    command = ["ffmpeg", "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def measured(work: Callable[[], object], runs: int) -> dict[str, Any]:
    """Run it in a process of its own each time, so that one run's peak isn't the next one's."""
    seen = [_one(work) for _ in range(runs)]
    return {
        "runs": runs,
        "seconds_median": round(statistics.median(each["seconds"] for each in seen), 2),
        "seconds_max": round(max(each["seconds"] for each in seen), 2),
        "cpu_seconds_median": round(statistics.median(each["cpu"] for each in seen), 2),
        "reader_peak_mb": round(max(each["reader_kb"] for each in seen) / 1024, 1),
        "own_peak_mb": round(max(each["own_kb"] for each in seen) / 1024, 1),
    }


def _one(work: Callable[[], object]) -> dict[str, float]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        begun = time.perf_counter()
        work()
        seconds = time.perf_counter() - begun
        own = resource.getrusage(resource.RUSAGE_SELF)
        readers = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = sum(each.ru_utime + each.ru_stime for each in (own, readers))
        told = {
            "seconds": seconds,
            "cpu": cpu,
            "own_kb": own.ru_maxrss,
            "reader_kb": readers.ru_maxrss,
        }
        os.write(writing, json.dumps(told).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    return dict(json.loads(content))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    runs = parser.parse_args().runs
    found: dict[str, Any] = {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": sys.version.split()[0],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photo = photograph(folder)
        found["photo_mb"] = round(photo.stat().st_size / 1e6, 1)
        found["avatar_import"] = measured(
            lambda: make_face(read_picture(photo), FaceKind.PHOTO, named="photo"), runs
        )
        if has_ffmpeg():
            sound = recording(folder)
            found["recording_s"] = _MINUTES * 60 - 10
            found["voice_preparation"] = measured(lambda: prepare(sound), runs)
        else:
            found["voice_preparation"] = "ffmpeg isn't installed"
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
