"""From the lobby or the call to the end: what is seen in the room, and what is done about it.

Everything is told by looks at the page and by what its connections say of themselves. "In" is
said on proof alone: the chat is there, which a lobby hasn't got, the roster names us, and our
picture and sound go out on a connection that stands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from locum.core.attribution import Attribution
from locum.core.speakers import is_stand_in
from locum.core.transcript import Source
from locum.engines.chromium.captions import Caption, CaptionReader
from locum.engines.chromium.chat import ChatReader
from locum.engines.chromium.entering import Manners, consent, done_with
from locum.engines.chromium.hand import raised_by
from locum.engines.chromium.looks import Look, Where
from locum.engines.chromium.media import DeviceState, MediaProof
from locum.engines.chromium.meetpage import MeetPage, NoLookError
from locum.engines.chromium.texts import Control, folded, means_us
from locum.engines.chromium.verdicts import OF_SCREEN, EndedError, Verdict
from locum.errors import LocumError
from locum.ports import Admitted, Clock, HandRaised, Roster, Said, SessionEvent, Waiting

_log = structlog.get_logger(__name__)

EVERY_S = 0.5
"""Between two looks, in the host's time: captions are revised about as often."""

_EAGER_S = 0.25
"""The same until we are in: nobody else waits for anything as much."""

_SETTLES_S = 1.0
_VANISHED_S = 20.0
_PROOF_S = 30.0
_PROVE_EVERY_S = 0.4
_WATCH_EVERY_S = 1.0
_DEAF_BEFORE = timedelta(seconds=15)
"""How long before a connection is known to be lost it may have been dead. In a silent room
nothing comes for longer, and nothing is missed."""
_RIDES_OUT_S = 75.0
"""How long a lost connection is waited for. Meet itself gives up after about a minute."""
_PANEL_EVERY_S = 1.5
_ROSTER_EVERY_S = 60.0
_BLIND_ROSTER_EVERY_S = 20.0  #: Where the page shows no number of people beside the list.
_CAPTION_LAG = timedelta(seconds=2.5)
_MARK_EVERY_S = 10.0
_MOST_PRESSES = 3
_MOST_DIALOGS = 20


class Proving(Protocol):
    async def proof(self) -> MediaProof: ...


