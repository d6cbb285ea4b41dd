"""Where should we be? A pure function of calendar, policy, history and the present instant.

Judging an event is separate from arranging what was judged, because the first changes only
with the calendar and the config, and the second with every minute.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from locum.core.capacity import Load, Span
from locum.core.consent import series_of
from locum.core.history import History
from locum.core.model import (
    CalendarEvent,
    Code,
    Decision,
    EndReason,
    EventStatus,
    Judged,
    Mark,
    Meeting,
    MeetingKey,
    OccurrenceKey,
    Phase,
    Plan,
    SessionKey,
    SessionRecord,
    Stay,
)
from locum.core.policy import Policy, decide

FIRM = frozenset(
    {
        Code.ACCEPTED,
        Code.ORGANIZED_BY_SELF,
        Code.USER_JOIN,
        Code.RULE_JOIN,
        Code.COMMAND_JOIN,
    }
)
"""Somebody with a say asked for it: these go before unanswered invitations."""

_SKIPS_BY_WEIGHT = (
    Code.RULE_SKIP,
    Code.COMMAND_SKIP,
    Code.SKIPPED_BY_USER,
    Code.STOPPED_BY_USER,
    Code.OPTED_OUT,
    Code.DECLINED,
    Code.PERSONA_UNFIT,
    Code.WAITING_FOR_ANSWER,
    Code.BAD_LINK,
    Code.PLATFORM_NOT_ALLOWED,
    Code.ALL_DAY,
    Code.NO_MEET_LINK,
    Code.NO_DETAILS,
    Code.NOT_A_MEETING,
    Code.CANCELLED,
)
"""Which reason is told when several calendars show one occurrence and none wants it."""

_BEATS_JOIN = frozenset({Code.RULE_SKIP, Code.COMMAND_SKIP})


def judge(
    events: Iterable[CalendarEvent],
    policy: Policy,
    marks: Mapping[OccurrenceKey, Mark],
) -> tuple[Judged, ...]:
    """Decide every occurrence once, however many calendars show it.

    `marks` are what people said of occurrences; an opt-out stands under its series' key.
    One calendar's "join" outweighs another's "no": a meeting declined on one and accepted
    on the other is attended. A skip rule and a trusted "locum: skip" beat both.
    """
    sightings: dict[OccurrenceKey, list[CalendarEvent]] = defaultdict(list)
    for event in events:
        sightings[event.occurrence].append(event)
    judged = [_judge_one(seen, policy, _mark_of(key, marks)) for key, seen in sightings.items()]
    return tuple(sorted(judged, key=lambda item: (item.event.start, item.event.occurrence)))


def _mark_of(key: OccurrenceKey, marks: Mapping[OccurrenceKey, Mark]) -> Mark | None:
    """Answer what was said of an occurrence; "opt out" is said of its series, and comes first."""
    of_series = marks.get(OccurrenceKey(series_of(key)))
    return of_series if of_series is Mark.OPT_OUT else marks.get(key)


def _judge_one(seen: list[CalendarEvent], policy: Policy, mark: Mark | None) -> Judged:
    verdicts = [(decide(event, policy, mark), event) for event in seen]

    def weight(verdict: tuple[Decision, CalendarEvent]) -> tuple[int, int, object]:
        decision, event = verdict
        identity = (event.event_id, event.calendar, event.start, event.revision)
        if decision.code in _BEATS_JOIN:
            return (0, _SKIPS_BY_WEIGHT.index(decision.code), identity)
        if decision.join:
            return (1, 0 if decision.code in FIRM else 1, identity)
        return (2, _SKIPS_BY_WEIGHT.index(decision.code), identity)

    decision, event = min(verdicts, key=weight)
    shown_on = tuple(
        sorted({e.calendar for e in seen if e.status is not EventStatus.CANCELLED})
    )
    return Judged(event=event, sightings=shown_on, decision=decision)


def meeting_of(judged: Judged, policy: Policy) -> Meeting | None:
    """Turn a judged occurrence into a meeting to attend; None where we don't."""
    event = judged.event
    if not judged.decision.join or event.room is None:
        return None
    end, open_ended = _end_of(event, policy)
    return Meeting(
        key=event.meeting,
        occurrence=event.occurrence,
        title=event.title,
        start=event.start,
        end=end,
        open_ended=open_ended,
        room=event.room,
        decision=judged.decision,
        revision=event.revision,
        event_id=event.event_id,
        calendar=event.calendar,
        description=event.description,
        organizer=event.organizer,
        attendees=event.attendees,
        sightings=judged.sightings,
        attendees_omitted=event.attendees_omitted,
    )


