"""Google's event payloads, from the plain to the hostile, become values or are named bad."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from locum.calendars.google_events import (
    ATTENDEE_LIMIT,
    DESCRIPTION_LIMIT,
    TITLE_LIMIT,
    Collected,
    PageContext,
    one_line,
    parse_item,
    zone_named,
)
from locum.core.model import (
    Answer,
    CalendarAccess,
    CalendarEvent,
    CalendarRef,
    EventKind,
    EventStatus,
    Malformed,
    Person,
)

WORK = CalendarRef("work", "primary")
BERLIN = ZoneInfo("Europe/Berlin")
CONTEXT = PageContext(WORK, zone=BERLIN)
ROOM_URL = "https://meet.google.com/abc-defg-hij"


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[misc, arg-type]


def payload(**changes: Any) -> dict[str, Any]:
    """Answer an ordinary event; a change to None leaves the key out."""
    fields: dict[str, Any] = {
        "kind": "calendar#event",
        "etag": '"3181161784712000"',
        "id": "abc123",
        "status": "confirmed",
        "iCalUID": "abc123@google.com",
        "summary": "Weekly sync",
        "start": {"dateTime": "2026-11-23T10:00:00+01:00", "timeZone": "Europe/Berlin"},
        "end": {"dateTime": "2026-11-23T10:30:00+01:00", "timeZone": "Europe/Berlin"},
        "organizer": {"email": "boss@example.com", "displayName": "Boss"},
        "hangoutLink": ROOM_URL,
    } | changes
    return {key: value for key, value in fields.items() if value is not None}


def event(context: PageContext = CONTEXT, **changes: Any) -> CalendarEvent:
    parsed = parse_item(payload(**changes), context)
    assert isinstance(parsed, CalendarEvent), parsed
    return parsed


def problem(**changes: Any) -> str:
    parsed = parse_item(payload(**changes), CONTEXT)
    assert isinstance(parsed, Malformed), parsed
    assert parsed.item_id == "abc123"
    return parsed.problem


# ── the ordinary ─────────────────────────────────────────────────────────────────────────


def test_an_ordinary_event_is_read_whole() -> None:
    """Every field that deciding needs arrives, in UTC."""
    parsed = event(
        description="Agenda: <b>all</b>",
        attendees=[
            {"email": "me@example.com", "self": True, "responseStatus": "accepted"},
            {
                "email": "boss@example.com",
                "organizer": True,
                "optional": True,
                "responseStatus": "declined",
            },
        ],
    )
    assert parsed.calendar == WORK
    assert parsed.event_id == "abc123"
    assert parsed.uid == "abc123@google.com"
    assert parsed.start == utc(2026, 11, 23, 9)
    assert parsed.start.tzinfo is timezone.utc
    assert parsed.end == utc(2026, 11, 23, 9, 30)
    assert parsed.title == "Weekly sync"
    assert parsed.description == "Agenda: <b>all</b>"
    assert parsed.original_start is None
    assert (parsed.status, parsed.kind) == (EventStatus.CONFIRMED, EventKind.MEETING)
    assert parsed.organizer == Person("boss@example.com", "Boss")
    assert parsed.answer is Answer.ACCEPTED
    assert [each.answer for each in parsed.attendees] == [Answer.ACCEPTED, Answer.DECLINED]
    assert [each.is_self for each in parsed.attendees] == [True, False]
    assert [each.is_organizer for each in parsed.attendees] == [False, True]
    assert [each.is_optional for each in parsed.attendees] == [False, True]
    assert not parsed.organized_by_self
    assert not parsed.attendees_omitted
    assert not parsed.all_day
    assert parsed.details_visible
    assert parsed.room is not None
    assert parsed.room.url == ROOM_URL


# ── when ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ({"dateTime": "2026-11-23T09:00:00Z"}, utc(2026, 11, 23, 9)),
        ({"dateTime": "2026-11-23t09:00:00.123456789z"}, utc(2026, 11, 23, 9, 0, 0, 123456)),
        (
            {"dateTime": "2026-11-23T10:00:00+01:00", "timeZone": "No/Where"},
            utc(2026, 11, 23, 9),
        ),
        (
            {"dateTime": "2026-11-23T10:00:00", "timeZone": "America/New_York"},
            utc(2026, 11, 23, 15),
        ),
        ({"dateTime": "2026-11-23T10:00:00"}, utc(2026, 11, 23, 9)),
        ({"dateTime": "2026-11-23T23:59:60Z"}, utc(2026, 11, 23, 23, 59, 59)),
        ({"dateTime": "2026-11-23T09:00:00Z", "date": "2020-01-01"}, utc(2026, 11, 23, 9)),
        # In the gap of the European spring change, the API's offset decides.
        (
            {"dateTime": "2026-03-29T02:30:00+01:00", "timeZone": "Europe/Berlin"},
            utc(2026, 3, 29, 1, 30),
        ),
    ],
)
def test_rule_33_39_times_are_read_with_their_offset_or_zone(
    moment: dict[str, str], expected: datetime
) -> None:
    """An offset wins, then the time's own zone, then the calendar's."""
    assert event(start=moment, end=None).start == expected


def test_an_all_day_event_starts_at_its_calendars_midnight() -> None:
    """A date has no instant but in a zone: the calendar's."""
    parsed = event(start={"date": "2026-11-23"}, end={"date": "2026-11-24"})
    assert parsed.all_day
    assert parsed.start == utc(2026, 11, 22, 23)
    assert parsed.end == utc(2026, 11, 23, 23)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (None, "no start"),
        ("tomorrow", "no start"),
        ({"timeZone": "UTC"}, "neither a dateTime nor a date"),
        ({"dateTime": 5}, "neither a dateTime nor a date"),
        ({"dateTime": "soon"}, "'soon' is no RFC 3339 time"),
        ({"dateTime": "2026-13-01T00:00:00Z"}, "month must be in 1..12"),
        ({"dateTime": "2026-11-23T10:00:00+99:00"}, "is no offset"),
        ({"dateTime": "2026-11-23T10:00:00", "timeZone": "No/Where"}, "time zone is unknown"),
        ({"dateTime": "2026-11-23T10:00:00", "timeZone": "/etc/passwd"}, "zone is unknown"),
        ({"dateTime": "2026-11-23T10:00:00", "timeZone": "a\x00b"}, "zone is unknown"),
        ({"dateTime": "2026-11-23T10:00:00", "timeZone": "a" * 5000}, "zone is unknown"),
        ({"dateTime": "2026-11-23T10:00:00", "timeZone": "Europe"}, "zone is unknown"),
        ({"date": "2026-02-30"}, "day is out of range"),
        ({"date": "23.11.2026"}, "is no date"),
        ({"dateTime": "9999-12-31T23:59:59-12:00"}, "the year 9999 is out of reach"),
        ({"dateTime": "9999-01-01T00:00:00Z"}, "the year 9999 is out of reach"),
        ({"dateTime": "0001-01-01T00:00:00+14:00"}, "the year 1 is out of reach"),
        ({"dateTime": "２０２６-11-23T10:00:00Z"}, "is no RFC 3339 time"),
    ],
)
def test_an_event_without_a_readable_start_is_malformed(start: object, words: str) -> None:
    """The entry names the event and says what is wrong, in one line."""
    told = problem(start=start)
    assert words in told
    assert "\n" not in told


