"""How a command ends: one clear message on stderr, and a code that scripts can rely on."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperGroup

from locum.cli.terminal import say
from locum.errors import ConfigError, HumanNeededError, LocumError

FAILED = 1
HUMAN_NEEDED = 3
NO_DAEMON = 4
BAD_CONFIG = 78  # EX_CONFIG: systemd's units don't restart after it.
INTERRUPTED = 130  # 128 + SIGINT, as shells count.
_PIPE_CLOSED = 141  # 128 + SIGPIPE.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

EXIT_CODES = """\
\b
Exit codes:
  0   done
  1   failed; the message says at what
  2   the command line was wrong
  3   a person must act: sign in again, or top up credits
  4   no daemon is running
  78  the config can't be used; every problem is told"""


class CommandGroup(TyperGroup):
    """A group whose commands never end in a traceback for what locum raises on purpose."""

    def invoke(self, ctx: Any) -> Any:
        with _ending():
            return super().invoke(ctx)


@contextlib.contextmanager
def _ending() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except LocumError as error:
        say(message_of(error))
        raise typer.Exit(code_of(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        _give_up_stdout()
        raise typer.Exit(_PIPE_CLOSED) from None
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _give_up_stdout()
        named = f"{error.filename}: " if error.filename else ""
        say(f"Error: {named}{error.strerror}. Make room, then try again.")
        raise typer.Exit(FAILED) from None


def message_of(error: LocumError) -> str:
    if isinstance(error, ConfigError):
        return "\n".join(error.problems)
    return f"Error: {error}"


def code_of(error: LocumError) -> int:
    if isinstance(error, ConfigError):
        return BAD_CONFIG
    if isinstance(error, HumanNeededError):
        return HUMAN_NEEDED
    # Imported late: it brings asyncio and more, and only failing commands come here.
    from locum.control import DaemonNotRunningError

    return NO_DAEMON if isinstance(error, DaemonNotRunningError) else FAILED


def _give_up_stdout() -> None:
    """Let what Python still wants to write at its end go nowhere, instead of failing."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def epilog(*examples: str, exits: str = "") -> str:
    """Write what stands at the end of a command's help: examples, and its own exit codes."""
    parts = ["\n".join(["\b", "Examples:", *(f"  {example}" for example in examples)])]
    if exits:
        parts.append(f"Exit codes: {exits}. See also `locum --help`.")
    return "\n\n".join(parts)
