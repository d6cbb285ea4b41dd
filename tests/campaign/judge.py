"""Was the daemon where it should have been, and nowhere else? Judged by the stage's books.

The rules are told anew here, in a few plain lines each, and with the benefit of every doubt:
only what no fault could excuse counts against the daemon.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from locum.core.model import EndReason, Phase, SessionRecord
from locum.core.money import OVERTIME, started_minutes
from tests.campaign.books import FINAL, Span
from tests.campaign.diary import Occurrence, Version
from tests.campaign.life import POLICY, PRICE, SINKS
from tests.campaign.world import BASE, World

_SECOND = timedelta(seconds=1)
_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
"""The most that the host's clock goes wrong by."""

_A_WHILE = timedelta(seconds=15)
"""Who was in for less may have come in between the last look and our leaving."""

_CALM = timedelta(seconds=150)
"""So long without trouble is enough to get in: the longest wait between tries is 90 s."""

_LONGEST_BACKOFF = timedelta(minutes=17)


@dataclass(frozen=True)
class Presence:
    """One session of the service, as its own books have it."""

    id: str
    room: str
    began: datetime
    over: datetime
    is_live: bool
    entered: datetime | None
    why_out: str

    def __str__(self) -> str:
        return f"{self.id[:9]} in {self.room} from {_at(self.began)}"


@dataclass
class Verdict:
    due: int = 0
    findings: dict[str, list[str]] = field(default_factory=dict)

    def find(self, kind: str, what: str) -> None:
        self.findings.setdefault(kind, []).append(what)

    def count(self, kind: str) -> int:
        return len(self.findings.get(kind, []))


KINDS = ("missed", "double", "orphans", "lost", "overspend")
ALSO = ("uninvited", "early", "broken")


def judged(world: World) -> Verdict:
    """Judge a world that was played."""
    judge = _Judge(world)
    judge.presence_where_due()
    judge.never_two_in_a_room()
    judge.nothing_left_running()
    judge.nothing_lost()
    judge.never_over_budget()
    judge.never_uninvited()
    judge.never_early()
    for each in world.story.breakages:
        judge.verdict.find("broken", each)
    return judge.verdict


