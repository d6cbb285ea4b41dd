"""What comes only after the meeting: asked for in time, over restarts, and never unasked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import pytest

from locum.clock import StageClock
from locum.core.consent import series_of
from locum.core.identity import Identity
from locum.core.model import (
    EndReason,
    Meeting,
    OptOut,
    Person,
    Phase,
    SessionHandle,
    SessionKey,
)
from locum.core.transcript import Source, Utterance
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.gathering import Gathering, GatherSetting, transcribed
from locum.ledger import Database, FetchOutcome, Ledger
from locum.ports import Clock, EngineNote, Fetched, Finding
from tests.integration.google_rig import StillClock
from tests.integration.ledger_rig import claimed, stay
from tests.unit.builders import TEN, at

LABEL = Source.MEET_TRANSCRIPT.label
TILE = "Robin (AI stand-in for Alex)"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def said(text: str, minutes: float = 5, speaker: str = "Boss") -> Utterance:
    return Utterance("", speaker, text, at(minutes), None, Source.MEET_TRANSCRIPT)


@dataclass(eq=False)
class Shelf:
    """A source that has what a test lays there: what it has, or what it raises, in turn."""

    clock: Clock
    account: str = "work"
    has: list[Fetched | LocumError | None] = field(default_factory=list)
    asked_at: list[datetime] = field(default_factory=list)
    meetings: list[Meeting] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[None]] | None = None
    source: Source = Source.MEET_TRANSCRIPT

    @property
    def name(self) -> str:
        return f"shelf:{self.account}"

    async def fetch(self, meeting: Meeting, *, ended_at: datetime) -> Fetched | None:
        assert ended_at >= meeting.start
        self.asked_at.append(self.clock.now())
        self.meetings.append(meeting)
        if self.meanwhile is not None:
            await self.meanwhile()
        await asyncio.sleep(0)
        found = self.has.pop(0) if self.has else None
        if isinstance(found, LocumError):
            raise found
        return found

    async def check(self) -> tuple[Finding, ...]:
        return ()

    async def aclose(self) -> None:
        """Nothing is open."""


@dataclass
class Rig:
    ledger: Ledger
    clock: StillClock
    shelf: Shelf
    news: list[SessionKey] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gathering = self.restarted()

    def restarted(self, *sources: Shelf) -> Gathering:
        """Begin anew over the same ledger, as after a crash."""
        setting = GatherSetting(sources=sources or (self.shelf,))
        self.gathering = Gathering(
            ledger=self.ledger, clock=self.clock, setting=setting, on_news=self.news.append
        )
        return self.gathering

    def ended(
        self, uid: str = "weekly", reason: EndReason = EndReason.SCHEDULED_END
    ) -> SessionKey:
        """Attend a meeting from ten to half past, and file what is known of it."""
        key = claimed(self.ledger, uid)
        sessions = self.ledger.sessions
        sessions.joined_as(key, Identity("d", "i", TILE, "v"))
        sessions.transition(key, Phase.LIVE, at=TEN, admitted_at=TEN, handle=SessionHandle("h"))
        sessions.transition(key, Phase.LEAVING, at=at(30), reason=reason)
        sessions.transition(key, Phase.ENDED, at=at(30), ended_at=at(30), reason=reason)
        sessions.transition(key, Phase.FILED, at=at(30))
        return key

    async def at_minute(self, minutes: float) -> None:
        """Let it be so many minutes after ten, and look."""
        self.clock.advance(at(minutes) - self.clock.now())
        self.gathering._look()
        await self.gathering._asking.wait()

    def outcome(self, key: SessionKey) -> FetchOutcome | None:
        [fetch] = self.ledger.fetches.of(key)
        return fetch.outcome

    def texts(self, key: SessionKey) -> list[str]:
        return [each.text for each in self.ledger.transcripts.of(key)]

    def awaited(self, key: SessionKey) -> tuple[str, ...]:
        record = self.ledger.sessions.get(key)
        assert record is not None
        return self.gathering.awaited(key, record.meetings[0].key)

    def none_from(self, key: SessionKey) -> tuple[str, ...]:
        record = self.ledger.sessions.get(key)
        assert record is not None
        return self.gathering.none_from(key, record.meetings[0].key)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    ledger = Ledger(Database(tmp_path / "ledger.sqlite3"))
    clock = StillClock(TEN)
    yield Rig(ledger, clock, Shelf(clock))
    ledger.close()


# ── in time ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_what_comes_is_written_down(rig: Rig) -> None:
    """Two minutes after the end it is asked; what comes is kept, and told on."""
    key = rig.ended()
    note = EngineNote("Meet", "https://docs.google.com/document/d/x/view")
    people = (Person("", "Boss"),)
    rig.shelf.has = [Fetched((said("Decided."), said("Hello.", 6, TILE)), people, (note,))]
    assert rig.awaited(key) == (LABEL,)
    await rig.at_minute(31.9)
    assert (rig.shelf.asked_at, rig.news) == ([], [])
    await rig.at_minute(32)
    assert rig.shelf.asked_at == [at(32)]
    utterances = rig.ledger.transcripts.of(key)
    assert [(each.text, each.source, each.by_us) for each in utterances] == [
        ("Decided.", Source.MEET_TRANSCRIPT, False),
        ("Hello.", Source.MEET_TRANSCRIPT, True),
    ]
    assert rig.news == [key]
    assert (rig.awaited(key), rig.none_from(key)) == ((), ())
    [fetch] = rig.ledger.fetches.of(key)
    assert (fetch.outcome, fetch.participants, fetch.notes) == (
        FetchOutcome.CAME,
        people,
        (note,),
    )
    await rig.at_minute(500)
    assert len(rig.shelf.asked_at) == 1


@pytest.mark.anyio
async def test_growing_pauses_for_a_day(rig: Rig) -> None:
    """It is asked after 2, 5, 10, 20, 40 minutes and so on, and for the last time after a day."""
    key = rig.ended()
    for minute in range(30, 30 + 24 * 60 + 60):
        await rig.at_minute(minute)
    tries = [round((when - at(30)) / MINUTE) for when in rig.shelf.asked_at]
    assert tries[:7] == [2, 7, 17, 37, 77, 157, 317]
    assert tries[-1] == 24 * 60
    assert rig.outcome(key) is FetchOutcome.GAVE_UP
    assert rig.none_from(key) == (f"{LABEL} wasn't ready in time",)
    assert rig.news == [key]


@pytest.mark.anyio
async def test_over_restarts(rig: Rig) -> None:
    """A new process goes on where the old one stood, and finds what nobody had noted yet."""
    key = rig.ended()
    rig.restarted()
    await rig.at_minute(32)
    rig.restarted()
    await rig.at_minute(33)
    assert len(rig.shelf.asked_at) == 1
    rig.shelf.has = [Fetched((said("Late."),))]
    await rig.at_minute(37)
    assert rig.texts(key) == ["Late."]


@pytest.mark.anyio
async def test_after_a_long_outage(rig: Rig) -> None:
    """What ended longer ago than a day is let be; what was awaited is asked once more."""
    rig.ended("old")
    await rig.at_minute(30 + 25 * 60)
    assert rig.shelf.asked_at == []
    assert rig.ledger.fetches.open() == ()


# ── who is never asked ───────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_opted_out(rig: Rig) -> None:
    """Of a session that somebody opted out of, nobody is asked anything."""
    key = rig.ended(reason=EndReason.OPTED_OUT)
    assert rig.awaited(key) == ()
    await rig.at_minute(40)
    assert rig.shelf.asked_at == []
    assert rig.ledger.fetches.of(key) == ()


@pytest.mark.anyio
async def test_opted_out_afterwards(rig: Rig) -> None:
    """An opt-out counts from when it is said: before a try, and in the middle of one."""
    first, second = rig.ended("one"), rig.ended("two")
    await rig.at_minute(31)
    opt_out(rig, first)
    rig.shelf.has = [Fetched((said("Not for us."),))]

    async def somebody_opts_out() -> None:
        opt_out(rig, second)

    rig.shelf.meanwhile = somebody_opts_out
    await rig.at_minute(32)
    assert len(rig.shelf.asked_at) == 1
    assert {rig.outcome(first), rig.outcome(second)} == {FetchOutcome.WITHDRAWN}
    assert rig.texts(first) == rig.texts(second) == []
    assert sorted(rig.news) == sorted([first, second])


def opt_out(rig: Rig, key: SessionKey) -> None:
    record = rig.ledger.sessions.get(key)
    assert record is not None
    series = series_of(record.meetings[0].occurrence)
    rig.ledger.calendars.opt_out(OptOut(series, rig.clock.now()))


@pytest.mark.anyio
async def test_never_in_or_of_nobodys_account(rig: Rig) -> None:
    """A meeting that we were never in, and one of another account, are nobody's business."""
    rig.shelf.account = "home"
    rig.ended()
    rig.ledger.sessions.record_missed(stay("missed"), now=at(31), reason=EndReason.TOO_LATE)
    await rig.at_minute(40)
    assert rig.shelf.asked_at == []