@pytest.mark.parametrize(
    "name", ["", "No/Where", "/etc/passwd", "a\x00b", "a" * 300, "Europe", 7]
)
def test_a_name_that_is_no_zone_is_none(name: object) -> None:
    """ZoneInfo refuses in three different ways; all of them mean "unknown"."""
    assert zone_named(name) is None


@pytest.mark.parametrize(
    "change",
    [
        {"end": None},
        {"end": "later"},
        {"end": {"dateTime": "later"}},
        {"end": {"dateTime": "9999-12-31T23:59:59Z"}},
        {"end": {"dateTime": "2026-11-23T09:59:59+01:00"}},
        {"endTimeUnspecified": True},
    ],
)
def test_an_end_to_rely_on_or_none(change: dict[str, Any]) -> None:
    """A missing, unreadable or backward end is no end, and no reason to miss the meeting."""
    assert event(**change).end is None


def test_rule_17_an_end_at_the_start_stays() -> None:
    """Meetings of no length exist: the planner treats them as open."""
    parsed = event(end=payload()["start"])
    assert parsed.end == parsed.start


# ── which ────────────────────────────────────────────────────────────────────────────────


def test_rule_34_an_instance_keeps_its_original_start_when_moved() -> None:
    """The occurrence's name comes from where it was, the meeting's from where it is."""
    parsed = event(
        id="abc123_20261123T090000Z",
        recurringEventId="abc123",
        originalStartTime={"dateTime": "2026-11-23T10:00:00+01:00"},
        start={"dateTime": "2026-11-24T15:00:00+01:00"},
        end=None,
    )
    assert parsed.original_start == utc(2026, 11, 23, 9)
    assert parsed.occurrence == "abc123@google.com/20261123T090000Z"
    assert parsed.meeting == "abc123@google.com/20261123T090000Z@20261124T140000Z"