class _Judge:
    def __init__(self, world: World) -> None:
        self._world = world
        self._excuses = world.excuses
        self._told = world.told
        self._presences = tuple(_presences(world))
        self._twins = tuple(_twins(world.folder))
        self.verdict = Verdict()

    @property
    def _near(self) -> list[Span]:
        """When a presence may have been lost, or taken away."""
        return [*self._excuses.engine, *self._excuses.people, *self._excuses.down]

    # ── never missed ─────────────────────────────────────────────────────────────────────

    def presence_where_due(self) -> None:
        for one in self._world.diary.occurrences:
            for version, until in one.spans(self._world.ended):
                if self._is_due(one, version, until):
                    self.verdict.due += 1
                    self._check_due(one, version)

    def _check_due(self, one: Occurrence, version: Version) -> None:
        latest = min(version.until, version.start + POLICY.grace + 3 * _MINUTE)
        there = [
            each
            for each in self._presences
            if each.room == version.room
            and each.entered is not None
            and each.entered <= latest
            and each.over > version.start - POLICY.lead - 2 * _SECOND
        ]
        what = f"{one.name} at {_at(version.start)} in {version.room}"
        if not there:
            self.verdict.find("missed", what)
        elif not self._is_filed(one, there):
            self.verdict.find("lost", f"{what}: no summary")

    def _is_due(self, one: Occurrence, version: Version, until: datetime) -> bool:
        """Whether it must be attended, with every excuse taken."""
        opens = max(version.since, version.start - POLICY.lead)
        closes = min(version.start + POLICY.grace, version.until)
        begun_before = any(
            each.start == version.start and each.since < version.since for each in one.versions
        )
        if not version.wanted or until < closes or (begun_before and opens == version.since):
            return False
        if self._world.schedule.cap is not None:
            return False  # It may cost too much.
        known = self._known_by(version.since, closes)
        if known is None:
            return False
        calm = self._calm_until(max(opens, known), closes - _CALM)
        return calm and not self._declared_lost(version)

    def _known_by(self, since: datetime, closes: datetime) -> datetime | None:
        """Answer when the daemon knew this version, or could have; None if it couldn't."""
        for read in self._world.gate.good_reads:
            if since <= read < closes and not _touch(self._excuses.down, read, read + _MINUTE):
                return read + 2 * _SECOND
        bad = [*self._excuses.google, *self._excuses.down, *self._excuses.clock]
        reachable = _first_gap(bad, since, closes, _LONGEST_BACKOFF)
        return None if reachable is None else reachable + _LONGEST_BACKOFF

    def _calm_until(self, opens: datetime, closes: datetime) -> bool:
        bad = [*self._near, *self._excuses.clock]
        return _first_gap(bad, opens, closes, _CALM) is not None

    def _declared_lost(self, version: Version) -> bool:
        """Whether a join of it was lost and is declared so: then nobody may try again."""
        return any(
            record.end_reason is EndReason.LOST_JOIN
            and record.room.code == version.room
            and record.claimed_at < version.until
            and (record.ended_at or self._world.ended) > version.start - POLICY.lead - _MINUTE
            and self._was_lost(record)
            for record in self._told.records
        )

    def _was_lost(self, record: SessionRecord) -> bool:
        """Whether something did happen by which a join can have been lost."""
        until = record.ended_at or self._world.ended
        moments = [*self._excuses.lost_joins, *self._excuses.deaths]
        return any(record.claimed_at - _MINUTE <= each <= until for each in moments)

    # ── never twice, never left running ──────────────────────────────────────────────────

    def never_two_in_a_room(self) -> None:
        for number, one in enumerate(self._presences):
            for other in self._presences[number + 1 :]:
                both = one.room == other.room and one.began < other.over
                if both and other.began < one.over:
                    if self._is_declared(one) or self._is_declared(other):
                        continue
                    what = f"{one}; {other}"
                    self.verdict.find("double", what)

    def nothing_left_running(self) -> None:
        for each in self._presences:
            if each.is_live and not self._is_declared(each):
                self.verdict.find("orphans", str(each))

    def _is_declared(self, presence: Presence) -> bool:
        """Whether it has no name in the ledger, and the ledger tells a person to look for it."""
        return presence.id not in self._told.named and any(
            record.end_reason is EndReason.LOST_JOIN
            and record.room.code == presence.room
            and record.claimed_at - _MINUTE <= presence.began
            and presence.began <= self._ended(record)
            for record in self._told.records
        )

    def _ended(self, record: SessionRecord) -> datetime:
        """Answer when a session ended, at the latest: the host's clock may have been slow."""
        if record.ended_at is None:
            return self._world.ended
        slow = [
            last
            for first, last in self._excuses.clock
            if record.ended_at - _HOUR <= last and first <= record.ended_at + _HOUR
        ]
        return max([record.ended_at, *slow])

    # ── nothing lost ─────────────────────────────────────────────────────────────────────

    def nothing_lost(self) -> None:
        entered = {each.id for each in self._presences if each.entered is not None}
        stayed = {
            each.id
            for each in self._presences
            if each.entered is not None and each.over - each.entered > _A_WHILE
        }
        for record in self._told.records:
            if record.phase not in FINAL or record.end_reason is None:
                reason = record.end_reason.value if record.end_reason else "no reason"
                self.verdict.find("lost", f"{record.key} ends {record.phase.value}, {reason}")
            was_in = bool(self._told.handles[record.key] & entered)
            may_know = record.admitted_at is not None
            may_know = may_know or bool(self._told.handles[record.key] & stayed)
            if was_in and record.phase is not Phase.FILED and may_know:
                self.verdict.find("lost", f"{record.key} was in and is {record.phase.value}")
            if record.phase is Phase.FILED:
                self._check_filings(record)

    def _check_filings(self, record: SessionRecord) -> None:
        for meeting in record.meetings:
            began = meeting is record.meetings[0] or meeting.start < (record.ended_at or BASE)
            filed = [
                each
                for each in self._told.filings
                if (each.session, each.meeting) == (record.key, meeting.key)
                and each.filed_at is not None
            ]
            sinks = sorted(each.sink for each in filed)
            if sinks != (sorted(SINKS) if began else []):
                self.verdict.find("lost", f"{meeting.key} of {record.key} is filed in {sinks}")
            for sink in SINKS if began else ():
                files = self._twins.count((sink, record.key, meeting.key))
                if files != 1:
                    self.verdict.find("lost", f"{meeting.key}: {files} files in {sink}")

    def _is_filed(self, one: Occurrence, there: list[Presence]) -> bool:
        """Whether a session that was there tells of it, at whatever start it had in the end."""
        inside = {each.id for each in there}
        keys = {key for key, handles in self._told.handles.items() if handles & inside}
        sinks = {
            sink
            for sink, session, meeting in self._twins
            if session in keys and meeting.startswith(f"{one.uid}@")
        }
        return sinks == set(SINKS) or not keys

    # ── never over budget ────────────────────────────────────────────────────────────────

    def never_over_budget(self) -> None:
        """What was meant to be spent, by the stage's bills, stays under the cap.

        What nobody could end, because the daemon was down or the service wouldn't, isn't meant;
        nor is what a wrong clock made too long or too short.
        """
        cap = self._world.schedule.cap
        by_id = {each.id: each for each in self._presences}
        spent = sum(
            started_minutes(min(there.over, record.leave_by + OVERTIME) - there.began) * PRICE
            for record in self._told.records
            for handle in self._told.handles[record.key]
            if (there := by_id.get(handle)) is not None
            and not _touch(self._excuses.clock, there.began, there.over)
        )
        if cap is not None and spent > cap + 0.001:
            self.verdict.find("overspend", f"{spent:.2f} of {cap:.2f} dollars")

    # ── never uninvited ──────────────────────────────────────────────────────────────────

    def never_uninvited(self) -> None:
        for each in self._presences:
            if not any(
                self._may_enter(one, version, until, each)
                for one in self._world.diary.occurrences
                for version, until in one.spans(self._world.ended)
            ):
                self.verdict.find("uninvited", str(each))

    def _may_enter(
        self, one: Occurrence, version: Version, until: datetime, presence: Presence
    ) -> bool:
        """Whether the calendar, as it was last seen, asked for this, and nobody said no."""
        at = presence.began
        blind = [*self._excuses.engine, *self._excuses.down, *self._excuses.clock]
        if one.sent_away(version) and until < at and not _touch(blind, until - _MINUTE, at):
            return False
        seen = [each for each in self._world.gate.good_reads if each < at - 15 * _SECOND]
        oldest = seen[-2] if len(seen) > 1 else BASE
        if self._near_trouble(at):
            oldest -= 5 * _MINUTE
        if _touch(self._excuses.clock, at - 2 * _MINUTE, at):
            return True
        asked = version.wanted and version.room == presence.room
        opens = version.start - POLICY.lead - 5 * _SECOND
        valid = version.since <= at and until >= oldest
        return asked and valid and opens <= at < version.until + 10 * _SECOND

    def _near_trouble(self, at: datetime) -> bool:
        return _touch(self._near, at - _MINUTE, at)

    # ── never early ──────────────────────────────────────────────────────────────────────

    def never_early(self) -> None:
        """Who left a room by our own call, while a meeting that we knew well went on there?"""
        for each in self._presences:
            if each.is_live or each.entered is None or each.why_out != "left":
                continue
            left = each.over
            before = left - 5 * _MINUTE
            bad = [*self._near, *self._excuses.clock]
            bad += [(at, at + 2 * _MINUTE) for at in self._excuses.stops]
            capped = left - self._claimed(each) > POLICY.max_length - 2 * _MINUTE
            if capped or self._is_paid_up(each, left) or _touch(bad, before, left):
                continue
            for one in self._world.diary.occurrences:
                for version, until in one.spans(self._world.ended):
                    running = version.start <= before and left < version.until - _MINUTE
                    steady = self._was_read(version.since, before) and until > left
                    meant = version.wanted and version.room == each.room
                    if running and steady and meant and not self._declared_lost(version):
                        what = f"{each} left {one.name} at {_at(left)}"
                        self.verdict.find("early", what)

    def _was_read(self, since: datetime, before: datetime) -> bool:
        """Whether the calendar was shown, as it is from `since` on, before that instant."""
        return any(since <= each < before for each in self._world.gate.good_reads)

    def _claimed(self, presence: Presence) -> datetime:
        """Answer when the daemon claimed what became this: its cap counts from there."""
        record = self._record_of(presence)
        return presence.began if record is None else record.claimed_at

    def _is_paid_up(self, presence: Presence, left: datetime) -> bool:
        """Whether no more could be paid: what follows in the room didn't fit the budget."""
        record = self._record_of(presence)
        has_cap = self._world.schedule.cap is not None
        return has_cap and record is not None and record.leave_by <= left

    def _record_of(self, presence: Presence) -> SessionRecord | None:
        for record in self._told.records:
            if presence.id in self._told.handles[record.key]:
                return record
        return None


