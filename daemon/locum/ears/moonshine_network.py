"""Moonshine's network: a stretch of sound goes in, tokens and their text come out.

The files are those that its authors publish as "quantized": an encoder of the whole stretch, a
decoder of one token after the other, with its past in a cache, and a SentencePiece vocabulary.
What was heard of a stretch's beginning is handed in again as a draft: the decoder judges all of
it in one pass, which costs as much as three tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

RATE_HZ = 16_000
ENCODER, DECODER, VOCABULARY = (
    "encoder_model.onnx",
    "decoder_model_merged.onnx",
    "tokenizer.json",
)
FILES = (ENCODER, DECODER, VOCABULARY)

_START, _END = 1, 2
_LEAST = RATE_HZ // 10
"""Samples: less makes no frame, and no word."""
_TOKENS_A_SECOND, _TOKENS_BESIDES = 6, 4
"""How many tokens a stretch can have: its authors' own bound against repetition without an end."""
_LONGEST_LOOP, _ROUNDS = 8, 5
"""So few tokens, so many times in a row, are a loop of the network's and no speech."""
_AHEAD = 4
"""How far ahead in a draft it may be taken up again where a word was put in or left out."""
_MARGIN = 1.0
"""By how much (in logits) another token must be likelier than the draft's to replace it: the
8 bits' own noise is about as large, and words that change to and fro help nobody."""
_LARGEST_VOCABULARY = 64 << 20