def test_a_single_event_has_no_original_start() -> None:
    """A moved single event stays the same occurrence."""
    parsed = event(originalStartTime={"dateTime": "2026-11-23T10:00:00+01:00"})
    assert parsed.original_start is None
    assert parsed.occurrence == "abc123@google.com"


@pytest.mark.parametrize(
    ("item_id", "original", "expected"),
    [
        ("abc123_20261123T083000Z", None, utc(2026, 11, 23, 8, 30)),
        ("abc123_20261123", None, utc(2026, 11, 23)),
        ("abc123_20261199T083000Z", None, utc(2026, 11, 23, 9)),
        ("odd", {"dateTime": 3}, utc(2026, 11, 23, 9)),
        ("odd", {"date": "2026-11-25"}, utc(2026, 11, 25)),
    ],
)
def test_an_instance_without_readable_original_is_still_told_apart(
    item_id: str, original: object, expected: datetime
) -> None:
    """Its id or its start say which instance it is; dates count alike on every calendar."""
    parsed = event(id=item_id, recurringEventId="abc123", originalStartTime=original)
    assert parsed.original_start == expected


def test_a_missing_uid_is_made_up_from_the_series_or_the_id() -> None:
    """Without iCalUID the event is still the same one at the next reading."""
    assert event(iCalUID=None).uid == "abc123"
    assert event(iCalUID=None, id="s_20261123T090000Z", recurringEventId="s").uid == "s"
    assert event(iCalUID=7, recurringEventId=[]).uid == "abc123"


def test_strange_ids_are_named_by_their_hash() -> None:
    """What can't be a key or be shown is replaced, always by the same name."""
    for strange in ("a\x00b", "a\ud800b", "x" * 5000, "a\u202eb"):
        first, second = event(iCalUID=strange).uid, event(iCalUID=strange).uid
        assert first == second
        assert first.startswith("sha256-")
    assert event(iCalUID="a\x00b").uid != event(iCalUID="a\x01b").uid


def test_the_revision_follows_etag_and_content() -> None:
    """An edit shows even where a server leaves the etag out, or still."""
    assert event().revision == event().revision
    assert event().revision != event(etag='"other"').revision
    assert event(etag=None).revision != event(etag=None, summary="Changed").revision
    assert event().revision != event(summary="Changed").revision


# ── tombstones, kinds, sight ─────────────────────────────────────────────────────────────


def test_rule_11_a_bare_tombstone_answers_its_id() -> None:
    """`{id, status}` is all that Google guarantees of what is gone."""
    assert parse_item({"id": "gone", "status": "cancelled"}, CONTEXT) == "gone"


def test_an_instances_tombstone_without_start_answers_its_id() -> None:
    """An original start alone doesn't say when it would have been."""
    tombstone = {
        "id": "s_20261123T090000Z",
        "status": "cancelled",
        "recurringEventId": "s",
        "originalStartTime": {"dateTime": "2026-11-23T10:00:00+01:00"},
    }
    assert parse_item(tombstone, CONTEXT) == "s_20261123T090000Z"


def test_a_full_tombstone_is_a_cancelled_event() -> None:
    """One that still says when it was can be shown as cancelled."""
    assert event(status="cancelled").status is EventStatus.CANCELLED


@pytest.mark.parametrize(
    ("event_type", "kind"),
    [
        (None, EventKind.MEETING),
        ("default", EventKind.MEETING),
        ("focusTime", EventKind.FOCUS_TIME),
        ("outOfOffice", EventKind.OUT_OF_OFFICE),
        ("workingLocation", EventKind.WORKING_LOCATION),
        ("birthday", EventKind.BIRTHDAY),
        ("fromGmail", EventKind.FROM_GMAIL),
        ("somethingNew", EventKind.OTHER),
        (["default"], EventKind.OTHER),
    ],
)
def test_rule_29_event_types_become_kinds(event_type: object, kind: EventKind) -> None:
    """A kind that Google adds tomorrow is no meeting today."""
    assert event(eventType=event_type).kind is kind


