"""The rooms of the stage: who is in them, what is said, and how a meeting ends.

One timeline for people (a scenario's) and bots (PikaStage's, and whoever comes by the meeting
page). Steps happen at their own instants in order, however seldom anyone looks, so that what
came first stays first. What only those at the page can see (chat, hands, a host who mutes)
stands in the log too, and changes nothing here.
"""

from __future__ import annotations

import enum
import heapq
import itertools
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NewType

VisitId = NewType("VisitId", int)


class StepKind(enum.Enum):
    ENTER = "enter"
    SAY = "say"
    LEAVE = "leave"
    REMOVE_BOTS = "remove_bots"  #: A person takes every bot out of the room.
    CLOSE = "close"  #: "End the meeting for all": everybody is out, bots can't enter.
    WRITE = "write"  #: Into the chat.
    RAISE_HAND = "raise_hand"
    LOWER_HAND = "lower_hand"
    ADMIT = "admit"  #: A person lets everybody in who waits in the lobby.
    DENY = "deny"  #: A person turns everybody away who waits in the lobby.
    MUTE_BOTS = "mute_bots"  #: A person mutes every bot.
    ASK_UNMUTE = "ask_unmute"  #: A person asks every muted bot to unmute itself.


_GESTURES = {
    StepKind.WRITE: "wrote",
    StepKind.RAISE_HAND: "raised_hand",
    StepKind.LOWER_HAND: "lowered_hand",
    StepKind.ADMIT: "admitted",
    StepKind.DENY: "denied",
    StepKind.MUTE_BOTS: "muted_bots",
    StepKind.ASK_UNMUTE: "asked_to_unmute",
}
"""What a person does that only the meeting page shows, and the log's word for it."""


@dataclass(frozen=True)
class RoomStep:
    """What one person does in one room at one instant."""

    at: datetime
    room: str
    kind: StepKind
    name: str
    text: str = ""


@dataclass(frozen=True)
class Utterance:
    at: datetime
    room: str
    speaker: str
    text: str


@dataclass(frozen=True)
class RoomEvent:
    """One line of the log.

    `kind` is entered, left, removed, refused, said or closed; or, of what the meeting page
    alone shows, wrote, raised_hand, lowered_hand, admitted, denied, muted_bots or
    asked_to_unmute. `visit` is whose doing or whose fate it is, None where it is nobody's.
    """

    at: datetime
    room: str
    kind: str
    name: str
    text: str = ""
    visit: VisitId | None = None


@dataclass(frozen=True)
class Visit:
    """One presence of one person or bot in one room.

    `entered_at` is None until in. `why_out` is set together with `left_at`: "left",
    "removed", "meeting ended", or why it was never let in.
    """

    id: VisitId
    room: str
    name: str
    is_bot: bool
    entered_at: datetime | None = None
    left_at: datetime | None = None
    why_out: str = ""

    @property
    def present(self) -> bool:
        return self.entered_at is not None and self.left_at is None


