"""What the owner is told and when: pure, on a present that each test makes up."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locum.core.model import (
    CalendarEvent,
    EndReason,
    EventStatus,
    Mark,
    MeetingKey,
    OccurrenceKey,
    Phase,
    SessionHandle,
    SessionKey,
    SessionRecord,
)
from locum.core.notice_texts import foreign, own, skip_command
from locum.core.notices import (
    CalendarTrouble,
    ConfigTrouble,
    Due,
    EngineTrouble,
    Kind,
    Notice,
    OverBudget,
    Present,
    Rules,
    SessionNews,
    Severity,
    Told,
    due,
)
from locum.core.requests import Request
from tests.unit.builders import (
    LEAD,
    OTHER_ROOM,
    TEN,
    at,
    ended,
    event,
    meeting,
    plan,
    policy,
    record,
    room,
)

PHONE, MAIL = "phone", "mail"
LONG_AGO = TEN - timedelta(days=9)
RULES = Rules(
    before=timedelta(minutes=10),
    kinds=frozenset(Kind),
    since=LONG_AGO,
    lead=LEAD,
    prices={"stage": 0.275},
    max_length=timedelta(hours=4),
    zone=timezone(timedelta(hours=1), "CET"),
)
EVERY = settings(derandomize=True, max_examples=1000, deadline=None)


class Owner:
    """Somebody who is told: keeps what came, as the ledger and its targets do."""

    def __init__(self, rules: Rules = RULES, *, reachable: bool = True) -> None:
        self.rules = rules
        self.reachable = reachable
        self.told: dict[str, Told] = {}
        self.notices: list[Notice] = []
        self.withdrawn: list[str] = []

    def look(self, present: Present) -> list[Notice]:
        found = due(present, self.told.values(), self.rules)
        self._withdraw(found)
        for notice in found.notices:
            self._take(notice)
        self.notices += found.notices
        return list(found.notices)

    def see(
        self,
        events: Iterable[CalendarEvent],
        minutes: float,
        *,
        marks: dict[OccurrenceKey, Mark] | None = None,
        records: tuple[SessionRecord, ...] = (),
        **others: Any,
    ) -> list[Notice]:
        """Look at a calendar, so many minutes after ten."""
        now = at(minutes)
        return self.look(
            Present(
                now=now,
                plan=plan(events, now, marks=marks, records=records),
                begun=frozenset(m.key for each in records for m in each.meetings),
                **others,
            )
        )

    def hear(self, news: SessionNews, minutes: float = 40) -> list[Notice]:
        """Look at one session."""
        return self.look(Present(now=at(minutes), plan=plan((), at(minutes)), sessions=(news,)))

    def arrived(self) -> None:
        """What waited has come."""
        for key, told in self.told.items():
            if told.pending:
                reached = frozenset({PHONE, MAIL})
                self.told[key] = replace(told, reached=reached, pending=False)

    def _withdraw(self, found: Due) -> None:
        self.withdrawn += found.withdrawn
        for key in found.withdrawn:
            self.told[key] = replace(self.told[key], pending=False)

    def _take(self, notice: Notice) -> None:
        targets = frozenset({PHONE, MAIL}) if notice.only_to is None else notice.only_to
        for key, subject in ((notice.key, notice.subject), *notice.also_told):
            self.told[key] = Told(
                key=key,
                kind=notice.kind,
                subject=subject,
                name=notice.name,
                starts_at=notice.starts_at,
                reached=targets if self.reachable else frozenset(),
                pending=not self.reachable and bool(targets),
            )


def kinds(notices: Iterable[Notice]) -> list[Kind]:
    return [notice.kind for notice in notices]


# ── before a join ────────────────────────────────────────────────────────────────────────


def test_a_join_is_told_so_long_before_it_and_once() -> None:
    """Not a second earlier than ten minutes before the join, and never again."""
    owner = Owner()

    assert owner.see([event()], -10.51) == []
    assert kinds(owner.see([event()], -10.5)) == [Kind.BEFORE]
    assert owner.see([event()], -10.5) == []
    assert owner.see([event()], -1) == []


def test_what_a_person_needs_to_decide_is_in_it() -> None:
    """When, who goes by what, why, at what cost, and how to keep it away."""
    link = "https://www.google.com/calendar/event?eid=abc"

    [notice] = Owner(replace(RULES, options=" --config /etc/locum.toml")).see(
        [event(link=link)], -10
    )

    assert notice.title == 'Going to "Weekly sync" at 11:00'
    assert notice.body.splitlines() == [
        "It starts Mon 23 Nov, 11:00 CET, in 10 min; robin goes in at 10:59:30, by stage.",
        "Why: the account accepted it.",
        "Costs at most $8.53.",
        "Organizer: Boss",
        "Room: https://meet.google.com/abc-defg-hij",
        f"Event: {link}",
        "Not wanted? Decline the invitation, or: locum skip --config /etc/locum.toml weekly",
    ]
    assert notice.severity is Severity.INFO
    assert notice.expires_at == TEN - LEAD


def test_first_seen_late_is_told_at_once() -> None:
    """Invited four minutes ahead: told now, worth something until the join."""
    [notice] = Owner().see([event()], -4)

    assert "in 4 min" in notice.body


@pytest.mark.parametrize("minutes", [-0.5, 0, 10])
def test_once_it_goes_in_there_is_nothing_to_tell_ahead(minutes: float) -> None:
    """From the join on, a notice of it is worthless."""
    assert Owner().see([event()], minutes) == []


def test_zero_is_never() -> None:
    """`before = "0s"` tells of no join."""
    owner = Owner(replace(RULES, before=timedelta(0)))

    assert [owner.see([event()], minutes) for minutes in (-10.5, -5, -0.5)] == [[], [], []]


def test_what_follows_in_the_same_room_is_told_in_its_own_time() -> None:
    """Two meetings of one presence are two notices."""
    owner = Owner()
    events = [event(), event("next", start=at(30), end=at(60), title="Next")]

    assert [n.name for n in owner.see(events, -10)] == ["Weekly sync"]
    assert [n.name for n in owner.see(events, 20)] == ["Next"]


def test_skipped_meetings_are_not_told() -> None:
    """Declined, cancelled or skipped before: silence."""
    owner = Owner()

    assert owner.see([event(status=EventStatus.CANCELLED)], -10) == []
    assert owner.see([event()], -10, marks={OccurrenceKey("weekly"): Mark.SKIP}) == []


# ── and it won't, after all ──────────────────────────────────────────────────────────────


def test_cancelled_after_it_was_told() -> None:
    """Who was told that it goes is told that it doesn't, with the reason, once."""
    owner = Owner()
    owner.see([event()], -10)

    [notice] = owner.see([event(status=EventStatus.CANCELLED)], -5)

    assert (notice.kind, notice.title) == (
        Kind.CALLED_OFF,
        'Not going to "Weekly sync" at 11:00',
    )
    assert notice.body == "Why: the event is cancelled."
    assert owner.see([event(status=EventStatus.CANCELLED)], -4) == []