class Vocabulary:
    """A SentencePiece vocabulary's tokens as text."""

    def __init__(self, pieces: Mapping[str, int]) -> None:
        self._pieces = {number: piece for piece, number in pieces.items()}

    @classmethod
    def read(cls, file: Path) -> Vocabulary:
        """Read it from what Hugging Face's tokenizers write.

        Raises:
            ValueError, OSError: It can't be read.
        """
        with file.open("rb") as opened:
            written = opened.read(_LARGEST_VOCABULARY)
        try:
            pieces = json.loads(written)["model"]["vocab"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(f"{file} is no vocabulary") from None
        if not isinstance(pieces, dict) or not all(isinstance(n, int) for n in pieces.values()):
            raise ValueError(f"{file} is no vocabulary")
        return cls(pieces)

    def text(self, tokens: Sequence[int]) -> str:
        """Answer what they say; what isn't text, as the marks of begin and end, says nothing."""
        said = bytearray()
        for token in tokens:
            piece = self._pieces.get(token, "")
            if not piece.startswith("<"):
                said += piece.replace("▁", " ").encode("utf-8", "replace")
            elif piece.startswith("<0x") and len(piece) == 6:
                said += bytes.fromhex(piece[3:5])
        return said.decode("utf-8", "replace").strip()


class Network:
    """Makes tokens of sound. Blocking; on one core.

    Raises:
        ImportError: onnxruntime or numpy isn't installed.
        ValueError, OSError: The files in `folder` can't be used; says which.
    """

    def __init__(self, folder: Path) -> None:
        import numpy as np

        self.vocabulary = Vocabulary.read(folder / VOCABULARY)
        self._encoder = _session(folder / ENCODER, ("input_values",), ())
        self._decoder = _session(
            folder / DECODER,
            ("input_ids", "encoder_hidden_states", "use_cache_branch"),
            ("logits",),
        )
        inputs = {each.name: each.shape for each in self._decoder.get_inputs()}
        self._past = [name for name in inputs if name.startswith("past_key_values.")]
        self._own_past = [name for name in self._past if ".decoder." in name]
        self._present = [name.replace("past_key_values", "present") for name in self._past]
        self._own_present = [name for name in self._present if ".decoder." in name]
        outputs = {each.name for each in self._decoder.get_outputs()}
        shapes = [inputs[name] for name in self._past]
        if not shapes or not outputs.issuperset(self._present):
            raise ValueError(f"{folder / DECODER} isn't Moonshine's: it keeps no past")
        if not all(
            len(s) == 4 and isinstance(s[1], int) and isinstance(s[3], int) for s in shapes
        ):
            raise ValueError(
                f"{folder / DECODER} isn't Moonshine's: its past has another shape"
            )
        self._no_past = {
            name: _value(np.zeros((1, shape[1], 0, shape[3]), np.float32))
            for name, shape in zip(self._past, shapes, strict=True)
        }
        self._try()

    def _try(self) -> None:
        """Find out now what it can't do; the first run of all takes three times as long, too."""
        import numpy as np

        second = np.random.default_rng(1).normal(0, 0.1, (1, RATE_HZ)).astype(np.float32)
        [encoded, *_] = _run(self._encoder, None, {"input_values": _value(second)})
        both, past = self._judged(encoded, [_START, _START], self._no_past)
        one, _ = self._judged(encoded, [_START], {**past, **self._shortened(past, 1)})
        if both.ndim != 2 or len(both) != 2 or one.shape != both[:1].shape:
            raise ValueError("the decoder isn't Moonshine's: it doesn't judge each token")

    def hear(self, samples: Floats, draft: Sequence[int] = ()) -> list[int]:
        """Answer the tokens of a stretch (16 kHz, -1 … 1).

        `draft` is what is likely to come out, as what did of its beginning.
        """
        if len(samples) < _LEAST:
            return []
        most = _TOKENS_A_SECOND * len(samples) // RATE_HZ + _TOKENS_BESIDES
        [encoded, *_] = _run(self._encoder, None, {"input_values": _value(samples[None])})
        tokens: list[int] = []
        past, given = self._no_past, [_START]
        rest, missed = list(draft[:most]), 0
        while len(tokens) < most:
            logits, past = self._judged(encoded, [*given, *rest], past)
            judged = logits[len(given) - 1 :]
            held = agreement(judged, rest)
            tokens += rest[:held]
            following = int(judged[held].argmax())
            if following == _END or looped(tokens):
                break
            if held < len(rest):
                past = {**past, **self._shortened(past, 1 + len(tokens))}
                missed += held == 0
            tokens.append(following)
            given = [following]
            rest = [] if missed > 1 else resumed(rest[held:], following)
        return without_loop(tokens[:most])

    def _judged(
        self, encoded: Any, tokens: Sequence[int], past: dict[str, Any]
    ) -> tuple[Floats, dict[str, Any]]:
        """Answer what follows each of these tokens, a row of logits each, and the past then."""
        import numpy as np

        begun = past is not self._no_past
        # What is kept of the sound is the same for all tokens: it is made once.
        told, kept = (
            (self._own_present, self._own_past) if begun else (self._present, self._past)
        )
        logits, *presents = _run(
            self._decoder,
            ["logits", *told],
            {
                "input_ids": _value(np.array([tokens], np.int64)),
                "encoder_hidden_states": encoded,
                "use_cache_branch": _value(np.array([begun])),
                **past,
            },
        )
        return logits.numpy()[0], {**past, **dict(zip(kept, presents, strict=True))}

    def _shortened(self, past: Mapping[str, Any], length: int) -> dict[str, Any]:
        """Answer its own past up to so many tokens."""
        import numpy as np

        return {
            name: _value(np.ascontiguousarray(past[name].numpy()[:, :, :length]))
            for name in self._own_past
        }


def agreement(logits: Floats, draft: Sequence[int]) -> int:
    """Answer how many of a draft's tokens are as likely as any other, from the first on."""
    for number, (row, token) in enumerate(zip(logits, draft, strict=False)):
        if not 0 <= token < len(row) or row[token] < row.max() - _MARGIN:
            return number
    return min(len(draft), len(logits))


def resumed(draft: Sequence[int], token: int) -> list[int]:
    """Answer what of the rest of a draft may come after a token that stands there instead."""
    ahead = list(draft[:_AHEAD])
    return list(draft[ahead.index(token) + 1 if token in ahead else 1 :])


def looped(tokens: Sequence[int]) -> bool:
    """Whether they end in the same few tokens again and again."""
    return _loop_at(tokens, len(tokens)) > 0


def without_loop(tokens: Sequence[int]) -> list[int]:
    """Answer them up to where they repeat themselves for no reason; two rounds are kept."""
    for end in range(1, len(tokens) + 1):
        if size := _loop_at(tokens, end):
            return list(tokens[: end - (_ROUNDS - 2) * size])
    return list(tokens)


def _loop_at(tokens: Sequence[int], end: int) -> int:
    """Answer how long a loop is whose last round ends there; 0 if there is none."""
    for size in range(1, min(_LONGEST_LOOP, end // _ROUNDS) + 1):
        first = end - _ROUNDS * size
        if tokens[first : end - size] == tokens[first + size : end]:
            return size
    return 0


def _session(file: Path, takes: Sequence[str], gives: Sequence[str]) -> Any:
    import onnxruntime

    if not file.is_file():
        raise ValueError(f"{file} isn't there")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Else the table of 32,768 words is unpacked from its 8 bits at each token: half of its time.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    # Stretches have all lengths: a plan of memory for each of them would only pile up.
    options.enable_mem_pattern = False
    try:
        session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # noqa: BLE001 - Its errors have nothing but Exception in common.
        raise ValueError(f"{file} is no model that can be read: {error}") from None
    lacks = {*takes} - {each.name for each in session.get_inputs()}
    lacks |= {*gives} - {each.name for each in session.get_outputs()}
    if lacks:
        raise ValueError(f"{file} isn't Moonshine's: it knows no {', '.join(sorted(lacks))}")
    return session


def _run(session: Any, outputs: Sequence[str] | None, inputs: Mapping[str, Any]) -> list[Any]:
    """Run it without copying what goes in and comes out.

    Raises:
        ValueError: It can't reckon with that, which no model of Moonshine's does.
    """
    try:
        return list(session.run_with_ort_values(outputs, dict(inputs)))
    except Exception as error:  # noqa: BLE001 - Its errors have nothing but Exception in common.
        raise ValueError(f"the model fails: {error}") from None


def _value(array: NDArray[Any]) -> Any:
    import onnxruntime

    return onnxruntime.OrtValue.ortvalue_from_numpy(array)