@dataclass
class Presence:
    """Follows one page. `emit` takes events in order, `note` what belongs into the record.

    `on_odd` is called with what a dialog says that nobody expected, before it is closed, and
    `is_here` from time to time while we are in.
    """

    page: MeetPage
    media: Proving
    clock: Clock
    manners: Manners
    admit_by: datetime
    note: Callable[[str], None]
    emit: Callable[[SessionEvent], None] = lambda _: None
    on_odd: Callable[[Look, str], None] = lambda _look, _text: None
    is_here: Callable[[], None] = lambda: None
    wants_captions: bool = True
    attribution: Attribution = field(default_factory=Attribution)
    last: Look | None = None
    admitted: bool = False
    acting: asyncio.Lock = field(
        default_factory=asyncio.Lock
    )  #: Who holds it works the panels.
    chat: ChatReader = field(default_factory=ChatReader)
    own_names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._captions = CaptionReader()
        self._since: dict[str, float] = {}
        self._presses: dict[str, int] = {}
        self._proof: MediaProof | None = None
        self._missing: tuple[str, ...] = ("our picture and sound haven't been seen going out",)
        self._told_waiting = ""
        self._named = False
        self._others: int | None = None
        self._people_at: float | None = None
        self._counted: int | None = None
        self._muted_told = False
        self._announced: tuple[str, ...] = ()
        self._present: tuple[str, ...] = ()
        self._hands: frozenset[str] = frozenset()
        self._told_others: int | None = None
        self._outage: tuple[datetime, float] | None = None
        self._heard_at: datetime | None = None
        self._dialogs = 0
        self.own_names.add(folded(self.manners.name))

    async def run(self) -> None:
        """Follow it until it ends.

        Raises:
            EndedError: How it ended, always.
        """
        try:
            while True:
                try:
                    look = self.last = await self.page.look()
                except NoLookError:
                    await asyncio.sleep(EVERY_S)
                    continue
                await self._step(look)
                await asyncio.sleep(EVERY_S if self.admitted else _EAGER_S)
        finally:
            self._tell_captions(self._captions.close())

    # ── where we are ─────────────────────────────────────────────────────────────────────

    async def _step(self, look: Look) -> None:
        where = look.where
        if not self.admitted and self.clock.now() >= self.admit_by:
            raise EndedError(Verdict.NOT_IN_TIME, self._told_waiting)
        if where is Where.IN_CALL:
            self._forget("told", "vanished")
            await self._in_call(look)
            return
        self._tell_captions(self._captions.read((), self.clock.now()))
        if await self._answer(look):
            return
        if where is Where.LOBBY:
            self._forget("told", "vanished", "unproved")
            self._wait("in the lobby, until somebody lets us in")
        else:
            self._out(look, where)

    def _out(self, look: Look, where: Where) -> None:
        """Neither in nor in the lobby: the page says why, or will soon."""
        verdict = None if look.screen is None else OF_SCREEN.get(look.screen)
        if where is Where.TOLD and verdict is not None:
            if self._lasts("told", _SETTLES_S):
                if verdict is Verdict.REMOVED and not self.admitted:
                    verdict = Verdict.DENIED  # Out of the lobby.
                raise EndedError(verdict)
            return
        self._forget("told")
        if self._lasts("vanished", _VANISHED_S):
            raise EndedError(Verdict.PUT_OUT if self.admitted else Verdict.NOTHING_KNOWN)

    def _wait(self, detail: str) -> None:
        if detail != self._told_waiting:
            self._told_waiting = detail
            self.emit(Waiting(self.clock.now(), detail))

    # ── in the call ──────────────────────────────────────────────────────────────────────

    async def _in_call(self, look: Look) -> None:
        if await self._answer(look):
            return
        self._meet_people(look)
        if not self.admitted:
            await self._prove(look)
            return
        if self._may("mark", _MARK_EVERY_S):
            self.is_here()
        await self._watch_connection(look)
        self._watch_microphone(look)
        self._watch_hands(look)
        now = self.clock.now()
        lines = look.captions
        if lines is not None:
            self._tell_captions(self._captions.read(lines, now))
            for speaker in self._captions.growing(now):
                if not self._is_us(speaker):
                    self.attribution.named(speaker, now - _CAPTION_LAG, now)
        self.read_chat(look)
        self._count(look)
        if not self.acting.locked():
            await self._captions_on(look)
            await self._panels(look)

    async def _prove(self, look: Look) -> None:
        missing = [*await self._missing_media()]
        if not self._named:
            missing.append("the roster doesn't name us")
            if look.people is None and self._may("people", _PANEL_EVERY_S, most=6):
                await self._press(look, Control.PEOPLE)
        await self._devices_on(look)
        if not missing:
            self.admitted = True
            self.emit(Admitted(self.clock.now()))
            self._tell_roster()
            return
        detail = f"the page shows the call; {', '.join(missing)}"
        self._wait(detail)
        if self._lasts("unproved", _PROOF_S):
            raise EndedError(Verdict.UNPROVED, ", ".join(missing))

    async def _missing_media(self) -> tuple[str, ...]:
        """Answer what the page's connections don't prove yet, by two readings in a row."""
        before = self._proof
        now = await self._read_proof(_PROVE_EVERY_S)
        if now is not None and before is not None:
            self._missing = tuple(missing_of(before, now))
        return self._missing

    async def _read_proof(self, every_s: float) -> MediaProof | None:
        """Ask the connections, not too often; None where it isn't due, or isn't answered."""
        if not self._may("proof", every_s):
            return None
        try:
            self._proof = await self.media.proof()
        except LocumError:
            return None
        return self._proof

    async def _devices_on(self, look: Look) -> None:
        """Switch on what was off as we came in; nobody has asked us yet to be silent."""
        for control in (Control.MICROPHONE_ON, Control.CAMERA_ON):
            if (
                look.find(control) is not None
                and not look.muted_by_host
                and self._may(control.value, 2.0, most=_MOST_PRESSES)
            ):
                await self._press(look, control)

    # ── the connection ───────────────────────────────────────────────────────────────────

    async def _watch_connection(self, look: Look) -> None:
        before = self._proof
        proof = await self._read_proof(_PROVE_EVERY_S if self._outage else _WATCH_EVERY_S)
        lost = look.reconnecting or (proof is not None and not proof.connected)
        loop_now = asyncio.get_running_loop().time()
        if proof is not None and before is not None and hears(before, proof):
            self._heard_at = before.at if lost else proof.at
        if self._outage is None and lost:
            # It was dead before anybody said so.
            known_at = self.clock.now()
            since = max(self._heard_at or known_at, known_at - _DEAF_BEFORE)
            self._outage = min(since, known_at), loop_now
            _log.warning("connection_lost", page_says_so=look.reconnecting)
        elif self._outage is not None and not lost and proof is not None:
            moved = before is None or moves(before, proof)
            if moved:
                self._tell_outage(self._outage[0])
                self._outage = None
        if self._outage is not None and loop_now - self._outage[1] > _RIDES_OUT_S:
            raise EndedError(Verdict.CUT_OFF)

    def _tell_outage(self, since: datetime) -> None:
        until = self.clock.now()
        _log.info("connection_back", after_s=round((until - since).total_seconds(), 1))
        self.note(
            f"Not heard from {since:%H:%M:%S} to {until:%H:%M:%S} UTC: the connection was lost."
        )

    def close_outage(self) -> None:
        """Note one that went on to the end."""
        if self._outage is not None:
            self._tell_outage(self._outage[0])
            self._outage = None

    # ── the microphone ───────────────────────────────────────────────────────────────────

    def _watch_microphone(self, look: Look) -> None:
        """Note a host's muting, once each time. We never unmute against it."""
        muted = look.find(Control.MICROPHONE_ON) is not None
        if muted and not self._muted_told:
            by = "by a host" if look.muted_by_host else "by the page"
            self.note(f"Muted {by} at {self.clock.now():%H:%M:%S} UTC.")
            _log.info("microphone_muted", by_host=look.muted_by_host)
        self._muted_told = muted

    # ── hands ────────────────────────────────────────────────────────────────────────────

    def _watch_hands(self, look: Look) -> None:
        """Tell of others' hands, once for each time that the page announces one."""
        hands = raised_by(look.hands, self._present)
        for name in sorted(hands - self._hands):
            self.emit(HandRaised(self.clock.now(), name))
        self._hands = hands

    # ── people ───────────────────────────────────────────────────────────────────────────

    def _meet_people(self, look: Look) -> None:
        people = look.people
        if people is None:
            return
        ours = [name for name in people if self._is_us(name)]
        if not ours and people and not self._named:
            return
        self._named = self._named or bool(ours)
        # As it is without the mark: so captions and tiles may call us too.
        self.own_names.update(
            folded(name[: name.rindex("(")]) for name in ours if "(" in name and means_us(name)
        )
        others = [name for name in people if not self._is_us(name)]
        self._people_at, self._counted = asyncio.get_running_loop().time(), look.headcount
        self._others = len(others)
        self._present = tuple(others)
        self.attribution.present(others)

    def _count(self, look: Look) -> None:
        """Take how many are there from the list, or else from the number on its button."""
        before = self._others
        if look.people is None and look.headcount is not None:
            self._others = max(look.headcount - 1, 0)
            if self._others != before:
                # Who came or went isn't known until the list is read again.
                self.attribution.forget_present()
        self._tell_roster()

    def _tell_roster(self) -> None:
        if self._others is not None and self._others != self._told_others:
            self._told_others = self._others
            self.emit(Roster(self.clock.now(), self._others))

    def _is_us(self, name: str) -> bool:
        return (
            means_us(name)
            or folded(name) in self.own_names
            or is_stand_in(name, self.manners.name)
        )

    # ── words ────────────────────────────────────────────────────────────────────────────

    def _tell_captions(self, captions: tuple[Caption, ...]) -> None:
        for caption in captions:
            if not self._is_us(caption.speaker):
                self.emit(
                    Said(
                        caption.at,
                        caption.speaker,
                        caption.text,
                        until=caption.until,
                        source=Source.CAPTIONS,
                    )
                )

    def read_chat(self, look: Look) -> None:
        """Tell what others wrote since the last look at the chat."""
        for message in () if look.messages is None else self.chat.read(look.messages):
            if not message.by_us and not self._is_us(message.speaker):
                now = self.clock.now()
                self.emit(
                    Said(now, message.speaker, message.text, in_chat=True, source=Source.CHAT)
                )

    async def _captions_on(self, look: Look) -> None:
        if (
            self.wants_captions
            and look.find(Control.CAPTIONS_ON) is not None
            and self._may("captions", 5.0, most=2 * _MOST_PRESSES)
        ):
            await self._press(look, Control.CAPTIONS_ON)

    async def _panels(self, look: Look) -> None:
        """Keep the chat open, and look at the list of people when their number has changed."""
        loop_now = asyncio.get_running_loop().time()
        if look.comings_and_goings != self._announced:
            self._announced = look.comings_and_goings
            if self._announced:
                self._people_at = None
        every = _ROSTER_EVERY_S if look.headcount is not None else _BLIND_ROSTER_EVERY_S
        stale = (
            self._people_at is None
            or look.headcount != self._counted
            or loop_now - self._people_at > every
        )
        wanted = Control.PEOPLE if stale else Control.CHAT
        shown = look.people if stale else look.messages
        if shown is None and self._may("panel", _PANEL_EVERY_S):
            await self._press(look, wanted)

    # ── dialogs ──────────────────────────────────────────────────────────────────────────

    async def _answer(self, look: Look) -> bool:
        """Answer a dialog that lies over the page; True if something was pressed."""
        for dialog in look.dialogs:
            if done_with(dialog):
                return await consent(self.page, look, dialog, self.manners, self.note)
            if look.asked_to_unmute:
                # The host wants to hear us: so nobody's wish is against it.
                unmute = look.find(Control.UNMUTE, dialog=dialog.id)
                if unmute is not None and self._may("unmute", 2.0, most=_MOST_DIALOGS):
                    self.note(f"Unmuted at {self.clock.now():%H:%M:%S} UTC, as a host asked.")
                    return await self.page.press(unmute)
            harmless = look.find(Control.DISMISS, Control.USE_DEVICES, dialog=dialog.id)
            if harmless is None or self._dialogs >= _MOST_DIALOGS:
                continue
            self._dialogs += 1
            self.on_odd(look, dialog.text or dialog.name)
            _log.info("dialog_closed", button=harmless.name)
            return await self.page.press(harmless)
        return False

    # ── keeping count ────────────────────────────────────────────────────────────────────

    async def _press(self, look: Look, control: Control) -> bool:
        shown = look.find(control)
        return shown is not None and shown.enabled and await self.page.press(shown)

    def _lasts(self, what: str, seconds: float) -> bool:
        """Whether `what` has been so, at every look, for that long."""
        now = asyncio.get_running_loop().time()
        return now - self._since.setdefault(what, now) >= seconds

    def _forget(self, *what: str) -> None:
        for each in what:
            self._since.pop(each, None)

    def _may(self, what: str, every_s: float, *, most: int | None = None) -> bool:
        """Whether it is time to do `what` again, and wasn't done too often; counts it."""
        now = asyncio.get_running_loop().time()
        key = f"did {what}"
        if now - self._since.get(key, -every_s) < every_s:
            return False
        self._presses[key] = self._presses.get(key, 0) + 1
        if most is not None and self._presses[key] > most:
            return False
        self._since[key] = now
        return True


def missing_of(before: MediaProof, now: MediaProof) -> list[str]:
    """Answer what two readings don't prove of our presence; nothing is missing if they do.

    A device that the page has switched off needn't send: that is its own doing, and shown.
    """
    missing = []
    if not now.connected:
        missing.append("no connection stands")
    picture = now.frames_sent > before.frames_sent
    sound = now.sound_packets_sent > before.sound_packets_sent
    if not picture and now.camera not in _OFF:
        missing.append("no picture goes out")
    if not sound and now.microphone not in _OFF:
        missing.append("no sound goes out")
    if not picture and not sound and not missing:
        missing.append("neither picture nor sound goes out")
    return missing


_OFF = {DeviceState.MUTED, DeviceState.STOPPED}


def hears(before: MediaProof, now: MediaProof) -> bool:
    """Whether any sound came in between two readings."""
    return now.sound_packets_received > before.sound_packets_received


def moves(before: MediaProof, now: MediaProof) -> bool:
    """Whether anything went in or out between two readings."""
    return (
        hears(before, now)
        or now.sound_packets_sent > before.sound_packets_sent
        or now.frames_sent > before.frames_sent
    )