def test_deleted_without_a_trace() -> None:
    """An event that no calendar shows any more is called off as well."""
    owner = Owner()
    owner.see([event()], -10)

    [notice] = owner.see([], -5)

    assert notice.body == "Why: it isn't in the calendar any more."


def test_only_who_was_told_is_told_the_contrary() -> None:
    """What waits is withdrawn, and takes the contradiction with it."""
    owner = Owner(reachable=False)
    [first] = owner.see([event()], -10)

    assert owner.see([], -9) == []
    assert owner.withdrawn == [first.key]

    owner.told[first.key] = replace(owner.told[first.key], reached=frozenset({MAIL}))
    [notice] = owner.see([], -8)
    assert notice.only_to == frozenset({MAIL})


def test_skipped_and_taken_back() -> None:
    """On, off, on, off: each turn is told."""
    owner = Owner()
    skip = {OccurrenceKey("weekly"): Mark.SKIP}

    found = [
        owner.see([event()], -10),
        owner.see([event()], -9, marks=skip),
        owner.see([event()], -8),
        owner.see([event()], -7, marks=skip),
        owner.see([event()], -6),
    ]

    expected = [Kind.BEFORE, Kind.CALLED_OFF, Kind.BEFORE, Kind.CALLED_OFF, Kind.BEFORE]
    assert [kinds(each) for each in found] == [[kind] for kind in expected]


