"""What the owner is told, and when: a function of the present and of what was told before.

Level-triggered like the loop itself: a notice is due because of what is so now, never because
something happened, so one is neither lost with a process nor told anew by the next. Wording
is `notice_texts`' part, sending an adapter's.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from locum.core import notice_texts as texts
from locum.core.model import (
    EndReason,
    Judged,
    Meeting,
    MeetingKey,
    OccurrenceKey,
    Phase,
    Plan,
    SessionRecord,
    Stay,
    instant_label,
)
from locum.core.money import OVERTIME, cost
from locum.core.requests import Request

NEWS_FOR = timedelta(hours=24)
"""How long after its end a session is still news, and how long a notice is tried to be sent."""

CALENDAR_PATIENCE = timedelta(minutes=5)
"""A calendar that can't be read for less than this is nobody's business: it comes back."""

CONFIG_PATIENCE = timedelta(minutes=1)
"""Whoever is typing saves half a thought now and then."""

LEAVING_PATIENCE = timedelta(minutes=3)
"""How long leaving may take until somebody is told that it doesn't work."""


class Kind(enum.Enum):
    """What a notice is about; the values are the keys of `[notify.kinds]`, but for `before`."""

    BEFORE = "before"  #: It is about to go to a meeting.
    CALLED_OFF = "called_off"  #: It was said that it would go, and it won't.
    MISSED = "missed"
    REFUSED = "refused"  #: The room turned it away, or put it out.
    ORPHAN = "orphan"  #: A presence may be running that has no name.
    LEFT_RUNNING = "left_running"  #: One with a name, that can't be ended.
    OVER_BUDGET = "over_budget"
    CREDITS = "credits"  #: The engine's account can't pay, or its key is bad.
    CALENDAR = "calendar"
    CONFIG = "config"
    LEDGER = "ledger"
    FILED = "filed"
    APPROVAL = "approval"  #: It asks for something that only the owner may grant.


class Severity(enum.Enum):
    INFO = "info"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True)
class Notice:
    """One message. It is told once: `key` names it for ever.

    From `expires_at` on it is worth nothing. `starts_at` is the meeting's, where it is about
    one that is ahead; `name` is that meeting's title. `only_to` names the targets that need
    it (None: all). `also_told` are keys, and their subjects, of what it says as well.
    """

    key: str
    kind: Kind
    subject: str
    title: str
    body: str
    severity: Severity
    expires_at: datetime
    name: str = ""
    starts_at: datetime | None = None
    only_to: frozenset[str] | None = None
    also_told: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Told:
    """A notice of before. `reached` are the targets that have it; `pending`: some wait for it."""

    key: str
    kind: Kind
    subject: str
    name: str
    starts_at: datetime | None
    reached: frozenset[str]
    pending: bool


@dataclass(frozen=True)
class SessionNews:
    """A session as far as it may be news.

    `detail` is its last words; `since` is when it came into its phase; `unnamed`: a join of
    its was sent, its answer was lost, and it may be running; `unreachable`: no engine of the
    config can end it; `filed` is where its summaries are.
    """

    record: SessionRecord
    detail: str = ""
    since: datetime | None = None
    unnamed: bool = False
    unreachable: bool = False
    filed: tuple[str, ...] = ()


@dataclass(frozen=True)
class OverBudget:
    meeting: MeetingKey
    title: str
    start: datetime
    reason: str


@dataclass(frozen=True)
class CalendarTrouble:
    calendar: str
    account: str
    since: datetime
    problem: str


@dataclass(frozen=True)
class EngineTrouble:
    """An engine that will refuse to join at `start`, unless a person acts; `problem` says how."""

    engine: str
    start: datetime
    problem: str


