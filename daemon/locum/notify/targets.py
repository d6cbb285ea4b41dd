"""One target an address: hands each message to a process that knows apprise, and waits for it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from locum.core.notices import Notice
from locum.errors import HumanNeededError, PermanentError, TransientError
from locum.notify.urls import Line, find_urls, urls_path
from locum.ports import Finding, Health

INSTALL = (
    "Install it: `pip install 'locum[notify]'`, or `uv sync --extra notify`; then restart."
)

_LIMIT = timedelta(seconds=30)
_ALARM_AFTER_S = 5.0
"""How long after the limit a process ends itself, should nobody be left to end it."""

# It finds modules where we do, however we were told to, and nowhere else.
_START = (
    "import os, sys; sys.path[:] = sys.argv.pop().split(os.pathsep); "
    "from locum.notify.sending import main; main()"
)

# A message's process has no use for the engine's key, nor for what is between systemd and us.
_KEPT_FROM_IT = ("PIKA_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")


class AppriseTarget:
    """A `NoticeTarget`. `loopback_only` is a stage's: nothing leaves this machine."""

    def __init__(
        self,
        line: Line,
        *,
        loopback_only: bool = False,
        limit: timedelta = _LIMIT,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._line = line
        self._loopback_only = loopback_only
        self._limit = limit
        self._environ = environ
        digest = hashlib.sha256(line.url.reveal().encode()).hexdigest()
        self._id = f"{line.scheme}-{digest[:16]}"

    @property
    def id(self) -> str:
        return self._id

    @property
    def name(self) -> str:
        return f"{self._line.scheme} (line {self._line.number})"

    async def send(self, notice: Notice) -> None:
        """Deliver it.

        Raises:
            TransientError: It wasn't taken, or not in time.
            PermanentError: apprise can't do anything with the address, or it isn't safe.
        """
        answer = await self._ask(
            {
                "title": notice.title,
                "body": notice.body or notice.title,
                "severity": notice.severity.value,
            }
        )
        problem = f"{self.name}: {answer['problem']}"
        if answer["outcome"] == "refused":
            raise PermanentError(problem)
        if answer["outcome"] != "sent":
            raise TransientError(problem)

    async def check(self) -> tuple[Finding, ...]:
        """Say whether apprise knows such an address. Nothing is sent; raises nothing."""
        subject = f"notices to {self.name}"
        try:
            answer = await self._ask({})
        except TransientError as error:
            return (Finding(subject, Health.BROKEN, str(error), "Try again."),)
        if answer["outcome"] != "usable":
            step = "Correct that line; `locum notify test` tries it."
            return (Finding(subject, Health.BROKEN, answer["problem"], step),)
        told = f"{answer['service']}; `locum notify test` sends something"
        return (Finding(subject, Health.OK, told),)

    async def _ask(self, order: Mapping[str, Any]) -> Mapping[str, str]:
        asked = {
            **order,
            "url": self._line.url.reveal(),
            "loopback_only": self._loopback_only,
            "parent": os.getpid(),
            "alarm_s": self._limit.total_seconds() + _ALARM_AFTER_S,
        }
        # By a pipe, because arguments and the environment can be read by others.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-c",
            _START,
            os.pathsep.join(filter(None, sys.path)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._its_environment(),
        )
        try:
            talk = process.communicate(json.dumps(asked).encode())
            output, _ = await asyncio.wait_for(talk, self._limit.total_seconds())
        except asyncio.TimeoutError:
            waited = f"{self._limit.total_seconds():g} s"
            raise TransientError(f"{self.name}: not delivered within {waited}") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        try:
            answer = json.loads(output)
            return {key: str(answer[key]) for key in ("outcome", "service", "problem")}
        except (ValueError, KeyError, TypeError):
            raise TransientError(
                f"{self.name}: sending it ended with status {process.returncode}"
            ) from None

    def _its_environment(self) -> dict[str, str]:
        kept = {k: v for k, v in self._environ.items() if not k.startswith(_KEPT_FROM_IT)}
        # What runs on this machine isn't asked for through a proxy.
        local = ("127.0.0.1", "localhost", "::1")
        kept["NO_PROXY"] = kept["no_proxy"] = ",".join(
            filter(None, (kept.get("NO_PROXY") or kept.get("no_proxy"), *local))
        )
        return kept


class Targets:
    """The targets as the file of addresses has them now: an edit counts at once.

    Calling it raises HumanNeededError where there are none; its hint is the next step.
    """

    def __init__(
        self,
        urls_file: Path | None,
        *,
        environ: Mapping[str, str] = os.environ,
        loopback_only: bool = False,
        limit: timedelta = _LIMIT,
        is_installed: Callable[[], bool] | None = None,
    ) -> None:
        self._urls_file = urls_file
        self._environ = environ
        self._loopback_only = loopback_only
        self._limit = limit
        self._is_installed = (is_installed or _apprise_is_there)()
        self._read: tuple[object, tuple[AppriseTarget, ...]] | None = None

    def __call__(self) -> tuple[AppriseTarget, ...]:
        """Answer the targets, in the file's order.

        Raises:
            HumanNeededError: apprise isn't installed, or there are no addresses.
        """
        if not self._is_installed:
            raise HumanNeededError("Notices need apprise, which isn't installed.", hint=INSTALL)
        stamp = self._stamp()
        if self._read is None or stamp is None or self._read[0] != stamp:
            lines = find_urls(self._urls_file, self._environ)
            unique = {line.url.reveal(): line for line in reversed(lines)}
            targets = tuple(
                AppriseTarget(
                    line,
                    loopback_only=self._loopback_only,
                    limit=self._limit,
                    environ=self._environ,
                )
                for line in reversed(unique.values())
            )
            self._read = stamp, targets
        return self._read[1]

    def _stamp(self) -> object:
        try:
            status = urls_path(self._urls_file, self._environ).stat()
        except (OSError, HumanNeededError):
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size


def _apprise_is_there() -> bool:
    return find_spec("apprise") is not None