def test_moved_far_is_called_off_and_told_again() -> None:
    """In the afternoon now: that is said at once, and again ten minutes before it."""
    owner = Owner()
    owner.see([event()], -10)
    moved = [event(start=at(240), end=at(270))]

    [off] = owner.see(moved, -5)
    assert off.kind is Kind.CALLED_OFF
    assert (
        off.body == "It was moved to Mon 23 Nov, 15:00 CET.\nAnother notice comes before that."
    )
    [again] = owner.see(moved, 230)
    assert again.kind is Kind.BEFORE
    assert "moved" not in again.body


def test_moved_by_minutes_is_one_notice() -> None:
    """Five minutes later: the new notice says that it was moved; nothing is called off."""
    owner = Owner()
    owner.see([event()], -10)

    [notice] = owner.see([event(start=at(5), end=at(35))], -5)

    assert (notice.kind, notice.starts_at) == (Kind.BEFORE, at(5))
    assert "It was moved: you were told Mon 23 Nov, 11:00 CET." in notice.body


def test_moved_away_and_back() -> None:
    """Each new start is told; the first one again too."""
    owner = Owner()
    there, away = [event()], [event(start=at(120), end=at(150))]

    found = [owner.see(there, -10), owner.see(away, -9), owner.see(there, -8)]

    assert [kinds(each) for each in found] == [[Kind.BEFORE], [Kind.CALLED_OFF], [Kind.BEFORE]]


def test_what_it_went_to_isnt_called_off() -> None:
    """Tried at the join and given up before the start: that is told as missed, not twice."""
    owner = Owner()
    owner.see([event()], -10)
    tried = ended(EndReason.ENGINE_REFUSED, at(-0.4), phase=Phase.FAILED, admitted_at=None)

    assert owner.see([event()], -0.3, records=(tried,)) == []


def test_a_room_that_changed_goes_on() -> None:
    """Another link at the same time is the same promise."""
    owner = Owner()
    owner.see([event()], -10)

    assert owner.see([event(room=OTHER_ROOM)], -5) == []


# ── what became of it ────────────────────────────────────────────────────────────────────

REASONS = {
    EndReason.TOO_LATE: Kind.MISSED,
    EndReason.NOT_ADMITTED: Kind.MISSED,
    EndReason.ENGINE_LOST: Kind.MISSED,
    EndReason.ENGINE_REFUSED: Kind.MISSED,
    EndReason.LOST_JOIN: Kind.MISSED,
    EndReason.DENIED: Kind.REFUSED,
    EndReason.REMOVED: Kind.REFUSED,
    EndReason.OPTED_OUT: Kind.REFUSED,
    EndReason.MEETING_OVER: Kind.MISSED,
    EndReason.ROOM_EMPTY: Kind.MISSED,
    EndReason.SCHEDULED_END: Kind.MISSED,
    EndReason.LENGTH_CAP: Kind.MISSED,
    EndReason.CANCELLED: None,
    EndReason.DECLINED: None,
    EndReason.MOVED: None,
    EndReason.LINK_CHANGED: None,
    EndReason.UNWANTED: None,
    EndReason.STOPPED_BY_USER: None,
    EndReason.SHUTDOWN: None,
}


@pytest.mark.parametrize("reason", EndReason)
def test_every_end_without_having_been_in(reason: EndReason) -> None:
    """What nobody wanted any more is no news; all else is, once, with the reason."""
    over = ended(reason, at(30), phase=Phase.FAILED, admitted_at=None)
    news = SessionNews(over, detail="said the engine")
    owner = Owner()

    found = owner.hear(news)

    assert kinds(found) == [each for each in [REASONS[reason]] if each is not None]
    assert all("said the engine" in notice.body for notice in found)
    assert owner.hear(news) == []


WORTH_A_WORD = {
    EndReason.REMOVED: Kind.REFUSED,
    EndReason.OPTED_OUT: Kind.REFUSED,
    EndReason.DENIED: Kind.REFUSED,
    EndReason.ENGINE_LOST: Kind.MISSED,
    EndReason.ENGINE_REFUSED: Kind.MISSED,
    EndReason.NOT_ADMITTED: Kind.MISSED,
    EndReason.LOST_JOIN: Kind.MISSED,
    EndReason.TOO_LATE: Kind.MISSED,
}