@dataclass(frozen=True)
class ConfigTrouble:
    since: datetime
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Present:
    """All that may be news.

    `begun` are the meetings that a session went to, or tried to; `calendars` are those that
    are watched, `failing` some of them.
    """

    now: datetime
    plan: Plan
    begun: frozenset[MeetingKey] = frozenset()
    sessions: tuple[SessionNews, ...] = ()
    over_budget: tuple[OverBudget, ...] = ()
    calendars: frozenset[str] = frozenset()
    failing: tuple[CalendarTrouble, ...] = ()
    engines: tuple[EngineTrouble, ...] = ()
    config: ConfigTrouble | None = None
    recovered_at: datetime | None = None
    requests: tuple[Request, ...] = ()  #: Those that wait for the owner.


@dataclass(frozen=True)
class Rules:
    """What is told, and with what words.

    Args:
        before: How long before a join; zero is never.
        kinds: Those that are told.
        since: What ended before isn't news: nobody wanted to be told then.
        lead: How long before its start a meeting is joined.
        prices: US dollars a minute, by engine.
        max_length: The longest presence.
        zone: In which times are written.
        options: What `locum` needs on its command line to find this daemon.
    """

    before: timedelta
    kinds: frozenset[Kind]
    since: datetime
    lead: timedelta
    prices: Mapping[str, float]
    max_length: timedelta
    zone: tzinfo
    options: str = ""


@dataclass(frozen=True)
class Due:
    """`withdrawn` are the keys of notices that nobody needs any more, if they weren't sent."""

    notices: tuple[Notice, ...]
    withdrawn: tuple[str, ...]


def due(present: Present, told: Iterable[Told], rules: Rules) -> Due:
    """Answer what is to be told now and wasn't yet."""
    known = {each.key: each for each in told}
    withdrawn, called_off = _called_off(present, known, rules)
    found = (
        *_before(present, known, rules),
        *called_off,
        *(notice for each in present.sessions for notice in _of_session(each, present, rules)),
        *_requests(present, rules),
        *_over_budget(present, rules),
        *_credits(present, rules),
        *_calendars(present, known, rules),
        *_config(present, known),
        *_ledger(present, known, rules),
    )
    wanted = {each.key: each for each in found if each.kind in rules.kinds}
    fresh = tuple(each for key, each in wanted.items() if key not in known)
    return Due(fresh, tuple(withdrawn))


# ── what is ahead ────────────────────────────────────────────────────────────────────────


def _goes_at(meeting: Meeting, stay: Stay, rules: Rules) -> datetime:
    """Answer when it joins for this meeting, or stays on for it in a room where it is."""
    if meeting.key == stay.meetings[0].key:
        return stay.join_at
    return meeting.start - rules.lead


def soon(plan: Plan, rules: Rules, now: datetime) -> Iterator[tuple[Stay, Meeting]]:
    """Answer the meetings whose notice is due, and that aren't joined yet."""
    for stay in plan.stays.values():
        for meeting in stay.meetings:
            goes_at = _goes_at(meeting, stay, rules)
            if goes_at - rules.before <= now < goes_at:
                yield stay, meeting


def _before(present: Present, known: Mapping[str, Told], rules: Rules) -> Iterator[Notice]:
    if not rules.before:
        return
    judged = _by_occurrence(present.plan.judged)
    standing = {_occurrence_of(told): told for told in _upcoming_told(known)}
    for stay, meeting in soon(present.plan, rules, present.now):
        key = _before_key(meeting.key, known)
        if key in known:
            continue  # As most are, at most looks: writing its words would be in vain.
        item = judged.get(meeting.occurrence)
        goes_at = _goes_at(meeting, stay, rules)
        length = min(meeting.end - meeting.start, rules.max_length) + rules.lead
        price = rules.prices.get(stay.engine)
        words = texts.before(
            texts.Ahead(
                title=meeting.title,
                start=meeting.start,
                goes_at=goes_at,
                persona=stay.persona,
                engine=stay.engine,
                reason=meeting.decision.reason,
                organizer="" if meeting.organizer is None else meeting.organizer.label,
                room=meeting.room.url,
                link="" if item is None else item.event.link,
                occurrence=meeting.occurrence,
                dearest=None if price is None else cost(length, price),
                moved_from=_told_start(meeting, standing.get(meeting.occurrence)),
            ),
            now=present.now,
            zone=rules.zone,
            options=rules.options,
        )
        yield Notice(
            key=key,
            kind=Kind.BEFORE,
            subject=meeting.key,
            title=words.title,
            body=words.body,
            severity=Severity.INFO,
            expires_at=goes_at,
            name=texts.foreign(meeting.title),
            starts_at=meeting.start,
        )


