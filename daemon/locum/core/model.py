"""The vocabulary of locum: frozen values, shared by everything, depending on nothing.

All instants are aware UTC datetimes; all durations are timedeltas. What comes from
outside (calendars, configs, engines) is parsed into these at the edge; inside, nothing is
a dict of strings.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import NewType

OccurrenceKey = NewType("OccurrenceKey", str)
"""Names one occurrence of one event for ever: iCalUID, plus the original start if it is an
instance of a series. Equal on every calendar that shows it, and unchanged when it moves."""

SeriesKey = NewType("SeriesKey", str)
"""Names a series for as long as it goes on, or an event that stands alone: see `consent`."""

MeetingKey = NewType("MeetingKey", str)
"""An occurrence at its current start: moved to tomorrow, it is another meeting to attend."""

SessionKey = NewType("SessionKey", str)
"""One presence of ours in one room. Opened by a meeting, it can serve several in a row."""

SessionHandle = NewType("SessionHandle", str)
"""An engine's own name for a live session; opaque to everything else."""


def instant_label(instant: datetime) -> str:
    """Write an instant compactly and sortably, in UTC: 20261122T130000Z."""
    return f"{instant.astimezone(timezone.utc):%Y%m%dT%H%M%SZ}"


@dataclass(frozen=True)
class TimeWindow:
    start: datetime
    end: datetime

    def overlaps(self, start: datetime, end: datetime) -> bool:
        return start < self.end and end > self.start


# ── where ────────────────────────────────────────────────────────────────────────────────


class Platform(enum.Enum):
    GOOGLE_MEET = "google_meet"
    ZOOM = "zoom"


@dataclass(frozen=True)
class Room:
    """A place to meet. `url` is always built anew from the code, never copied from a text."""

    platform: Platform
    code: str
    url: str
    password: str | None = field(default=None, repr=False)

    @property
    def id(self) -> str:
        return f"{self.platform.value}:{self.code}"


# ── what the calendar says ───────────────────────────────────────────────────────────────


class Answer(enum.Enum):
    """What the watched account answered to an invitation."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    TENTATIVE = "tentative"
    UNANSWERED = "needsAction"
    UNLISTED = "unlisted"  #: Not among the attendees that we can see (a group's address, an omitted list).


class EventStatus(enum.Enum):
    CONFIRMED = "confirmed"
    TENTATIVE = "tentative"
    CANCELLED = "cancelled"


class EventKind(enum.Enum):
    """Google's `eventType`; only `default` events are meetings."""

    MEETING = "default"
    FOCUS_TIME = "focusTime"
    OUT_OF_OFFICE = "outOfOffice"
    WORKING_LOCATION = "workingLocation"
    BIRTHDAY = "birthday"
    FROM_GMAIL = "fromGmail"
    OTHER = "other"


@dataclass(frozen=True)
class Person:
    email: str
    name: str = ""

    @property
    def label(self) -> str:
        return self.name or self.email


@dataclass(frozen=True)
class Attendee:
    person: Person
    answer: Answer
    is_self: bool = False
    is_organizer: bool = False
    is_optional: bool = False


@dataclass(frozen=True, order=True)
class CalendarRef:
    """One calendar, seen through one signed-in account."""

    account: str
    calendar_id: str

    def __str__(self) -> str:
        return f"{self.account}/{self.calendar_id}"


BY_HAND = CalendarRef(account="", calendar_id="by hand")
"""Where meetings stand that a person asked for with `locum join`: no calendar has them."""


@dataclass(frozen=True)
class CalendarEvent:
    """One occurrence as one calendar shows it.

    `end` is None where the calendar gives none. `revision` changes whenever anything in the
    event does. `room_problem` says why a link that was there was refused. `link` is where a
    person can look at it and answer.
    """

    calendar: CalendarRef
    event_id: str
    uid: str
    start: datetime
    end: datetime | None
    revision: str
    title: str = ""
    description: str = ""
    original_start: datetime | None = None
    all_day: bool = False
    status: EventStatus = EventStatus.CONFIRMED
    kind: EventKind = EventKind.MEETING
    answer: Answer = Answer.UNLISTED
    organizer: Person | None = None
    organized_by_self: bool = False
    attendees: tuple[Attendee, ...] = ()
    attendees_omitted: bool = False
    details_visible: bool = True
    room: Room | None = None
    room_problem: str | None = None
    link: str = ""
    free: bool = False  #: It takes none of one's time, by the calendar.

    @cached_property
    def occurrence(self) -> OccurrenceKey:
        if self.original_start is None:
            return OccurrenceKey(self.uid)
        return OccurrenceKey(f"{self.uid}/{instant_label(self.original_start)}")

    @cached_property
    def meeting(self) -> MeetingKey:
        return MeetingKey(f"{self.occurrence}@{instant_label(self.start)}")


class CalendarAccess(enum.Enum):
    DETAILS = "details"
    FREE_BUSY = "free_busy"  #: Only when, never what: nothing can be joined from it.


@dataclass(frozen=True)
class Malformed:
    """An item that could not be read; the rest of its list was."""

    item_id: str
    problem: str


