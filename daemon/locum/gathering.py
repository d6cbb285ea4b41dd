"""Asks for what is known of a meeting only after it: transcripts that others make.

What is to be asked stands in the ledger, so a restart forgets nothing. Each source is asked by
a task of its own, with growing pauses, for a day; what comes is written down, and whoever
writes summaries is told. Of a meeting that somebody opted out of, nobody is asked anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import anyio
import structlog

from locum.composing import attended
from locum.core.consent import series_of
from locum.core.merging import merged
from locum.core.model import (
    BY_HAND,
    EndReason,
    Meeting,
    MeetingKey,
    Person,
    SessionKey,
    SessionRecord,
)
from locum.core.speakers import identified, is_stand_in
from locum.core.transcript import Transcript, Utterance
from locum.errors import HumanNeededError, LocumError, PermanentError, TransientError
from locum.ledger import Fetch, FetchOutcome, Ledger, identity_of
from locum.ports import Clock, Fetched, TranscriptSource
from locum.tasks import Tasks

_log = structlog.get_logger(__name__)

_GROWTH = (1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0)
"""How the pauses grow, of the first one: 2 minutes, 5, 10, 20, 40 …"""

_PAUSE_S = 0.25
_LOOK_S = 60.0
"""The longest wait for what is due, in the host's seconds: its clock may have jumped."""

_LONGEST_FETCH_S = 900.0
"""Sources bound their asking themselves; this is for one that doesn't."""

_MOST_UTTERANCES = 60_000


@dataclass(frozen=True)
class GatherSetting:
    """What a reload may exchange. The times are those of `[transcripts]`."""

    sources: tuple[TranscriptSource, ...] = ()
    first_after: timedelta = timedelta(minutes=2)
    give_up_after: timedelta = timedelta(days=1)

    def pause_after(self, attempts: int) -> timedelta:
        """Answer the wait after so many tries that brought nothing."""
        return self.first_after * _GROWTH[min(attempts, len(_GROWTH) - 1)]

    def sources_of(self, meeting: Meeting) -> tuple[TranscriptSource, ...]:
        """Answer who may know of a meeting: the accounts that it was seen with.

        What was joined by hand no calendar has: then anybody may.
        """
        accounts = {each.account for each in (*meeting.sightings, meeting.calendar) if each}
        if accounts <= {BY_HAND.account}:
            return self.sources
        return tuple(source for source in self.sources if source.account in accounts)