def _before_key(meeting: MeetingKey, known: Mapping[str, Told]) -> str:
    """Answer the name of the notice to come; what was called off is told anew if it is on again."""
    key = f"before/{meeting}"
    number = 1
    while f"called_off/{key}" in known:
        number += 1
        key = f"before/{meeting}#{number}"
    return key


def _told_start(meeting: Meeting, told: Told | None) -> datetime | None:
    """Answer the other start that was told last of this occurrence, if any."""
    if told is None or told.subject == meeting.key or not (told.reached or told.pending):
        return None
    return told.starts_at


def _called_off(
    present: Present, known: Mapping[str, Told], rules: Rules
) -> tuple[list[str], list[Notice]]:
    """Answer which notices of meetings ahead don't hold any more, and what to say instead."""
    now = present.now
    wanted = {m.key for stay in present.plan.stays.values() for m in stay.meetings}
    soon_again = {m.occurrence for _, m in soon(present.plan, rules, now)}
    judged = _by_occurrence(present.plan.judged)
    withdrawn, notices = [], []
    for told in _upcoming_told(known):
        start = told.starts_at
        if start is None or now >= start or MeetingKey(told.subject) in wanted | present.begun:
            continue
        if told.pending:
            withdrawn.append(told.key)
        occurrence = _occurrence_of(told)
        # What is told at once of its new time says that it was moved.
        if not told.reached or (occurrence in soon_again and Kind.BEFORE in rules.kinds):
            continue
        words = texts.called_off(
            told.name, start, judged.get(occurrence), now=now, zone=rules.zone
        )
        notices.append(
            Notice(
                key=f"called_off/{told.key}",
                kind=Kind.CALLED_OFF,
                subject=told.subject,
                title=words.title,
                body=words.body,
                severity=Severity.INFO,
                expires_at=start,
                name=told.name,
                starts_at=start,
                only_to=told.reached,
            )
        )
    return withdrawn, notices


def _upcoming_told(known: Mapping[str, Told]) -> Iterator[Told]:
    """Answer the notices of meetings ahead that still stand."""
    for told in known.values():
        if told.kind is Kind.BEFORE and f"called_off/{told.key}" not in known:
            yield told


def _occurrence_of(told: Told) -> OccurrenceKey:
    return OccurrenceKey(told.subject.rpartition("@")[0])


def told_occurrences(told: Iterable[Told], now: datetime) -> frozenset[OccurrenceKey]:
    """Answer which occurrences must be looked at, wherever they moved."""
    return frozenset(
        _occurrence_of(each)
        for each in told
        if each.kind is Kind.BEFORE and each.starts_at is not None and each.starts_at > now
    )


def _by_occurrence(judged: Iterable[Judged]) -> dict[OccurrenceKey, Judged]:
    return {item.event.occurrence: item for item in judged}


# ── what became of it ────────────────────────────────────────────────────────────────────

_OUR_WISH = frozenset(
    {
        EndReason.CANCELLED,
        EndReason.DECLINED,
        EndReason.MOVED,
        EndReason.LINK_CHANGED,
        EndReason.UNWANTED,
        EndReason.STOPPED_BY_USER,
        EndReason.SHUTDOWN,
    }
)
"""Ends that somebody asked for, who needn't be told."""

_TURNED_AWAY = frozenset({EndReason.DENIED, EndReason.REMOVED, EndReason.OPTED_OUT})
_BROKEN_OFF = frozenset(
    {
        EndReason.ENGINE_LOST,
        EndReason.ENGINE_REFUSED,
        EndReason.NOT_ADMITTED,
        EndReason.LOST_JOIN,
        EndReason.TOO_LATE,
    }
)


