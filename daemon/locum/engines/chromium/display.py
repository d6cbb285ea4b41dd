"""A screen that nobody sees: an Xvfb of our own, for a browser that isn't headless.

It listens on no network, and a key that only we can read opens it, so that no other user of
the machine can look at a meeting.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import struct
import tempfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from locum.errors import HumanNeededError, TransientError

_START = timedelta(seconds=20)
_END = timedelta(seconds=5)
_ANY_DISPLAY = 0xFFFF  # FamilyWild of Xauth.h: the key counts for every display.
_METHOD = b"MIT-MAGIC-COOKIE-1"


@contextlib.asynccontextmanager
async def virtual_display(width: int, height: int) -> AsyncIterator[dict[str, str]]:
    """Start a display of that many pixels; answer the variables with which it is found.

    Raises:
        HumanNeededError: There is no Xvfb.
        TransientError: It didn't come up.
    """
    xvfb = shutil.which("Xvfb")
    if xvfb is None:
        raise HumanNeededError(
            "There is no display, and no Xvfb to make one.",
            hint="Give: sudo apt install xvfb. Or set headless = true in the engine's config.",
        )
    with tempfile.TemporaryDirectory(prefix="locum-display-") as folder:
        key = Path(folder) / "Xauthority"
        _write_key(key)
        reading, writing = os.pipe()
        screen = ["-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp", "-noreset"]
        try:
            process = await asyncio.create_subprocess_exec(
                *dying_with_us(),
                xvfb,
                *["-displayfd", str(writing), "-auth", str(key), *screen],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=(writing,),
                start_new_session=True,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        try:
            number = await _first_line(reading)
            yield {"DISPLAY": f":{number}", "XAUTHORITY": str(key)}
        finally:
            await _end(process)


def dying_with_us() -> list[str]:
    """Answer what is put before a command so that the kernel kills it when its parent is gone.

    Nothing where the machine lacks setpriv (Debian's util-linux has it): then the command must
    notice by itself that its pipe is closed.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []


def _write_key(file: Path) -> None:
    def counted(part: bytes) -> bytes:
        return struct.pack(">H", len(part)) + part

    # The format of Xau(3): family, address, display, method, key.
    entry = struct.pack(">H", _ANY_DISPLAY) + counted(b"") + counted(b"")
    entry += counted(_METHOD) + counted(secrets.token_bytes(16))
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(entry)


async def _first_line(descriptor: int) -> str:
    """Read the number that Xvfb writes once it takes clients.

    Raises:
        TransientError: It ended, or took too long.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=64)
    pipe = os.fdopen(descriptor, "rb")
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        line = await asyncio.wait_for(reader.readline(), _START.total_seconds())
    except (asyncio.TimeoutError, ValueError) as error:
        raise TransientError("Xvfb doesn't say which display it is.") from error
    finally:
        transport.close()
    number = line.strip().decode("ascii", "replace")
    if not number.isdecimal():
        raise TransientError("Xvfb ended before it had a display.")
    return number


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _END.total_seconds())
    except asyncio.TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
