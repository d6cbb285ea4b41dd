"""From a page that is being loaded to the lobby or the call: what is pressed at the door.

It knocks once, and again only where the page shows that nothing came of it. Somebody who was
denied, or isn't let in, is never the door's matter: see `verdicts`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from locum.engines.chromium import texts
from locum.engines.chromium.looks import Announced, Look, Shown, Where
from locum.engines.chromium.meetpage import MeetPage, NoLookError
from locum.engines.chromium.texts import Control
from locum.engines.chromium.verdicts import OF_SCREEN, EndedError, Verdict

_log = structlog.get_logger(__name__)

_EVERY_S = 0.15
_LONGEST_S = 45.0
"""How long it may take from the page to the lobby or the call, on a slow machine."""
_SETTLES_S = 1.0
"""How long a page must say the same before it is believed that we aren't let in."""
_PRESSED_ENOUGH = 3
_AGAIN_AFTER_S = 8.0
_RELOAD_EVERY_S = 6.0


@dataclass(frozen=True)
class Manners:
    """How it behaves at the door and inside.

    `name` is what a guest goes by. `accept_recording` is whether we stay where a meeting is
    recorded, transcribed or written up. `was_here` says that we were in this room a moment ago
    and our browser is gone: then it is our own ghost that is "in already". `account` is as whom
    its browser should be signed in; empty for a guest.
    """

    name: str
    accept_recording: bool = True
    was_here: bool = False
    account: str = ""