class Rooms:
    """Every room there is, by its code; one that nobody has entered is empty and open.

    Thread-safe. Every question is answered as of `now()`.
    """

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._order = itertools.count(1)
        self._due: list[tuple[datetime, int, RoomStep | VisitId]] = []
        self._visits: dict[VisitId, Visit] = {}
        self._closed: set[str] = set()
        self._utterances: list[Utterance] = []
        self._log: list[RoomEvent] = []

    # ── what is to happen ────────────────────────────────────────────────────────────────

    def expect(self, steps: Iterable[RoomStep]) -> None:
        """Plan steps; those of the past happen at the next look, with their own instants."""
        with self._lock:
            for step in steps:
                heapq.heappush(self._due, (step.at, next(self._order), step))

    def expect_bot(self, room: str, name: str, at: datetime) -> VisitId:
        """Plan a bot's entry; it is refused if the meeting has been ended for all by then."""
        with self._lock:
            visit = self._new_visit(room, name, is_bot=True)
            heapq.heappush(self._due, (at, next(self._order), visit))
            return visit

    def tick(self, now: datetime | None = None) -> None:
        """Let everything up to `now` happen, in order."""
        until = now or self._now()
        with self._lock:
            while self._due and self._due[0][0] <= until:
                at, _, due = heapq.heappop(self._due)
                if isinstance(due, RoomStep):
                    self._take(due)
                else:
                    self._let_in(due, at)

    # ── what somebody does now ───────────────────────────────────────────────────────────

    def act(self, kind: StepKind, room: str, name: str, text: str = "") -> None:
        """Let somebody do something at this instant; the methods below name each thing."""
        now = self._now()
        with self._lock:
            self.tick(now)
            self._take(RoomStep(now, room, kind, name, text))

    def enter(self, room: str, name: str) -> None:
        """A person enters, and so opens a room that was ended."""
        self.act(StepKind.ENTER, room, name)

    def say(self, room: str, name: str, text: str) -> None:
        """Say something aloud; unheard, and not recorded, from outside of the room."""
        self.act(StepKind.SAY, room, name, text)

    def leave(self, room: str, name: str) -> None:
        self.act(StepKind.LEAVE, room, name)

    def remove_bots(self, room: str, *, by: str = "host") -> None:
        self.act(StepKind.REMOVE_BOTS, room, by)

    def close(self, room: str, *, by: str = "host") -> None:
        self.act(StepKind.CLOSE, room, by)

    def let_in(self, room: str, name: str, *, is_bot: bool = True) -> VisitId:
        """Let somebody in at this instant who came by the meeting page.

        A bot is refused where the meeting has been ended for all; its visit says so.
        """
        now = self._now()
        with self._lock:
            self.tick(now)
            visit = self._new_visit(room, name, is_bot=is_bot)
            self._let_in(visit, now)
            return visit

    def write(self, visit: VisitId, text: str) -> None:
        """Write into the chat, as whoever is on that visit; nothing once it is over."""
        now = self._now()
        with self._lock:
            self.tick(now)
            who = self._visits[visit]
            if who.present:
                self._log.append(RoomEvent(now, who.room, "wrote", who.name, text, visit))

    def end_visit(self, visit: VisitId, at: datetime, why: str = "left") -> None:
        """Take a bot out at `at`, or see that it never enters. Idempotent: the first out counts."""
        with self._lock:
            self.tick(at)
            self._out(self._visits[visit], at, why)

    # ── what is and was ──────────────────────────────────────────────────────────────────

    def visit(self, visit: VisitId) -> Visit:
        """Answer what became of a visit.

        Raises:
            KeyError: There was never such a visit.
        """
        with self._lock:
            self.tick()
            return self._visits[visit]

    def visits(self, room: str | None = None) -> tuple[Visit, ...]:
        with self._lock:
            self.tick()
            return tuple(visit for visit in self._visits.values() if room in (None, visit.room))

    def present(self, room: str) -> tuple[Visit, ...]:
        return tuple(visit for visit in self.visits(room) if visit.present)

    def utterances(self, room: str) -> tuple[Utterance, ...]:
        with self._lock:
            self.tick()
            return tuple(said for said in self._utterances if said.room == room)

    def heard_in(self, visit: VisitId) -> tuple[Utterance, ...]:
        """Answer what was said in the room while this visit lasted."""
        seen = self.visit(visit)
        if seen.entered_at is None:
            return ()
        return tuple(
            said
            for said in self.utterances(seen.room)
            if seen.entered_at <= said.at and (seen.left_at is None or said.at <= seen.left_at)
        )

    def log(self) -> tuple[RoomEvent, ...]:
        with self._lock:
            self.tick()
            return tuple(sorted(self._log, key=lambda event: event.at))

    def since(self, count: int) -> tuple[RoomEvent, ...]:
        """Answer what became known after the first `count` events, in that order."""
        with self._lock:
            self.tick()
            return tuple(self._log[count:])

    def is_closed(self, room: str) -> bool:
        """Answer whether the meeting was ended for all, and nobody has opened it since."""
        with self._lock:
            self.tick()
            return room in self._closed

    def peak_bots(self) -> int:
        """Answer how many bots there were at most in one room at one instant."""
        edges: dict[str, list[tuple[datetime, int]]] = {}
        for visit in self.visits():
            if visit.is_bot and visit.entered_at is not None:
                room = edges.setdefault(visit.room, [])
                room.append((visit.entered_at, 1))
                if visit.left_at is not None:
                    room.append((visit.left_at, -1))
        # One that leaves at the instant when another enters has made room for it.
        counts = (
            itertools.accumulate(step for _, step in sorted(room)) for room in edges.values()
        )
        return max((max(count) for count in counts), default=0)

    # ── inside the lock ──────────────────────────────────────────────────────────────────

    def _new_visit(self, room: str, name: str, *, is_bot: bool) -> VisitId:
        visit = VisitId(len(self._visits) + 1)
        self._visits[visit] = Visit(visit, room, name, is_bot)
        return visit

    def _take(self, step: RoomStep) -> None:
        here = [v for v in self._visits.values() if v.present and v.room == step.room]
        person = next((v for v in here if v.name == step.name and not v.is_bot), None)
        if step.kind is StepKind.ENTER and person is None:
            self._closed.discard(step.room)
            self._let_in(self._new_visit(step.room, step.name, is_bot=False), step.at)
        elif step.kind is StepKind.LEAVE and person is not None:
            self._out(person, step.at, "left")
        elif step.kind is StepKind.SAY and person is not None:
            self._utterances.append(Utterance(step.at, step.room, step.name, step.text))
            self._log.append(
                RoomEvent(step.at, step.room, "said", step.name, step.text, person.id)
            )
        elif step.kind in _GESTURES and person is not None:
            self._gesture(step, person)
        elif step.kind is StepKind.REMOVE_BOTS:
            self._clear((visit for visit in here if visit.is_bot), step.at, "removed")
        elif step.kind is StepKind.CLOSE:
            self._closed.add(step.room)
            self._log.append(RoomEvent(step.at, step.room, "closed", step.name))
            self._clear(here, step.at, "meeting ended")

    def _gesture(self, step: RoomStep, person: Visit) -> None:
        word = _GESTURES[step.kind]
        self._log.append(RoomEvent(step.at, step.room, word, step.name, step.text, person.id))

    def _clear(self, visits: Iterable[Visit], at: datetime, why: str) -> None:
        for visit in visits:
            self._out(visit, at, why)

    def _let_in(self, visit_id: VisitId, at: datetime) -> None:
        visit = self._visits[visit_id]
        if visit.left_at is not None:
            return  # Called back before it came in.
        if visit.is_bot and visit.room in self._closed:
            why = "meeting ended"
            self._visits[visit_id] = replace(visit, left_at=at, why_out=why)
            self._log.append(RoomEvent(at, visit.room, "refused", visit.name, why, visit_id))
            return
        self._visits[visit_id] = replace(visit, entered_at=at)
        self._log.append(RoomEvent(at, visit.room, "entered", visit.name, visit=visit_id))

    def _out(self, visit: Visit, at: datetime, why: str) -> None:
        if visit.left_at is not None:
            return
        # A bot can be found out of credits for an instant before its entry.
        left_at = max(at, visit.entered_at or at)
        self._visits[visit.id] = replace(visit, left_at=left_at, why_out=why)
        if visit.entered_at is not None:
            kind = "removed" if why == "removed" else "left"
            self._log.append(RoomEvent(left_at, visit.room, kind, visit.name, why, visit.id))
