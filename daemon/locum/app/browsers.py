"""The browsers of the config's accounts: signing them in, looking whether they are, deleting."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from locum.app.chromium import account_of
from locum.config.engines import ChromiumEngine as ChromiumTable
from locum.config.model import Config
from locum.engines.chromium.browser import BrowserSettings
from locum.engines.chromium.profiles import ProfileNote, Profiles
from locum.engines.chromium.signing import (
    Seen,
    debugged,
    is_signed_in,
    look,
    sign_in,
    sign_in_undriven,
)
from locum.errors import HumanNeededError

if TYPE_CHECKING:
    from locum.ports import Clock

_WINDOW = (1100, 800)


class Way(enum.Enum):
    """How a person sees the sign-in."""

    WINDOW = "window"  #: On this machine's display; it closes by itself.
    PLAIN = "plain"  #: Likewise, but nothing drives it; the person closes it.
    REMOTE = "remote"  #: Through a tunnel, from another machine.


@dataclass(frozen=True)
class BrowserAccount:
    """An account, its browser's profile, and whether an engine goes as it."""

    name: str
    needed: bool
    note: ProfileNote


def accounts_of(config: Config, state_dir: Path) -> tuple[BrowserAccount, ...]:
    profiles = Profiles(state_dir)
    needed = {account_of(table, config) for table in _tables(config)}
    return tuple(
        BrowserAccount(account.name, account.name in needed, profiles.noted(account.name))
        for account in config.calendar.accounts
    )


@dataclass(frozen=True)
class Browsers:
    """What is done with the browsers of one config's accounts."""

    config: Config
    state_dir: Path
    clock: Clock

    async def sign_in(
        self,
        account: str,
        way: Way,
        *,
        within: timedelta,
        port: int,
        tell: Callable[[str], None],
    ) -> Seen:
        """Let a person sign in the account's browser, for the meetings from now on.

        Raises:
            HumanNeededError: They didn't, or something for it is missing.
            PermanentError, TransientError: As `Profiles.signing_in` and `launched`.
        """
        table = self._table(account)
        settings = _settings(table)
        profiles = Profiles(self.state_dir)
        async with profiles.signing_in(account) as folder:
            if way is Way.PLAIN:
                tell("Sign in in the window, then close it.")
                await sign_in_undriven(settings, folder, table.meet_url)
                seen = await look(settings, folder, table.meet_url)
                if not is_signed_in(seen, table.meet_url):
                    raise HumanNeededError(
                        "The window was closed, and nobody is signed in.",
                        hint="Give the same command again, and sign in before you close it.",
                    )
            else:
                if way is Way.REMOTE:
                    settings = debugged(settings, port)
                seen = await sign_in(settings, folder, table.meet_url, within=within, tell=tell)
        self._note(account, seen, signed_in=True)
        return seen

    async def look(self, account: str) -> bool:
        """Open the account's browser, see whether it is signed in, and write that down.

        Raises:
            HumanNeededError, PermanentError, TransientError: It can't be told.
        """
        table = self._table(account)
        async with Profiles(self.state_dir).taken(account) as folder:
            seen = await look(_settings(table), folder, table.meet_url)
        signed_in = is_signed_in(seen, table.meet_url)
        self._note(account, seen, signed_in=signed_in)
        return signed_in

    async def forget(self, account: str) -> bool:
        """Delete the account's profile; False if there was none.

        Raises:
            PermanentError: It is in use.
        """
        return await Profiles(self.state_dir).forget(account)

    def _note(self, account: str, seen: Seen, *, signed_in: bool) -> None:
        Profiles(self.state_dir).note(
            account, signed_in=signed_in, at=self.clock.now(), where=seen.address
        )

    def _table(self, account: str) -> ChromiumTable:
        """Answer the engine that goes as the account; as it would be, if there is none yet."""
        tables = _tables(self.config)
        for table in tables:
            if account_of(table, self.config) == account:
                return table
        return tables[0] if tables else ChromiumTable(type="chromium")


def _tables(config: Config) -> tuple[ChromiumTable, ...]:
    engines = config.engines.values()
    return tuple(table for table in engines if isinstance(table, ChromiumTable))


def _settings(table: ChromiumTable) -> BrowserSettings:
    return BrowserSettings(
        executable=table.executable,
        headless=False,
        sandbox=table.sandbox,
        width=_WINDOW[0],
        height=_WINDOW[1],
        memory_limit=table.memory_limit,
    )
