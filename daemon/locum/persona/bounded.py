"""Runs a program that reads strangers' files, with little memory, time and disk to do it in.

As a script (`python -I bounded.py LIMITS COMMAND …`) it limits itself and becomes the command:
no code runs between fork and exec, so it is safe beside threads. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_KEPT_STDERR = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """`memory` and `output` are bytes, `cpu_s` and `wall_s` seconds of the host's."""

    memory: int = 1 << 30
    output: int = 64 << 20
    cpu_s: int = 20
    wall_s: float = 40.0


@dataclass(frozen=True)
class Done:
    """How a program ended; a negative `status` is the signal that killed it."""

    status: int
    output: bytes
    errors: str


class OverLimitError(Exception):
    """It took more time, memory or disk than it was given."""


def run_bounded(
    command: Sequence[str | Path],
    *,
    limits: Limits,
    stdin: bytes = b"",
    folder: Path | None = None,
) -> Done:
    """Run a command to its end, in `folder`, and answer what it wrote.

    Raises:
        OverLimitError: It was stopped for what it took.
        FileNotFoundError: There is no such program.
    """
    with contextlib.ExitStack() as stack:
        given, output, errors = (
            stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)
        )
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-I", __file__, json.dumps(asdict(limits)), *map(str, command)],
            stdin=given,
            stdout=output,
            stderr=errors,
            cwd=folder,
            env=_environment(),
            start_new_session=True,  # A terminal's Ctrl-C comes to us, and we end it.
        )
        try:
            status = process.wait(limits.wall_s)
        except subprocess.TimeoutExpired:
            raise OverLimitError(f"it took more than {limits.wall_s:g} s") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        output.seek(0)
        errors.seek(0)
        told = errors.read(_KEPT_STDERR).decode("utf-8", "replace")
        if status == 127:
            raise FileNotFoundError(command[0])
        if status in {-24, -9}:  # SIGXCPU, and what follows it.
            raise OverLimitError(f"it took more than {limits.cpu_s} s of the processor")
        if status == -25:  # SIGXFSZ
            raise OverLimitError(f"it wrote more than {limits.output:,} bytes")
        return Done(status, output.read(limits.output), told)


def _environment() -> dict[str, str]:
    """Answer what a reader of files needs: no keys, no proxies, no caller's settings."""
    kept = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _become(limits: dict[str, float], command: list[str]) -> None:
    cpu = int(limits["cpu_s"])
    memory, output = int(limits["memory"]), int(limits["output"])
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (output, output))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    try:
        os.execvp(command[0], command)  # noqa: S606 - An argument list, no shell.
    except OSError:
        sys.exit(127)


if __name__ == "__main__":
    _become(json.loads(sys.argv[1]), sys.argv[2:])