def _end_of(event: CalendarEvent, policy: Policy) -> tuple[datetime, bool]:
    """Answer an event's end, and whether it is the cap because it has none of its own."""
    if event.end is None or event.end <= event.start:
        return event.start + policy.max_length, True
    return event.end, False


def arrange(
    judged: Iterable[Judged],
    policy: Policy,
    records: Iterable[SessionRecord],
    now: datetime,
    *,
    once_joinable: frozenset[OccurrenceKey] = frozenset(),
) -> Plan:
    """Fit what was judged into stays: one presence a room, never above capacity.

    `records` are the open sessions and those that ended lately. `once_joinable` names the
    occurrences whose last recorded decision was to join: if such a one is over and nothing
    attended it, it was missed.
    """
    records = tuple(records)
    history = History(records, now, grace=policy.grace)
    verdicts: dict[OccurrenceKey, Judged] = {}
    wanted: list[Meeting] = []
    over: list[Meeting] = []
    for item in judged:
        meeting = meeting_of(item, policy)
        verdicts[item.event.occurrence] = item
        if meeting is None:
            continue
        refusal = history.verdict(meeting)
        if meeting.end <= now:
            refusal = Code.OVER, "it is over"
            over.append(meeting)
        if refusal is None:
            wanted.append(meeting)
        else:
            verdicts[meeting.occurrence] = _overruled(item, *refusal)

    open_records = [record for record in records if record.is_open]
    ours = _ours(open_records, wanted, now)
    newcomers = [meeting for meeting in wanted if meeting.key not in ours]
    held, _, left_over = _continue_open(
        open_records, [m for m in wanted if m.key in ours], verdicts, policy, now
    )
    newcomers += left_over
    begins = _within_capacity(newcomers, held.values(), history, policy, now)
    refused = {meeting.key: meeting for meeting in newcomers if meeting.key not in begins}
    stays, endings, rest = _continue_open(
        open_records, [m for m in wanted if m.key not in refused], verdicts, policy, now
    )
    in_hand = {
        meeting.occurrence
        for record in open_records
        for meeting in (stays.get(record.key) or record).meetings
    }
    missed = tuple(
        _stay((meeting,), meeting.start - policy.lead, history, policy)
        for meeting in over
        if meeting.occurrence in once_joinable - in_hand and not history.attended(meeting)
    )
    for meeting in refused.values():
        verdicts[meeting.occurrence] = _overruled(
            verdicts[meeting.occurrence],
            Code.AT_CAPACITY,
            f"at capacity: {policy.capacity} at the same time (attend.capacity)",
        )
    for chain in _chains(rest, policy.merge_window):
        stay = _stay(chain, begins[chain[0].key], history, policy, now)
        stays[stay.key] = stay
    ordered = tuple(
        sorted(verdicts.values(), key=lambda item: (item.event.start, item.event.occurrence))
    )
    return Plan(stays=stays, judged=ordered, endings=endings, missed=missed)


def _overruled(item: Judged, code: Code, reason: str) -> Judged:
    trace = (*item.decision.trace, f"skip: {reason}")
    return replace(item, decision=Decision(join=False, code=code, reason=reason, trace=trace))


def _stay(
    meetings: tuple[Meeting, ...],
    join_at: datetime,
    history: History,
    policy: Policy,
    now: datetime | None = None,
) -> Stay:
    first = meetings[0]
    longest = max(join_at, now or join_at) + policy.max_length
    return Stay(
        key=history.free_key(first),
        room=first.room,
        join_at=join_at,
        leave_by=min(max(meeting.end for meeting in meetings), longest),
        persona=first.decision.persona,
        engine=first.decision.engine,
        meetings=meetings,
    )


