"""What must we do now? Wanted minus recorded, as a list of actions.

Level-triggered: the answer depends on the present only, never on which notification
arrived, so a lost tick, a crash or a suspended laptop costs delay and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from locum.core.lifecycle import closing_phase
from locum.core.model import (
    Action,
    Adopt,
    Amend,
    EndReason,
    GiveUp,
    Join,
    Leave,
    Phase,
    Plan,
    SessionKey,
    SessionRecord,
    WriteUp,
)
from locum.core.planning import priority
from locum.core.policy import Policy


def reconcile(
    plan: Plan,
    records: Iterable[SessionRecord],
    running: Collection[SessionKey],
    policy: Policy,
    now: datetime,
) -> tuple[Action, ...]:
    """Answer the actions that move `records` towards `plan`, leaves first.

    A join is asked for only while the room is nobody's and a place is free: what is still
    leaving holds both.
    """
    records = sorted(records, key=lambda record: record.key)
    known = {record.key for record in records}
    open_records = [record for record in records if record.is_open]
    actions: list[Action] = []
    for record in open_records:
        actions.extend(_for_open(record, plan, running, now))
    actions.extend(
        WriteUp(record.key)
        for record in records
        if record.phase is Phase.ENDED
        and record.key not in running
        and (record.retry_at is None or record.retry_at <= now)
    )
    actions.extend(
        GiveUp(stay.key, Phase.MISSED, EndReason.TOO_LATE, stay)
        for stay in plan.missed
        if stay.key not in known
    )
    taken = {record.room.id for record in open_records}
    places = policy.capacity - len(open_records)
    for stay in sorted(plan.stays.values(), key=priority):
        due = stay.join_at <= now < stay.leave_by
        if due and stay.key not in known and stay.room.id not in taken and places > 0:
            actions.append(Join(stay))
            taken.add(stay.room.id)
            places -= 1
    return tuple(sorted(actions, key=lambda action: not isinstance(action, Leave)))


def _for_open(
    record: SessionRecord,
    plan: Plan,
    running: Collection[SessionKey],
    now: datetime,
) -> Iterator[Action]:
    stay = plan.stays.get(record.key)
    waits_to_retry = record.phase is Phase.JOINING and record.retry_at is not None
    if record.key in running:
        if stay is None:
            if record.phase is not Phase.LEAVING:
                yield Leave(record.key, plan.endings.get(record.key, EndReason.UNWANTED))
        elif (stay.leave_by, stay.meetings) != (record.leave_by, record.meetings):
            yield Amend(record, stay.leave_by, stay.meetings)
    elif not waits_to_retry:
        # Its process is gone: whatever it was doing, one attendance takes it up again.
        yield Adopt(record)
    elif stay is None:
        reason = plan.endings.get(record.key, EndReason.TOO_LATE)
        yield _given_up(record, reason)
    elif now >= record.give_up_at:
        yield _given_up(record, record.end_reason or EndReason.TOO_LATE)
    elif record.retry_at is not None and record.retry_at <= now:
        yield Join(stay, record)


def _given_up(record: SessionRecord, reason: EndReason) -> Action:
    phase = Phase.ENDED if record.is_owed_summary else closing_phase(reason)
    return GiveUp(record.key, phase, reason)


def next_wakeup(plan: Plan, records: Iterable[SessionRecord], now: datetime) -> datetime | None:
    """Answer the earliest future instant at which `reconcile` could answer anew."""
    instants: list[datetime] = []
    for record in records:
        if record.retry_at is not None and record.phase in {Phase.JOINING, Phase.ENDED}:
            instants += [record.retry_at, record.give_up_at]
    for stay in plan.stays.values():
        instants += [stay.join_at, stay.leave_by]
    return min((instant for instant in instants if instant > now), default=None)