@pytest.mark.anyio
async def test_a_config_that_drops_it(rig: Rig) -> None:
    """What a reload takes away isn't awaited any more."""
    key = rig.ended()
    await rig.at_minute(32)
    rig.gathering.change(GatherSetting())
    await rig.at_minute(33)
    assert rig.outcome(key) is FetchOutcome.WITHDRAWN
    assert (rig.news, rig.awaited(key)) == ([key], ())


# ── once more, by hand ───────────────────────────────────────────────────────────────────

LONG_AFTER = 30 + 72 * 60


def again(rig: Rig, key: SessionKey) -> int:
    """Have it asked for once more; answers of how many sources."""
    record = rig.ledger.sessions.get(key)
    assert record is not None
    return len(rig.gathering.ask_again(record))


@pytest.mark.anyio
async def test_once_more_after_it_was_given_up(rig: Rig) -> None:
    """Each asking is one try, whose outcome stands in the record; what comes is kept."""
    key = rig.ended()
    rig.shelf.has = [PermanentError("nobody had switched it on")]
    await rig.at_minute(32)
    assert again(rig, key) == 1
    await rig.at_minute(LONG_AFTER)
    assert rig.outcome(key) is FetchOutcome.GAVE_UP
    assert rig.none_from(key) == (f"{LABEL} wasn't ready in time",)
    rig.shelf.has = [TransientError("Busy.")]
    again(rig, key)
    await rig.at_minute(LONG_AFTER + 1)
    assert rig.none_from(key) == ("Busy.",)
    rig.shelf.has = [Fetched((said("At last."),))]
    again(rig, key)
    await rig.at_minute(LONG_AFTER + 2)
    assert rig.texts(key) == ["At last."]
    assert (rig.outcome(key), rig.news) == (FetchOutcome.CAME, [key] * 4)
    assert again(rig, key) == 0
    await rig.at_minute(LONG_AFTER + 3)
    assert len(rig.shelf.asked_at) == 4


