"""The port's side of the extractive brain: bounded in time and memory, off the event loop.

Work of any size is done by a process of its own, started for it and killed with it, because a
thread can't be stopped and would hold the interpreter that joins meetings. Not anyio's worker
processes: they have no limits, stay for minutes with what they took, and are awaited by the
event loop, whose clock needn't be the host's.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

import locum
from locum.brains.extractive.name import NAME
from locum.core.minutes import Minutes, Occasion
from locum.core.transcript import Transcript
from locum.errors import PermanentError, TransientError
from locum.ports import Answer, Finding, Health, Passage

_AGAIN = timedelta(minutes=10)
_SMALL = 2_000
"""Words that take about 50 ms: less than a process takes to start."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Bounds:
    """What one summary may take; a meeting of 12 hours takes a fraction of it."""

    wall: timedelta = timedelta(minutes=5)
    memory: int = 2 << 30  #: Bytes of address space.


class ExtractiveBrain:
    """Needs nothing, costs nothing, and is there on a fresh machine."""

    def __init__(self, *, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()

    @property
    def name(self) -> str:
        return NAME

    async def write_minutes(self, transcript: Transcript, occasion: Occasion) -> Minutes:
        from locum.brains.extractive.summing import minutes_of

        return await self._apart(transcript.words, minutes_of, transcript, occasion)

    async def answer(self, question: str, passages: Sequence[Passage]) -> Answer | None:
        from locum.brains.extractive.answering import answer_from

        words = sum(len(passage.text.split()) for passage in passages)
        return await self._apart(words, answer_from, question, tuple(passages))

    async def check(self) -> tuple[Finding, ...]:
        detail = "summaries are made on this machine, by rule; no language model is asked"
        return (Finding("brain", Health.OK, detail),)

    async def aclose(self) -> None:
        """Do nothing: no process outlives the call that it was started for."""

    async def _apart(self, words: int, work: Callable[..., _T], *given: object) -> _T:
        """Do pure work in a thread if it is little, else in a process of its own.

        Raises:
            TransientError: It took too long; the machine may be busy.
            PermanentError: It needs more memory than it is given, or failed.
        """
        if words <= _SMALL:
            return await asyncio.to_thread(work, *given)
        job = _Job(self._bounds)
        try:
            return cast("_T", await asyncio.to_thread(job.run, work, given))
        finally:
            job.stop()  # Where we were cancelled, the thread still waits for it.


@dataclass
class _Job:
    """One process, from its start to its end."""

    bounds: Bounds
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _is_stopped: bool = field(default=False, init=False)

    def run(self, work: Callable[..., object], given: Sequence[object]) -> object:
        """Start the process and wait for its answer; to be called in a thread."""
        task = pickle.dumps((work, tuple(given), self.bounds.memory))
        with subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            cwd="/",
            start_new_session=True,  # A terminal's Ctrl-C comes to us, and we end it.
        ) as process:
            self._process = process
            if self._is_stopped:
                process.kill()
            try:
                told, _ = process.communicate(task, self.bounds.wall.total_seconds())
            except subprocess.TimeoutExpired:
                process.kill()
                raise TransientError(
                    f"The transcript took more than {self.bounds.wall.total_seconds():g} s to "
                    "summarise, and was given up for now.",
                    retry_after=_AGAIN,
                ) from None
            finally:
                if process.poll() is None:
                    process.kill()
        return _answer_of(told, process.returncode)

    def stop(self) -> None:
        self._is_stopped = True
        if self._process is not None and self._process.poll() is None:
            self._process.kill()


def _answer_of(told: bytes, status: int) -> object:
    if status != 0:
        why = "for want of memory" if status == _NO_MEMORY else f"with status {status}"
        raise PermanentError(
            f"The process that summarises ended {why}. `locum summarise FILE` shows more."
        )
    return pickle.loads(told)  # noqa: S301 - Our own code wrote it, to our own pipe.


def _environment() -> dict[str, str]:
    """Answer what the process needs: where locum is, and no keys."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(Path(locum.__file__).parents[1])}


# ── in the process ───────────────────────────────────────────────────────────────────────

_NO_MEMORY = 12  # ENOMEM


def _main() -> None:
    task: tuple[Callable[..., Any], tuple[object, ...], int]
    task = pickle.load(sys.stdin.buffer)  # noqa: S301 - Our own code wrote it.
    work, given, memory = task
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        sys.stdout.buffer.write(pickle.dumps(work(*given)))
    except MemoryError:
        sys.exit(_NO_MEMORY)


if __name__ == "__main__":
    _main()