def _of_session(news: SessionNews, present: Present, rules: Rules) -> Iterator[Notice]:
    record = news.record
    ended_at = record.ended_at
    if record.is_open:
        yield from _of_open(news, present, rules)
    elif ended_at is None or ended_at < max(rules.since, present.now - NEWS_FOR):
        return
    else:
        yield from _of_ended(news, present, rules)


def _of_open(news: SessionNews, present: Present, rules: Rules) -> Iterator[Notice]:
    record, now = news.record, present.now
    waits = record.phase is Phase.JOINING and record.retry_at is not None
    if waits and record.end_reason is EndReason.ENGINE_REFUSED:
        trouble = EngineTrouble(record.engine, record.meetings[0].start, news.detail)
        yield _credit_notice(trouble, now, rules)
    held_since = record.leave_by + OVERTIME
    if record.phase is Phase.LEAVING and news.since is not None:
        held_since = news.since + LEAVING_PATIENCE
    if record.handle is not None and (news.unreachable or now >= held_since):
        words = texts.left_running(record, unreachable=news.unreachable, detail=news.detail)
        yield _session_notice(Kind.LEFT_RUNNING, record, words, Severity.FAILURE, now)


def _of_ended(news: SessionNews, present: Present, rules: Rules) -> Iterator[Notice]:
    record, now, zone = news.record, present.now, rules.zone
    reason = record.end_reason
    was_in = record.admitted_at is not None
    if news.unnamed:
        words = texts.orphan(record, zone=zone)
        yield _session_notice(Kind.ORPHAN, record, words, Severity.FAILURE, now)
    if reason in _TURNED_AWAY:
        words = texts.turned_away(record, detail=news.detail, zone=zone)
        yield _session_notice(Kind.REFUSED, record, words, Severity.WARNING, now)
    elif (was_in and reason in _BROKEN_OFF) or (not was_in and reason not in _OUR_WISH):
        words = texts.missed(record, detail=news.detail, zone=zone)
        yield _session_notice(Kind.MISSED, record, words, Severity.FAILURE, now)
    if record.phase is Phase.FILED and news.filed:
        words = texts.filed(record, news.filed)
        yield _session_notice(Kind.FILED, record, words, Severity.INFO, now)


def _session_notice(
    kind: Kind, record: SessionRecord, words: texts.Words, severity: Severity, now: datetime
) -> Notice:
    return Notice(
        key=f"{kind.value}/{record.key}",
        kind=kind,
        subject=record.key,
        title=words.title,
        body=words.body,
        severity=severity,
        expires_at=now + NEWS_FOR,
    )


# ── what it asks for ─────────────────────────────────────────────────────────────────────


def _requests(present: Present, rules: Rules) -> Iterator[Notice]:
    for request in present.requests:
        words = texts.approval(request, zone=rules.zone, options=rules.options)
        yield Notice(
            key=f"approval/{request.id}",
            kind=Kind.APPROVAL,
            subject=request.id,
            title=words.title,
            body=words.body,
            severity=Severity.WARNING,
            expires_at=request.expires_at,
        )


# ── money ────────────────────────────────────────────────────────────────────────────────


def _over_budget(present: Present, rules: Rules) -> Iterator[Notice]:
    for each in present.over_budget:
        words = texts.over_budget(each.title, each.start, each.reason, zone=rules.zone)
        yield Notice(
            key=f"over_budget/{each.meeting}",
            kind=Kind.OVER_BUDGET,
            subject=each.meeting,
            title=words.title,
            body=words.body,
            severity=Severity.FAILURE,
            expires_at=present.now + NEWS_FOR,
        )


def _credits(present: Present, rules: Rules) -> Iterator[Notice]:
    for trouble in present.engines:
        yield _credit_notice(trouble, present.now, rules)


