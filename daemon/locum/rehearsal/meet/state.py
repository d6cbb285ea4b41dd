"""The stage's Google Meet, as tests and rehearsals see it: accounts, settings, and every say.

Thread-safe. This lock is taken before `Rooms`', never the other way: so `Rooms` tells nobody,
and `pump` looks what is new. Time passes when somebody looks, and for as long as anybody is
connected, because the server does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from locum.rehearsal.faults import Faults, RequestLog
from locum.rehearsal.meet.accounts import Account, Accounts
from locum.rehearsal.meet.meeting import ChatLine, Recorded
from locum.rehearsal.meet.participants import Participant, Phase, Seen, Tell
from locum.rehearsal.meet.proceedings import Happening, Proceedings, Sound
from locum.rehearsal.meet.protocol import FromPage
from locum.rehearsal.meet.settings import Consent, Locale, PageSettings
from locum.rehearsal.rooms import Rooms

__all__ = ["PASSWORD", "MeetStage", "Phase", "Seen"]

PASSWORD = "stage"  # noqa: S105 - opens an account on the stage and nothing else.
"""Every account's password, unless another is set."""


class MeetStage:
    """The page's state, and the hosts' hands.

    Args:
        now: The stage's clock.
        rooms: Who is where; shared with PikaStream's stage.
        settings: How the page behaves at first.
    """

    def __init__(
        self, *, now: Callable[[], datetime], rooms: Rooms, settings: PageSettings | None = None
    ) -> None:
        self.now = now
        self.rooms = rooms
        self.faults = Faults()
        self.log = RequestLog(now)
        self.url = ""
        """Where it is served, no trailing slash; empty while it isn't."""
        self._lock = threading.RLock()
        self._settings = settings or PageSettings()
        self._room_settings: dict[str, dict[str, Any]] = {}
        self._accounts = Accounts()
        self._invited: dict[str, set[str]] = {}
        self._proceedings = Proceedings(
            now=now, rooms=rooms, settings=self.settings, invited=self._is_invited
        )

    @property
    def sound(self) -> Sound | None:
        return self._proceedings.sound

    @sound.setter
    def sound(self, sound: Sound | None) -> None:
        with self._lock:
            self._proceedings.sound = sound

    def record(self, name: str, text: str, recorded: Recorded) -> None:
        """Let a person of that name say that text by a recording of it."""
        with self._lock:
            self._proceedings.recorded[name, text] = recorded

    # ── settings, accounts, invitations ──────────────────────────────────────────────────

    def settings(self, room: str | None = None) -> PageSettings:
        """Answer how the page behaves, in general or in one room."""
        with self._lock:
            return replace(self._settings, **self._room_settings.get(room or "", {}))

    def set_settings(self, room: str | None = None, **changes: Any) -> None:
        """Change settings by name, everywhere or for one room alone.

        Raises:
            TypeError: There is no such setting.
            ValueError: A value that makes no sense.
        """
        with self._lock:
            changed = replace(self._settings, **changes)
            if room is None:
                self._settings = changed
            else:
                self._room_settings.setdefault(room, {}).update(changes)

    def add_account(
        self,
        email: str,
        *,
        name: str = "",
        password: str = PASSWORD,
        locale: Locale | None = None,
    ) -> None:
        """Open an account that one can sign in to; one that exists is changed."""
        with self._lock:
            shown = name or email.partition("@")[0]
            self._accounts.add(Account(email, shown, password, locale))

    def invite(self, email: str, room: str | None = None, **account: Any) -> None:
        """Invite an account to a room (or to all); it is opened if there is none.

        The rest is as for `add_account`.
        """
        with self._lock:
            if account or self._accounts.find(email) is None:
                self.add_account(email, **account)
            self._invited.setdefault(room or "", set()).add(email.lower())

    def account_of(self, cookie: str | None) -> Account | None:
        """Answer whose session a cookie is."""
        with self._lock:
            return self._accounts.signed_in(cookie)

    def knows(self, email: str) -> bool:
        with self._lock:
            return self._accounts.find(email) is not None

    def sign_in(self, email: str, password: str) -> str | None:
        """Answer a new session's cookie, or None where the password is wrong."""
        with self._lock:
            return self._accounts.sign_in(email, password)

    def sign_out(self, email: str | None = None) -> int:
        """Let sessions expire (one account's, or all); answers how many there were."""
        with self._lock:
            return self._accounts.sign_out(email)

    def _is_invited(self, room: str, account: Account) -> bool:
        email = account.email.lower()
        return any(email in self._invited.get(where, ()) for where in ("", room))

    # ── what a host does now ─────────────────────────────────────────────────────────────
    # Each answers how many it concerned: none is a test's mistake, or a participant's luck.

    def admit(self, room: str, name: str | None = None) -> int:
        """Let those in who wait (all, or of that name)."""
        with self._lock:
            self.pump()
            return self._proceedings.admit_waiting(room, name)

    def deny(self, room: str, name: str | None = None) -> int:
        """Turn those away who wait (all, or of that name)."""
        with self._lock:
            self.pump()
            return self._proceedings.deny_waiting(room, name)

    def mute(self, room: str, name: str | None = None, *, by: str = "") -> int:
        """Mute those at the page (all but observers, or of that name)."""
        with self._lock:
            self.pump()
            return self._proceedings.mute(room, name, by or self.settings(room).host)

    def ask_unmute(self, room: str, name: str | None = None, *, by: str = "") -> int:
        """Ask those of them who are muted to unmute themselves."""
        with self._lock:
            self.pump()
            return self._proceedings.ask_unmute(room, name, by or self.settings(room).host)

    def remove(self, room: str, name: str | None = None) -> int:
        """Take those at the page out of the room (all but observers, or of that name)."""
        with self._lock:
            self.pump()
            wanted = self._proceedings.inside(room, name)
            for each in wanted:
                if each.visit is not None:
                    self.rooms.end_visit(each.visit, self.now(), "removed")
            self.pump()
            return len(wanted)

    def end(self, room: str, *, by: str = "") -> None:
        """End the meeting for all."""
        with self._lock:
            self.rooms.close(room, by=by or self.settings(room).host)
            self.pump()

    def notice(self, room: str, kind: Consent, *, on: bool = True, ask: bool = False) -> None:
        """Begin or end recording, transcription or notes; with `ask`, all inside must agree."""
        with self._lock:
            self.pump()
            self._proceedings.notice(room, kind, on=on, ask=ask)

    def drop(self, room: str, name: str | None = None) -> int:
        """Cut the sockets of those inside, without a word; they may come back."""
        with self._lock:
            self.pump()
            inside = self._proceedings.inside(room, name)
            wanted = [each for each in inside if each.tell is not None]
            for each in wanted:
                self._proceedings.drop(each)
            return len(wanted)

    # ── what is and was ──────────────────────────────────────────────────────────────────

    def participants(self, room: str, *, gone: bool = False) -> tuple[Seen, ...]:
        """Answer who is at a room's page, at its door and in its lobby too.

        With `gone`, who was is there as well, in the order of leaving.
        """
        with self._lock:
            self.pump()
            meeting = self._proceedings.meeting(room)
            before = meeting.gone if gone else ()
            return tuple(each.seen() for each in (*before, *meeting.at_the_page))

    def chat(self, room: str) -> tuple[ChatLine, ...]:
        with self._lock:
            self.pump()
            return tuple(self._proceedings.meeting(room).chat)

    def happenings(self, room: str | None = None) -> tuple[Happening, ...]:
        """Answer the page's own log, with instants."""
        with self._lock:
            everything = self._proceedings.happenings
            return tuple(one for one in everything if room in (None, one.room))

    def pump(self) -> None:
        """Let everything happen that is due by now."""
        with self._lock:
            self._proceedings.pump()

    # ── what connections do ──────────────────────────────────────────────────────────────

    def connect(
        self, room: str, tell: Tell, account: Account | None, *, observer: bool = False
    ) -> Participant | None:
        """Take a new connection in at the door; None where there are too many."""
        with self._lock:
            self.pump()
            return self._proceedings.connect(room, tell, account, observer=observer)

    def come_back(self, room: str, resume: str, tell: Tell) -> Participant | None:
        """Take a dropped connection up again; None where nobody knows it."""
        with self._lock:
            self.pump()
            return self._proceedings.come_back(room, resume, tell)

    def disconnected(self, participant: Participant, tell: Tell) -> None:
        with self._lock:
            self._proceedings.disconnected(participant, tell)

    def take(self, participant: Participant, message: FromPage) -> str | None:
        """Do what a page asks; answers what is wrong with it, if it makes no sense now."""
        with self._lock:
            self.pump()
            return self._proceedings.take(participant, message)

    def leave(self, participant: Participant) -> None:
        with self._lock:
            self._proceedings.leave(participant)

    def speaks(self, room: str, who: str, *, speaking: bool) -> None:
        """Somebody at the page began or ended to speak, by the sound that came."""
        with self._lock:
            self._proceedings.speaks(room, who, speaking=speaking)

    def tell(self, room: str, who: str, message: dict[str, Any]) -> None:
        """Send a message to whoever is in the call under that id."""
        with self._lock:
            self._proceedings.tell(room, who, message)

    def note(self, room: str, kind: str, name: str, text: str = "") -> None:
        with self._lock:
            self._proceedings.happenings.append(Happening(self.now(), room, kind, name, text))
