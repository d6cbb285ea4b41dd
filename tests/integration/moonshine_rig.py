"""A network like Moonshine's, of three kilobytes, that hears how loud each 0.2 s are.

The same inputs and outputs as the real one's, written by hand as ONNX: what is loud is "ah", what
is half as loud "oh", and what is nearly silent isn't said. It says one token for each 0.2 s, by
its place alone, and keeps a past of nothing, which is as long as it must be.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path

from locum.voices.layouts import _field
from tests.integration.onnx_rig import _node, _number, _tensor, _text

FRAME = 3200
"""Samples of a token."""
_FLOAT, _INT64, _BOOL = 1, 7, 9
_KINDS, _OF_EACH = 3, 11
_VOCABULARY = {
    piece: number
    for number, piece in enumerate(
        [
            *("<unk>", "<s>", "</s>"),
            *(
                piece
                for space in range(1, _OF_EACH + 1)
                for piece in (f"<quiet {space}>", "▁" * space + "oh", "▁" * space + "ah")
            ),
        ]
    )
}


def moonshine_folder(folder: Path) -> Path:
    """Write the three files that the listener reads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "encoder_model.onnx").write_bytes(_encoder())
    (folder / "decoder_model_merged.onnx").write_bytes(_decoder())
    vocabulary = {"model": {"type": "BPE", "vocab": _VOCABULARY}}
    (folder / "tokenizer.json").write_text(json.dumps(vocabulary), "utf-8")
    return folder