def _credit_notice(trouble: EngineTrouble, now: datetime, rules: Rules) -> Notice:
    """Whether it was seen ahead or at the join: of one start, it is told once."""
    words = texts.engine_refuses(
        trouble.engine, trouble.start, trouble.problem, zone=rules.zone
    )
    return Notice(
        key=f"credits/{trouble.engine}@{instant_label(trouble.start)}",
        kind=Kind.CREDITS,
        subject=trouble.engine,
        title=words.title,
        body=words.body,
        severity=Severity.FAILURE,
        expires_at=now + NEWS_FOR,
    )


# ── what lasts: told when it begins, and when it ends ────────────────────────────────────


def _open(known: Mapping[str, Told], kind: Kind) -> dict[str, Told]:
    """Answer the troubles that were told and aren't over yet, by their subject."""
    return {
        told.subject: told
        for told in known.values()
        if told.kind is kind
        and not told.key.endswith("/over")
        and f"{told.key}/over" not in known
    }


def _calendars(present: Present, known: Mapping[str, Told], rules: Rules) -> Iterator[Notice]:
    """One sign-in's calendars fail together, and are told of together."""
    now = present.now
    open_ = _open(known, Kind.CALENDAR)
    failing = {each.calendar for each in present.failing}
    begun: dict[tuple[str, str], list[CalendarTrouble]] = {}
    for each in present.failing:
        if each.calendar not in open_ and now - each.since >= CALENDAR_PATIENCE:
            begun.setdefault((each.account, each.problem), []).append(each)
    for troubles in begun.values():
        words = texts.unreadable(
            [each.calendar for each in troubles],
            troubles[0].since,
            troubles[0].problem,
            zone=rules.zone,
        )
        (key, subject), *others = [
            (f"calendar/{each.calendar}@{instant_label(each.since)}", each.calendar)
            for each in troubles
        ]
        first = _lasting(Kind.CALENDAR, key, subject, words, now)
        yield replace(first, severity=Severity.FAILURE, also_told=tuple(others))
    over = [told for told in open_.values() if told.subject not in failing]
    watched = [told for told in over if told.subject in present.calendars]
    if over:
        words = texts.readable([told.subject for told in watched or over])
        (key, subject), *others = [(f"{told.key}/over", told.subject) for told in over]
        first = _lasting(Kind.CALENDAR, key, subject, words, now)
        # What the config has dropped isn't readable again: that it ended is only noted.
        only_to = None if watched else frozenset[str]()
        yield replace(first, also_told=tuple(others), only_to=only_to)


def _config(present: Present, known: Mapping[str, Told]) -> Iterator[Notice]:
    now, trouble = present.now, present.config
    open_ = _open(known, Kind.CONFIG)
    if trouble is not None and not open_ and now - trouble.since >= CONFIG_PATIENCE:
        key = f"config/@{instant_label(trouble.since)}"
        words = texts.config_rejected(trouble.problems)
        yield replace(_lasting(Kind.CONFIG, key, "", words, now), severity=Severity.WARNING)
    elif trouble is None:
        for told in open_.values():
            # Whoever mended it knows: that it ended is only noted.
            words = texts.Words("The config can be used again", "")
            ended = _lasting(Kind.CONFIG, f"{told.key}/over", "", words, now)
            yield replace(ended, only_to=frozenset())


def _ledger(present: Present, known: Mapping[str, Told], rules: Rules) -> Iterator[Notice]:
    now, since = present.now, present.recovered_at
    if since is not None:
        words = texts.recovered(since, zone=rules.zone)
        notice = _lasting(Kind.LEDGER, f"ledger/@{instant_label(since)}", "", words, now)
        yield replace(notice, severity=Severity.FAILURE)
        return
    for told in _open(known, Kind.LEDGER).values():
        yield _lasting(Kind.LEDGER, f"{told.key}/over", "", texts.reconciled(), now)


def _lasting(kind: Kind, key: str, subject: str, words: texts.Words, now: datetime) -> Notice:
    return Notice(
        key=key,
        kind=kind,
        subject=subject,
        title=words.title,
        body=words.body,
        severity=Severity.INFO,
        expires_at=now + NEWS_FOR,
    )
