"""How the owner is told."""

from __future__ import annotations

from typing import Protocol

from locum.core.notices import Notice
from locum.ports.checks import Finding


class NoticeTarget(Protocol):
    """One place where the owner is told: a phone, a webhook, a mailbox."""

    @property
    def id(self) -> str:
        """Name it for ever, without giving its secrets away: what it has is noted under this."""
        ...

    @property
    def name(self) -> str:
        """What people call it, without its secrets."""
        ...

    async def send(self, notice: Notice) -> None:
        """Deliver it, within a bounded time.

        Not idempotent. One that raised may have arrived all the same.

        Raises:
            TransientError: Not now.
            PermanentError: Never, as it is configured.
        """
        ...

    async def check(self) -> tuple[Finding, ...]:
        """Try whether it could be used, sending nothing. Raises nothing."""
        ...