@pytest.mark.parametrize("reason", EndReason)
def test_every_end_after_having_been_in(reason: EndReason) -> None:
    """A meeting that was attended to its end is no news; to be thrown out or dropped is."""
    found = Owner().hear(SessionNews(ended(reason, at(30))))

    assert kinds(found) == [WORTH_A_WORD[each] for each in [reason] if each in WORTH_A_WORD]


def test_a_meeting_missed_while_down() -> None:
    """Rule 51: back after its end, with a notice."""
    missed = record(
        phase=Phase.MISSED, end_reason=EndReason.TOO_LATE, ended_at=at(55), attempts=0
    )

    [notice] = Owner().hear(SessionNews(missed), 56)

    assert notice.title == 'Missed "Weekly sync"'
    assert "Nobody was there for you: Mon 23 Nov, 11:00 CET to 11:30" in notice.body
    assert "locum was down" in notice.body
    assert notice.severity is Severity.FAILURE


def test_a_presence_that_nobody_saw() -> None:
    """Over when locum came back: neither "missed" nor "was there" is known, and it says so."""
    lost = record(
        phase=Phase.FILED, end_reason=EndReason.ENGINE_LOST, ended_at=at(25), unseen=True
    )

    [notice] = Owner().hear(SessionNews(lost), 26)

    assert (notice.kind, notice.title) == (Kind.MISSED, 'Lost sight of "Weekly sync"')
    assert "whether it was in, and until when, isn't known" in notice.body
    assert "Nobody was there" not in notice.body


def test_removed_once_is_told_as_for_good() -> None:
    """Rule 28: it isn't going there again, and says so."""
    [notice] = Owner().hear(SessionNews(ended(EndReason.REMOVED, at(10))))

    assert notice.title == 'Removed from "Weekly sync"'
    assert "It won't go there again." in notice.body


def test_a_suspected_orphan_says_what_to_do() -> None:
    """A join whose answer was lost: the room, and where to look."""
    lost = ended(EndReason.LOST_JOIN, at(5), phase=Phase.FAILED, admitted_at=None)

    found = Owner().hear(SessionNews(lost, unnamed=True))

    assert kinds(found) == [Kind.ORPHAN, Kind.MISSED]
    assert "https://meet.google.com/abc-defg-hij" in found[0].body
    assert "put it out" in found[0].body


def test_old_ends_are_no_news() -> None:
    """Neither after a day, nor from before somebody wanted to be told."""
    news = SessionNews(ended(EndReason.REMOVED, at(30)))

    assert Owner().hear(news, 30 + 24 * 60 + 1) == []
    assert Owner(replace(RULES, since=at(31))).hear(news, 32) == []


HANDLE = {"handle": SessionHandle("h")}


def test_a_session_that_cant_be_ended() -> None:
    """Leaving for three minutes is told; for less, it may still work."""
    leaving = record(phase=Phase.LEAVING, end_reason=EndReason.CANCELLED, **HANDLE)
    owner = Owner()

    assert owner.hear(SessionNews(leaving, since=at(10)), 12.9) == []
    [notice] = owner.hear(SessionNews(leaving, since=at(10), detail="503"), 13)
    assert notice.kind is Kind.LEFT_RUNNING
    assert "its end isn't proved. 503" in notice.body
    assert owner.hear(SessionNews(leaving, since=at(10)), 14) == []


def test_a_session_past_its_end() -> None:
    """Live, and five minutes over: it should have left by itself."""
    live = record(**HANDLE)

    assert Owner().hear(SessionNews(live), 34) == []
    assert kinds(Owner().hear(SessionNews(live), 35)) == [Kind.LEFT_RUNNING]


def test_a_session_that_no_engine_reaches() -> None:
    """Its engine was taken out of the config: told at once, with the way back."""
    [notice] = Owner().hear(SessionNews(record(**HANDLE), unreachable=True), 5)

    assert notice.kind is Kind.LEFT_RUNNING
    assert 'no engine "stage"' in notice.body


def test_what_goes_well_is_quiet() -> None:
    """A live session, and one that ended as planned, are nobody's worry."""
    owner = Owner()

    assert owner.hear(SessionNews(record(**HANDLE)), 10) == []
    assert owner.hear(SessionNews(ended(EndReason.SCHEDULED_END, at(30)))) == []