# ── what is open already ─────────────────────────────────────────────────────────────────


def _continue_open(
    open_records: list[SessionRecord],
    wanted: list[Meeting],
    verdicts: Mapping[OccurrenceKey, Judged],
    policy: Policy,
    now: datetime,
) -> tuple[dict[SessionKey, Stay], dict[SessionKey, EndReason], list[Meeting]]:
    """Give each open session the meetings that its room still serves, or a reason to end."""
    stays: dict[SessionKey, Stay] = {}
    endings: dict[SessionKey, EndReason] = {}
    rest = sorted(wanted, key=_in_time)
    for record in sorted(open_records, key=lambda record: (record.join_at, record.key)):
        if record.phase is Phase.LEAVING:
            # Nothing calls it back; what is still wanted in its room gets a new session.
            endings[record.key] = record.end_reason or EndReason.UNWANTED
            continue
        cap = record.claimed_at + policy.max_length
        kept = _kept(record, verdicts, policy, now)
        emptied = _emptied(record, [*kept, *rest], policy, now)
        kept = [each for each in kept if each.key not in emptied]
        broke_up = any(meeting.key in emptied for meeting in rest)
        rest = [meeting for meeting in rest if meeting.key not in emptied]
        served = (*kept, *_served_by(record, kept, rest, policy, now))
        taken = {meeting.key for meeting in served}
        rest = [meeting for meeting in rest if meeting.key not in taken]
        reason = EndReason.LENGTH_CAP if served else _ending(record, verdicts, now)
        if broke_up and not served:
            reason = EndReason.ROOM_EMPTY
        leave_by = min(max((m.end for m in served), default=now), cap)
        if reason is EndReason.MOVED and _with_people(record, policy):
            leave_by = cap  # Until the room empties: then nothing keeps us any more.
        if leave_by > now:
            stays[record.key] = Stay(
                key=record.key,
                room=record.room,
                join_at=record.join_at,
                leave_by=leave_by,
                persona=record.persona,
                engine=record.engine,
                meetings=_meetings_of(record, served, now),
            )
        else:
            endings[record.key] = reason
    return stays, endings, rest


def _ours(
    open_records: Iterable[SessionRecord], wanted: Iterable[Meeting], now: datetime
) -> frozenset[MeetingKey]:
    """Name what open sessions have begun: it keeps its place, as what is still ahead need not."""
    begun = {
        (record.room.id, each.occurrence)
        for record in open_records
        if record.phase is not Phase.LEAVING
        for each in record.meetings
        if each.start <= now or each is record.meetings[0]
    }
    return frozenset(each.key for each in wanted if (each.room.id, each.occurrence) in begun)


def _in_time(meeting: Meeting) -> tuple[datetime, str]:
    return meeting.start, meeting.key


def _with_people(record: SessionRecord, policy: Policy) -> bool:
    """Whether we see others whom we don't walk out on; who can't see anybody, leaves."""
    is_in = record.phase is Phase.LIVE
    return policy.stay_with_people and is_in and bool(record.others_present)


def _emptied(
    record: SessionRecord, current: Iterable[Meeting], policy: Policy, now: datetime
) -> frozenset[MeetingKey]:
    """Name what has no end of its own, and ended when the last of its people left.

    `current` is what the calendar has now: what was given an end meanwhile isn't over so. A
    room where nobody has come yet isn't empty so, and who is late is waited for.
    """
    is_alone = record.accompanied and record.others_present == 0
    if record.phase is not Phase.LIVE or not is_alone:
        return frozenset()
    known = {meeting.key for meeting in record.meetings}
    return frozenset(
        meeting.key
        for meeting in current
        if meeting.key in known
        and meeting.room.id == record.room.id
        and meeting.open_ended
        and meeting.start + policy.grace <= now
    )


