"""Whether the accounts behind the engines can pay for what comes next, seen while one can act.

Level-triggered: what is planned within a while is asked about, once for each stay; what is too
little, or couldn't be told, is asked about again until it is enough or nothing is ahead any
more. A refusal to tell is never taken for an empty account. Nothing waits for an answer, and
none keeps anybody away: the join itself finds out, and is tried again until its grace ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from locum.core.model import SessionKey, SessionRecord, Stay
from locum.core.money import MICROS, worst_case
from locum.errors import HumanNeededError, LocumError
from locum.ports import Clock, PresenceEngine
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

RETRY = timedelta(seconds=60)
"""How long after an answer that was too little, or none, an account is asked again."""


@dataclass(frozen=True)
class Shortage:
    """An account that can't pay for all that is planned within a while.

    `start` is that of the first meeting ahead, `since` when it was seen first. `problem` says
    how much is there and how much may be needed, and where to pay.
    """

    engine: str
    start: datetime
    since: datetime
    problem: str


@dataclass(frozen=True)
class Terms:
    """What is asked by. `ahead` is how long before a join; zero is never."""

    engines: Mapping[str, PresenceEngine]
    prices: Mapping[str, float]
    max_length: timedelta
    grace: timedelta
    ahead: timedelta


@dataclass
class _Account:
    asked_for: frozenset[SessionKey] = frozenset()
    asked_at: datetime | None = None
    settled: bool = False  #: The last answer was that there is enough.
    shortage: Shortage | None = None


@dataclass(frozen=True)
class _Demand:
    """What one engine may cost from now on: what runs on it, and what is about to."""

    micros: int = 0
    upcoming: tuple[Stay, ...] = field(default=())

    @property
    def keys(self) -> frozenset[SessionKey]:
        return frozenset(stay.key for stay in self.upcoming)


class Funding:
    """Asks whenever it is looked at, never twice at the same time for an engine."""

    def __init__(self, clock: Clock, *, on_change: Callable[[], None]) -> None:
        self._clock = clock
        self._on_change = on_change
        self._accounts: dict[str, _Account] = {}
        self._asking = Tasks()

    @property
    def shortages(self) -> tuple[Shortage, ...]:
        """Answer what a person should know now, by engine."""
        found = (account.shortage for _, account in sorted(self._accounts.items()))
        return tuple(shortage for shortage in found if shortage is not None)

    def look(
        self, stays: Iterable[Stay], records: Iterable[SessionRecord], terms: Terms
    ) -> None:
        """Ask for what is due, given all that is planned within `terms.ahead`."""
        now = self._clock.now()
        stays, records = tuple(stays), tuple(records)
        for name, engine in terms.engines.items():
            if not engine.traits.billed or not terms.prices.get(name):
                continue
            demand = _demand(name, stays, records, terms, now)
            account = self._accounts.setdefault(name, _Account())
            if not demand.upcoming:
                self._accounts[name] = _Account()  # Nobody needs to act for nothing.
            elif name not in self._asking and _is_due(account, demand, now):
                account.asked_for, account.asked_at = demand.keys, now
                self._asking.start(name, self._ask(name, engine, demand, account))
        for gone in self._accounts.keys() - terms.engines.keys():
            del self._accounts[gone]

    def forget(self) -> None:
        """Ask anew: the engines, or their keys, may be others now."""
        self._accounts.clear()

    async def stop(self) -> None:
        await self._asking.cancel()

    async def _ask(
        self, name: str, engine: PresenceEngine, demand: _Demand, account: _Account
    ) -> None:
        before = account.shortage
        start = min(stay.meetings[0].start for stay in demand.upcoming)
        try:
            await engine.afford(demand.micros / MICROS)
        except HumanNeededError as error:
            since = self._clock.now() if before is None else before.since
            account.settled = False
            account.shortage = Shortage(name, start, since, str(error))
            if before is None or before.start != start:
                _log.error(
                    "funds_too_low",
                    engine=name,
                    start=start.isoformat(),
                    at_most_usd=round(demand.micros / MICROS, 2),
                    problem=str(error),
                )
        except LocumError as error:
            # What was short stays so until it is seen otherwise.
            account.settled = False
            _log.warning("funds_not_read", engine=name, problem=str(error))
        else:
            account.settled, account.shortage = True, None
            if before is not None:
                _log.info("funds_suffice_again", engine=name)
        if (before is None) != (account.shortage is None):
            self._on_change()


def _is_due(account: _Account, demand: _Demand, now: datetime) -> bool:
    if account.asked_at is None or not demand.keys <= account.asked_for:
        return True
    return not account.settled and now - account.asked_at >= RETRY


def _demand(
    engine: str,
    stays: tuple[Stay, ...],
    records: tuple[SessionRecord, ...],
    terms: Terms,
    now: datetime,
) -> _Demand:
    """Add up what is ahead, where there is any, and what runs meanwhile, each at its worst."""
    named = {record.key for record in records if record.handle is not None}
    over = {record.key for record in records if not record.is_open}
    counted = [stay for stay in stays if stay.engine == engine and stay.key not in over]
    upcoming = tuple(
        stay
        for stay in counted
        if stay.key not in named
        and stay.join_at - terms.ahead <= now < min(stay.join_at + terms.grace, stay.leave_by)
    )
    running = [stay for stay in counted if stay.key in named]
    price = terms.prices[engine]
    total = sum(
        worst_case(stay, price, now, terms.max_length) for stay in (*upcoming, *running)
    )
    return _Demand(total, upcoming)