@dataclass(frozen=True)
class CalendarReading:
    """All that one calendar holds in `window`, recurrences expanded by the calendar itself.

    Complete by contract: a source that could not see every page raises instead. A tombstone
    that names no time isn't an event: its id stands in `removed_ids`. `sync_token` is where
    the delta lane goes on, if the source has one. `requests` is how many the reading took.
    """

    calendar: CalendarRef
    fetched_at: datetime
    window: TimeWindow
    events: tuple[CalendarEvent, ...]
    removed_ids: tuple[str, ...] = ()
    malformed: tuple[Malformed, ...] = ()
    access: CalendarAccess = CalendarAccess.DETAILS
    sync_token: str | None = None
    requests: int = 1


# ── what we decide ───────────────────────────────────────────────────────────────────────


class Code(enum.Enum):
    """Why an event is joined or skipped, for scripts; the words stand in the decision."""

    ACCEPTED = "accepted"
    ORGANIZED_BY_SELF = "organized_by_self"
    TRUSTED_ORGANIZER = "trusted_organizer"
    RULE_JOIN = "rule_join"
    COMMAND_JOIN = "command_join"
    UNANSWERED_ALLOWED = "unanswered_allowed"
    USER_JOIN = "user_join"  #: `locum join`, by hand.

    CANCELLED = "cancelled"
    DECLINED = "declined"
    OVER = "over"
    NO_MEET_LINK = "no_meet_link"
    BAD_LINK = "bad_link"
    PLATFORM_NOT_ALLOWED = "platform_not_allowed"
    WAITING_FOR_ANSWER = "waiting_for_answer"
    NOT_A_MEETING = "not_a_meeting"
    NO_DETAILS = "no_details"
    ALL_DAY = "all_day"
    RULE_SKIP = "rule_skip"
    COMMAND_SKIP = "command_skip"
    AT_CAPACITY = "at_capacity"
    OVER_BUDGET = "over_budget"  #: A cap of `[budget]` leaves no room for what it may cost.
    PERSONA_UNFIT = "persona_unfit"  #: No consent on file, or a persona that can't be used.
    SKIPPED_BY_USER = "skipped_by_user"
    STOPPED_BY_USER = "stopped_by_user"
    OPTED_OUT = "opted_out"  #: Somebody in the meeting, or before, said "opt out".
    REMOVED_BEFORE = "removed_before"
    ENDED_BEFORE = "ended_before"  #: The meeting was over before its planned end.
    MOVED_WHILE_IN_IT = "moved_while_in_it"


@dataclass(frozen=True)
class Decision:
    """Join or not, with the reason in words and the steps that led there."""

    join: bool
    code: Code
    reason: str
    trace: tuple[str, ...] = ()
    persona: str = ""
    engine: str = ""
    listen_only: bool = False
    brief: str = ""

    @property
    def verdict(self) -> str:
        return "join" if self.join else "skip"


@dataclass(frozen=True)
class Meeting:
    """An occurrence that we mean to attend, at its current time, with all we know of it.

    `end` is where we leave if nothing else says so: the event's own end, or the cap where
    it has none. `sightings` names every calendar that shows it; `calendar`, `event_id` and
    `revision` are those of the one that was gone by.
    """

    key: MeetingKey
    occurrence: OccurrenceKey
    title: str
    start: datetime
    end: datetime
    open_ended: bool
    room: Room
    decision: Decision
    revision: str
    event_id: str = ""
    calendar: CalendarRef | None = None
    description: str = ""
    organizer: Person | None = None
    attendees: tuple[Attendee, ...] = ()
    sightings: tuple[CalendarRef, ...] = ()
    attendees_omitted: bool = False  #: Others are invited too, whom the calendar doesn't show.


@dataclass(frozen=True)
class Stay:
    """One presence that we want: a room, from when to when, for which meetings."""

    key: SessionKey
    room: Room
    join_at: datetime
    leave_by: datetime
    persona: str
    engine: str
    meetings: tuple[Meeting, ...]

    @property
    def title(self) -> str:
        return self.meetings[0].title


@dataclass(frozen=True)
class Judged:
    """One occurrence and what was decided about it, for `plan` and `why`."""

    event: CalendarEvent
    sightings: tuple[CalendarRef, ...]
    decision: Decision


# ── what we did ──────────────────────────────────────────────────────────────────────────


class Phase(enum.Enum):
    JOINING = "joining"  #: Written before the engine is called; it may or may not be in.
    AMBIGUOUS = "ambiguous"  #: A paid join was sent and its answer lost.
    WAITING = "waiting"  #: In the lobby, or the engine is getting ready.
    LIVE = "live"  #: In the meeting.
    LEAVING = "leaving"  #: Told to leave; not yet proved out.
    ENDED = "ended"  #: Out; nothing filed yet.
    FILED = "filed"  #: Summaries handed to every sink.
    MISSED = "missed"  #: The meeting passed before we got in.
    REFUSED = "refused"  #: The room did not want us.
    FAILED = "failed"  #: Attempts exhausted, or nothing but a person could help.


