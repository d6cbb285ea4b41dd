"""Small builders of the core's values, so that a test names only what it is about.

Every builder answers something ordinary: an accepted meeting at ten, the session in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from locum.core.model import (
    Action,
    Answer,
    CalendarEvent,
    CalendarRef,
    Decision,
    EndReason,
    Join,
    Judged,
    Leave,
    Mark,
    Meeting,
    OccurrenceKey,
    Person,
    Phase,
    Plan,
    Platform,
    Room,
    SessionKey,
    SessionRecord,
    Stay,
)
from locum.core.planning import arrange, judge, meeting_of
from locum.core.policy import Policy
from locum.core.reconcile import reconcile

TEN = datetime(2026, 11, 23, 10, tzinfo=timezone.utc)
"""When an ordinary meeting starts."""

LEAD = timedelta(seconds=30)
WORK = CalendarRef("work", "primary")
HOME = CalendarRef("home", "primary")
BOSS = Person("boss@example.com", "Boss")
STRANGER = Person("stranger@evil.test", "Stranger")


def at(minutes: float) -> datetime:
    """Answer an instant so many minutes after ten."""
    return TEN + timedelta(minutes=minutes)


def room(code: str = "abc-defg-hij") -> Room:
    return Room(Platform.GOOGLE_MEET, code, f"https://meet.google.com/{code}")


OTHER_ROOM = room("xyz-wxyz-xyz")


def policy(**changes: Any) -> Policy:
    """Answer the defaults, with one persona and one engine."""
    base = Policy(
        default_persona="robin", default_engine="stage", personas=frozenset({"robin"})
    )
    return replace(base, **changes)


def event(uid: str = "weekly", **changes: Any) -> CalendarEvent:
    """Answer an accepted half hour at ten, organised by somebody else."""
    base = CalendarEvent(
        calendar=WORK,
        event_id=uid,
        uid=uid,
        start=TEN,
        end=at(30),
        revision="1",
        title="Weekly sync",
        answer=Answer.ACCEPTED,
        organizer=BOSS,
        room=room(),
    )
    return replace(base, **changes)


def judged(*events: CalendarEvent, under: Policy | None = None) -> tuple[Judged, ...]:
    return judge(events, under or policy(), {})


def instance(day: int, **changes: Any) -> CalendarEvent:
    """Answer an instance of a daily series, so many days after the first."""
    original = TEN + timedelta(days=day)
    times = {"start": original, "end": original + timedelta(minutes=30)}
    return event("series", **(times | {"original_start": original} | changes))


def meeting(uid: str = "weekly", **changes: Any) -> Meeting:
    """Answer the meeting that an event (as `event` builds it) becomes; it must be joinable."""
    [item] = judged(event(uid, **changes))
    found = meeting_of(item, policy())
    assert found is not None, item.decision.reason
    return found


def record(*meetings: Meeting, **changes: Any) -> SessionRecord:
    """Answer the session that is in these meetings, claimed at its lead."""
    meetings = meetings or (meeting(),)
    first = meetings[0]
    base = SessionRecord(
        key=SessionKey(first.key),
        phase=Phase.LIVE,
        room=first.room,
        engine="stage",
        persona="robin",
        join_at=first.start - LEAD,
        leave_by=max(each.end for each in meetings),
        meetings=meetings,
        claimed_at=first.start - LEAD,
        give_up_at=first.start + timedelta(minutes=10),
        attempts=1,
        admitted_at=first.start,
    )
    if "phase" in changes and changes["phase"] is not Phase.LIVE:
        base = replace(base, admitted_at=None)
    return replace(base, **changes)


def ended(reason: EndReason, when: datetime, **changes: Any) -> SessionRecord:
    """Answer a session that was in, and ended then for that reason."""
    changes = {"phase": Phase.FILED, "admitted_at": TEN} | changes
    return record(end_reason=reason, ended_at=when, **changes)


def plan(
    events: Iterable[CalendarEvent],
    now: datetime,
    *,
    records: Iterable[SessionRecord] = (),
    marks: Mapping[OccurrenceKey, Mark] | None = None,
    under: Policy | None = None,
    once_joinable: frozenset[OccurrenceKey] = frozenset(),
) -> Plan:
    """Judge and arrange, as one pass does."""
    rules = under or policy()
    items = judge(events, rules, marks or {})
    return arrange(items, rules, records, now, once_joinable=once_joinable)


def only(events: Iterable[CalendarEvent], now: datetime, **changes: Any) -> Stay:
    """Answer the one stay that a plan has."""
    [stay] = plan(events, now, **changes).stays.values()
    return stay


def decision_of(found: Plan, uid: str = "weekly") -> Decision:
    """Answer what a plan says of the event with that uid."""
    [item] = [each for each in found.judged if each.event.uid == uid]
    return item.decision


def act(
    events: Iterable[CalendarEvent],
    now: datetime,
    records: Iterable[SessionRecord] = (),
    *,
    running: Iterable[str] | None = None,
    marks: Mapping[OccurrenceKey, Mark] | None = None,
    under: Policy | None = None,
    once_joinable: frozenset[OccurrenceKey] = frozenset(),
) -> tuple[Action, ...]:
    """Answer what one pass does; unless told, every open session is being attended."""
    records = tuple(records)
    if running is None:
        running = [each.key for each in records if each.is_open and each.retry_at is None]
    rules = under or policy()
    found = plan(
        events, now, records=records, marks=marks, under=rules, once_joinable=once_joinable
    )
    return reconcile(found, records, frozenset(map(SessionKey, running)), rules, now)


def joins(actions: Iterable[Action]) -> list[Stay]:
    return [each.stay for each in actions if isinstance(each, Join)]


def leaves(actions: Iterable[Action]) -> dict[SessionKey, EndReason]:
    return {each.key: each.reason for each in actions if isinstance(each, Leave)}