def test_rule_30_a_private_event_without_details_says_so() -> None:
    """Its time is known, and nothing else."""
    parsed = event(visibility="private", summary=None, organizer=None, hangoutLink=None)
    assert not parsed.details_visible
    assert (parsed.title, parsed.room, parsed.organizer) == ("", None, None)


def test_a_private_event_of_our_own_is_visible() -> None:
    """Private hides from others only."""
    parsed = event(visibility="private", organizer={"email": "me@example.com", "self": True})
    assert parsed.details_visible
    assert parsed.organized_by_self
    assert parsed.room is not None


@pytest.mark.parametrize("role", ["freeBusyReader", "none"])
def test_a_free_busy_calendar_shows_no_details(role: str) -> None:
    """Nothing can be joined from it, even if a link slipped through."""
    context = PageContext.of_page(WORK, {"accessRole": role, "timeZone": "Europe/Berlin"})
    assert context.access is CalendarAccess.FREE_BUSY
    parsed = event(context)
    assert not parsed.details_visible
    assert parsed.room is None


@pytest.mark.parametrize("zone", [None, "", "No/Where", 7, "/"])
def test_a_calendar_without_readable_zone_is_read_as_utc(zone: object) -> None:
    """Timed events don't need it; all-day ones get some midnight rather than none."""
    assert PageContext.of_page(WORK, {"timeZone": zone}).zone == timezone.utc


# ── who ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("attendees", "answer"),
    [
        (None, Answer.UNLISTED),
        ("everybody", Answer.UNLISTED),
        ([], Answer.UNLISTED),
        ([{"email": "other@example.com", "responseStatus": "accepted"}], Answer.UNLISTED),
        ([{"self": True, "responseStatus": "tentative"}], Answer.TENTATIVE),
        ([{"self": True, "responseStatus": "needsAction"}], Answer.UNANSWERED),
        ([{"self": True, "responseStatus": "perhaps"}], Answer.UNANSWERED),
        ([{"self": True}], Answer.UNANSWERED),
        ([{"self": "yes", "responseStatus": "accepted"}], Answer.UNLISTED),
        ([None, 7, {"self": True, "responseStatus": "declined"}], Answer.DECLINED),
    ],
)
def test_rule_24_our_answer_is_the_self_attendees(attendees: object, answer: Answer) -> None:
    """Only a real `self: true` speaks for us, and only known answers count."""
    assert event(attendees=attendees).answer is answer


def test_rooms_and_nobodies_are_no_attendees() -> None:
    """Resources and entries without a name or an address are dropped."""
    parsed = event(
        attendees=[
            {"email": "room@resource.calendar.google.com", "resource": True},
            {"responseStatus": "accepted"},
            {"displayName": "Ada"},
        ]
    )
    assert [each.person for each in parsed.attendees] == [Person("", "Ada")]
    assert not parsed.attendees_omitted


def test_a_list_without_end_is_cut_but_keeps_us() -> None:
    """Our own answer counts wherever it stands, and the cut is said."""
    crowd: list[dict[str, Any]] = [
        {"email": f"p{index}@example.com"} for index in range(ATTENDEE_LIMIT + 500)
    ]
    crowd.append({"email": "me@example.com", "self": True, "responseStatus": "accepted"})
    parsed = event(attendees=crowd)
    assert len(parsed.attendees) == ATTENDEE_LIMIT
    assert parsed.answer is Answer.ACCEPTED
    assert parsed.attendees[-1].is_self
    assert parsed.attendees_omitted


def test_an_omitted_list_is_said() -> None:
    """Google's own flag arrives."""
    assert event(attendeesOmitted=True).attendees_omitted


# ── texts ────────────────────────────────────────────────────────────────────────────────


def test_a_title_is_one_plain_line() -> None:
    """No control or direction characters, no line breaks, no lone surrogates, 300 at most."""
    assert event(summary="A\x00\u202eevil\u2066 \r\n\tB\u2028C\ud800").title == "Aevil B C?"
    assert len(event(summary="x" * 10_000).title) == TITLE_LIMIT
    assert event(summary=["x"]).title == ""
    assert event(summary="Fête 👩‍💻 \u0645\u0631\u062d\u0628\u0627").title == "Fête 👩‍💻 مرحبا"