@pytest.mark.anyio
async def test_once_more_of_what_was_never_asked_or_still_is(rig: Rig) -> None:
    """After an outage of days it is asked for the first time; within its day it stays awaited."""
    fresh, old = rig.ended("fresh"), rig.ended("old")
    await rig.at_minute(32)
    rig.ledger.database.execute("DELETE FROM fetches WHERE session = ?", (old,))
    assert again(rig, fresh) == 1
    await rig.at_minute(33)
    assert len(rig.shelf.asked_at) == 3
    assert rig.awaited(fresh) == (LABEL,)
    rig.restarted()
    await rig.at_minute(LONG_AFTER)
    rig.shelf.has = [Fetched((said("Long ago."),))]
    assert again(rig, old) == 1
    await rig.at_minute(LONG_AFTER + 1)
    assert rig.texts(old) == ["Long ago."]


def test_nobody_is_asked_once_more_unwanted(rig: Rig) -> None:
    """Nor whom the config doesn't name: it says why, and what to do."""
    left, unwanted = rig.ended("left", reason=EndReason.OPTED_OUT), rig.ended("unwanted")
    opt_out(rig, unwanted)
    for key in (left, unwanted):
        with pytest.raises(PermanentError, match="opted out"):
            again(rig, key)
    rig.shelf.account = "home"
    with pytest.raises(PermanentError, match="meet_transcripts"):
        again(rig, rig.ended("theirs"))


# ── trouble ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_there_is_none(rig: Rig) -> None:
    """Its reason stands in the record, and nobody asks again."""
    key = rig.ended()
    rig.shelf.has = [PermanentError("nobody had switched on Google Meet's transcription")]
    for minute in (32, 60, 600):
        await rig.at_minute(minute)
    assert rig.outcome(key) is FetchOutcome.NONE
    assert rig.none_from(key) == ("nobody had switched on Google Meet's transcription",)
    assert len(rig.shelf.asked_at) == 1