def _meetings_of(
    record: SessionRecord, served: tuple[Meeting, ...], now: datetime
) -> tuple[Meeting, ...]:
    """What we sat in, or waited for to its end, stays: each gets its own summary.

    So does what is moved once it is over, and served again at its new time. Where the clock
    has gone back to before the session began, nobody can tell what it sat in: all of it stays.
    """
    if not served:
        return record.meetings
    keys = {meeting.key for meeting in served}
    current = {meeting.occurrence for meeting in served}
    was_in = record.admitted_at is not None
    clock_went_back = was_in and now < record.claimed_at
    past = [
        each
        for each in record.meetings
        if each.key not in keys
        and (
            clock_went_back
            or (
                each.start <= now
                and (each.end <= now or (was_in and each.occurrence not in current))
            )
        )
    ]
    return tuple(sorted((*past, *served), key=_in_time))


def _kept(
    record: SessionRecord,
    verdicts: Mapping[OccurrenceKey, Judged],
    policy: Policy,
    now: datetime,
) -> list[Meeting]:
    """Answer what the calendar asks for no more, but we don't walk out of, with its end."""
    kept = []
    # Of one that was moved, only its latest time counts.
    latest = {meeting.occurrence: meeting for meeting in record.meetings}
    for meeting in latest.values():
        item = verdicts.get(meeting.occurrence)
        begun = meeting.start <= now or meeting is record.meetings[0]
        if item is None or not begun:
            continue
        end, open_ended = _kept_until(record, meeting, item, policy, now)
        if now < end:
            kept.append(replace(meeting, end=end, open_ended=open_ended))
    return kept


def _kept_until(
    record: SessionRecord, meeting: Meeting, item: Judged, policy: Policy, now: datetime
) -> tuple[datetime, bool]:
    """Answer its end, and whether it has none of its own; the present if it isn't kept."""
    event, code = item.event, item.decision.code
    as_noted = meeting.end, meeting.open_ended
    not_kept = now, False
    if code in {Code.NO_MEET_LINK, Code.BAD_LINK}:
        # Who was dropped isn't in: nobody enters a room that no event names.
        is_in = record.phase in {Phase.WAITING, Phase.LIVE}
        has_begun = event.start <= max(now, meeting.start)
        # The link vanished while we are in its room: that room is still the meeting's.
        return _end_of(event, policy) if is_in and has_begun else not_kept
    if code is Code.PERSONA_UNFIT and event.start == meeting.start:
        # Whoever is in stays with the persona that it joined as.
        return _end_of(event, policy)
    if code in {Code.CANCELLED, Code.DECLINED}:
        is_alone = record.others_present == 0
        stays = not policy.leave_when_cancelled and record.phase is Phase.LIVE
        return as_noted if stays and not is_alone else not_kept
    if code is Code.OVER and event.start == meeting.start and _with_people(record, policy):
        return as_noted  # Shortened below the present, and people are still there.
    return not_kept


def _served_by(
    record: SessionRecord,
    kept: list[Meeting],
    rest: list[Meeting],
    policy: Policy,
    now: datetime,
) -> list[Meeting]:
    """Chain the wanted meetings of the record's room from now on, without a gap."""
    until = max((meeting.end for meeting in kept), default=now)
    own = {meeting.key for meeting in record.meetings}
    served: list[Meeting] = []
    for meeting in rest:
        if meeting.room.id != record.room.id:
            continue
        # Its own meeting counts from the join on: the lead is part of the stay.
        begins = meeting.start - policy.lead if meeting.key in own else meeting.start
        opened_by = meeting.key == record.meetings[0].key
        if opened_by or begins <= until + policy.merge_window:
            served.append(meeting)
            until = max(until, meeting.end)
    return served


