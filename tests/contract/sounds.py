"""Sound for tests: enough of it to be a sample."""

from __future__ import annotations

import io
import math
import struct
import wave

RATE_HZ = 8000


def tone_wav(seconds: float) -> bytes:
    """Answer a WAV of one channel, 16 bit and 8 kHz, with a hum in it."""
    one = [round(8000 * math.sin(2 * math.pi * 110 * at / RATE_HZ)) for at in range(RATE_HZ)]
    second = struct.pack(f"<{RATE_HZ}h", *one)
    whole = second * (int(seconds) + 1)
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(whole[: round(seconds * RATE_HZ) * 2])
    return made.getvalue()
