"""Sends the gist of a summary to a chat or a phone, through anything that apprise knows.

A message can't be taken back: a later edition is sent as an update. Where a sink has several
addresses and one of them fails, those that have it aren't sent it again while we run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from locum.core.filing import edition_key
from locum.courier import (
    INSTALL,
    Addresses,
    Courier,
    apprise_is_there,
    find_urls,
    urls_file_problem,
)
from locum.courier.process import LIMIT
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ports import Finding, Health, Summary
from locum.sinks.texts import as_message

CREDENTIAL_NAME = "message_urls"
_MOST_REMEMBERED = 1000


class Messages:
    """A file of addresses; each gets every message.

    `elsewhere` answers where else a summary is filed, so that the message can say it;
    `loopback_only` is a stage's.
    """

    def __init__(
        self,
        name: str,
        urls_file: Path | None,
        *,
        elsewhere: Callable[[Summary], tuple[str, ...]] = lambda _summary: (),
        loopback_only: bool = False,
        limit: timedelta = LIMIT,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._name = name
        self._addresses = Addresses(
            "messages", f"urls_file of sink {name}", CREDENTIAL_NAME, urls_file
        )
        self._elsewhere = elsewhere
        self._loopback_only = loopback_only
        self._limit = limit
        self._environ = environ
        self._delivered: dict[tuple[str, str], None] = {}

    @property
    def name(self) -> str:
        return self._name

    @property
    def can_revise(self) -> bool:
        return False

    async def file(self, summary: Summary) -> str:
        couriers = self._couriers()
        title, body = as_message(summary, self._elsewhere(summary))
        edition = edition_key(summary.session, summary.key, summary.edition)
        if all((edition, each.id) in self._delivered for each in couriers):
            self._forget(edition)  # It is asked for once more.
        problems = await asyncio.gather(
            *(self._deliver(each, edition, title, body) for each in couriers)
        )
        failed = [each for each in problems if each is not None]
        if failed:
            told = f"sink {self._name}: {'; '.join(map(str, failed))}"
            if all(isinstance(each, PermanentError) for each in failed):
                raise PermanentError(told)
            raise TransientError(told)
        return ", ".join(each.name for each in couriers)

    async def check(self) -> tuple[Finding, ...]:
        """Say whether apprise knows the addresses, sending nothing. Raises nothing."""
        subject = f"sink {self._name}"
        try:
            couriers = self._couriers()
        except HumanNeededError as error:
            return (Finding(subject, Health.BROKEN, error.args[0], error.hint),)
        problem = urls_file_problem(self._addresses.file)
        found = (
            []
            if problem is None
            else [Finding(subject, Health.WARNING, problem, "chmod 600 it.")]
        )
        step = f"Correct that line of the sink's {self._addresses.setting}."
        sends = f"`locum file --again --sink {self._name}`"
        found += await asyncio.gather(
            *(
                each.check(f"{subject}: {each.name}", step=step, sends=sends)
                for each in couriers
            )
        )
        return tuple(found)

    def _couriers(self) -> tuple[Courier, ...]:
        if not apprise_is_there():
            raise HumanNeededError(
                f"Sink {self._name} needs apprise, which isn't installed.", hint=INSTALL
            )
        lines = {
            line.url.reveal(): line
            for line in reversed(find_urls(self._addresses, self._environ))
        }
        return tuple(
            Courier(
                line,
                loopback_only=self._loopback_only,
                limit=self._limit,
                environ=self._environ,
            )
            for line in reversed(lines.values())
        )

    async def _deliver(
        self, courier: Courier, edition: str, title: str, body: str
    ) -> LocumError | None:
        if (edition, courier.id) in self._delivered:
            return None
        try:
            await courier.deliver(title, body)
        except LocumError as error:
            return error
        self._delivered[edition, courier.id] = None
        while len(self._delivered) > _MOST_REMEMBERED:
            del self._delivered[next(iter(self._delivered))]
        return None

    def _forget(self, edition: str) -> None:
        for known in [each for each in self._delivered if each[0] == edition]:
            del self._delivered[known]