def _ending(
    record: SessionRecord, verdicts: Mapping[OccurrenceKey, Judged], now: datetime
) -> EndReason:
    """Say why an open session has no meeting left: the one that was to end last tells.

    Where it ran to the end that was meant last, that is the last one which is over.
    """
    over = [each for each in record.meetings if each.end <= now and record.leave_by <= now]
    meeting = max(over or record.meetings, key=lambda each: (each.end, each.key))
    is_over = meeting.end <= now
    # Without an end of its own, what ends it is the cap.
    at_end = EndReason.LENGTH_CAP if meeting.open_ended else EndReason.SCHEDULED_END
    item = verdicts.get(meeting.occurrence)
    if item is None:
        # Out of sight, because it is over or because the calendar dropped it.
        return at_end if is_over else EndReason.UNWANTED
    code = item.decision.code
    if item.decision.join:
        moved_away = item.event.room is None or item.event.room.id != record.room.id
        return EndReason.LINK_CHANGED if moved_away else EndReason.MOVED
    if is_over:
        return at_end
    if code is Code.OVER:
        same_start = item.event.start == meeting.start
        return EndReason.SCHEDULED_END if same_start else EndReason.MOVED
    reason = _ENDING_OF.get(code, EndReason.UNWANTED)
    if reason is EndReason.STOPPED_BY_USER and not _all_stopped(record, verdicts):
        # It would keep us from the session's other meetings too, wherever they are moved.
        return EndReason.UNWANTED
    return reason


def _all_stopped(record: SessionRecord, verdicts: Mapping[OccurrenceKey, Judged]) -> bool:
    """Whether a person's word keeps us from every meeting of it that is in sight."""
    shown = (verdicts.get(occurrence) for occurrence in record.occurrences)
    return all(
        _ENDING_OF.get(item.decision.code) is EndReason.STOPPED_BY_USER
        for item in shown
        if item is not None
    )


_ENDING_OF = {
    Code.CANCELLED: EndReason.CANCELLED,
    Code.DECLINED: EndReason.DECLINED,
    Code.STOPPED_BY_USER: EndReason.STOPPED_BY_USER,
    Code.OPTED_OUT: EndReason.OPTED_OUT,
    Code.SKIPPED_BY_USER: EndReason.STOPPED_BY_USER,
}


# ── what is to be opened ─────────────────────────────────────────────────────────────────


def _within_capacity(
    wanted: list[Meeting],
    held: Collection[Stay],
    history: History,
    policy: Policy,
    now: datetime,
) -> dict[MeetingKey, datetime]:
    """Give places by priority, then by time; answers who got one, and when to enter.

    Sessions that are open already come first: nobody is walked out on for a newcomer.
    """
    leads = {
        meeting.key: timedelta(0) if history.begins_at_start(meeting) else policy.lead
        for meeting in wanted
    }
    rooms = {meeting.room.id for meeting in wanted} | {stay.room.id for stay in held}
    if len(rooms) <= policy.capacity:
        return {meeting.key: meeting.start - leads[meeting.key] for meeting in wanted}
    load = Load(policy.capacity, policy.merge_window)
    for stay in held:
        load.add(Span(stay.join_at, stay.leave_by, stay.meetings[0].start, stay.room.id))
    begins = {}
    for meeting in sorted(wanted, key=_priority):
        # If only the lead overlaps, wait for the place that becomes free at the start.
        for lead in (leads[meeting.key], timedelta(0)):
            begin = meeting.start - lead
            until = min(meeting.end, max(begin, now) + policy.max_length)
            span = Span(begin, until, meeting.start, meeting.room.id)
            if load.has_room(span):
                load.add(span)
                begins[meeting.key] = begin
                break
    return begins


def _priority(meeting: Meeting) -> tuple[int, datetime, str]:
    return (0 if meeting.decision.code in FIRM else 1, meeting.start, meeting.key)


def priority(stay: Stay) -> tuple[int, datetime, str]:
    """Who goes first where places are short: what somebody asked for, then the earliest."""
    return min(_priority(meeting) for meeting in stay.meetings)


def _chains(meetings: list[Meeting], gap: timedelta) -> list[tuple[Meeting, ...]]:
    """Group meetings of one room that overlap or follow within `gap`."""
    by_room: dict[str, list[list[Meeting]]] = defaultdict(list)
    for meeting in sorted(meetings, key=_in_time):
        chains = by_room[meeting.room.id]
        if chains and meeting.start <= max(each.end for each in chains[-1]) + gap:
            chains[-1].append(meeting)
        else:
            chains.append([meeting])
    return [tuple(chain) for chains in by_room.values() for chain in chains]