def test_a_description_keeps_its_lines_and_its_html() -> None:
    """It is text for people and models: only what can't be shown goes."""
    text = "<p>One</p>\nTwo\t\x00\u202eThree\ud800"
    assert event(description=text).description == "<p>One</p>\nTwo\tThree?"
    assert len(event(description="x" * 200_000).description) == DESCRIPTION_LIMIT


def test_names_can_be_shown_too() -> None:
    """An attendee's name is as hostile as a title."""
    parsed = event(organizer={"email": "a\u202eb@example.com\n", "displayName": "x" * 9999})
    assert parsed.organizer == Person("ab@example.com", "x" * 200)


def test_sanitising_a_huge_text_is_quick() -> None:
    """Cost follows the limit, not the text."""
    began = time.process_time()
    one_line("\u202e" * 50_000_000, limit=300)
    assert time.process_time() - began < 0.5


# ── where ────────────────────────────────────────────────────────────────────────────────


def test_rule_47_the_conferences_video_entry_comes_first() -> None:
    """The order of the fields is the core's; here they only must arrive."""
    parsed = event(
        conferenceData={
            "entryPoints": [
                {"entryPointType": "phone", "uri": "tel:+49123"},
                {"entryPointType": "video", "uri": "https://meet.google.com/xxx-yyyy-zzz"},
            ]
        }
    )
    assert parsed.room is not None
    assert parsed.room.code == "xxx-yyyy-zzz"


def test_location_and_description_are_searched() -> None:
    """A link pasted anywhere counts."""
    assert event(hangoutLink=None, location=ROOM_URL).room is not None
    assert (
        event(hangoutLink=None, description=f"<a href='{ROOM_URL}'>Join</a>").room is not None
    )


@pytest.mark.parametrize("hidden", ["\x00", "\u202e", "\u200b", "\ud800"])
def test_what_is_cleaned_out_of_texts_makes_no_link_good(hidden: str) -> None:
    """A link that only exists once a hidden character is gone is refused, with a reason."""
    parsed = event(hangoutLink=f"https://meet.google.com/abc{hidden}-defg-hij")
    assert parsed.room is None
    assert parsed.room_problem
    assert parsed.room_problem.isprintable()


def test_a_pending_conference_is_no_missing_one() -> None:
    """The link is on its way: the next reading has it."""
    pending = {"createRequest": {"status": {"statusCode": "pending"}}}
    parsed = event(hangoutLink=None, conferenceData=pending)
    assert parsed.room is None
    assert parsed.room_problem == "its Meet link is still being made"
    assert event(conferenceData=pending).room is not None


# ── pages ────────────────────────────────────────────────────────────────────────────────


def test_rule_60_one_malformed_event_spoils_nothing() -> None:
    """The rest of the page is applied."""
    collected = Collected()
    collected.add(
        [payload(id="a"), payload(id="b", start=7), {"id": "c", "status": "cancelled"}, 5],
        CONTEXT,
    )
    assert list(collected.events) == ["a"]
    assert list(collected.removed) == ["c"]
    assert [each.item_id for each in collected.malformed.values()] == ["b", "(no id)"]


def test_the_last_word_on_an_id_counts() -> None:
    """An event that changed between two pages stands in one place only."""
    collected = Collected()
    collected.add([payload(id="a"), {"id": "b", "status": "cancelled"}], CONTEXT)
    collected.add([{"id": "a", "status": "cancelled"}, payload(id="b")], CONTEXT)
    assert list(collected.events) == ["b"]
    assert list(collected.removed) == ["a"]
    collected.add([payload(id="b", start=None)], CONTEXT)
    assert not collected.events
    assert list(collected.malformed) == ["b"]


# ── anything ─────────────────────────────────────────────────────────────────────────────

