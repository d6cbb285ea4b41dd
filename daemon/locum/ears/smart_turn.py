"""Tells by the sound, the tone and the words whether somebody has finished, with smart-turn v3.

A network of whisper's first half (BSD-2, 8.7 MB, int8) that hears the last 8 s and answers one
probability. It is sensitive to the tail: it must hear the room's own silence, not zeros. A call
takes some 45 ms of a core where nothing else runs, so it runs in a thread of its own, whose
network lets go of the interpreter's lock.

The spectrogram is whisper's as this network was trained on it: normalised first, 25 ms windows
every 10 ms, 80 bands by Slaney's formula, the logarithm clipped 8 below its highest.
"""

from __future__ import annotations

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from locum.core.speech import Sound
from locum.ears.endpointing import WordsAndTone, blended, odds, tone_certainty

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

_log = structlog.get_logger(__name__)

MODEL = "smart-turn"
"""What `locum models pull` calls it, …"""
FILE = "smart-turn-v3.2-cpu.onnx"
"""… and the file of it that is read."""

RATE_HZ = 16_000
_SAMPLES = 8 * RATE_HZ
_WINDOW, _HOP, _BANDS = 400, 160, 80
_LEAST_POWER = 1e-10

_TONE, _SOUND = 0.8, 0.3
"""What each counts for. The network alone took half of the commands that were broken off after
their first whole words for finished; the tone alone waits long for some who speak evenly. Set on
our own recordings (`tests.bench.endpointers`), tried on 164 of Asterisk's prompts besides."""


def unusable(model: Path) -> str:
    """Answer why `model` (the file) can't be used, with the next step; empty if it can."""
    if find_spec("onnxruntime") is None or find_spec("numpy") is None:
        return "onnxruntime isn't there: install locum with its extra smart-turn"
    if not model.is_file():
        return f"the model isn't there: `locum models pull {MODEL}`"
    return ""


class SmartTurn:
    """Implements `ports.Endpointer`, with what the words say blended in.

    Args:
        model: The pulled file; see `unusable`.
        otherwise: Asked for the tone and the words, and for all where the network fails.
    """

    def __init__(self, model: Path, otherwise: WordsAndTone) -> None:
        self._otherwise = otherwise
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="smart-turn")
        # Reading it takes 0.2 s: begun now, so that the first to pause doesn't wait for it.
        self._network = self._thread.submit(_network, model)
        self._failed = False

    @property
    def name(self) -> str:
        return "smart-turn v3.2, the tone and the words"

    def by_words(self, text: str) -> float:
        """See `ports.Endpointer`."""
        return self._otherwise.by_words(text)

    async def certainty(self, sound: Sound, text: str) -> float:
        """See `ports.Endpointer`."""
        if self._failed:
            return await self._otherwise.certainty(sound, text)
        loop = asyncio.get_running_loop()
        try:
            by_sound = await loop.run_in_executor(self._thread, self._answer, sound)
        except Exception as error:  # noqa: BLE001 - The thread's outermost frame: ORT raises its own.
            self._failed = True
            _log.error("smart_turn_failed", exc_info=error)
            return await self._otherwise.certainty(sound, text)
        return blended(0.5, by_sound + self.by_words(text))

    def _answer(self, sound: Sound) -> float:
        """Answer what the sound says, by the network and by its tone, in log-odds."""
        features = log_mel(_samples(sound))
        answer = self._network.result().run(None, {"input_features": features[None]})
        value = float(answer[0].reshape(-1)[0])
        by_network = odds(value) if math.isfinite(value) else 0.0
        return _TONE * odds(tone_certainty(sound)) + _SOUND * by_network

    def close(self) -> None:
        """Let go of the thread; what runs in it is waited for by nobody."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _network(model: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _samples(sound: Sound) -> Floats:
    """The last 8 s, with silence before what is shorter."""
    import numpy as np

    if sound.rate != RATE_HZ:
        raise ValueError(f"sound of {sound.rate} Hz; {RATE_HZ} are needed")
    last = np.frombuffer(sound.pcm[-2 * _SAMPLES :], "<i2").astype(np.float32) / 32_768
    return np.pad(last, (_SAMPLES - len(last), 0))


def log_mel(samples: Floats) -> Floats:
    """Answer the spectrogram of 8 s at 16 kHz: 80 bands × 800 windows, some -1 … 2."""
    import numpy as np

    window, bands = _tables()
    level = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    padded = np.pad(level, _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:-1]
    power = np.square(np.abs(np.fft.rfft(windows * window)))
    logarithm = np.log10(np.maximum(power @ bands, _LEAST_POWER))
    logarithm = np.maximum(logarithm, logarithm.max() - 8.0)
    return np.ascontiguousarray(((logarithm + 4.0) / 4.0).T, np.float32)


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Hann's window, and the bands: 201 frequencies × 80, each triangle of area one."""
    import numpy as np

    turn = 2 * np.pi * np.arange(_WINDOW) / _WINDOW
    window = 0.5 - 0.5 * np.cos(turn)
    # Slaney's mels are straight up to 1 kHz (15 mels), then 27 a factor of 6.4.
    highest = 15 + 27 * math.log(RATE_HZ / 2 / 1000) / math.log(6.4)
    mels = np.linspace(0, highest, _BANDS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
    frequencies = np.linspace(0, RATE_HZ / 2, _WINDOW // 2 + 1)[:, None]
    rising = (frequencies - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - frequencies) / np.diff(edges)[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return window, triangles * 2 / (edges[2:] - edges[:-2])
