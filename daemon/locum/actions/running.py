"""Runs one process to its end, bounded: in time, in what it prints, and with all that it began."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from locum import processes
from locum.core.redaction import without_secrets
from locum.errors import HumanNeededError, TransientError

_CHUNK = 8192
_ERROR_LIMIT = 4096
_TO_END_S = 5.0
_SHOWN_ERRORS = 1000


@dataclass(frozen=True)
class Ran:
    """What became of a process; `status` is None where it was ended by us."""

    status: int | None
    out: bytes
    err: bytes
    is_cut: bool = False
    timed_out: bool = False

    def text(self, secrets: Sequence[str] = ()) -> str:
        """Answer what it printed, without what looks like a secret, and how it ended."""
        out = told(self.out, secrets)
        if self.status == 0 and not self.timed_out:
            return out or "(It printed nothing.)"
        how = "It was ended: it took too long." if self.timed_out else ""
        if not how and self.is_cut:
            return out
        how = how or f"It ended with exit status {self.status}."
        err = told(self.err, secrets)[-_SHOWN_ERRORS:]
        return "\n".join(each for each in (how, out, err) if each)


def told(content: bytes, secrets: Sequence[str] = ()) -> str:
    """Make text of what a program or server printed, without control characters and secrets."""
    text = content.decode("utf-8", "replace")
    for secret in secrets:
        if secret:
            text = text.replace(secret, "[redacted]")
    text = "".join(each for each in text if each in "\n\t" or each.isprintable())
    return without_secrets(text)[0].strip()


async def run(
    argv: Sequence[str],
    environ: Mapping[str, str],
    *,
    within: timedelta,
    limit: int,
    fds: Sequence[int] = (),
) -> Ran:
    """Run a command until it ends, has printed `limit` bytes, or its time is over.

    Cancelled, or ended before its end, everything that descends from it is ended too.

    Raises:
        TransientError: There is no process to be had now.
        HumanNeededError: The program isn't there.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(environ),
            pass_fds=tuple(fds),
            start_new_session=True,
            limit=_CHUNK,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise HumanNeededError(
            f"{argv[0]} can't be run: {error.strerror}.", hint="See `locum doctor`."
        ) from error
    except OSError as error:
        raise TransientError(f"{argv[0]} can't be run now: {error.strerror}.") from error
    try:
        return await _watched(process, within, limit)
    finally:
        await end(process)


async def _watched(process: asyncio.subprocess.Process, within: timedelta, limit: int) -> Ran:
    # Pipes were asked for above.
    out, err = bytearray(), bytearray()
    reading_out = asyncio.ensure_future(_read(process.stdout, out, limit))
    reading_err = asyncio.ensure_future(_read(process.stderr, err, _ERROR_LIMIT, drain=True))
    waiting = asyncio.ensure_future(process.wait())
    try:
        # Whoever prints too much is over then, and so is who ends but leaves its pipe open.
        done, _ = await asyncio.wait(
            (reading_out, waiting),
            timeout=within.total_seconds(),
            return_when=asyncio.FIRST_COMPLETED,
        )
        timed_out = not done
        is_cut = reading_out in done and reading_out.result()
        if done and not is_cut:
            over, _ = await asyncio.wait(
                (reading_out, reading_err, waiting), timeout=within.total_seconds()
            )
            timed_out = waiting not in over
            is_cut = reading_out in over and reading_out.result()
    finally:
        for task in (reading_out, reading_err, waiting):
            task.cancel()
        await asyncio.gather(reading_out, reading_err, waiting, return_exceptions=True)
    status = None if is_cut or timed_out else process.returncode
    return Ran(status, bytes(out), bytes(err), is_cut=is_cut, timed_out=timed_out)


async def _read(
    stream: asyncio.StreamReader | None, into: bytearray, limit: int, *, drain: bool = False
) -> bool:
    """Read to the end, or to the limit; answers whether there was more."""
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        room = limit - len(into)
        into += chunk[:room]
        if len(chunk) > room and not drain:
            return True
    return False


async def end(process: asyncio.subprocess.Process) -> None:
    """End a process with all that descends from it, at once; raises nothing."""
    if process.returncode is None:
        processes.end_below(process.pid)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            # Not `process.kill`: it may take the process's end for itself, unheard by asyncio.
            os.killpg(process.pid, signal.SIGKILL)
    # asyncio takes it for running until its pipes are read to their ends.
    over = (process.wait(), _drained(process.stdout), _drained(process.stderr))
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.gather(*over), _TO_END_S)


async def _drained(stream: asyncio.StreamReader | None) -> None:
    while stream is not None and await stream.read(_CHUNK):
        pass
