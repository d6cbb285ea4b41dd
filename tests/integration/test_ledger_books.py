"""What calendars and people said, and summaries on their way: kept, counted, found again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from locum.core.channels import Channel, ChannelState
from locum.core.model import (
    CalendarAccess,
    Code,
    EndReason,
    EventStatus,
    Malformed,
    Mark,
    MeetingKey,
    OccurrenceKey,
    TimeWindow,
)
from locum.core.transcript import Deferral, Source, Utterance
from locum.database import write_instant
from locum.ledger import (
    Addressee,
    Database,
    Ledger,
    StaleError,
)
from locum.ledger.schema import MIGRATIONS
from locum.ports import Attendance, EngineNote, Summary
from tests.integration.ledger_rig import (
    claim,
    claimed,
    reading,
    stay,
)
from tests.unit.builders import HOME, TEN, WORK, at, event, judged
from tests.unit.drawn import pick, thorough


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    opened = Ledger(Database(path))
    yield opened
    opened.close()


# ── push channels ────────────────────────────────────────────────────────────────────────


def channel(name: str = "one", **changes: Any) -> Channel:
    base = Channel(
        id=name,
        calendar=WORK,
        address="https://locum.example.com/push",
        state=ChannelState.ASKED,
        asked_at=TEN,
        expires_at=at(600),
    )
    return replace(base, **changes)


def test_a_channel_is_kept_from_before_it_is_asked_for(ledger: Ledger) -> None:
    """What is told of it later is added; asked for again, it begins anew."""
    book = ledger.channels
    book.note_asked(channel(), "t0k3n")
    assert book.all() == (channel(),)
    book.note_opened(channel(), resource_id="res", expires_at=at(300))
    book.note_heard("one", at=at(1))
    book.note_heard("one", at=at(2))
    opened = channel(
        state=ChannelState.OPEN, resource_id="res", expires_at=at(300), heard_at=at(1)
    )
    assert book.all() == (opened,)
    book.note_asked(channel(asked_at=at(5)), "another")
    assert book.all() == (channel(asked_at=at(5)),)
    book.forget(channel())
    assert book.all() == ()


def test_a_channels_token_is_compared_and_never_kept(ledger: Ledger, path: Path) -> None:
    """The newest counts; of an unknown channel none is right, not even an empty one."""
    book = ledger.channels
    book.note_asked(channel(), "first-t0k3n")
    book.note_asked(channel(), "second-t0k3n")
    assert book.matches("one", "second-t0k3n")
    for name, token in (("one", "first-t0k3n"), ("one", ""), ("two", "second-t0k3n"), ("", "")):
        assert not book.matches(name, token)
    for kept in path.parent.iterdir():
        assert b"t0k3n" not in kept.read_bytes()


def test_one_answer_names_the_calendar_for_all_its_channels(ledger: Ledger) -> None:
    """A lost one can be stopped by it; another calendar's can't."""
    book = ledger.channels
    for lost in (channel("lost"), channel("theirs", calendar=HOME)):
        book.note_asked(lost, "t")
        book.note_lost(lost)
    book.note_asked(channel(), "t")
    book.note_opened(channel(), resource_id="res", expires_at=at(600))
    names = {each.id: (each.state.value, each.resource_id) for each in book.all()}
    assert names == {
        "lost": ("lost", "res"),
        "one": ("open", "res"),
        "theirs": ("lost", None),
    }
    book.doubt_all()
    assert {each.state for each in book.all()} == {ChannelState.LOST}


def test_a_ledger_from_before_push_gets_room_for_channels(tmp_path: Path) -> None:
    """A file of the version before is moved on, and what is in it stays."""
    old = tmp_path / "old.db"
    connection = sqlite3.connect(old)
    for script in MIGRATIONS[:3]:
        connection.executescript(script)
    connection.execute("INSERT INTO marks VALUES ('o', 'skip', '2026-11-23T10:00:00.000000Z')")
    connection.execute("PRAGMA user_version = 3")
    connection.commit()
    connection.close()
    ledger = Ledger(Database(old))
    ledger.channels.note_asked(channel(), "t")
    assert ledger.channels.all() == (channel(),)
    assert ledger.calendars.marks() == {OccurrenceKey("o"): Mark.SKIP}
    ledger.close()


# ── readings ─────────────────────────────────────────────────────────────────────────────


def titles(ledger: Ledger) -> list[str]:
    return sorted(each.event_id for each in ledger.calendars.events())


def test_a_reading_is_kept_word_for_word_and_changes_are_counted(ledger: Ledger) -> None:
    """What comes out is what went in; the same again is no change."""
    rich = event(description="d" * 5000, original_start=TEN, end=None, room_problem="x\u0000y")
    assert ledger.calendars.apply(reading(rich)).changed == 1
    assert ledger.calendars.events() == (rich,)
    assert ledger.calendars.apply(reading(rich)).changed == 0
    edited = replace(rich, title="Edited", revision="2")
    assert ledger.calendars.apply(reading(edited)).changed == 1
    assert ledger.calendars.events() == (edited,)


def test_rule_58_absent_once_is_kept_absent_twice_is_gone(ledger: Ledger) -> None:
    """A reading that suddenly lacks an event isn't believed at once."""
    ledger.calendars.apply(reading(event(), event("other", start=at(60), end=at(90))))
    once = ledger.calendars.apply(reading())
    assert (once.changed, once.unconfirmed, titles(ledger)) == (0, 2, ["other", "weekly"])
    twice = ledger.calendars.apply(reading())
    assert (twice.changed, twice.unconfirmed, titles(ledger)) == (2, 0, [])


