"""One courier an address: hands each message to a process that knows apprise, and waits for it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

from locum.courier.urls import Line
from locum.errors import PermanentError, TransientError
from locum.ports import Finding, Health

INSTALL = (
    "Install it: `pip install 'locum[notify]'`, or `uv sync --extra notify`; then restart."
)

LIMIT = timedelta(seconds=30)
_ALARM_AFTER_S = 5.0
"""How long after the limit a process ends itself, should nobody be left to end it."""

# It finds modules where we do, however we were told to, and nowhere else.
_START = (
    "import os, sys; sys.path[:] = sys.argv.pop().split(os.pathsep); "
    "from locum.courier.sending import main; main()"
)

# A message's process has no use for the engine's key, nor for what is between systemd and us.
_KEPT_FROM_IT = ("PIKA_", "NOTIFY_SOCKET", "WATCHDOG_", "CREDENTIALS_DIRECTORY")


class Courier:
    """Carries messages to one address. `loopback_only` is a stage's: nothing leaves us."""

    def __init__(
        self,
        line: Line,
        *,
        loopback_only: bool = False,
        limit: timedelta = LIMIT,
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
        """Name the address for ever, without giving it away."""
        return self._id

    @property
    def name(self) -> str:
        return f"{self._line.scheme} (line {self._line.number})"

    async def deliver(self, title: str, body: str, severity: str = "info") -> None:
        """Deliver a message; not idempotent. One that raised may have arrived all the same.

        Raises:
            TransientError: It wasn't taken, or not in time.
            PermanentError: apprise can't do anything with the address, or it isn't safe.
        """
        answer = await self._ask({"title": title, "body": body, "severity": severity})
        problem = f"{self.name}: {answer['problem']}"
        if answer["outcome"] == "refused":
            raise PermanentError(problem)
        if answer["outcome"] != "sent":
            raise TransientError(problem)

    async def check(self, subject: str, *, step: str, sends: str) -> Finding:
        """Say whether apprise knows such an address. Nothing is sent; raises nothing.

        `step` is what to do where it doesn't, `sends` what does send something.
        """
        try:
            answer = await self._ask({})
        except TransientError as error:
            return Finding(subject, Health.BROKEN, str(error), "Try again.")
        if answer["outcome"] != "usable":
            return Finding(subject, Health.BROKEN, answer["problem"], step)
        return Finding(subject, Health.OK, f"{answer['service']}; {sends} sends something")

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


def apprise_is_there() -> bool:
    return find_spec("apprise") is not None
