"""A voice model of a few hundred bytes: each phoneme is 20 ms of a buzz. Written by hand as ONNX."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from locum.voices.layouts import _field, _varint

RATE = 16_000
SAMPLES_A_PHONEME = 320
_FLOAT, _INT64 = 1, 7
_CAST_TO, _INT = 3, 2


def piper_folder(folder: Path) -> Path:
    """Write what Piper writes for a voice: an ONNX without metadata, and its JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "buzz.onnx").write_bytes(_model())
    symbols = "_^$ .,abcdefghijklmnopqrstuvwxyzæðŋɐɑɔəɚɛɜɡɪɫɹɾʃʊʌʒˈˌː"
    told = {
        "audio": {"sample_rate": RATE},
        "espeak": {"voice": "en-us"},
        "num_speakers": 1,
        "phoneme_id_map": {symbol: [number] for number, symbol in enumerate(symbols)},
    }
    (folder / "buzz.onnx.json").write_text(json.dumps(told), "utf-8")
    return folder


def _model() -> bytes:
    nodes = [
        _node("Cast", ["input"], "f", attribute=_attribute("to", _FLOAT)),
        _node("Reshape", ["f", "shape"], "row"),
        _node("Tile", ["row", "times"], "long"),
        _node("Mul", ["long", "small"], "output"),
    ]
    constants = [
        _tensor("shape", _INT64, struct.pack("<3q", 1, 1, -1), 3),
        _tensor("times", _INT64, struct.pack("<3q", 1, 1, SAMPLES_A_PHONEME), 3),
        _tensor("small", _FLOAT, struct.pack("<f", 0.01), 1),
    ]
    inputs = [("input", _INT64, 2), ("input_lengths", _INT64, 1), ("scales", _FLOAT, 1)]
    graph = b"".join(
        [
            *(_field(1, node) for node in nodes),
            _text(2, "buzz"),
            *(_field(5, constant) for constant in constants),
            *(_field(11, _value(*each)) for each in inputs),
            _field(12, _value("output", _FLOAT, 3)),
        ]
    )
    opset = _text(1, "") + _number(2, 13)
    return _number(1, 8) + _field(7, graph) + _field(8, opset)


def _node(kind: str, inputs: list[str], output: str, *, attribute: bytes = b"") -> bytes:
    told = b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind)
    return told + (_field(5, attribute) if attribute else b"")


def _attribute(name: str, value: int) -> bytes:
    return _text(1, name) + _number(_CAST_TO, value) + _number(20, _INT)


def _tensor(name: str, kind: int, raw: bytes, count: int) -> bytes:
    return _number(1, count) + _number(2, kind) + _text(8, name) + _field(9, raw)


def _value(name: str, kind: int, dimensions: int) -> bytes:
    free = b"".join(_field(1, _text(2, f"{name}{number}")) for number in range(dimensions))
    return _text(1, name) + _field(2, _field(1, _number(1, kind) + _field(2, free)))


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)