def test_a_filed_summary() -> None:
    """Where it is, for those who want that."""
    news = SessionNews(ended(EndReason.SCHEDULED_END, at(30)), filed=("/home/me/a.md",))

    [notice] = Owner().hear(news)

    assert (notice.kind, notice.body) == (Kind.FILED, "/home/me/a.md")
    assert Owner(replace(RULES, kinds=RULES.kinds - {Kind.FILED})).hear(news) == []


# ── money ────────────────────────────────────────────────────────────────────────────────


def test_over_budget() -> None:
    """Which cap, how far it is used up, and what to do; once a meeting."""
    owner = Owner()
    refused = OverBudget(
        MeetingKey("weekly@x"), "Weekly", TEN, "over budget: at most $5.00 a day"
    )

    [notice] = owner.see((), -0.5, over_budget=(refused,))

    assert notice.title == 'Over budget: not going to "Weekly"'
    assert "at most $5.00 a day" in notice.body
    assert owner.see((), -0.4, over_budget=(refused,)) == []


def test_credits_seen_ahead_and_at_the_join_are_one_notice() -> None:
    """The top-up link comes while it helps, and doesn't come again when the join fails."""
    owner = Owner()
    problem = "4 credits left. Top up at pay.example: https://pay.example/x?token=1#a"
    waits = record(
        phase=Phase.JOINING,
        end_reason=EndReason.ENGINE_REFUSED,
        retry_at=at(1),
    )

    [notice] = owner.see((), -10, engines=(EngineTrouble("stage", TEN, problem),))

    assert problem in notice.body
    assert owner.hear(SessionNews(waits, detail=problem), 0.5) == []
    assert kinds(Owner().hear(SessionNews(waits, detail=problem), 0.5)) == [Kind.CREDITS]


# ── what lasts ───────────────────────────────────────────────────────────────────────────

WATCHED = frozenset({"work/primary", "work/team"})


def failing(calendar: str = "work/primary", minutes: float = 0) -> CalendarTrouble:
    return CalendarTrouble(calendar, calendar.partition("/")[0], at(minutes), "Sign in again.")


def test_rule_59_one_alert_when_it_begins_and_one_when_it_ends() -> None:
    """However many looks fail; what lasts five minutes is worth a word."""
    owner = Owner()

    assert owner.see((), 4.9, calendars=WATCHED, failing=(failing(),)) == []
    [begun] = owner.see((), 5, calendars=WATCHED, failing=(failing(),))
    assert begun.title == "The calendar work/primary can't be read"
    assert "Sign in again." in begun.body
    assert owner.see((), 60, calendars=WATCHED, failing=(failing(),)) == []
    [over] = owner.see((), 61, calendars=WATCHED)
    assert over.title == "The calendar work/primary can be read again"
    assert owner.see((), 62, calendars=WATCHED) == []
    assert len(owner.see((), 80, calendars=WATCHED, failing=(failing(minutes=70),))) == 1


def test_one_sign_in_is_one_notice() -> None:
    """Two calendars of one account fail and come back together: one message each way."""
    owner = Owner()
    both = (failing(), failing("work/team", 1))

    [begun] = owner.see((), 7, calendars=WATCHED, failing=both)
    assert begun.title == "2 calendars (work/primary …) can't be read"
    [over] = owner.see((), 9, calendars=WATCHED)
    assert over.title == "2 calendars (work/primary …) can be read again"


def test_rule_60_another_calendar_is_another_alert() -> None:
    """One that has long been gone hides no other that goes too."""
    owner = Owner()
    owner.see((), 7, calendars=WATCHED, failing=(failing(),))

    [other] = owner.see(
        (), 90, calendars=WATCHED, failing=(failing(), failing("work/team", 80))
    )

    assert other.title == "The calendar work/team can't be read"


def test_a_calendar_that_the_config_drops_is_not_readable_again() -> None:
    """That it ended is noted, and told to nobody."""
    owner = Owner()
    owner.see((), 7, calendars=WATCHED, failing=(failing(),))

    [over] = owner.see((), 9, calendars=frozenset())

    assert over.only_to == frozenset()


