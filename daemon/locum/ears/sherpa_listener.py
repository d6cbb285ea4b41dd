"""sherpa-onnx in the process that listens: a streaming model, or one that hears a stretch whole.

Which one a folder holds is told by its files, as the project names them. What doesn't stream
hears the stretch again for each guess, and never for more than half of the time.
"""

from __future__ import annotations

import array
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RATE_HZ = 16_000
_TAIL = [0.0] * (RATE_HZ // 2)
"""Silence after a stretch, so that the last word comes out of a streaming model."""
_MOST = 28 * RATE_HZ
"""Samples that a model hears at a time: what whisper was made for, and a bit less."""
_MOST_KEPT = 60 * RATE_HZ
_STREAMS = b"decode_chunk_len"
"""What stands in an encoder that streams, and in no other."""


@dataclass(frozen=True)
class Layout:
    """What a model's folder holds; `files` by what sherpa-onnx calls them."""

    kind: str
    files: dict[str, Path]


def layout_of(folder: Path) -> Layout:
    """See which kind of model lies in a folder.

    Raises:
        ValueError: None that is known.
    """

    def one(*patterns: str) -> Path | None:
        for pattern in patterns:
            # The smaller one, where both stand there, is as good by their own tests.
            found = sorted(
                folder.glob(pattern), key=lambda path: ("int8" not in path.name, path)
            )
            if found:
                return found[0]
        return None

    tokens = one("tokens.txt", "*-tokens.txt", "*tokens.txt")
    if tokens is None:
        raise ValueError(f"{folder} holds no model of sherpa-onnx: there is no tokens.txt")
    encoder, decoder = (
        one("*encode*.onnx", "*encode*.ort"),
        one("*decode*.onnx", "*decode*.ort"),
    )
    joiner, model = one("*joiner*.onnx"), one("model*.onnx", "*.onnx")
    cached, uncached = one("cached_decode*.onnx"), one("uncached_decode*.onnx")
    preprocess = one("preprocess*.onnx")
    found: dict[str, Path | None] = {"tokens": tokens}
    if cached and uncached and preprocess:
        encode = one("encode*.onnx")
        found |= {"preprocessor": preprocess, "encoder": encode}
        found |= {"uncached_decoder": uncached, "cached_decoder": cached}
        kind = "moonshine"
    elif encoder and decoder and joiner:
        found |= {"encoder": one("*encoder*.onnx"), "decoder": decoder, "joiner": joiner}
        kind = "streaming" if _mentions(found["encoder"], _STREAMS) else "transducer"
    elif encoder and decoder:
        found |= {"encoder": encoder, "decoder": decoder}
        kind = "moonshine_v2" if encoder.suffix == ".ort" else "whisper"
    elif model:
        found |= {"model": model}
        kind = "sense_voice" if _mentions(model, b"lang_auto") else "nemo_ctc"
    else:
        raise ValueError(f"{folder} holds no model of sherpa-onnx that is known here")
    return Layout(kind, {name: path for name, path in found.items() if path is not None})


def _mentions(path: Path | None, words: bytes) -> bool:
    """Whether a file holds these words; a model's own notes stand at its very end."""
    if path is None:
        return False
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - (1 << 16), 0))
        return words in file.read()


@dataclass
class _Stream:
    online: Any = None
    sound: array.array[float] = field(default_factory=lambda: array.array("f"))
    lost: bool = False
    known: str = ""
    covers: int = 0
    next_at: float = 0.0


class SherpaListener:
    """Makes words of several streams with one model.

    Raises:
        ImportError: sherpa-onnx isn't installed.
        ValueError, RuntimeError: There is no model in `folder` that it could use.
    """

    def __init__(
        self, folder: str, language: str = "en", *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._streams: dict[int, _Stream] = {}
        layout = layout_of(Path(folder))
        self._streaming = layout.kind == "streaming"
        self._model = _loaded(layout, language.partition("-")[0])
        # A model that can't do this at all is better found out now.
        self._decode(array.array("f", bytes(4 * RATE_HZ)))

    def words(self, words: list[tuple[str, str]]) -> None:
        """Models here take no further words."""

    def hear(self, number: int, pcm: bytes) -> None:
        stream = self._streams.setdefault(number, _Stream())
        samples = array.array("f", (each / 32768 for each in array.array("h", pcm)))
        if not self._streaming:
            stream.sound += samples
            over = len(stream.sound) - _MOST_KEPT
            if over > 0:
                del stream.sound[:over]
                stream.lost, stream.covers = True, 0
            return
        if stream.online is None:
            stream.online = self._model.create_stream()
        stream.online.accept_waveform(RATE_HZ, samples)
        self._advance(stream.online)

    def guess(self, number: int) -> str:
        stream = self._streams.get(number)
        if stream is None:
            return ""
        if self._streaming:
            return (
                "" if stream.online is None else _shown(self._model.get_result(stream.online))
            )
        now = self._clock()
        if len(stream.sound) == stream.covers or now < stream.next_at:
            return stream.known
        stream.known, stream.covers = self._decode(stream.sound), len(stream.sound)
        took = self._clock() - now
        stream.next_at = now + 2 * took
        return stream.known

    def finish(self, number: int) -> str:
        stream = self._streams.pop(number, None)
        if stream is None:
            return ""
        if self._streaming:
            if stream.online is None:
                return ""
            stream.online.accept_waveform(RATE_HZ, _TAIL)
            stream.online.input_finished()
            self._advance(stream.online)
            return _shown(self._model.get_result(stream.online))
        known = (
            stream.known if len(stream.sound) == stream.covers else self._decode(stream.sound)
        )
        return f"(…) {known}" if stream.lost and known else known

    def close(self, number: int) -> None:
        self._streams.pop(number, None)

    def _advance(self, online: Any) -> None:
        while self._model.is_ready(online):
            self._model.decode_stream(online)

    def _decode(self, sound: array.array[float]) -> str:
        """Let a whole model hear it; a streaming one gets the same from its own stream."""
        words = []
        for first in range(0, len(sound), _MOST):
            stream = self._model.create_stream()
            stream.accept_waveform(RATE_HZ, sound[first : first + _MOST])
            if self._streaming:
                self._advance(stream)
                words.append(_shown(self._model.get_result(stream)))
            else:
                self._model.decode_stream(stream)
                words.append(_shown(stream.result.text))
        return " ".join(part for part in words if part)


def _shown(text: Any) -> str:
    """Answer words as one writes them: some models know capitals alone."""
    plain = str(text).strip()
    return plain.lower() if plain.isupper() else plain


def _loaded(layout: Layout, language: str) -> Any:
    from sherpa_onnx import (
        OfflineRecognizer,
        OnlineRecognizer,
    )

    files = {name: str(path) for name, path in layout.files.items()}
    if layout.kind == "streaming":
        return OnlineRecognizer.from_transducer(**files, num_threads=1)
    make = getattr(OfflineRecognizer, f"from_{layout.kind}")
    more: dict[str, Any] = {}
    if layout.kind in {"whisper", "sense_voice"}:
        more["language"] = language
    if layout.kind == "whisper":
        more["tail_paddings"] = 500
    return make(**files, num_threads=1, **more)
