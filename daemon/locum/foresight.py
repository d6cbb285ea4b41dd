"""What is done ahead of a meeting: engines warmed up, their accounts looked at, timers set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from locum.agenda import Agenda
from locum.core.model import Plan, SessionRecord
from locum.core.policy import Policy
from locum.core.reconcile import next_wakeup
from locum.errors import LocumError, TransientError
from locum.funding import Funding, Shortage, Terms
from locum.ports import Clock, PresenceEngine
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

PREPARE = timedelta(seconds=60)
"""How long before a join its engine is asked to warm up."""

_FUNDS_LOOK = timedelta(seconds=5)
"""How often it is looked whether an account is to be asked; the ticker comes as often."""

_MOST_TIMERS = 100


class Foresight:
    def __init__(self, clock: Clock, *, on_change: Callable[[], None]) -> None:
        self._clock = clock
        self._preparing = Tasks()
        self._prepared: dict[str, datetime] = {}
        self._funding = Funding(clock, on_change=on_change)
        self._funds_looked: datetime | None = None

    @property
    def shortages(self) -> tuple[Shortage, ...]:
        """The engines' accounts that can't pay for what comes next."""
        return self._funding.shortages

    def forget(self) -> None:
        """The engines or their prices have changed."""
        self._funding.forget()
        self._funds_looked = None

    async def stop(self) -> None:
        await self._preparing.cancel()
        await self._funding.stop()

    def prepare(self, plan: Plan, engines: Mapping[str, PresenceEngine], now: datetime) -> None:
        """Have the engines of what begins soon warmed up."""
        for stay in plan.stays.values():
            due = stay.join_at - PREPARE <= now < stay.leave_by
            last = self._prepared.get(stay.engine)
            if due and (last is None or now - last >= PREPARE):
                engine = engines.get(stay.engine)
                if engine is not None:
                    self._prepared[stay.engine] = now
                    self._preparing.start(stay.engine, _prepare(stay.engine, engine))

    def look_after_funds(
        self,
        outlook: Callable[[timedelta], tuple[Plan, Sequence[SessionRecord]]],
        terms: Terms,
        policy: Policy,
        now: datetime,
    ) -> None:
        """Have the accounts looked at, for what begins within a while."""
        last = self._funds_looked
        if not terms.ahead or (last is not None and now - last < _FUNDS_LOOK):
            return
        self._funds_looked = now
        plan, records = outlook(policy.lead + terms.ahead)
        self._funding.look(plan.stays.values(), records, terms)


def instants(
    agenda: Agenda,
    plan: Plan,
    records: Sequence[SessionRecord],
    now: datetime,
    *,
    lead: timedelta,
    ahead: Sequence[timedelta],
) -> list[datetime]:
    """Answer when to look again: at joins and ends, and so long `ahead` of the next joins."""
    found = agenda.instants(now, lead, _MOST_TIMERS)
    for before in (PREPARE, *ahead):
        found += agenda.instants(now, lead + before, 2)
    nearest = next_wakeup(plan, records, now)
    if nearest is not None:
        found.append(nearest)
    return sorted({instant for instant in found if instant > now})


async def _prepare(name: str, engine: PresenceEngine) -> None:
    try:
        await engine.prepare()
    except TransientError as error:
        _log.info("engine_not_prepared", engine=name, problem=str(error))
    except LocumError as error:
        # Told ahead of time, so that a person can act before the meeting begins.
        _log.error("engine_needs_attention", engine=name, problem=str(error))