def test_a_rejected_config_is_told_once_it_stays() -> None:
    """Half a thought that is saved is nobody's news; a minute later it is, once."""
    owner = Owner()
    bad = ConfigTrouble(TEN, ("locum.toml:3: attend.leed: unknown key",))

    assert owner.see((), 0.9, config=bad) == []
    [notice] = owner.see((), 1, config=bad)
    assert "attend.leed" in notice.body
    assert owner.see((), 5, config=replace(bad, problems=("another",))) == []
    [over] = owner.see((), 6)
    assert over.only_to == frozenset()
    assert kinds(owner.see((), 9, config=replace(bad, since=at(7)))) == [Kind.CONFIG]


def test_a_restored_ledger() -> None:
    """That joins wait is told, and that they don't any more."""
    owner = Owner()

    assert kinds(owner.see((), 1, recovered_at=TEN)) == [Kind.LEDGER]
    assert owner.see((), 2, recovered_at=TEN) == []
    [over] = owner.see((), 3)
    assert over.title == "The ledger agrees with the world again"
    assert owner.see((), 4) == []


def asked(**others: Any) -> Request:
    fields: dict[str, Any] = {
        "id": "k3f9a2",
        "session": SessionKey("s"),
        "persona": "robin",
        "title": "Weekly",
        "tool": "deploy",
        "what": "deploy --to staging",
        "asked_by": "Kim",
        "at": TEN,
        "expires_at": at(20),
    }
    return Request(**{**fields, **others})


def test_what_it_asks_for_is_told_once_with_the_way_to_answer() -> None:
    """A request names who asked, what would run, and both answers; a stranger's words are tame."""
    owner = Owner()

    [notice] = owner.see((), 1, requests=(asked(asked_by="Kim [x](https://evil.test)"),))

    assert notice.kind is Kind.APPROVAL
    assert "locum approve k3f9a2" in notice.body
    assert "locum deny k3f9a2" in notice.body
    assert "deploy --to staging" in notice.body
    assert "https://evil.test" not in notice.body
    assert notice.expires_at == at(20)
    assert owner.see((), 2, requests=(asked(),)) == []


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_can_be_muted(kind: Kind) -> None:
    """What is left out of the kinds is never told."""
    owner = Owner(replace(RULES, kinds=RULES.kinds - {kind}))
    owner.see([event()], -10)
    everything = Present(
        now=at(1),
        plan=plan([event("other", start=at(5), end=at(9), room=room("aaa-aaaa-aaa"))], at(1)),
        sessions=(
            SessionNews(ended(EndReason.REMOVED, TEN)),
            SessionNews(
                ended(EndReason.LOST_JOIN, TEN, phase=Phase.FAILED, admitted_at=None),
                unnamed=True,
            ),
            SessionNews(record(meeting("x"), **HANDLE), unreachable=True),
            SessionNews(ended(EndReason.SCHEDULED_END, TEN), filed=("a",)),
        ),
        over_budget=(OverBudget(MeetingKey("w@x"), "W", TEN, "x"),),
        failing=(failing(minutes=-10),),
        engines=(EngineTrouble("stage", TEN, "x"),),
        config=ConfigTrouble(at(-9), ("x",)),
        recovered_at=at(-1),
        requests=(asked(),),
    )
    # Before its start, so that it can be called off.
    early = replace(everything, now=at(-1))

    told = {each.kind for each in (*owner.look(early), *owner.look(everything), *owner.notices)}

    assert told == set(Kind) - {kind} - ({Kind.CALLED_OFF} if kind is Kind.BEFORE else set())


# ── hostile words ────────────────────────────────────────────────────────────────────────

HOSTILE = {
    "Pay [here](https://evil.test/pay)": "Pay (here)(https //evil.test/pay)",
    "<!channel> <b>now</b>": "‹!channel› ‹b›now‹/b›",
    "@everyone and me@example.com": "＠everyone and me@example.com",
    "a\r\nRoom: https://evil.test": "a Room: https //evil.test",
    "\u202efdp.exe\u2066": "\ufffdfdp.exe\ufffd",
    "\x1b[2J\x00 hi\u200b": "\ufffd(2J\ufffd hi\ufffd",
    "||hidden|| `code`": "¦¦hidden¦¦ 'code'",
    "Go to WWW.evil.test": "Go to www evil.test",
    "R&D #4: 50 % of x_y*z": "R&D #4: 50 % of x_y*z",
}


