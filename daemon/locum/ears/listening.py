"""The process that listens, for recognisers on this machine: `python -m locum.ears.listening`.

They hold Python's lock while they reckon, or end their process at a model that they don't like:
in ours everything else would wait, or the meeting would end. A request is a line of JSON on
stdin, with as many bytes of sound (mono, 16 bit, 16 kHz) after it as its `size` says, if any:

    {"do": "words", "words": [["marek", "M AA R EH K"], …]}     words to know besides
    {"do": "hear", "stream": 1, "size": 2560}
    {"do": "guess", "stream": 1}
    {"do": "finish", "stream": 1}
    {"do": "close", "stream": 1}

Each is answered by one line: `{"text": …}`, empty where none is asked for; or `{"problem": …}`,
and it ends. The first line says that it is ready. What listens is named by the arguments.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Protocol, TextIO


class Listener(Protocol):
    """What makes words; streams are numbers. All blocking."""

    def words(self, words: list[tuple[str, str]]) -> None: ...

    def hear(self, number: int, pcm: bytes) -> None: ...

    def guess(self, number: int) -> str: ...

    def finish(self, number: int) -> str: ...

    def close(self, number: int) -> None: ...


def listener(kind: str, arguments: list[str]) -> Listener:
    """Make the one that is named.

    Raises:
        ImportError, RuntimeError, OSError, ValueError: It can't be used.
    """
    if kind == "sphinx":
        from locum.ears.sphinx_listener import SphinxListener

        return SphinxListener()
    if kind == "sherpa":
        from locum.ears.sherpa_listener import SherpaListener

        return SherpaListener(*arguments)
    if kind == "moonshine":
        from locum.ears.moonshine_listener import MoonshineListener

        return MoonshineListener(*arguments)
    raise ValueError(f"nobody listens by the name of {kind}")


def _answer(listener: Listener, request: dict[str, Any], pcm: bytes) -> dict[str, Any]:
    do, number = request["do"], int(request.get("stream", 0))
    if do == "hear":
        listener.hear(number, pcm)
    elif do == "guess":
        return {"text": listener.guess(number)}
    elif do == "finish":
        return {"text": listener.finish(number)}
    elif do == "close":
        listener.close(number)
    elif do == "words":
        listener.words([(str(word), str(phones)) for word, phones in request["words"]])
    return {"text": ""}


def _say(answers: TextIO, answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def main() -> None:
    os.nice(5)  # The face, and what we say, go first.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # What a library prints must not be taken for our answer.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    kind, *arguments = sys.argv[1:]
    try:
        listening = listener(kind, arguments)
    except (ImportError, RuntimeError, OSError, ValueError) as error:
        _say(answers, {"problem": " ".join(str(error).split())[:500]})
        return
    _say(answers, {"text": ""})
    for line in sys.stdin.buffer:
        request = json.loads(line)
        pcm = sys.stdin.buffer.read(int(request.get("size", 0)))
        _say(answers, _answer(listening, request, pcm))


if __name__ == "__main__":
    main()
