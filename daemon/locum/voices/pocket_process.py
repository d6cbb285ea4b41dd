"""The process in which pocket-tts speaks.

Its arguments are a language or a folder, where states are kept, and "quantized" or "whole".
PyTorch takes seconds to import and holds Python's lock while it reckons. A request (see
`locum.voices.pipe`) has `voice`, one of pocket-tts' own, or `sample` and `sha256`. What a
recording was read into is kept on the disk, with its SHA-256 in the name: reading it takes
seconds, loading it milliseconds. Whoever takes consents back deletes it there by that name.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from locum.files import UnreadableError, read_regular
from locum.voices.pipe import ProblemError, Request, serve

_LARGEST_SAMPLE = 64 << 20
_KEPT_STATES = 8
_FIRST_S, _PIECE_S = 0.08, 0.24


class Pocket:
    """A model that is loaded.

    Raises:
        ProblemError: pocket-tts isn't installed, or can't load it.
    """

    def __init__(self, place: str, cache: Path, *, quantized: bool) -> None:
        try:
            import pocket_tts
            from pocket_tts.models.model_state import export_model_state
        except ImportError as error:
            raise ProblemError(f"pocket-tts isn't installed: {error}", missing=True) from error
        self._export = export_model_state
        self._cache = cache
        wanted: dict[str, Any] = {"language": place}
        identity = place
        if "/" in place:
            yamls = sorted(Path(place).glob("*.y*ml"))
            if len(yamls) != 1:
                raise ProblemError(f"{place} should hold one YAML file of pocket-tts'")
            wanted = {"config": yamls[0]}
            identity = hashlib.sha256(yamls[0].read_bytes()).hexdigest() + place
            os.chdir(place)  # Paths in it begin there.
        self._model = self._loaded(pocket_tts.TTSModel, quantize=quantized, **wanted)
        made = f"{identity} {pocket_tts.__file__} {_version()}"
        self._made_by = hashlib.sha256(made.encode()).hexdigest()[:16]
        self._states: dict[str, Any] = {}

    @staticmethod
    def _loaded(model: Any, **wanted: Any) -> Any:
        try:
            return model.load_model(**wanted)
        except Exception as error:  # Whatever a download, a YAML or PyTorch may raise.
            raise ProblemError(_in_a_line(error)) from error

    def speak(self, request: Request) -> None:
        """Say it. See `locum.voices.pipe.Speaker`."""
        state = self._state(request.values)
        if not request.text:
            return
        stop = threading.Event()
        rate = int(self._model.sample_rate)
        rest = bytearray()
        given = False
        stream = self._model.generate_audio_stream(state, request.text, stop=stop)
        try:
            for chunk in stream:
                if request.stopped:
                    break
                rest += _pcm(chunk)
                if len(rest) >= 2 * int(rate * (_PIECE_S if given else _FIRST_S)):
                    request.give(rate, bytes(rest))
                    rest.clear()
                    given = True
        except Exception as error:  # Whatever PyTorch may raise: the process goes on.
            raise ProblemError(_in_a_line(error)) from error
        finally:
            stop.set()
            # What is generated ahead ends before anything else is begun.
            for _ in stream:
                pass
        if rest and not request.stopped:
            request.give(rate, bytes(rest))

    # ── voices ───────────────────────────────────────────────────────────────────────────

    def _state(self, values: dict[str, Any]) -> Any:
        name = str(values["sha256"] if "sample" in values else values["voice"])
        found = self._states.get(name)
        if found is None:
            try:
                found = self._read(values, name)
            except ProblemError:
                raise
            except Exception as error:
                raise ProblemError(_in_a_line(error)) from error
            self._states = {name: found}
        return found

    def _read(self, values: dict[str, Any], name: str) -> Any:
        if "sample" not in values:
            return self._model.get_state_for_audio_prompt(name)
        kept = self._cache / f"pocket-{self._made_by}-{name}.safetensors"
        if kept.is_file():
            # One that is damaged is read anew; so is one that was deleted just now.
            with contextlib.suppress(Exception):
                return self._model.get_state_for_audio_prompt(kept)
        content = _recording(Path(str(values["sample"])), name)
        with _in_memory(content) as path:
            state = self._model.get_state_for_audio_prompt(path, truncate=True)
        with contextlib.suppress(OSError):
            self._keep(state, kept)
        return state

    def _keep(self, state: Any, kept: Path) -> None:
        """Keep it for the next meeting. It is a voice too: for its owner's eyes, and not for ever."""
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = kept.with_suffix(f".{os.getpid()}")
        try:
            self._export(state, draft)
            draft.chmod(0o600)
            draft.replace(kept)
        finally:
            draft.unlink(missing_ok=True)
        states = sorted(
            self._cache.glob("pocket-*.safetensors"), key=lambda p: p.stat().st_mtime
        )
        for old in states[:-_KEPT_STATES]:
            old.unlink(missing_ok=True)


def _recording(path: Path, digest: str) -> bytes:
    try:
        content, _ = read_regular(path, limit=_LARGEST_SAMPLE)
    except UnreadableError as error:
        raise ProblemError(f"{path}: {error}") from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise ProblemError(f"{path} was changed just now")
    return content


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[Path]:
    """Give a WAV's content a path. Whoever is killed meanwhile leaves no recording behind."""
    with (
        os.fdopen(os.memfd_create("recording"), "wb") as file,
        tempfile.TemporaryDirectory() as folder,
    ):
        file.write(content)
        file.flush()
        path = Path(folder, "recording.wav")  # pocket-tts goes by the suffix.
        path.symlink_to(f"/proc/self/fd/{file.fileno()}")
        yield path


def _pcm(chunk: Any) -> bytes:
    made = chunk.clamp(-1, 1).mul(32_767).short().numpy().astype("<i2").tobytes()
    return bytes(made)


def _version() -> str:
    from importlib.metadata import version

    return version("pocket-tts")


def _in_a_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".")


def main() -> None:
    place, cache, kind = sys.argv[-3:]
    serve(lambda: Pocket(place, Path(cache), quantized=kind == "quantized"))
