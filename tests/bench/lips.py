"""How well lips fit speech: `python -m tests.bench.lips`, and how their model was trained.

    python -m tests.bench.lips              measure; needs espeak-ng
    python -m tests.bench.lips train FILE   train anew (a minute), and write the weights

The truth is espeak-ng's own timing, of voices and sentences that weren't trained on. Where
festival is installed, its voice too: another synthesizer, whose segment times are known.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import subprocess
import tempfile
import time
import wave
from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locum.core.lips import mouths_of_phones
from locum.core.speech import Mouth, MouthAt, Phone, Sound
from locum.voices.espeak import EspeakVoice
from locum.voices.lips import HOP, PARTS, RATE, at_16_khz, features, mouths_of

Floats = NDArray[np.float32]

_TRAINED = (
    "en-gb",
    "en-us",
    "en-gb+f2",
    "en-us+m3",
    "en-gb-scotland",
    "de",
    "de+f3",
    "fr",
    "es",
)
_TESTED = ("en-gb-x-rp+f4", "en-us+m5")
_HIDDEN = 48
_MEETINGS = Path(__file__).parent.parent / "meetings"

# Festival's phones (radio set) in IPA, for the same table of visemes.
_ARPA = dict(
    entry.split(":")
    for entry in [
        "pau:",
        "h#:",
        "aa:ɑː",
        "ae:a",
        "ah:ʌ",
        "ao:ɔː",
        "aw:aʊ",
        "ax:ə",
        "ay:aɪ",
        "eh:ɛ",
        "er:ɜː",
        "ey:eɪ",
        "ih:ɪ",
        "iy:iː",
        "ow:əʊ",
        "oy:ɔɪ",
        "uh:ʊ",
        "uw:uː",
        "b:b",
        "ch:tʃ",
        "d:d",
        "dh:ð",
        "f:f",
        "g:ɡ",
        "hh:h",
        "jh:dʒ",
        "k:k",
        "l:l",
        "m:m",
        "n:n",
        "ng:ŋ",
        "p:p",
        "r:ɹ",
        "s:s",
        "sh:ʃ",
        "t:t",
        "th:θ",
        "v:v",
        "w:w",
        "y:j",
        "z:z",
        "zh:ʒ",
        "dx:ɾ",
        "el:l",
        "en:n",
        "em:m",
        "axr:ɜː",
    ]
)


def sentences() -> list[str]:
    """Answer what is said in the scripted meetings, in a fixed order."""
    found = []
    for path in sorted(_MEETINGS.glob("*.toml")):
        for line in path.read_text("utf-8").splitlines():
            text = line.partition(": ")[2]
            if line[:1].isupper() and 20 < len(text) < 160:
                found.append(text)
    return found


async def said(voice: EspeakVoice, text: str) -> tuple[Floats, tuple[Phone, ...]]:
    """Answer the sound at 16 kHz, and its phones from the beginning."""
    samples, phones, at, rate = [], [], timedelta(0), RATE
    async for piece in voice.speak(text):
        samples.append(piece.sound.pcm)
        phones += [Phone(p.symbol, p.start + at, p.end + at) for p in piece.phones]
        at += piece.sound.duration
        rate = piece.sound.rate
    return at_16_khz(Sound(rate, b"".join(samples))), tuple(phones)


def track(keys: Sequence[MouthAt], frames: int) -> Floats:
    """Answer (frames, 7): the keyframes, moved between evenly, one frame each 10 ms."""
    at = np.arange(frames) * HOP / RATE
    if not keys:
        return np.zeros((frames, len(PARTS)), np.float32)
    when = [key.at.total_seconds() for key in keys]
    rows = np.array([[getattr(key.mouth, part) for part in PARTS] for key in keys])
    columns = [np.interp(at, when, rows[:, part]) for part in range(len(PARTS))]
    return np.stack(columns, 1).astype(np.float32)


def festival(text: str, folder: Path) -> tuple[Floats, tuple[Phone, ...]]:
    """Let festival's kal voice say it, with its segments' times."""
    plain = "".join(c for c in text if c.isascii() and (c.isalnum() or c in " ,.'"))
    out = folder / "said"
    scheme = (
        f'(begin (voice_kal_diphone) (set! u (utt.synth (Utterance Text "{plain}"))) '
        f'(utt.save.wave u "{out}.wav" (quote riff)) (utt.save.segs u "{out}.seg"))'
    )
    subprocess.run(["festival", "--batch", scheme], check=True, capture_output=True)
    with wave.open(f"{out}.wav") as file:
        sound = Sound(file.getframerate(), file.readframes(file.getnframes()))
    phones, begun = [], 0.0
    for line in Path(f"{out}.seg").read_text().splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[0][0].isdigit():
            end, symbol = float(parts[0]), _ARPA.get(parts[2], "")
            phones.append(Phone(symbol, timedelta(seconds=begun), timedelta(seconds=end)))
            begun = end
    return at_16_khz(sound), tuple(phones)


# ── training ─────────────────────────────────────────────────────────────────────────────


async def spoken_by(voices: Sequence[str], texts: Sequence[str]) -> list[Any]:
    found = []
    for number, name in enumerate(voices):
        voice = EspeakVoice(name)
        found += [await said(voice, text) for text in texts[number :: len(voices)]]
        await voice.aclose()
    return found


def _examples(speech: Sequence[Any], draw: random.Random) -> tuple[Floats, Floats]:
    noise = np.random.default_rng(draw.randrange(1 << 30))
    seen, wanted = [], []
    for samples, phones in speech:
        loud = samples * 10 ** (draw.uniform(-18, 6) / 20)
        heard = loud + noise.normal(0, 10 ** draw.uniform(-4.5, -2.7), len(loud))
        found = features(heard.astype(np.float32))
        seen.append(found)
        wanted.append(track(mouths_of_phones(phones), len(found)))
    return np.concatenate(seen), np.concatenate(wanted)


def train(target: Path, *, seed: int = 7, rounds: int = 14) -> None:
    """Train on synthetic speech with drawn loudness and noise, and write float16 weights."""
    draw = random.Random(seed)
    texts = sentences()
    draw.shuffle(texts)
    speech = asyncio.run(spoken_by(_TRAINED, texts[:360]))
    x, _ = _examples(speech, draw)
    mean, scale = x.mean(0), x.std(0) + 1e-3
    rng = np.random.default_rng(seed)
    shapes = {"w1": (x.shape[1], _HIDDEN), "w2": (_HIDDEN, len(PARTS))}
    p = {k: rng.normal(0, s[0] ** -0.5, s).astype(np.float32) for k, s in shapes.items()}
    p |= {"b1": np.zeros(_HIDDEN, np.float32), "b2": np.zeros(len(PARTS), np.float32)}
    moments = {k: (np.zeros_like(v), np.zeros_like(v)) for k, v in p.items()}
    step = 0
    for turn in range(rounds):
        x, y = _examples(speech, draw)
        x = ((x - mean) / scale).astype(np.float32)
        order, loss, rate = rng.permutation(len(x)), 0.0, 3e-3 * 0.8**turn
        for begin in range(0, len(order), 256):
            rows = order[begin : begin + 256]
            hidden = np.tanh(x[rows] @ p["w1"] + p["b1"])
            miss = hidden @ p["w2"] + p["b2"] - y[rows]
            loss += float((miss**2).sum())
            back = (miss @ p["w2"].T) * (1 - hidden**2)
            grads = {"w2": hidden.T @ miss, "b2": miss.sum(0)}
            grads |= {"w1": x[rows].T @ back, "b1": back.sum(0)}
            step += 1
            for key, grad in grads.items():
                g = grad / len(rows)
                m, v = moments[key]
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                bias = (1 - 0.9**step), (1 - 0.999**step)
                p[key] -= rate * (m / bias[0]) / (np.sqrt(v / bias[1]) + 1e-8)
        print(f"round {turn + 1}: mean square {loss / len(x) / len(PARTS):.4f}")
    packed = {k: v.astype(np.float16) for k, v in {**p, "mean": mean, "scale": scale}.items()}
    np.savez_compressed(target, **packed)
    print(f"{target}: {target.stat().st_size} bytes")


# ── measuring ────────────────────────────────────────────────────────────────────────────


def _correlation(a: Floats, b: Floats) -> float:
    if a.std() < 1e-6 or b.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _sealed(mouths: Floats) -> list[int]:
    """Answer the frames in which the lips meet between two openings."""
    shut = mouths[:, PARTS.index("close")] - mouths[:, PARTS.index("jaw")] > 0.3
    return [int(i) for i in np.flatnonzero(shut[1:] & ~shut[:-1])]


def rows(speech: Sequence[Any]) -> Iterator[tuple[str, float, str]]:
    """Compare the lips of the sound with those of the true timings."""
    pairs, spent, lasting = [], 0.0, 0.0
    for samples, phones in speech:
        began = time.process_time()
        found = mouths_of(samples)
        spent += time.process_time() - began
        lasting += len(samples) / RATE
        truth = track(mouths_of_phones(phones), len(found))
        level = np.sqrt(np.convolve(samples**2, np.ones(400) / 400, "same")[::HOP])
        level = np.pad(level, (0, max(0, len(found) - len(level))))[: len(found)]
        pairs.append((found, truth, level.astype(np.float32)))
    found, truth, level = (np.concatenate(part) for part in zip(*pairs, strict=True))
    for part in ("jaw", "wide", "pucker", "close"):
        at = PARTS.index(part)
        yield f"{part}_correlation", _correlation(found[:, at], truth[:, at]), ""
    yield "jaw_correlation_of_loudness_alone", _correlation(level, truth[:, 0]), ""
    theirs, ours = _sealed(truth), np.array([*_sealed(found), -1000])
    hit = [bool((abs(ours - at) <= 4).any()) for at in theirs]
    yield "lips_met_within_40_ms", sum(hit) / max(len(hit), 1), ""
    yield "cpu_per_second_of_sound", spent / max(lasting, 1e-9) * 1000, "ms"


def main() -> None:
    """Print one `name value unit` a line, or train."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("measure", "train"), default="measure")
    parser.add_argument("file", nargs="?", type=Path)
    given = parser.parse_args()
    if given.what == "train":
        if given.file is None:
            parser.error("train needs a FILE")
        train(given.file)
        return
    texts = sentences()
    random.Random(7).shuffle(texts)
    held_out = texts[360:420]
    sets = {"espeak": asyncio.run(spoken_by(_TESTED, held_out))}
    if shutil.which("festival"):
        with tempfile.TemporaryDirectory() as folder:
            sets["festival"] = [festival(text, Path(folder)) for text in held_out[:25]]
    for name, speech in sets.items():
        for key, value, unit in rows(speech):
            print(f"{name}_{key} {value:.3f} {unit}".rstrip())


assert tuple(f.name for f in fields(Mouth)) == PARTS


if __name__ == "__main__":
    main()