@pytest.mark.anyio
async def test_a_person_is_needed(rig: Rig) -> None:
    """It says what to do, and asks on: once that is done, it comes."""
    key = rig.ended()
    rig.shelf.has = [HumanNeededError("No permission.", hint="Sign in again.")]
    await rig.at_minute(32)
    assert troubles(rig) == ["No permission. Sign in again."]
    assert rig.awaited(key) == (LABEL,)
    rig.shelf.has = [Fetched((said("At last."),))]
    await rig.at_minute(37)
    assert troubles(rig) == []
    assert rig.texts(key) == ["At last."]


def troubles(rig: Rig) -> list[str]:
    return list(rig.gathering.troubles)


@pytest.mark.anyio
async def test_told_to_wait(rig: Rig) -> None:
    """A server that says when to come again isn't asked before."""
    rig.ended()
    rig.shelf.has = [TransientError("Busy.", retry_after=timedelta(hours=1))]
    for minute in (32, 40, 91, 92):
        await rig.at_minute(minute)
    assert rig.shelf.asked_at == [at(32), at(92)]


@pytest.mark.anyio
async def test_a_source_that_breaks_is_asked_again(rig: Rig) -> None:
    """An error of the network's costs one try."""
    key = rig.ended()

    async def cut() -> None:
        rig.shelf.meanwhile = None
        raise OSError("cut")

    rig.shelf.meanwhile = cut
    rig.shelf.has = [Fetched((said("There."),))]
    await rig.at_minute(32)
    await rig.at_minute(37)
    assert rig.texts(key) == ["There."]


# ── several ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.anyio
async def test_two_accounts_that_have_the_same(rig: Rig) -> None:
    """What both tell stands once; that one has nothing is nobody's trouble then."""
    key = rig.ended()
    other = Shelf(rig.clock, account="home")
    record = rig.ledger.sessions.get(key)
    assert record is not None
    sightings = tuple(
        replace(record.meetings[0].sightings[0], account=a) for a in ("work", "home")
    )
    meetings = (replace(record.meetings[0], sightings=sightings),)
    rig.ledger.sessions.amend(key, leave_by=record.leave_by, meetings=meetings)
    rig.restarted(rig.shelf, other)
    rig.shelf.has = [Fetched((said("Once."),))]
    other.has = [Fetched((said("Once."), said("More.", 6)))]
    await rig.at_minute(32)
    assert rig.texts(key) == ["Once.", "More."]
    assert rig.news == [key, key]
    assert rig.none_from(key) == ()


@pytest.mark.anyio
async def test_what_was_joined_by_hand(rig: Rig) -> None:
    """No calendar has it: every account is asked."""
    key = rig.ended()
    record = rig.ledger.sessions.get(key)
    assert record is not None
    meetings = (replace(record.meetings[0], sightings=(), calendar=None),)
    rig.ledger.sessions.amend(key, leave_by=record.leave_by, meetings=meetings)
    rig.restarted(Shelf(rig.clock, account="a"), Shelf(rig.clock, account="b"))
    await rig.at_minute(31)
    assert [fetch.source for fetch in rig.ledger.fetches.of(key)] == ["shelf:a", "shelf:b"]


def test_one_transcript_with_its_people(rig: Rig) -> None:
    """What the ledger has of several sources becomes one, with attendees for names."""
    key = rig.ended()
    record = rig.ledger.sessions.get(key)
    assert record is not None
    heard = Utterance("", "Boss", "We show it on Thursday morning.", at(5), None, Source.EARS)
    rig.ledger.transcripts.add(key, [heard, said("We show it on Thursday, morning!", 5.02)])
    found = transcribed(rig.ledger.transcripts.of(key), record.meetings[0])
    [one] = found.utterances
    assert (one.id, one.text, one.source) == ("u1", heard.text, Source.EARS)
    assert one.person == record.meetings[0].organizer


@pytest.mark.anyio
async def test_by_itself(rig: Rig) -> None:
    """Running, it wakes when something is due, and not because anybody asks."""
    clock = StageClock(speed=600, epoch=at(30))
    shelf = Shelf(clock, has=[None, Fetched((said("Here."),))])
    came = asyncio.Event()
    gathering = Gathering(
        ledger=rig.ledger,
        clock=clock,
        setting=GatherSetting(sources=(shelf,)),
        on_news=lambda _: came.set(),
    )
    key = rig.ended()
    task = asyncio.ensure_future(gathering.run())
    with anyio.fail_after(30):
        await came.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert rig.texts(key) == ["Here."]
    assert [when >= at(32) for when in shelf.asked_at] == [True, True]