def test_rule_58_seen_again_in_between_counts_from_the_beginning(ledger: Ledger) -> None:
    """Two absences must follow each other."""
    for events in ([event()], [], [event()], []):
        ledger.calendars.apply(reading(*events))
    assert titles(ledger) == ["weekly"]


@settings(thorough, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 4**3 - 1), min_size=1, max_size=8))
def test_rule_58_60_absence_from_one_reading_is_no_cancellation(
    ledger: Ledger, numbers: list[int]
) -> None:
    """Whatever readings follow each other: gone is what two lacked in a row, or one removed."""
    with ledger.database.transaction(durable=False):  # No example waits for the disk.
        for each in ("a", "b", "c"):
            ledger.calendars._drop(WORK, each)
        standing: dict[str, int] = {}  # How many readings in a row have lacked it.
        for number in numbers:
            said = dict(zip(("a", "b", "c"), pick(number, 4, 4, 4), strict=True))
            shown, absent, removed, unreadable = (
                [uid for uid in said if said[uid] == state] for state in range(4)
            )
            standing |= dict.fromkeys(shown, 0)
            standing |= {uid: standing[uid] + 1 for uid in absent if uid in standing}
            standing = {u: n for u, n in standing.items() if n < 2 and u not in removed}
            malformed = tuple(Malformed(uid, "no start") for uid in unreadable)
            events = [event(uid) for uid in shown]
            ledger.calendars.apply(
                reading(*events, removed_ids=tuple(removed), malformed=malformed)
            )
            known = {
                e.uid for e in ledger.calendars.events() if e.status is EventStatus.CONFIRMED
            }
            assert known == set(standing)


def test_outside_of_the_window_absence_says_nothing_new(ledger: Ledger) -> None:
    """What a reading couldn't have shown is dropped: nobody plans by it any more."""
    ledger.calendars.apply(reading(event()))
    later = TimeWindow(at(60), at(120))
    assert ledger.calendars.apply(reading(window=later)).changed == 1
    assert titles(ledger) == []