@dataclass
class Doorman:
    """Brings one page in. `note` gets what belongs into the record."""

    page: MeetPage
    manners: Manners
    note: Callable[[str], None]
    last: Look | None = None  #: What was seen last, for the evidence.
    _pressed: dict[str, int] = field(default_factory=dict)
    _knocked_at: float | None = None
    _knocks: int = 0
    _reloads: int = 0

    async def enter(self) -> Look:
        """Do what the page asks for, and answer it when it shows the lobby or the call.

        Raises:
            EndedError: It shows, for good, that there is no way in; or nothing comes of it.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        told: tuple[Verdict, float] | None = None
        while loop.time() - began < _LONGEST_S:
            try:
                look = self.last = await self.page.look()
            except NoLookError:
                await asyncio.sleep(_EVERY_S)
                continue
            where = look.where
            if where in {Where.LOBBY, Where.IN_CALL}:
                return look
            verdict = _verdict(look) if where is Where.TOLD else None
            if verdict is None:
                told = None
            elif told is None or told[0] is not verdict:
                told = verdict, loop.time()
            elif loop.time() - told[1] >= _SETTLES_S:
                raise EndedError(verdict)
            await self._do(look, loop.time() - began)
            await asyncio.sleep(_EVERY_S)
        raise EndedError(*self._why_not())

    def _why_not(self) -> tuple[Verdict, str]:
        look = self.last
        if look is None or (not look.controls and not look.texts):
            return Verdict.NOT_LOADED, ""
        if look.where is Where.DOOR and look.in_already:
            return Verdict.IN_ALREADY, ""
        if look.where is Where.DOOR:
            return Verdict.NOTHING_KNOWN, "it stays before the door"
        return Verdict.NOTHING_KNOWN, ""

    async def _do(self, look: Look, waited_s: float) -> None:
        """Do the one thing that comes next; the next look shows what came of it."""
        if await self._answer_dialogs(look):
            return
        if look.where is not Where.DOOR:
            return
        field_ = look.find(Control.NAME)
        if field_ is not None and not field_.filled and self._may_press("name"):
            self._note_guest()
            await self.page.fill(field_, self.manners.name)
            return
        for control in (Control.MICROPHONE_ON, Control.CAMERA_ON):
            switch = look.find(control)
            if switch is not None and switch.enabled and self._may_press(control.value):
                await self.page.press(switch)
                return
        await self._knock(look, waited_s)

    def _note_guest(self) -> None:
        """An invited account that is signed out is still better there as a guest than nowhere."""
        account = self.manners.account
        if account and self._pressed["name"] == 1:
            _log.warning("browser_signed_out", account=account)
            self.note(
                f"Its browser isn't signed in as {account}, so it asked to come in as a guest: "
                f"`locum meet login {account}`."
            )

    async def _knock(self, look: Look, waited_s: float) -> None:
        door = look.door
        if door is None or not door.enabled:
            return
        if look.in_already and look.find(Control.JOIN, Control.ASK) is None:
            if not self.manners.was_here:
                # Somebody sits there with this account: its owner, or another stand-in.
                raise EndedError(Verdict.IN_ALREADY)
            # Our own ghost. Nobody is put out of the call for it: it goes by itself.
            door = look.find(Control.JOIN_TOO)
            if door is None:
                await self._reload(waited_s)
                return
        now = asyncio.get_running_loop().time()
        if self._knocked_at is not None and now - self._knocked_at < _AGAIN_AFTER_S:
            return
        if self._knocks < _PRESSED_ENOUGH and await self.page.press(door):
            self._knocks += 1
            self._knocked_at = now
            _log.info("door_pressed", name=door.name, again=self._knocks > 1)

    async def _reload(self, waited_s: float) -> None:
        """Ask for the page anew from time to time: a door that is shown doesn't change."""
        if waited_s > _RELOAD_EVERY_S * (self._reloads + 1):
            self._reloads += 1
            await self.page.reload()

    # ── dialogs ──────────────────────────────────────────────────────────────────────────

    async def _answer_dialogs(self, look: Look) -> bool:
        """Answer what lies over the page, if anything does; True if something was pressed."""
        for dialog in look.dialogs:
            if done_with(dialog):
                return await self._consent(look, dialog)
        for control in (Control.USE_DEVICES, Control.DISMISS):
            for shown in look.all(control):
                if _is_harmless(shown, look) and self._may_press(f"{control} {shown.name}"):
                    return await self.page.press(shown)
        return False

    async def _consent(self, look: Look, dialog: Announced) -> bool:
        return await consent(self.page, look, dialog, self.manners, self.note)

    def _may_press(self, what: str) -> bool:
        """Count what was pressed: a page that asks the same for ever isn't obeyed for ever."""
        self._pressed[what] = self._pressed.get(what, 0) + 1
        return self._pressed[what] <= _PRESSED_ENOUGH


def _is_harmless(shown: Shown, look: Look) -> bool:
    """Whether pressing it only closes something: it is in a dialog, or says so by itself."""
    if not shown.enabled:
        return False
    return shown.dialog != 0 or (not look.dialogs and shown.role == "button")


def _verdict(look: Look) -> Verdict | None:
    return None if look.screen is None else OF_SCREEN.get(look.screen)


def done_with(announced: Announced) -> str:
    """Answer what a dialog or notice says is done with the meeting; empty for nothing."""
    words = f"{announced.name} {announced.text}"
    kinds = [kind for kind, pieces in texts.CONSENTS.items() if texts.holds(words, pieces)]
    return " and ".join(kinds)


async def consent(
    page: MeetPage,
    look: Look,
    dialog: Announced,
    manners: Manners,
    note: Callable[[str], None],
) -> bool:
    """Agree to what is done with the meeting, and note it; or refuse, as `manners` say.

    Raises:
        EndedError: We don't stay in a meeting that is recorded.
    """
    kinds = done_with(dialog)
    agree = look.find(Control.AGREE, Control.DISMISS, dialog=dialog.id)
    if agree is None:
        return False
    if not manners.accept_recording:
        raise EndedError(Verdict.NOT_AGREED, f"it is {kinds}")
    if not await page.press(agree):
        return False
    note(f"This meeting is {kinds}: agreed to, by pressing {agree.name!r}.")
    return True
