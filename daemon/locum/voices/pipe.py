"""A voice's process, from the inside: what it is asked, what it answers, and being told to stop.

A request is a line of JSON on stdin: `{"id": N, "text": …, …}`; `{"stop": N}` says that nobody
waits for N, or for one before it, any more. The answer is a row of frames on stdout, each a line
of JSON and then as many bytes as its `size` says: `{"id": N, "size": BYTES, "rate": HZ, "phones":
[[IPA, START_MS, END_MS], …], "words": [[FROM, TO, START_MS], …]}`, the last one `{"id": N, "size":
0, "end": true}` or `{"id": N, "size": 0, "problem": …}`.

PCM is mono, signed 16-bit little-endian. Instants count from the frame's beginning; words are told
by their characters in the text.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol


class ProblemError(Exception):
    """It can't speak so. `missing` where something isn't installed."""

    def __init__(self, told: str, *, missing: bool = False) -> None:
        super().__init__(told)
        self.missing = missing


class Request:
    """One text to be said, and where its sound goes."""

    def __init__(
        self, values: dict[str, Any], out: BinaryIO, stopped: Callable[[], bool]
    ) -> None:
        self.values = values
        self.text = str(values["text"])
        self._out = out
        self._stopped = stopped

    @property
    def stopped(self) -> bool:
        """Whether nobody waits for it any more. Ask often."""
        return self._stopped()

    def give(
        self,
        rate: int,
        pcm: bytes,
        phones: list[list[Any]] | None = None,
        words: list[list[Any]] | None = None,
    ) -> None:
        """Hand over a piece of sound; waits while there is more of it than anybody takes."""
        told = {"rate": rate, "phones": phones or [], "words": words or []}
        self._write(told, pcm)

    def end(self, **told: Any) -> None:
        self._write(told)

    def _write(self, told: dict[str, Any], body: bytes = b"") -> None:
        header = {"id": self.values["id"], "size": len(body), **told}
        self._out.write(json.dumps(header).encode() + b"\n" + body)
        self._out.flush()


class Speaker(Protocol):
    def speak(self, request: Request) -> None:
        """Say it, piece by piece; return as soon as it is stopped.

        Raises:
            ProblemError: It can't.
        """
        ...


class _Requests:
    """What comes in on stdin, read in a thread: a stop must be heard while something is said."""

    def __init__(self, stdin: BinaryIO) -> None:
        self._stdin = stdin
        self._waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._stopped = 0

    def read(self) -> None:
        for line in self._stdin:
            values = json.loads(line)
            if "stop" in values:
                self._stopped = max(self._stopped, int(values["stop"]))
            else:
                self._waiting.put(values)
        # Whoever asked is gone, whatever is being reckoned.
        os._exit(0)

    def next_one(self, out: BinaryIO) -> Request:
        values = self._waiting.get()
        number = int(values["id"])
        return Request(values, out, lambda: number <= self._stopped)


def serve(open_speaker: Callable[[], Speaker]) -> None:
    """Answer requests until stdin ends. A speaker that can't be had is told to each of them."""
    # Libraries like to print; whatever they do must not get among the frames.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = _Requests(sys.stdin.buffer)
    threading.Thread(target=requests.read, daemon=True).start()
    speaker: Speaker | None = None
    trouble: ProblemError | None = None
    try:
        speaker = open_speaker()
    except ProblemError as error:
        trouble = error
    while True:
        request = requests.next_one(out)
        try:
            if speaker is None:
                raise trouble or ProblemError("there is no speaker")
            if not request.stopped:
                speaker.speak(request)
        except ProblemError as error:
            request.end(problem=str(error), missing=error.missing)
        else:
            request.end(end=True)