def test_rule_11_a_tombstone_without_times_cancels(ledger: Ledger) -> None:
    """`{id, status}` is enough: the event stands cancelled, once, and comes back if restored."""
    ledger.calendars.apply(reading(event()))
    gone = reading(removed_ids=("weekly", "never-seen"))
    assert ledger.calendars.apply(gone).changed == 1
    assert ledger.calendars.apply(gone).changed == 0
    [cancelled] = ledger.calendars.events()
    assert (cancelled.status, cancelled.start) == (EventStatus.CANCELLED, TEN)
    [outcome] = claim(ledger, stay())
    assert isinstance(outcome, StaleError)
    assert ledger.calendars.apply(reading(event())).changed == 1
    assert ledger.calendars.events() == (event(),)


def test_rule_60_a_malformed_event_keeps_what_was_known_of_it(ledger: Ledger) -> None:
    """It isn't absent, it is unreadable; the rest of the reading counts."""
    ledger.calendars.apply(reading(event(), event("other")))
    broken = (Malformed("weekly", "no start"),)
    for _ in range(3):
        ledger.calendars.apply(reading(malformed=broken))
    assert titles(ledger) == ["weekly"]


def test_calendars_dont_see_each_other(ledger: Ledger) -> None:
    """An empty home calendar says nothing of the work calendar's events."""
    ledger.calendars.apply(reading(event()))
    ledger.calendars.apply(reading(event(calendar=HOME), calendar=HOME))
    for _ in range(2):
        ledger.calendars.apply(reading(calendar=HOME))
    assert [each.calendar for each in ledger.calendars.events()] == [WORK]


def test_rule_60_an_unwatched_calendar_takes_its_events_with_it(ledger: Ledger) -> None:
    """Unless another calendar has them too."""
    ledger.calendars.apply(reading(event()))
    ledger.calendars.apply(reading(event(calendar=HOME), calendar=HOME))
    assert ledger.calendars.forget_calendars([HOME]) == 1
    assert [each.calendar for each in ledger.calendars.events()] == [HOME]
    assert list(ledger.calendars.states()) == [HOME]


def test_a_failure_is_news_once(ledger: Ledger) -> None:
    """Told when it begins and forgotten when a reading works; events stay meanwhile."""
    book = ledger.calendars
    book.apply(reading(event()))
    assert book.note_failure(WORK, at=at(0), problem="down")
    assert not book.note_failure(WORK, at=at(1), problem="still down" * 1000)
    state = book.states()[WORK]
    assert state.failing_since == at(0)
    assert state.problem is not None
    assert len(state.problem) == 2000
    assert titles(ledger) == ["weekly"]
    book.apply(reading(event(), access=CalendarAccess.FREE_BUSY))
    state = book.states()[WORK]
    assert (state.failing_since, state.problem) == (None, None)
    assert state.access is CalendarAccess.FREE_BUSY
    assert book.note_failure(HOME, at=at(2), problem="never read")
    assert book.states()[HOME].read_at is None


def test_a_sync_token_survives_readings(ledger: Ledger) -> None:
    """The delta lane goes on where it was."""
    ledger.calendars.apply(reading(event()))
    ledger.calendars.note_sync_token(WORK, "t1")
    ledger.calendars.apply(reading(event()))
    assert ledger.calendars.states()[WORK].sync_token == "t1"
    ledger.calendars.note_sync_token(WORK, None)
    assert ledger.calendars.states()[WORK].sync_token is None


def test_marks_are_set_changed_and_taken_back(ledger: Ledger) -> None:
    """A person's word outlives everything but their next word."""
    book, occurrence = ledger.calendars, OccurrenceKey("weekly")
    book.set_mark(occurrence, Mark.SKIP, at=TEN)
    book.set_mark(occurrence, Mark.STOP, at=at(1))
    assert book.marks() == {occurrence: Mark.STOP}
    book.set_mark(occurrence, None, at=at(2))
    assert book.marks() == {}


