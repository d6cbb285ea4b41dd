"""What happens in the meetings, in order: knocks, admissions, chat, mutes, ways out.

The one place where a participant's phase changes. Not thread-safe: `MeetStage` holds the lock.
Time passes in `pump` alone; everything else happens at the present instant.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from locum.rehearsal.meet.accounts import Account
from locum.rehearsal.meet.doorway import Doorway, Visitor, doorway
from locum.rehearsal.meet.meeting import MOST_AT_THE_PAGE, Meeting, Recorded, participant_id
from locum.rehearsal.meet.participants import Participant, Phase, Tell
from locum.rehearsal.meet.protocol import Agreed, Chat, FromPage, Hand, Knock, Switched, ToPage
from locum.rehearsal.meet.settings import Consent, JoinButton, Lobby, PageSettings
from locum.rehearsal.rooms import RoomEvent, Rooms, VisitId

_KEPT_LOG = 10_000
_MOST_MEETINGS = 1_000
_STALE = timedelta(seconds=2)
"""What was said longer ago isn't spoken any more: nobody was connected to hear it."""


@dataclass(frozen=True)
class Happening:
    """One line of the page's own log.

    `kind` is knocked, admitted, refused, entered, out, dropped, came_back, muted, unmuted,
    asked_to_unmute, consented, hand, captions, chat, media or error; `text` says more.
    """

    at: datetime
    room: str
    kind: str
    name: str
    text: str = ""


class Sound(Protocol):
    """Where people's voices and everybody's picture go; thread-safe, never blocks."""

    def person_enters(self, room: str, who: str) -> None: ...
    def person_leaves(self, room: str, who: str) -> None: ...
    def person_says(self, room: str, who: str, text: str, file: Path | None) -> None: ...
    def hear(self, room: str, who: str, *, allowed: bool) -> None: ...
    def leave(self, room: str, who: str) -> None: ...