def _encoder() -> bytes:
    nodes = [
        _node("Mul", ["input_values", "input_values"], "power"),
        _node("Reshape", ["power", "one_row"], "row"),
        _node("AveragePool", ["row"], "means", attribute=_whole("kernel_shape", [FRAME]))
        + _field(5, _whole("strides", [FRAME]))
        + _field(5, _whole("pads", [0, FRAME // 2])),
        _node("Reshape", ["means", "one_column"], "last_hidden_state"),
    ]
    constants = [_whole_tensor("one_row", [1, 1, -1]), _whole_tensor("one_column", [1, -1, 1])]
    return _model(
        *(nodes, constants),
        [_value("input_values", _FLOAT, [None, None])],
        [_value("last_hidden_state", _FLOAT, [None, None, 1])],
    )


def _decoder() -> bytes:
    past = [f"past_key_values.0.{of}.{what}" for of in ("decoder", "encoder") for what in _KEPT]
    nodes = [
        _node("Reshape", ["encoder_hidden_states", "flat"], "power"),
        *_tokens_by_power(),
        *_places(),
        _node("Gather", ["all_tokens", "place"], "token"),
        _node("Reshape", ["token", "column"], "tokens"),
        _node("Sub", ["range", "tokens"], "apart"),
        _node("Abs", ["apart"], "distance"),
        _node("Mul", ["distance", "less"], "likely"),
        _node("Reshape", ["likely", "logits_shape"], "logits"),
        _node("Reshape", ["length", "one"], "length_1"),
        _node("Concat", ["ones", "length_1", "one"], "new_shape", attribute=_axis(0)),
        _node("ConstantOfShape", ["new_shape"], "new"),
        _node("Reshape", ["power", "as_past"], "heard"),
        *(
            _node("Concat", [name, "new"], _present(name), attribute=_axis(2))
            for name in past[:2]
        ),
        *(_node("Identity", ["heard"], _present(name)) for name in past[2:]),
    ]
    constants = [
        _whole_tensor("flat", [-1]),
        _whole_tensor("column", [-1, 1]),
        _whole_tensor("logits_shape", [1, -1, len(_VOCABULARY)]),
        _whole_tensor("as_past", [1, 1, -1, 1]),
        _whole_tensor("ones", [1, 1]),
        _whole_tensor("one", [1]),
        _real_tensor("range", list(range(len(_VOCABULARY)))),
        _real_tensor("less", [-10]),
        *_constants_of_parts(),
    ]
    inputs = [
        _value("input_ids", _INT64, [None, None]),
        _value("encoder_hidden_states", _FLOAT, [None, None, 1]),
        *(_value(name, _FLOAT, [None, 1, None, 1]) for name in past),
        _value("use_cache_branch", _BOOL, [1]),
    ]
    outputs = [
        _value("logits", _FLOAT, [None, None, len(_VOCABULARY)]),
        *(_value(_present(name), _FLOAT, [None, 1, None, 1]) for name in past),
    ]
    return _model(nodes, constants, inputs, outputs)


_KEPT = ("key", "value")


def _present(name: str) -> str:
    return name.replace("past_key_values", "present")


def _tokens_by_power() -> list[bytes]:
    """`all_tokens`: one for each 0.2 s, and the end's."""
    return [
        _node("Greater", ["power", "half"], "is_oh"),
        _node("Greater", ["power", "full"], "is_ah"),
        _node("Cast", ["is_oh"], "oh", attribute=_number_of("to", _FLOAT)),
        _node("Cast", ["is_ah"], "ah", attribute=_number_of("to", _FLOAT)),
        _node("Add", ["oh", "ah"], "louder"),
        _node("Add", ["louder", "quiet"], "kind"),
        _node("Shape", ["power"], "frames_1"),
        _node("Reshape", ["frames_1", "of_none"], "frames"),
        _node("Range", ["zero", "frames", "step"], "at"),
        _node("Mod", ["at", "of_each"], "which"),
        _node("Cast", ["which"], "which_real", attribute=_number_of("to", _FLOAT)),
        _node("Mul", ["which_real", "kinds"], "first_of_each"),
        _node("Add", ["kind", "first_of_each"], "each"),
        _node("Concat", ["each", "end"], "all_tokens", attribute=_axis(0)),
    ]


def _places() -> list[bytes]:
    """`place`: where each token stands that is to come, the end's place at most; `length`."""
    return [
        _node("Shape", ["input_ids"], "ids_shape"),
        _node("Gather", ["ids_shape", "second"], "length"),
        _node("Shape", ["past_key_values.0.decoder.key"], "past_shape"),
        _node("Gather", ["past_shape", "third"], "begun"),
        _node("Add", ["begun", "length"], "until"),
        _node("Range", ["begun", "until", "step"], "free_place"),
        _node("Min", ["free_place", "frames_1"], "place"),
    ]


def _constants_of_parts() -> list[bytes]:
    return [
        _real_tensor("half", [0.002]),
        _real_tensor("full", [0.02]),
        _real_tensor("quiet", [3]),
        _real_tensor("end", [2]),
        _real_tensor("kinds", [_KINDS]),
        _whole_tensor("of_none", []),
        _scalar("of_each", _OF_EACH),
        _scalar("zero", 0),
        _scalar("second", 1),
        _scalar("third", 2),
        _scalar("step", 1),
    ]


def _model(
    nodes: Sequence[bytes],
    constants: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
) -> bytes:
    graph = b"".join(
        [
            *(_field(1, node) for node in nodes),
            _text(2, "loudness"),
            *(_field(5, constant) for constant in constants),
            *(_field(11, each) for each in inputs),
            *(_field(12, each) for each in outputs),
        ]
    )
    opset = _text(1, "") + _number(2, 13)
    return _number(1, 8) + _field(7, graph) + _field(8, opset)


def _value(name: str, kind: int, shape: Sequence[int | None]) -> bytes:
    dimensions = b"".join(
        _field(1, _text(2, f"{name}_{number}") if size is None else _number(1, size))
        for number, size in enumerate(shape)
    )
    return _text(1, name) + _field(2, _field(1, _number(1, kind) + _field(2, dimensions)))


def _whole_tensor(name: str, values: Sequence[int]) -> bytes:
    return _tensor(name, _INT64, struct.pack(f"<{len(values)}q", *values), len(values))


def _real_tensor(name: str, values: Sequence[float]) -> bytes:
    return _tensor(name, _FLOAT, struct.pack(f"<{len(values)}f", *values), len(values))


def _scalar(name: str, value: int) -> bytes:
    return _number(2, _INT64) + _text(8, name) + _field(9, struct.pack("<q", value))


def _whole(name: str, values: Sequence[int]) -> bytes:
    return _text(1, name) + b"".join(_number(8, value) for value in values) + _number(20, 7)


def _number_of(name: str, value: int) -> bytes:
    return _text(1, name) + _number(3, value) + _number(20, 2)


def _axis(number: int) -> bytes:
    return _number_of("axis", number)