# ── the stage's books ────────────────────────────────────────────────────────────────────


def _presences(world: World) -> Iterator[Presence]:
    for session in world.pika.sessions():
        kept = world.pika._sessions[session.id]
        visit = None if kept.visit is None else world.rooms.visit(kept.visit)
        yield Presence(
            id=session.id,
            room=session.request.room,
            began=session.started,
            over=session.ended or world.ended,
            is_live=session.live,
            entered=None if visit is None else visit.entered_at,
            why_out="" if visit is None else visit.why_out,
        )


def _twins(folder: Path) -> Iterator[tuple[str, str, str]]:
    for sink in SINKS:
        for path in sorted((folder / sink).rglob("*.json")):
            twin: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            yield sink, str(twin["session"]), str(twin["key"])


def _at(instant: datetime) -> str:
    minutes = (instant - BASE).total_seconds() / 60
    return f"{minutes:.2f} min"


# ── spans of time ────────────────────────────────────────────────────────────────────────


def _touch(spans: Iterable[Span], begin: datetime, end: datetime) -> bool:
    return any(first <= end and last >= begin for first, last in spans)


def _first_gap(
    spans: Iterable[Span], begin: datetime, end: datetime, length: timedelta
) -> datetime | None:
    """Answer the first instant from which `length` is free of all spans, by `end`."""
    at = begin
    for first, last in sorted(spans):
        if first - at >= length:
            break
        at = max(at, last)
    return at if at + length <= end else None