class Gathering:
    """Looks whenever asked, and asks what is due. Times between tries are the clock's."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        setting: GatherSetting,
        on_news: Callable[[SessionKey], None],
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._setting = setting
        self._on_news = on_news
        self._asked = asyncio.Event()
        self._asking = Tasks()
        self._considered: set[SessionKey] = set()

    # ── what others call ─────────────────────────────────────────────────────────────────

    def ask(self) -> None:
        """Ask for a look. Many at once become one."""
        self._asked.set()

    def change(self, setting: GatherSetting) -> None:
        self._setting = setting
        self._considered.clear()
        self.ask()

    def awaited(self, session: SessionKey, meeting: MeetingKey) -> tuple[str, ...]:
        """Name the sources that may still tell more of an ended meeting."""
        try:
            record = self._ledger.sessions.get(session)
            if record is not None and record.ended_at is not None:
                self._expect(record)
            fetches = self._ledger.fetches.of(session, meeting)
        except TransientError as error:
            _log.error("ledger_write_failed", problem=str(error))
            return ()
        found = (fetch.label for fetch in fetches if fetch.outcome is None)
        return tuple(dict.fromkeys(found))

    def none_from(self, session: SessionKey, meeting: MeetingKey) -> tuple[str, ...]:
        """Say of the others why they have nothing; of one source, what its luckiest account says."""
        fetches = self._ledger.fetches.of(session, meeting)
        came = {fetch.label for fetch in fetches if fetch.outcome is FetchOutcome.CAME}
        failed = {FetchOutcome.NONE, FetchOutcome.GAVE_UP}
        found = (
            fetch.problem
            for fetch in fetches
            if fetch.outcome in failed and fetch.label not in came
        )
        return tuple(dict.fromkeys(each for each in found if each))

    def ask_again(self, record: SessionRecord) -> tuple[Fetch, ...]:
        """Have each source that told nothing of a session asked now, however long ago it ended.

        Once its time is over it gets this one try. Answers what is asked, as it stood before;
        nothing where all have told what they know.

        Raises:
            PermanentError: Nobody can be asked about it, or may be.
        """
        self._expect(record, late=True)
        names = {source.name for source in self._setting.sources}
        known = [
            fetch
            for fetch in self._ledger.fetches.of(record.key)
            if fetch.source in names and self._meeting_of(fetch) is not None
        ]
        if not known:
            raise PermanentError(self._why_nobody(record))
        asked = tuple(each for each in known if each.outcome is not FetchOutcome.CAME)
        for fetch in asked:
            self._ledger.fetches.reopen(fetch, at=self._clock.now())
        self.ask()
        return asked

    def _why_nobody(self, record: SessionRecord) -> str:
        if record.end_reason is EndReason.OPTED_OUT or any(
            self._is_unwanted(meeting) for meeting in record.meetings
        ):
            return "Somebody opted out of it, so nobody is asked about it. See `locum opt-out`."
        return (
            "Nobody can be asked for its transcript: the config names no account for that which "
            "has it. Set meet_transcripts = true in its [[calendar.accounts]]."
        )

    @property
    def troubles(self) -> tuple[str, ...]:
        """Answer what a person must do before what is awaited can come."""
        found = (each.problem for each in self._ledger.fetches.open() if each.needs_person)
        return tuple(dict.fromkeys(found))

    async def run(self) -> None:
        """Look whenever asked, and when something is due, until cancelled."""
        try:
            while True:
                self._asked.clear()
                wait_s = self._look_or_log()
                with anyio.move_on_after(wait_s):
                    await self._asked.wait()
                await asyncio.sleep(_PAUSE_S)
        finally:
            await self._asking.cancel()

    # ── one look ─────────────────────────────────────────────────────────────────────────

    def _look_or_log(self) -> float | None:
        """Look; answers after how many of the host's seconds the next look is due."""
        try:
            return self._look()
        except LocumError as error:
            _log.error("gathering_put_off", problem=str(error))
        except Exception:  # noqa: BLE001 - The task's outermost frame: what is due later must be asked.
            _log.exception("gathering_failed")
        return _LOOK_S

    def _look(self) -> float | None:
        now = self._clock.now()
        self._expect_all(now)
        by_name = {source.name: source for source in self._setting.sources}
        waits = []
        for fetch in self._ledger.fetches.open():
            source = by_name.get(fetch.source)
            if source is None:
                self._settle(fetch, FetchOutcome.WITHDRAWN, "the config doesn't ask for it now")
            elif fetch.next_at <= now:
                self._asking.start(source.name, self._serve(source))
            else:
                waits.append(self._clock.host_duration(fetch.next_at - now).total_seconds())
        return min([*waits, _LOOK_S]) if waits or self._asking.names() else None

    def _expect_all(self, now: datetime) -> None:
        if not self._setting.sources:
            return
        since = now - self._setting.give_up_after
        for key in self._ledger.fetches.unasked(since):
            if key in self._considered:
                continue
            self._considered.add(key)
            record = self._ledger.sessions.get(key)
            if record is not None:
                self._expect(record)

    def _expect(self, record: SessionRecord, *, late: bool = False) -> None:
        """Write down who is to be asked about a session that is over, if anybody.

        With `late`, even where it is too late for that.
        """
        if record.admitted_at is None or record.ended_at is None:
            return
        if record.end_reason is EndReason.OPTED_OUT:
            return
        setting = self._setting
        deadline = record.ended_at + setting.give_up_after
        if deadline <= self._clock.now() and not late:
            return
        for meeting in attended(record, record.ended_at):
            for source in () if self._is_unwanted(meeting) else setting.sources_of(meeting):
                self._ledger.fetches.put(
                    Fetch(
                        session=record.key,
                        meeting=meeting.key,
                        source=source.name,
                        label=source.source.label,
                        next_at=record.ended_at + setting.first_after,
                        deadline=deadline,
                    )
                )

    def _is_unwanted(self, meeting: Meeting) -> bool:
        series = series_of(meeting.occurrence)
        return any(each.series == series for each in self._ledger.calendars.opt_outs())

    # ── asking ───────────────────────────────────────────────────────────────────────────

    async def _serve(self, source: TranscriptSource) -> None:
        """Ask a source for all that is due, one after the other."""
        try:
            while (fetch := self._next_for(source)) is not None:
                with structlog.contextvars.bound_contextvars(session_key=fetch.session):
                    await self._ask_one(source, fetch)
        except TransientError as error:
            # The ledger's own: what is due stays due.
            _log.error("ledger_write_failed", problem=str(error))
            await asyncio.sleep(_LOOK_S)
        self.ask()

    def _next_for(self, source: TranscriptSource) -> Fetch | None:
        if source not in self._setting.sources:
            return None  # A reload has dropped it, or exchanged it.
        now = self._clock.now()
        for fetch in self._ledger.fetches.open():
            if fetch.source == source.name and fetch.next_at <= now:
                return fetch
        return None

    async def _ask_one(self, source: TranscriptSource, fetch: Fetch) -> None:
        found = self._meeting_of(fetch)
        if found is None:
            self._settle(fetch, FetchOutcome.WITHDRAWN, "it isn't to be asked for any more")
            return
        record, meeting = found
        try:
            with anyio.fail_after(_LONGEST_FETCH_S):
                came = await source.fetch(meeting, ended_at=record.ended_at or meeting.end)
        except PermanentError as error:
            self._settle(fetch, FetchOutcome.NONE, str(error))
        except HumanNeededError as error:
            self._postpone(fetch, str(error), needs_person=True)
        except TransientError as error:
            self._postpone(fetch, str(error), at_least=error.retry_after)
        except OSError as error:  # That nobody answers in time is one, too.
            self._postpone(fetch, f"{source.name}: {str(error) or 'no answer in time'}")
        else:
            if came is None:
                self._postpone(fetch, "")
            elif self._meeting_of(fetch) is None:  # Somebody opted out meanwhile.
                self._settle(fetch, FetchOutcome.WITHDRAWN, "it isn't to be asked for any more")
            else:
                self._take(record, source, fetch, came)

    def _meeting_of(self, fetch: Fetch) -> tuple[SessionRecord, Meeting] | None:
        """Answer what a fetch is for, unless nobody may be asked about it."""
        record = self._ledger.sessions.get(fetch.session)
        if record is None or record.end_reason is EndReason.OPTED_OUT:
            return None
        for meeting in record.meetings:
            if meeting.key == fetch.meeting and not self._is_unwanted(meeting):
                return record, meeting
        return None

    def _postpone(
        self,
        fetch: Fetch,
        problem: str,
        *,
        at_least: timedelta = timedelta(0),
        needs_person: bool = False,
    ) -> None:
        now = self._clock.now()
        if now >= fetch.deadline:
            told = problem or f"{fetch.label} wasn't ready in time"
            self._settle(fetch, FetchOutcome.GAVE_UP, told)
            return
        wait = max(self._setting.pause_after(fetch.attempts + 1), at_least)
        self._ledger.fetches.postpone(
            fetch,
            next_at=min(now + wait, fetch.deadline),
            problem=problem,
            needs_person=needs_person,
        )
        log = _log.warning if problem else _log.info
        log("transcript_awaited", source=fetch.source, problem=problem or None)

    def _settle(self, fetch: Fetch, outcome: FetchOutcome, problem: str) -> None:
        now = self._clock.now()
        self._ledger.fetches.settle(fetch, outcome, at=now, problem=problem)
        _log.info("transcript_settled", source=fetch.source, outcome=outcome.value, why=problem)
        self._on_news(fetch.session)

    def _take(
        self, record: SessionRecord, source: TranscriptSource, fetch: Fetch, came: Fetched
    ) -> None:
        """Write down what came, in one commit with that it came."""
        ledger = self._ledger
        own = identity_of(ledger.sessions.attempts(record.key))
        utterances = [
            replace(
                each,
                source=source.source,
                by_us=each.by_us or is_stand_in(each.speaker, own.tile if own else ""),
            )
            for each in came.utterances
        ]
        with ledger.database.transaction():
            known = (u for u in ledger.transcripts.of(record.key) if u.source is source.source)
            told = _union(known, utterances)
            ledger.transcripts.replace_source(record.key, source.source, told)
            ledger.fetches.settle(
                fetch,
                FetchOutcome.CAME,
                at=self._clock.now(),
                participants=came.participants,
                notes=came.notes,
            )
        _log.info("transcript_came", source=fetch.source, utterances=len(came.utterances))
        self._on_news(record.key)


def _union(known: Iterable[Utterance], came: Iterable[Utterance]) -> list[Utterance]:
    """Put together what one source told of several meetings in a room, or to several accounts."""
    found = {(each.at, each.speaker, each.text): each for each in (*known, *came)}
    return list(found.values())[:_MOST_UTTERANCES]


def transcribed(
    utterances: Sequence[Utterance], meeting: Meeting, *, contacts: Sequence[Person] = ()
) -> Transcript:
    """Make one transcript of what every source has of a meeting, and say who is who."""
    people = [attendee.person for attendee in meeting.attendees]
    if meeting.organizer is not None:
        people.append(meeting.organizer)
    return merged(identified(utterances, people, contacts=contacts))