def test_decisions_are_found_again(ledger: Ledger) -> None:
    """By key, by meeting, by a part of the title; the newest first, with every step."""
    book = ledger.calendars
    items = judged(event(), event("other", title="100% Budget", status=EventStatus.CANCELLED))
    book.record_decisions(items, at=TEN)
    book.record_decisions(judged(event(room=None)), at=at(1))
    history = book.decisions(OccurrenceKey("weekly"))
    assert [(each.join, each.code, each.at) for each in history] == [
        (True, Code.ACCEPTED, TEN),
        (False, Code.NO_MEET_LINK, at(1)),
    ]
    assert history[0].trace[-1] == "join: the account accepted it"
    assert book.last_decisions() == {
        "weekly": (event().meeting, Code.NO_MEET_LINK),
        "other": (event("other").meeting, Code.CANCELLED),
    }
    assert book.find_occurrences("budget") == ("other",)
    assert book.find_occurrences("%") == ("weekly", "other")
    assert book.find_occurrences(event().meeting) == ("weekly",)
    assert book.find_occurrences("'; DROP TABLE decisions; --") == ()


# ── the outbox ───────────────────────────────────────────────────────────────────────────


def summary(key: str = "weekly@20261123T100000Z") -> Summary:
    [meeting] = stay().meetings
    return Summary(
        key=MeetingKey(key),
        session=stay().key,
        title=meeting.title,
        start=meeting.start,
        end=meeting.end,
        room=meeting.room,
        organizer=meeting.organizer,
        invited=("Anna",),
        persona="Robin",
        engine="stage",
        attendance=Attendance(TEN, at(29), EndReason.MEETING_OVER, "", 1),
        source="none",
        notes=(EngineNote("stage", "\u202e \u0000 😀"),),
        unknown=(),
    )


BOTH = (Addressee("notes"), Addressee("mail", can_revise=False))


def test_putting_a_summary_twice_files_it_once(ledger: Ledger) -> None:
    """A crash between putting and filing can't double it, nor undo what was filed."""
    outbox = ledger.outbox
    outbox.put(summary(), BOTH, at=TEN)
    [mail, notes] = outbox.of(stay().key)
    assert (mail.sink, notes.sink) == ("mail", "notes")
    assert outbox.summary(stay().key, summary().key) == summary()
    outbox.filed(notes, at=at(1), location="/tmp/x.md")
    outbox.failed(mail, retry_at=at(5), problem="p" * 5000)
    outbox.put(replace(summary(), title="Changed"), BOTH, at=at(2))
    [mail, notes] = outbox.of(stay().key)
    assert (notes.filed_at, notes.location, notes.attempts) == (at(1), "/tmp/x.md", 1)
    assert (mail.retry_at, mail.attempts, mail.filed_at) == (at(5), 1, None)
    assert mail.problem is not None
    assert len(mail.problem) == 2000
    [edition] = outbox.editions(stay().key).values()
    assert edition.summary.title == "Weekly sync"


def test_a_new_edition_is_filed_again_where_it_can_be(ledger: Ledger) -> None:
    """A folder gets every edition; a mail that was sent only one that says more."""
    outbox = ledger.outbox
    outbox.put(summary(), BOTH, at=TEN, material="1", said="a")
    for filing in outbox.of(stay().key):
        outbox.filed(filing, at=at(1), location="there", edition=1)
    second = replace(summary(), edition=2, title="Second")
    outbox.put(second, BOTH, at=at(2), material="2", said="a")
    [mail, notes] = outbox.of(stay().key)
    assert (mail.filed_at, notes.filed_at) == (at(1), None)
    # What was under way is the edition before: the new one still waits.
    outbox.filed(notes, at=at(3), location="there", edition=1)
    assert outbox.of(stay().key)[1].filed_at is None
    outbox.put(replace(second, edition=3), BOTH, at=at(4), material="3", said="b")
    assert [each.filed_at for each in outbox.of(stay().key)] == [None, None]
    assert [each.title for each in [outbox.summary(stay().key, summary().key)] if each] == [
        "Second"
    ]


