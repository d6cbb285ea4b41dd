"""The process in which sherpa-onnx speaks: `python -m locum.voices.sherpa_process MODEL THREADS`.

It reckons for some hundred milliseconds at a time, which would hold up a meeting. A text is said
clause by clause, the first one short, since somebody waits for it. A request (see
`locum.voices.pipe`) has `speaker` and `speed`, and where it clones `sample`, `sha256` and `said`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import sys
import unicodedata
import wave
from pathlib import Path
from typing import Any

from locum.core.clauses import Clauses
from locum.files import UnreadableError, read_regular
from locum.voices.espeak_process import Espeak
from locum.voices.layouts import (
    Family,
    Layout,
    LayoutError,
    layout_of,
    tokens_of,
    with_metadata,
)
from locum.voices.pipe import ProblemError, Request, serve

_LARGEST_MODEL = 2 << 30
_LARGEST_SAMPLE = 64 << 20
_LONGEST_SAMPLE_S = 20
"""Of a recording; more makes the model slower, and the voice no better."""
_PIECE_S = 0.5
_SPAN = re.compile(r"([^,.;:!?…]+)([,.;:!?…]*)")


class Sherpa:
    """A model that is loaded.

    Raises:
        ProblemError: sherpa-onnx isn't installed, or can't load it.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        try:
            import numpy as np
            import sherpa_onnx
        except ImportError as error:
            raise ProblemError(f"sherpa-onnx isn't installed: {error}", missing=True) from error
        self._np, self._sherpa = np, sherpa_onnx
        try:
            self._layout = layout_of(folder)
        except LayoutError as error:
            raise ProblemError(str(error)) from error
        self._espeak = Espeak() if self._layout.family is Family.PIPER else None
        with contextlib.ExitStack() as stack:
            config = sherpa_onnx.OfflineTtsConfig(
                model=_model_config(sherpa_onnx, self._layout, threads, stack),
                max_num_sentences=1,
            )
            if not config.validate():
                raise ProblemError(f"sherpa-onnx can't use the model in {folder}")
            self._tts = sherpa_onnx.OfflineTts(config)
        self._samples: dict[str, tuple[Any, int]] = {}
        self._quiet_start()

    def _quiet_start(self) -> None:
        """Say one word to nobody: the first takes longer than all that come."""
        if self._layout.family is Family.PIPER:
            self._tts.generate("a", self._config("a", {}))

    def speak(self, request: Request) -> None:
        """Say it. See `locum.voices.pipe.Speaker`."""
        clauses = Clauses()
        for clause in (*clauses.add(request.text), *clauses.rest()):
            if request.stopped:
                return
            if clause.text:
                self._say(clause.text, request)

    def _say(self, text: str, request: Request) -> None:
        given = 0

        def take(samples: Any, _progress: float) -> int:
            nonlocal given
            self._give(samples, request)
            given += len(samples)
            return 0 if request.stopped else 1

        made = self._tts.generate(text, self._config(text, request.values), take)
        if not given and not request.stopped:
            if not len(made.samples):
                raise ProblemError("the model says nothing")
            self._give(made.samples, request)

    def _give(self, samples: Any, request: Request) -> None:
        np, rate = self._np, self._tts.sample_rate
        loud = np.clip(np.asarray(samples, np.float32), -1, 1) * 32_767
        pcm = loud.astype("<i2").tobytes()
        step = 2 * int(rate * _PIECE_S)
        for at in range(0, len(pcm), step):
            if request.stopped:
                return
            request.give(rate, pcm[at : at + step])

    def _config(self, text: str, values: dict[str, Any]) -> Any:
        config = self._sherpa.GenerationConfig()
        config.sid = int(values.get("speaker", 0))
        config.speed = float(values.get("speed", 1.0))
        if self._tts.num_speakers and config.sid >= self._tts.num_speakers:
            raise ProblemError(f"the model has {self._tts.num_speakers} speakers, from 0 on")
        if self._espeak is not None:
            config.phoneme_codepoints = [self._phonemes(text, self._espeak)]
        if "sample" in values:
            if not self._layout.family.clones:
                raise ProblemError("this model can't speak with a recorded voice")
            audio, rate = self._recording(str(values["sample"]), str(values["sha256"]))
            config.reference_audio, config.reference_sample_rate = audio, rate
            config.reference_text = str(values.get("said", ""))
        elif self._layout.family.clones and values:
            raise ProblemError("this model speaks with a recorded voice only: cloned = true")
        return config

    def _phonemes(self, text: str, espeak: Espeak) -> list[int]:
        """Answer what Piper's models read: espeak-ng's IPA, with the text's own punctuation."""
        voice, known = self._layout.piper["voice"], self._layout.piper["ids"]
        spans = [
            espeak.phonemes(words, voice) + ends for words, ends in _SPAN.findall(text) if words
        ]
        told = unicodedata.normalize("NFD", " ".join(spans))
        return [ord(symbol) for symbol in told if symbol in known]

    def _recording(self, sample: str, digest: str) -> tuple[Any, int]:
        found = self._samples.get(digest)
        if found is None:
            self._samples.clear()
            found = self._samples[digest] = self._read(Path(sample), digest)
        return found

    def _read(self, path: Path, digest: str) -> tuple[Any, int]:
        try:
            content, _ = read_regular(path, limit=_LARGEST_SAMPLE)
        except UnreadableError as error:
            raise ProblemError(f"{path}: {error}") from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise ProblemError(f"{path} was changed just now")
        try:
            with wave.open(io.BytesIO(content)) as opened:
                rate, channels = opened.getframerate(), opened.getnchannels()
                if opened.getsampwidth() != 2 or channels not in {1, 2}:
                    raise ProblemError(f"{path} isn't 16-bit sound")
                raw = opened.readframes(_LONGEST_SAMPLE_S * rate)
        except (wave.Error, EOFError) as error:
            raise ProblemError(f"{path} is no WAV file: {error}") from error
        samples = self._np.frombuffer(raw, "<i2").astype(self._np.float32) / 32_768
        return samples.reshape(-1, channels).mean(axis=1).tolist(), rate