@pytest.mark.parametrize(("title", "shown"), HOSTILE.items())
def test_strangers_words_make_nothing_happen(title: str, shown: str) -> None:
    """No link, mention, markup, line or direction of theirs reaches a screen as such."""
    assert foreign(title) == shown
    [notice] = Owner().see([event(title=title)], -10)
    assert notice.title == f'Going to "{shown}" at 11:00'


@given(st.text(max_size=400))
@EVERY
def test_whatever_a_title_is_it_is_one_short_line(title: str) -> None:
    """For any text: printable, bounded, one line, without what links are made of."""
    shown = foreign(title, 80)

    assert len(shown) <= 80 + 4  # "www." may become longer by its blank.
    assert shown.isprintable()
    assert not set("[]<>`|") & set(shown)
    assert "://" not in shown


@given(st.text(max_size=2000))
@EVERY
def test_our_own_words_stay_within_their_limit(text: str) -> None:
    """An engine's message is cut and cleaned, but its link is kept."""
    assert len(own(text)) <= 900
    assert own(text).isprintable()


def test_an_endless_title_is_cut() -> None:
    """A megabyte of title is eighty characters of it."""
    [notice] = Owner().see([event(title="x" * 1_000_000)], -10)

    assert len(notice.title) < 120


@pytest.mark.parametrize(
    "uid", ["$(rm -rf ~)", "a; reboot", "it's", "-u", "--undo", "`id`", "a b", "*", "~root"]
)
def test_the_command_is_safe_to_paste(uid: str) -> None:
    """An id is the sender's to choose; a shell sees one plain argument."""
    command = skip_command(OccurrenceKey(uid))

    assert command is not None
    words = shlex.split(command)
    assert words[:2] == ["locum", "skip"]
    assert words[-1] == uid
    assert words[2:-1] == (["--"] if uid.startswith("-") else [])


@pytest.mark.parametrize("uid", ["a\nb", "a\u202eb", "ä", "x" * 400])
def test_an_id_that_nobody_can_type_gets_no_command(uid: str) -> None:
    """Declining still works."""
    [notice] = Owner().see([event(uid)], -10)

    assert skip_command(OccurrenceKey(uid)) is None
    assert notice.body.endswith("Not wanted? Decline the invitation.")


def test_what_an_id_says_cant_name_another_meeting() -> None:
    """An id that looks like a key with a start is taken for what it is."""
    owner = Owner()
    odd = event("weekly@20261123T100000Z")

    assert kinds(owner.see([odd], -10)) == [Kind.BEFORE]
    assert owner.see([odd], -9) == []
    assert kinds(owner.see([], -8)) == [Kind.CALLED_OFF]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["plain", "moved", "cancelled", "skipped", "gone"]),
            st.integers(1, 4),
        ),
        max_size=12,
    )
)
@EVERY
def test_the_last_word_is_always_true(steps: list[tuple[str, int]]) -> None:
    """However often it changes: what was told last of a start is what holds, and no key comes twice."""
    owner = Owner()
    minutes = -10.0
    shown: list[CalendarEvent] = []
    marks: dict[OccurrenceKey, Mark] = {}
    for what, wait in steps:
        minutes += wait / 5
        marks = {OccurrenceKey("weekly"): Mark.SKIP} if what == "skipped" else {}
        shown = {
            "moved": [event(start=at(60), end=at(90))],
            "cancelled": [event(status=EventStatus.CANCELLED)],
            "gone": [],
        }.get(what, [event()])
        owner.see(shown, minutes, marks=marks)
    wanted = plan(shown, at(minutes), marks=marks).stays
    goes_at_ten = any(m.start == TEN for stay in wanted.values() for m in stay.meetings)

    about_ten = [each for each in owner.notices if each.starts_at == TEN]
    keys = [each.key for each in owner.notices]
    assert len(keys) == len(set(keys))
    last = about_ten[-1].kind if about_ten else Kind.CALLED_OFF
    assert (last is Kind.BEFORE) == goes_at_ten


def test_times_are_written_in_the_owners_zone() -> None:
    """The zone is the caller's; without one's own name it stays a plain time."""
    rules = replace(RULES, zone=timezone(timedelta(hours=-5), "EST"))

    [notice] = Owner(rules).see([event()], -10)

    assert notice.title.endswith("at 05:00")
    assert datetime(2026, 11, 23, 5, tzinfo=rules.zone) == TEN
    assert policy().lead == LEAD