class Proceedings:
    """Every meeting of the stage.

    Args:
        now: The stage's clock.
        rooms: Who is where.
        settings: How a room's page behaves now.
        invited: Whether an account is invited to a room.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        rooms: Rooms,
        settings: Callable[[str], PageSettings],
        invited: Callable[[str, Account], bool],
    ) -> None:
        self.now = now
        self.rooms = rooms
        self.settings = settings
        self.sound: Sound | None = None
        self.recorded: dict[tuple[str, str], Recorded] = {}
        self.happenings: deque[Happening] = deque(maxlen=_KEPT_LOG)
        self._invited = invited
        self._meetings: dict[str, Meeting] = {}
        self._seen_events = 0

    def meeting(self, room: str) -> Meeting:
        found = self._meetings.get(room)
        if found is None:
            self._forget_empty()
            found = self._meetings[room] = Meeting(room)
        return found

    def _forget_empty(self) -> None:
        """Whoever asks for a million rooms gets them one after the other."""
        if len(self._meetings) >= _MOST_MEETINGS:
            busy = {room: one for room, one in self._meetings.items() if one.at_the_page}
            self._meetings = busy

    # ── what a host does ─────────────────────────────────────────────────────────────────

    def waiting(self, room: str, name: str | None = None) -> list[Participant]:
        people = self.meeting(room).at_the_page
        return [p for p in people if p.phase is Phase.LOBBY and name in (None, p.name)]

    def inside(self, room: str, name: str | None = None) -> list[Participant]:
        """Those in the call by the page: all but observers, or those of that name."""
        people = self.meeting(room).inside()
        return [p for p in people if p.name == name or (name is None and not p.observer)]

    def admit_waiting(self, room: str, name: str | None = None) -> int:
        waiting = self.waiting(room, name)
        for each in waiting:
            self.admit(each)
        return len(waiting)

    def deny_waiting(self, room: str, name: str | None = None) -> int:
        waiting = self.waiting(room, name)
        for each in waiting:
            self.refuse(each, "denied")
        return len(waiting)

    def mute(self, room: str, name: str | None, by: str) -> int:
        wanted = self.inside(room, name)
        for each in wanted:
            each.microphone = False
            self._hear(each)
            each.send({"type": "mute", "by": by})
            self.note(each, "muted", by)
        self._tell_rosters()
        return len(wanted)

    def ask_unmute(self, room: str, name: str | None, by: str) -> int:
        wanted = [each for each in self.inside(room, name) if not each.microphone]
        for each in wanted:
            each.send({"type": "unmute", "by": by})
            self.note(each, "asked_to_unmute", by)
        return len(wanted)

    def notice(self, room: str, kind: Consent, *, on: bool, ask: bool) -> None:
        meeting = self.meeting(room)
        (meeting.notices.add if on else meeting.notices.discard)(kind)
        meeting.tell_all({"type": "notice", "kind": kind.value, "on": on})
        if on and ask:
            meeting.tell_all({"type": "consent", "kinds": [kind.value], "entering": False})

    def drop(self, each: Participant) -> None:
        """Cut a socket without a word, as a network does."""
        each.send({"type": "_drop"})
        each.tell, each.dropped_at = None, self.now()
        self.note(each, "dropped", "cut")

    # ── connections ──────────────────────────────────────────────────────────────────────

    def visitor(self, room: str, account: Account | None, *, observer: bool) -> Visitor:
        return Visitor(
            account,
            invited=account is not None and self._invited(room, account),
            observer=observer,
            elsewhere=bool(self._elsewhere(room, account)),
        )

    def door(self, room: str, account: Account | None, *, observer: bool = False) -> Doorway:
        visitor = self.visitor(room, account, observer=observer)
        return doorway(room, self.settings(room), visitor)

    def connect(
        self, room: str, tell: Tell, account: Account | None, *, observer: bool
    ) -> Participant | None:
        """Take a new connection in at the door; None where there are too many."""
        meeting = self.meeting(room)
        if len(meeting.at_the_page) >= MOST_AT_THE_PAGE:
            return None
        participant = Participant(room, account, observer, tell)
        participant.name = "" if account is None else account.name
        meeting.at_the_page.append(participant)
        participant.send(
            {
                "type": "welcome",
                "resume": participant.resume,
                "account": account and {"email": account.email, "name": account.name},
                "door": self.door(room, account, observer=observer).as_json(),
                "people": [visit.name for visit in self.rooms.present(room)],
            }
        )
        return participant

    def come_back(self, room: str, resume: str, tell: Tell) -> Participant | None:
        """Take a dropped connection up again; None where nobody knows it.

        One that is over by now is told how it ended.
        """
        meeting = self.meeting(room)
        for each in (*meeting.at_the_page, *meeting.gone):
            if each.resume != resume:
                continue
            if each.phase is Phase.OUT:
                tell(_farewell(each.why_out))
                return each
            if each.phase in {Phase.LOBBY, Phase.IN}:
                each.tell, each.dropped_at, each.told_roster = tell, None, None
                self.note(each, "came_back")
                if each.phase is Phase.IN:
                    self._tell_admitted(each)
                else:
                    self._tell_lobby(each)
                return each
        return None

    def disconnected(self, participant: Participant, tell: Tell) -> None:
        """A connection is closed: whoever was in or waiting may come back for a while."""
        if participant.tell is not tell:
            return  # It has come back on another connection already.
        participant.tell = None
        if participant.phase in {Phase.LOBBY, Phase.IN}:
            participant.dropped_at = self.now()
            self.note(participant, "dropped")
        elif participant.phase is not Phase.OUT:
            self.put_out(participant, "left")

    def leave(self, participant: Participant) -> None:
        if participant.phase is not Phase.OUT:
            participant.send({"type": "left"})
            self.put_out(participant, "left")

    def speaks(self, room: str, who: str, *, speaking: bool) -> None:
        for each in self.meeting(room).inside():
            if each.id == who:
                each.speaking = speaking
        self._tell_rosters()

    def tell(self, room: str, who: str, message: ToPage) -> None:
        for each in self.meeting(room).inside():
            if each.id == who:
                each.send(message)

    # ── time ─────────────────────────────────────────────────────────────────────────────

    def pump(self) -> None:
        """Let everything happen that is due by now."""
        now = self.now()
        for event in self.rooms.since(self._seen_events):
            self._seen_events += 1
            self._react(event, now)
        for meeting in list(self._meetings.values()):
            for each in list(meeting.at_the_page):
                self._age(each, now)
            meeting.revise(now)
        self._tell_rosters()

    def _react(self, event: RoomEvent, now: datetime) -> None:
        meeting = self.meeting(event.room)
        host = event.name
        if event.kind == "said":
            if event.at >= now - _STALE and meeting.inside():
                recorded = self.recorded.get((event.name, event.text))
                meeting.caption(event, recorded.lasts if recorded else None)
                self._say(event, recorded)
        elif event.kind == "wrote":
            meeting.write(event)
        elif event.kind in {"raised_hand", "lowered_hand"} and event.visit is not None:
            raised = event.kind == "raised_hand"
            (meeting.raised.add if raised else meeting.raised.discard)(event.visit)
        elif event.kind == "admitted":
            self.admit_waiting(event.room)
        elif event.kind == "denied":
            self.deny_waiting(event.room)
        elif event.kind == "muted_bots":
            self.mute(event.room, None, host)
        elif event.kind == "asked_to_unmute":
            self.ask_unmute(event.room, None, host)
        elif event.kind in {"entered", "left", "removed"}:
            self._move(event)

    def _move(self, event: RoomEvent) -> None:
        """Give a scenario's person a picture and a voice, and take them away again."""
        if self.sound is None or event.visit is None or self.rooms.visit(event.visit).is_bot:
            return
        if any(each.visit == event.visit for each in self.meeting(event.room).at_the_page):
            return  # An observer, who brings its own.
        who = participant_id(event.room, event.visit)
        if event.kind == "entered":
            self.sound.person_enters(event.room, who)
        else:
            self.sound.person_leaves(event.room, who)

    def _say(self, event: RoomEvent, recorded: Recorded | None) -> None:
        if self.sound is not None and event.visit is not None:
            who = participant_id(event.room, event.visit)
            file = recorded.file if recorded else None
            self.sound.person_says(event.room, who, event.text, file)

    def _age(self, each: Participant, now: datetime) -> None:
        settings = self.settings(each.room)
        if each.dropped_at is not None and now >= each.dropped_at + settings.reconnect_within:
            self.put_out(each, "lost", at=each.dropped_at)
        elif each.phase is Phase.IN and each.visit is not None:
            visit = self.rooms.visit(each.visit)
            if not visit.present:
                ended = visit.why_out == "meeting ended"
                each.send({"type": "ended" if ended else "removed", "by": settings.host})
                self.put_out(each, "ended" if ended else "removed")
        elif each.waiting and self.rooms.is_closed(each.room):
            self.refuse(each, "ended")
        elif each.phase is Phase.LOBBY and each.knocked_at is not None:
            waited = now - each.knocked_at
            if settings.lobby is not Lobby.IGNORE and waited >= settings.lobby_after:
                if settings.lobby is Lobby.ADMIT:
                    self.admit(each)
                else:
                    self.refuse(each, "denied")
            elif waited >= settings.answer_within:
                self.refuse(each, "unanswered")

    # ── what a page asks ─────────────────────────────────────────────────────────────────

    def take(self, who: Participant, message: FromPage) -> str | None:
        if isinstance(message, Knock):
            return self._knock(who, message)
        if isinstance(message, Agreed):
            return self._agree(who, accept=message.accept)
        # These two buttons are there in the lobby already, and hold for the call.
        if isinstance(message, Switched) and message.type != "captions":
            return self._switch(who, message)
        if who.phase is not Phase.IN or who.visit is None:
            return f"{message.type}: not in the call"
        return self._act(who, who.visit, message)

    def _act(self, who: Participant, visit: VisitId, message: FromPage) -> str | None:
        if isinstance(message, Chat):
            if not message.text.strip():
                return "chat: an empty message"
            self.rooms.write(visit, message.text)
            self.note(who, "chat", message.text)
            self.pump()
        elif isinstance(message, Hand):
            raised = self.meeting(who.room).raised
            (raised.add if message.up else raised.discard)(visit)
            who.hand = message.up
            self.note(who, "hand", "up" if message.up else "down")
            self._tell_rosters()
        elif isinstance(message, Switched):
            self._read_captions(who, on=message.on)
        else:
            return f"{message.type}: not now"
        return None

    def _switch(self, who: Participant, message: Switched) -> str | None:
        if who.phase not in {Phase.LOBBY, Phase.IN}:
            return f"{message.type}: not in the call"
        if message.type == "microphone":
            who.microphone = message.on
            self._hear(who)
            self.note(who, "unmuted" if message.on else "muted", "itself")
        else:
            who.camera = message.on
        self._tell_rosters()
        return None

    def _read_captions(self, who: Participant, *, on: bool) -> None:
        who.captions = on
        self.note(who, "captions", "on" if on else "off")
        if on:
            for line in self.meeting(who.room).open_lines():
                who.send(line)

    def _knock(self, who: Participant, message: Knock) -> str | None:
        if who.phase is not Phase.DOOR:
            return "knock: not at the door"
        door = self.door(who.room, who.account, observer=who.observer)
        name = " ".join(message.name.split()) if door.name_field else who.name
        if door.refused is not None:
            self.refuse(who, door.refused)
            return None
        if not name:
            return "knock: a name is missing"
        who.name, who.knocked_at = name, self.now()
        who.microphone, who.camera = message.microphone, message.camera
        self.note(who, "knocked", door.button.value)
        if self.rooms.is_closed(who.room) and not who.observer:
            self.refuse(who, "ended")
        elif len(self.rooms.present(who.room)) >= self.settings(who.room).full_at:
            self.refuse(who, "full")
        elif door.direct:
            if door.button is not JoinButton.JOIN_HERE_TOO:
                self._replace_others(who)
            self.admit(who)
        else:
            who.phase = Phase.LOBBY
            self._tell_lobby(who)
        return None

    def _agree(self, who: Participant, *, accept: bool) -> str | None:
        if who.phase is Phase.CONSENT:
            self.note(who, "consented", "yes" if accept else "no")
            if accept:
                self._enter(who)
            else:
                self.leave(who)
            return None
        if who.phase is not Phase.IN:
            return "consent: nothing was asked"
        self.note(who, "consented", "yes" if accept else "no")
        if not accept:
            self.leave(who)
        return None

    # ── in and out ───────────────────────────────────────────────────────────────────────

    def admit(self, who: Participant) -> None:
        if who.phase is Phase.LOBBY:
            self.note(who, "admitted")
        kinds = self.settings(who.room).consents
        if kinds and not who.observer:
            who.phase = Phase.CONSENT
            names = [kind.value for kind in kinds]
            who.send({"type": "consent", "kinds": names, "entering": True})
        else:
            self._enter(who)

    def _enter(self, who: Participant) -> None:
        who.visit = self.rooms.let_in(who.room, who.name, is_bot=not who.observer)
        visit = self.rooms.visit(who.visit)
        if not visit.present:
            self.refuse(who, "ended")
            return
        who.id = participant_id(who.room, who.visit)
        who.phase, who.entered_at = Phase.IN, visit.entered_at
        self._hear(who)
        self._tell_admitted(who)
        self.note(who, "entered", who.came_by.value)
        self._tell_rosters()

    def refuse(self, who: Participant, why: str) -> None:
        who.send({"type": "refused", "why": why})
        self.note(who, "refused", why)
        self.put_out(who, why)

    def _replace_others(self, who: Participant) -> None:
        """The account is in with another browser: that one is put out first."""
        for other in self._elsewhere(who.room, who.account):
            if other is not who:
                other.send({"type": "replaced"})
                self.put_out(other, "replaced", at=other.dropped_at)

    def put_out(self, who: Participant, why: str, *, at: datetime | None = None) -> None:
        was_in = who.phase is Phase.IN
        who.phase, who.why_out, who.left_at = Phase.OUT, why, at or self.now()
        who.dropped_at = None
        meeting = self.meeting(who.room)
        meeting.put_out(who)
        if was_in and who.visit is not None:
            meeting.raised.discard(who.visit)
            self.rooms.end_visit(who.visit, who.left_at, "left")
            if self.sound is not None:
                self.sound.leave(who.room, who.id)
        self.note(who, "out", why)
        self._tell_rosters()

    def _elsewhere(self, room: str, account: Account | None) -> list[Participant]:
        if account is None:
            return []
        people = self.meeting(room).inside()
        return [p for p in people if p.account and p.account.email == account.email]

    # ── telling ──────────────────────────────────────────────────────────────────────────

    def _hear(self, who: Participant) -> None:
        if self.sound is not None and who.id:
            self.sound.hear(who.room, who.id, allowed=who.microphone)

    def _tell_lobby(self, who: Participant) -> None:
        who.send({"type": "lobby", "text": self.settings(who.room).lobby_text.value})

    def _tell_admitted(self, who: Participant) -> None:
        settings = self.settings(who.room)
        kinds = {*settings.notices, *settings.consents, *self.meeting(who.room).notices}
        who.send(
            {
                "type": "admitted",
                "id": who.id,
                "name": who.name,
                "composer": settings.composer_shown.value,
                "captions": settings.captions,
                "notices": sorted(kind.value for kind in kinds),
                "microphone": who.microphone,
                "camera": who.camera,
            }
        )

    def _tell_rosters(self) -> None:
        for meeting in self._meetings.values():
            if meeting.inside():
                meeting.tell_roster(self.rooms)

    def note(self, who: Participant, kind: str, text: str = "") -> None:
        self.happenings.append(Happening(self.now(), who.room, kind, who.name, text))


def _farewell(why: str) -> ToPage:
    """What one is told who comes back too late."""
    if why in {"removed", "ended", "replaced"}:
        return {"type": why}
    return {"type": "left"} if why in {"left", "lost"} else {"type": "refused", "why": why}
