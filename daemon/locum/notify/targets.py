"""Tells the owner: one target an address, as the file of addresses has them now."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from locum.core.notices import Notice
from locum.courier import INSTALL, Courier, apprise_is_there, urls_path
from locum.courier.process import LIMIT
from locum.errors import HumanNeededError
from locum.notify.places import find_urls, notice_addresses
from locum.ports import Finding


class AppriseTarget:
    """A `NoticeTarget`."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier

    @property
    def id(self) -> str:
        return self._courier.id

    @property
    def name(self) -> str:
        return self._courier.name

    async def send(self, notice: Notice) -> None:
        """Deliver it.

        Raises:
            TransientError: It wasn't taken, or not in time.
            PermanentError: apprise can't do anything with the address, or it isn't safe.
        """
        body = notice.body or notice.title
        await self._courier.deliver(notice.title, body, notice.severity.value)

    async def check(self) -> tuple[Finding, ...]:
        """Say whether apprise knows such an address. Nothing is sent; raises nothing."""
        subject = f"notices to {self.name}"
        step = "Correct that line; `locum notify test` tries it."
        return (await self._courier.check(subject, step=step, sends="`locum notify test`"),)


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
        limit: timedelta = LIMIT,
        is_installed: Callable[[], bool] | None = None,
    ) -> None:
        self._urls_file = urls_file
        self._environ = environ
        self._loopback_only = loopback_only
        self._limit = limit
        self._is_installed = (is_installed or apprise_is_there)()
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
                    Courier(
                        line,
                        loopback_only=self._loopback_only,
                        limit=self._limit,
                        environ=self._environ,
                    )
                )
                for line in reversed(unique.values())
            )
            self._read = stamp, targets
        return self._read[1]

    def _stamp(self) -> object:
        try:
            status = urls_path(notice_addresses(self._urls_file), self._environ).stat()
        except (OSError, HumanNeededError):
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size