_TEXTS = st.sampled_from(
    [
        "", "abc123_20261123T083000Z", "cancelled", "private", "declined", "focusTime",
        "2026-11-23T10:00:00Z", "2026-11-23T10:00:00", "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59", "0001-01-01", "2026-11-23", "Europe/Berlin", "../..", "/",
        "https://meet.google.com/abc-defg-hij", "https://meet.google.com/abc\x00-defg-hij",
        "\ud800", "\x00", "\u202e\u2066\n", "x" * 2000, "http://[", "&#x110000;",
    ]
)  # fmt: skip
_KEYS = st.sampled_from(
    [
        "id", "status", "etag", "iCalUID", "recurringEventId", "originalStartTime", "start",
        "end", "endTimeUnspecified", "summary", "description", "location", "hangoutLink",
        "conferenceData", "entryPoints", "entryPointType", "uri", "createRequest", "statusCode",
        "organizer", "attendees", "email", "displayName", "self", "resource", "optional",
        "responseStatus", "attendeesOmitted", "eventType", "visibility", "dateTime", "date",
        "timeZone",
    ]
)  # fmt: skip
_LEAVES: st.SearchStrategy[object] = st.sampled_from(
    [None, True, False, 0, -1, 10**30, float("nan"), float("inf"), [], {}]
)
_PLAIN = _TEXTS | _LEAVES
_OBJECTS = st.dictionaries(_KEYS, _PLAIN, max_size=3)
_VALUES = st.one_of(
    _PLAIN,
    _OBJECTS,
    st.lists(_PLAIN | _OBJECTS, max_size=2),
    st.builds(lambda date, zone: {"dateTime": date, "timeZone": zone}, _TEXTS, _PLAIN),
    st.builds(lambda uri: {"entryPoints": [{"entryPointType": "video", "uri": uri}]}, _PLAIN),
)


@given(
    changes=st.dictionaries(_KEYS, _VALUES, max_size=5),
    page=st.fixed_dictionaries({}, optional={"accessRole": _VALUES, "timeZone": _VALUES}),
)
@settings(max_examples=1000, derandomize=True, deadline=None)
@example(changes={"start": {"dateTime": "9999-12-31T23:59:59-23:59"}}, page={})
@example(changes={"start": {"date": "0001-01-01"}, "iCalUID": "\ud800"}, page={})
@example(changes={"visibility": [], "eventType": {}, "status": []}, page={"accessRole": []})
def test_no_event_makes_the_parser_raise(
    changes: dict[str, object], page: dict[str, object]
) -> None:
    """However an event is bent, it is an event, a removed id or a malformed entry."""
    check_outcome(payload() | changes, page)


@given(
    item=st.recursive(
        _LEAVES | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
        max_leaves=6,
    )
)
@settings(max_examples=200, derandomize=True, deadline=None)
def test_no_json_at_all_makes_the_parser_raise(item: object) -> None:
    """Even what is no event is told apart from one."""
    check_outcome(item, {})


def check_outcome(item: object, page: dict[str, object]) -> None:
    """Parse, and try what the rest of locum does with the outcome."""
    match parse_item(item, PageContext.of_page(WORK, page)):
        case CalendarEvent() as parsed:
            # Storable, printable, and safe to reckon with.
            for text in (parsed.title, parsed.description, parsed.uid, parsed.event_id):
                text.encode("utf-8")
            assert not set(parsed.title) & set("\x00\n\r\u202e\u2066")
            assert parsed.end is None or parsed.end >= parsed.start
            parsed.start + timedelta(days=300)
            assert parsed.meeting.startswith(parsed.uid)
            assert replace(parsed) == parsed
        case Malformed() as bad:
            assert bad.item_id
            assert bad.problem.isprintable()
        case removed_id:
            assert removed_id.isprintable()


def test_a_payload_nested_without_end_is_read() -> None:
    """Depth is no way to take the reader down."""
    deep: Any = "x"
    for _ in range(50_000):
        deep = [deep]
    assert event(etag=None, conferenceData=deep, attendees=deep).event_id == "abc123"


# ── its page ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("host", ["www", "calendar"])
def test_the_events_own_page_is_kept(host: str) -> None:
    """Where a person looks at it, and declines it."""
    page = f"https://{host}.google.com/calendar/event?eid=YWJjMTIz_x-y"

    assert event(htmlLink=page).link == page


@pytest.mark.parametrize(
    "page",
    [
        None,
        7,
        "http://www.google.com/calendar/event?eid=YWJj",
        "https://www.google.com.evil.test/calendar/event?eid=YWJj",
        "https://www.google.com@evil.test/calendar/event?eid=YWJj",
        "https://www.google.com/url?q=https://evil.test",
        "https://www.google.com/calendar/event?eid=YWJj\nhttps://evil.test",
        "https://www.google.com/calendar/event?eid=YWJj&next=https://evil.test",
        "https://www.google.com/calendar/event?eid=" + "x" * 3000,
    ],
)
def test_any_other_address_is_no_page(page: object) -> None:
    """A link that is shown to the owner as the event's is Google's, or there is none."""
    assert event(htmlLink=page).link == ""
