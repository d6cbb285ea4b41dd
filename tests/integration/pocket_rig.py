"""A pocket-tts of a few lines: it buzzes, and reads and keeps recordings as the real one does.

The real one brings PyTorch. This one has its calls, and its habits that matter here: a state is
read from a WAV by its path and suffix, kept as a file of its own kind, and refused where that is
damaged. Of a recording it speaks quietly, of a kept state loudly.
"""

from __future__ import annotations

from pathlib import Path

QUIET, LOUD = (
    1_000,
    9_000,
)  #: Samples of what a recording, and what a kept state is spoken with.
RATE = 24_000

_PACKAGE = f"""
import os, pathlib, time
import numpy as np


class Chunk(np.ndarray):
    def clamp(self, low, high):
        return np.clip(self, low, high)

    def mul(self, by):
        return np.multiply(self, by)

    def short(self):
        return self.astype(np.int16)

    def numpy(self):
        return np.asarray(self)


class TTSModel:
    sample_rate = {RATE}

    @classmethod
    def load_model(cls, language=None, config=None, quantize=False):
        return cls()

    def get_state_for_audio_prompt(self, source, truncate=False):
        if isinstance(source, str):
            return {{"loud": {QUIET}, "read": b""}}
        content = source.read_bytes()
        if source.suffix == ".safetensors":
            if not content.startswith(b"state "):
                raise ValueError("header too large")
            return {{"loud": {LOUD}, "read": content[6:]}}
        assert source.suffix == ".wav"
        if "STAND_IN_HANGS" in os.environ:
            pathlib.Path(os.environ["STAND_IN_HANGS"]).touch()
            time.sleep(600)
        return {{"loud": {QUIET}, "read": content}}

    def generate_audio_stream(self, state, text, stop=None):
        words = 10**9 if "STAND_IN_BABBLES" in os.environ else len(text.split())
        for _ in range(words):
            if stop.is_set():
                return
            yield np.full({RATE} // 4, (state["loud"] + 0.5) / 32767).view(Chunk)
"""
_STATES = """
import pathlib


def export_model_state(state, dest):
    pathlib.Path(dest).write_bytes(b"state " + state["read"])
"""


def pocket_package(home: Path) -> Path:
    """Write it where Python finds it once `home` is on its path."""
    package = home / "pocket_tts"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text(_PACKAGE)
    (package / "models" / "__init__.py").touch()
    (package / "models" / "model_state.py").write_text(_STATES)
    told = home / "pocket_tts-4.0.1.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: pocket-tts\nVersion: 4.0.1\n")
    return home