OPEN_PHASES = frozenset(
    {Phase.JOINING, Phase.AMBIGUOUS, Phase.WAITING, Phase.LIVE, Phase.LEAVING}
)


class EndReason(enum.Enum):
    """Why a session left its room, or never got in."""

    SCHEDULED_END = "scheduled_end"
    MEETING_OVER = "meeting_over"  #: The room closed, or the engine said so.
    ROOM_EMPTY = "room_empty"
    CANCELLED = "cancelled"
    DECLINED = "declined"
    MOVED = "moved"
    LINK_CHANGED = "link_changed"
    UNWANTED = "unwanted"  #: A rule, a command or a calendar's removal.
    STOPPED_BY_USER = "stopped_by_user"
    OPTED_OUT = "opted_out"  #: Somebody doesn't want a stand-in there.
    LENGTH_CAP = "length_cap"
    SHUTDOWN = "shutdown"
    NOT_ADMITTED = "not_admitted"  #: Nobody let us in within the grace.
    DENIED = "denied"
    REMOVED = "removed"
    ENGINE_LOST = "engine_lost"
    ENGINE_REFUSED = "engine_refused"  #: Bad key, no credits, a request it will never take.
    LOST_JOIN = "lost_join"  #: The answer to a paid join was lost, and it may be running.
    TOO_LATE = "too_late"


@dataclass(frozen=True)
class SessionRecord:
    """What the ledger knows of one session, as far as deciding needs it.

    `claimed_at` is when its row was written; `give_up_at` is when a join that keeps failing
    is not tried again.
    """

    key: SessionKey
    phase: Phase
    room: Room
    engine: str
    persona: str
    join_at: datetime
    leave_by: datetime
    meetings: tuple[Meeting, ...]
    claimed_at: datetime
    give_up_at: datetime
    attempts: int = 0
    handle: SessionHandle | None = None
    retry_at: datetime | None = None
    admitted_at: datetime | None = None
    ended_at: datetime | None = None
    end_reason: EndReason | None = None
    others_present: int | None = None  #: None where the engine can't see.
    accompanied: bool = False  #: Whether anybody else was seen in its room, at any time.
    unseen: bool = (
        False  #: Whether a presence ended while nobody watched, and may have been in.
    )

    @property
    def is_open(self) -> bool:
        """Whether it holds its room: it is in, may be in, or is about to be."""
        return self.phase in OPEN_PHASES

    @property
    def is_owed_summary(self) -> bool:
        """Whether it was in its room, if only for a minute, or may have been."""
        return self.admitted_at is not None or self.unseen

    @property
    def occurrences(self) -> frozenset[OccurrenceKey]:
        return frozenset(meeting.occurrence for meeting in self.meetings)


@dataclass(frozen=True)
class Plan:
    """What should be, at one instant.

    `endings` says of each open session that isn't wanted any more why it must end; `missed`
    are stays whose time went by before they were begun.
    """

    stays: Mapping[SessionKey, Stay]
    judged: tuple[Judged, ...]
    endings: Mapping[SessionKey, EndReason]
    missed: tuple[Stay, ...] = ()


class Mark(enum.Enum):
    """What a person said about one occurrence; it outlives edits and restarts."""

    SKIP = "skip"
    STOP = "stop"
    OPT_OUT = "opt_out"  #: Of the whole series.


@dataclass(frozen=True)
class OptOut:
    """Somebody wants no stand-in in a series. `by` is empty where nobody knows who."""

    series: SeriesKey
    at: datetime
    by: str = ""
    title: str = ""


# ── what must happen now ─────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Join:
    """Claim the stay and enter. `record` is set when an earlier attempt failed."""

    stay: Stay
    record: SessionRecord | None = None


@dataclass(frozen=True)
class Adopt:
    """Nobody is attending this open session (we were restarted): take it up again."""

    record: SessionRecord


@dataclass(frozen=True)
class Amend:
    """The stay changed while we are in it: a new end, another meeting in the same room."""

    record: SessionRecord
    leave_by: datetime
    meetings: tuple[Meeting, ...]


@dataclass(frozen=True)
class Leave:
    key: SessionKey
    reason: EndReason


@dataclass(frozen=True)
class GiveUp:
    """Close a session, or a stay that never became one, without having been in."""

    key: SessionKey
    phase: Phase
    reason: EndReason
    stay: Stay | None = None


@dataclass(frozen=True)
class WriteUp:
    key: SessionKey


Action = Join | Adopt | Amend | Leave | GiveUp | WriteUp


@dataclass(frozen=True)
class Retry:
    """How often, and how far apart, a failed join is tried again."""

    delays: tuple[timedelta, ...] = (
        timedelta(seconds=5),
        timedelta(seconds=15),
        timedelta(seconds=45),
        timedelta(seconds=90),
    )

    def delay_after(self, attempts: int) -> timedelta:
        """Answer the wait after the `attempts`-th failure; the last delay repeats."""
        return self.delays[min(max(attempts, 1), len(self.delays)) - 1]