def test_what_can_not_be_taken_back_is_held_for_a_while(ledger: Ledger) -> None:
    """A mail waits for what is awaited; `release` lets it go, `again` sends it once more."""
    held = Addressee("mail", can_revise=False, not_before=at(30))
    ledger.outbox.put(summary(), [held], at=TEN)
    [mail] = ledger.outbox.of(stay().key)
    assert mail.retry_at == at(30)
    ledger.outbox.release(stay().key, "mail")
    [mail] = ledger.outbox.open()
    assert mail.retry_at is None
    ledger.outbox.filed(mail, at=at(1), location="sent", edition=1)
    assert ledger.outbox.open() == ()
    assert ledger.outbox.again(stay().key) == 1
    assert [each.sink for each in ledger.outbox.open()] == ["mail"]


def test_a_ledger_from_before_editions_keeps_its_summaries(tmp_path: Path) -> None:
    """Each stood with every sink; now it stands once, and its filings as they were."""
    old = tmp_path / "old.db"
    connection = sqlite3.connect(old)
    for script in MIGRATIONS[:8]:
        connection.executescript(script)
    body = TypeAdapter(Summary).dump_json(summary()).decode()
    for sink in ("mail", "notes"):
        connection.execute(
            "INSERT INTO filings (meeting, session, sink, summary, put_at, filed_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (summary().key, summary().session, sink, body, write_instant(TEN), None),
        )
    connection.execute("PRAGMA user_version = 8")
    connection.commit()
    connection.close()
    ledger = Ledger(Database(old))
    assert [each.sink for each in ledger.outbox.of(stay().key)] == ["mail", "notes"]
    [edition] = ledger.outbox.editions(stay().key).values()
    assert (edition.summary, edition.put_at) == (summary(), TEN)
    ledger.close()


# ── what was said ────────────────────────────────────────────────────────────────────────


def test_what_was_said_is_kept_word_for_word(ledger: Ledger) -> None:
    """By session, in the order in which it was heard; one source can tell all anew."""
    key = claimed(ledger)
    heard = Utterance("", "Dana", "\u202e Hi 😀\u0000", at(1), at(2), Source.EARS)
    ours = Utterance("", "Robin", "Hello", at(1), None, Source.CHAT, by_us=True)
    ledger.transcripts.add(key, [heard, ours])
    ledger.transcripts.add(key, [replace(heard, text="x" * 50_000)])
    found = ledger.transcripts.of(key)
    assert [replace(each, id="") for each in found[:2]] == [heard, ours]
    assert len(found[2].text) == 20_000
    late = replace(heard, source=Source.MEET_TRANSCRIPT)
    for _ in range(2):
        ledger.transcripts.replace_source(key, Source.MEET_TRANSCRIPT, [late])
    assert [each.source for each in ledger.transcripts.of(key)] == [
        *(Source.EARS, Source.CHAT, Source.EARS),
        Source.MEET_TRANSCRIPT,
    ]
    asked = Deferral(at(2), "Dana", "Can you promise it?")
    ledger.transcripts.defer(key, [asked, replace(asked, by="")])
    assert ledger.transcripts.deferred(key) == (asked, replace(asked, by=""))
    ledger.sessions.forget_heard(key)
    assert ledger.transcripts.of(key) == ()
    assert ledger.transcripts.deferred(key) == ()


def test_the_newest_filings_come_first(ledger: Ledger) -> None:
    """For `status`, as many as asked for."""
    ledger.outbox.put(summary(), [Addressee("notes")], at=TEN)
    ledger.outbox.put(summary("later@20261123T110000Z"), [Addressee("notes")], at=at(60))
    found = [each.meeting for each in ledger.outbox.newest(1)]
    assert found == ["later@20261123T110000Z"]