def _model_config(
    sherpa: Any, layout: Layout, threads: int, stack: contextlib.ExitStack
) -> Any:
    files = layout.files
    wanted: dict[str, Any] = {}
    if layout.family is Family.PIPER:
        model, tokens = files["model"], files.get("tokens.txt", "")
        if not tokens:
            model, tokens = _as_piper(layout, stack)
        wanted["vits"] = sherpa.OfflineTtsVitsModelConfig(model=model, tokens=tokens)
    elif layout.family is Family.VITS:
        wanted["vits"] = sherpa.OfflineTtsVitsModelConfig(
            model=files["model"], tokens=files["tokens.txt"], lexicon=files["lexicon.txt"]
        )
    elif layout.family is Family.KOKORO:
        lexicons = [path for name, path in files.items() if name.startswith("lexicon")]
        wanted["kokoro"] = sherpa.OfflineTtsKokoroModelConfig(
            model=files["model"],
            voices=files["voices.bin"],
            tokens=files["tokens.txt"],
            lexicon=",".join(lexicons),
        )
    elif layout.family is Family.ZIPVOICE:
        wanted["zipvoice"] = sherpa.OfflineTtsZipvoiceModelConfig(
            tokens=files["tokens.txt"],
            encoder=files["encoder"],
            decoder=files["decoder"],
            vocoder=files["vocos"],
            lexicon=files.get("lexicon.txt", ""),
        )
    else:
        wanted["pocket"] = sherpa.OfflineTtsPocketModelConfig(
            lm_flow=files["lm_flow"],
            lm_main=files["lm_main"],
            encoder=files["encoder"],
            decoder=files["decoder"],
            text_conditioner=files["text_conditioner"],
            vocab_json=files["vocab.json"],
            token_scores_json=files["token_scores.json"],
        )
    return sherpa.OfflineTtsModelConfig(num_threads=threads, **wanted)


def _as_piper(layout: Layout, stack: contextlib.ExitStack) -> tuple[str, str]:
    """Answer paths, in memory, of Piper's model and its tokens as sherpa-onnx wants them."""
    try:
        model, _ = read_regular(Path(layout.files["model"]), limit=_LARGEST_MODEL)
    except UnreadableError as error:
        raise ProblemError(f"{layout.files['model']}: {error}") from None
    contents = (with_metadata(model, layout.piper), tokens_of(layout.piper).encode())
    paths = []
    for content in contents:
        file = stack.enter_context(os.fdopen(os.memfd_create("model"), "wb"))
        file.write(content)
        file.flush()
        paths.append(f"/proc/self/fd/{file.fileno()}")
    return paths[0], paths[1]


def main() -> None:
    folder, threads = sys.argv[-2:]
    serve(lambda: Sherpa(Path(folder), int(threads)))
