"""What kind of model lies in a folder, by the names of its files: those of sherpa-onnx's releases.

Piper's own files, an ONNX with its JSON, are taken too: what sherpa-onnx wants to have written in
them beside is added while they are read (see `with_metadata`), and never on the disk.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from locum.files import UnreadableError, read_regular

_LARGEST_JSON = 1 << 20


class Family(enum.Enum):
    PIPER = "piper"  #: VITS that reads espeak-ng's phonemes.
    VITS = "vits"  #: VITS with a lexicon.
    KOKORO = "kokoro"
    ZIPVOICE = "zipvoice"  #: Clones; must be told what the recording says.
    POCKET = "pocket"  #: Clones.

    @property
    def clones(self) -> bool:
        return self in {Family.ZIPVOICE, Family.POCKET}


class LayoutError(Exception):
    """Nothing that can be spoken with lies there; the text says what was looked for."""


@dataclass(frozen=True)
class Layout:
    """A model's files by their part in it, and what Piper's JSON says."""

    family: Family
    files: dict[str, str]
    piper: dict[str, Any] = field(default_factory=dict)


_WANTED = (
    "an ONNX file with its .onnx.json (Piper); an ONNX file, tokens.txt and lexicon.txt (VITS); "
    "model.onnx, voices.bin and tokens.txt (Kokoro); encoder, decoder, vocos and tokens.txt "
    "(ZipVoice); or lm_main, lm_flow, encoder, decoder, text_conditioner, vocab.json and "
    "token_scores.json (Pocket)"
)


def layout_of(folder: Path) -> Layout:
    """Tell a model by its files.

    Raises:
        LayoutError: It is none of these.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise LayoutError(f"{folder} can't be read: {error.strerror}") from error
    onnx = [name for name in names if name.endswith(".onnx")]

    def of(stem: str) -> str:
        """Answer the file of that part; the smaller one where there is one in 8 bits too."""
        found = [name for name in onnx if name.startswith(stem)]
        found.sort(key=lambda name: ("int8" not in name, name))
        return str(folder / found[0]) if found else ""

    def plain(*wanted: str) -> dict[str, str]:
        return {name: str(folder / name) for name in wanted if name in names}

    for family, stems, beside in (
        (
            Family.POCKET,
            ("lm_main", "lm_flow", "encoder", "decoder", "text_conditioner"),
            ("vocab.json", "token_scores.json"),
        ),
        (Family.ZIPVOICE, ("encoder", "decoder", "vocos"), ("tokens.txt",)),
        (Family.KOKORO, ("model",), ("voices.bin", "tokens.txt")),
    ):
        parts = {stem: of(stem) for stem in stems}
        if all(parts.values()) and all(name in names for name in beside):
            return Layout(family, {**parts, **plain(*beside, *_LEXICONS)})
    return _vits(folder, names, onnx)


_LEXICONS = ("lexicon.txt", "lexicon-us-en.txt", "lexicon-gb-en.txt", "lexicon-zh.txt")


def _vits(folder: Path, names: list[str], onnx: list[str]) -> Layout:
    tokens = {"tokens.txt": str(folder / "tokens.txt")} if "tokens.txt" in names else {}
    for name in onnx:
        if f"{name}.json" in names:
            piper = _piper(folder / f"{name}.json")
            return Layout(Family.PIPER, {"model": str(folder / name), **tokens}, piper)
    if len(onnx) == 1 and tokens and "lexicon.txt" in names:
        lexicon = {"lexicon.txt": str(folder / "lexicon.txt")}
        return Layout(Family.VITS, {"model": str(folder / onnx[0]), **tokens, **lexicon})
    raise LayoutError(f"{folder} holds no model that is known. Wanted is {_WANTED}")


def _piper(path: Path) -> dict[str, Any]:
    try:
        content, _ = read_regular(path, limit=_LARGEST_JSON)
        told = json.loads(content)
        voice, rate = str(told["espeak"]["voice"]), int(told["audio"]["sample_rate"])
        ids = {
            str(symbol): int(numbers[0]) for symbol, numbers in told["phoneme_id_map"].items()
        }
        speakers = int(told.get("num_speakers", 1))
    except (
        UnreadableError,
        ValueError,
        KeyError,
        TypeError,
        IndexError,
        AttributeError,
    ) as error:
        raise LayoutError(f"{path} isn't what Piper writes: {error}") from error
    if not 1 <= speakers <= 100_000 or not 4_000 <= rate <= 192_000 or len(ids) > 10_000:
        raise LayoutError(f"{path} isn't what Piper writes")
    return {"voice": voice, "rate": rate, "ids": ids, "speakers": speakers}


def with_metadata(model: bytes, piper: dict[str, Any]) -> bytes:
    """Answer an ONNX model with what sherpa-onnx reads from its `metadata_props`.

    An ONNX file is one protobuf message, and of two messages that follow each other a reader makes
    one: what is appended counts as if it had been written there.
    """
    told = {
        "model_type": "vits",
        "comment": "piper",
        "language": "unknown",
        "voice": piper["voice"],
        "has_espeak": "1",
        "n_speakers": str(piper["speakers"]),
        "sample_rate": str(piper["rate"]),
    }
    entries = (
        _field(_METADATA, _field(1, key.encode()) + _field(2, value.encode()))
        for key, value in told.items()
    )
    return model + b"".join(entries)


def tokens_of(piper: dict[str, Any]) -> str:
    """Answer the tokens.txt that belongs to Piper's phonemes."""
    lines = (f"{symbol} {number}\n" for symbol, number in piper["ids"].items())
    return "".join(line for line in lines if not line.startswith("\n"))


_METADATA = 14  #: `metadata_props` of onnx.proto's ModelProto.


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
