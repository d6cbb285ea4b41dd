"""Our own engine: a browser for each meeting, at its door, and the proof that none is left.

Building it imports nothing heavy; joining does.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from locum.core.model import Platform, Room, SessionHandle
from locum.core.speech import MouthAt, Spoken
from locum.engines.chromium.settings import ChromiumSettings
from locum.errors import LocumError, PermanentError
from locum.ports import (
    Clock,
    EngineTraits,
    Finding,
    JoinRequest,
    LostJoin,
    MeetingSession,
    Rigger,
)

if TYPE_CHECKING:
    from locum.engines.chromium.browser import BrowserSettings
    from locum.engines.chromium.session import ChromiumSession

_log = structlog.get_logger(__name__)

TRAITS = EngineTraits(
    platforms=frozenset({Platform.GOOGLE_MEET}),
    billed=False,
    converses_by_itself=False,
    reports_transcript=True,  # The room's captions.
    can_chat=True,
    sees_roster=True,
    survives_restart=False,
    weighs=True,
)

Lips = Callable[[Spoken], Sequence[MouthAt]]
"""From a piece of speech to the mouth that goes with it."""


def closed_lips(spoken: Spoken) -> tuple[MouthAt, ...]:
    """Speak with a mouth that doesn't move, where there are no lips."""
    del spoken
    return ()


class ChromiumEngine:
    """A presence is a browser of its own, which dies with the process that launched it.

    Args:
        settings: As whom, with which browser.
        clock: Where "now" comes from.
        rigger: Where the rigs of faces are; called once a join. None shows a test pattern.
        lips: What moves the mouth.
    """

    def __init__(
        self,
        settings: ChromiumSettings,
        *,
        clock: Clock,
        rigger: Callable[[], Rigger] | None = None,
        lips: Lips = closed_lips,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._rigger = rigger
        self._lips = lips
        self._running: dict[SessionHandle, ChromiumSession] = {}

    @property
    def traits(self) -> EngineTraits:
        return TRAITS

    async def prepare(self) -> None:
        """See whether there is a browser to go with.

        Raises:
            HumanNeededError: There is none, or what drives it isn't installed.
        """
        from locum.engines.chromium.browser import find_browser, playwright_api

        playwright_api()
        settings = self._browser_settings()
        await asyncio.to_thread(find_browser, settings)

    async def afford(self, dollars: float) -> None:
        """Always: our own machine costs nothing."""
        del dollars

    async def join(self, request: JoinRequest) -> MeetingSession:
        """Go to the room's door, and answer once we are in the lobby, in the call, or turned away.

        That takes seconds, and 90 at most. What is wrong before is raised, and then no browser
        is left. Whoever was denied at the door has a session which says so.

        Raises:
            TransientError: The page doesn't load, is in trouble, or our account is in the room
                already; see `retry_after`.
            HumanNeededError: A person must sign in (`locum meet login ACCOUNT`), or install
                the browser.
            PermanentError: There is no such room.
        """
        from locum.engines.chromium.joining import Joining

        handle = SessionHandle(f"chromium-{secrets.token_hex(6)}")
        joining = Joining(
            request,
            self._settings,
            # A meeting's own process weighs its whole tree; the browser isn't weighed once more.
            replace(self._browser_settings(), memory_limit=None),
            clock=self._clock,
            address=address_of(request.room, self._settings.meet_url),
            hint=self._hint(),
        )
        rig = None
        if self._rigger is not None:
            rig = await self._rigger().rig_of(request.face.image)
        async with AsyncExitStack() as body:
            # What comes to be a session takes the body over; whatever fails ends it here.
            session = await joining.go(
                body, handle, rig=rig, lips=self._lips, on_over=self._forget
            )
            self._running[handle] = session
        return session

    def _forget(self, handle: SessionHandle) -> None:
        self._running.pop(handle, None)

    def _hint(self) -> str:
        if self._settings.is_guest:
            return (
                "Let it go as one of your accounts: engines.NAME.account in the config, and "
                "`locum meet login ACCOUNT`."
            )
        return f"Sign its browser in: `locum meet login {self._settings.account}`."

    async def settle_lost_join(self, *, others_running: int) -> LostJoin:
        """A browser never outlives the process that launched it: a lost join is over."""
        del others_running
        return LostJoin.NEVER_RAN

    async def reattach(self, handle: SessionHandle) -> MeetingSession | None:
        """Answer the session if it is one of this process; any other is over, and made sure of.

        Raises:
            TransientError: A browser of it is left, and doesn't end.
        """
        from locum.engines.chromium.profiles import Profiles

        running = self._running.get(handle)
        if running is not None:
            return running
        await Profiles(self._settings.state_dir).sweep()
        return None

    async def check(self) -> tuple[Finding, ...]:
        from locum.engines.chromium.checks import check_browser, check_profile
        from locum.engines.chromium.profiles import Profiles

        settings = self._settings
        found = await asyncio.to_thread(
            check_browser, self._browser_settings(), engine=settings.name
        )
        if settings.is_guest:
            return found
        profiles = Profiles(settings.state_dir)
        return (*found, await asyncio.to_thread(check_profile, profiles, settings.account))

    async def aclose(self) -> None:
        """End every browser that is left, without a word: whoever wanted more has left before."""
        for session in tuple(self._running.values()):
            try:
                await session.close()
            except LocumError as error:
                _log.error("browser_left", handle=session.handle, problem=str(error))
        self._running.clear()

    def _browser_settings(self) -> BrowserSettings:
        from locum.engines.chromium.browser import BrowserSettings

        settings = self._settings
        return BrowserSettings(
            executable=settings.executable,
            headless=settings.headless,
            sandbox=settings.sandbox,
            memory_limit=settings.memory_limit,
        )


def address_of(room: Room, meet_url: str) -> str:
    """Build a room's address anew, in English as far as the page lets us choose.

    Raises:
        PermanentError: It is no room of Google Meet's.
    """
    if room.platform is not Platform.GOOGLE_MEET:
        raise PermanentError(f"The engine chromium goes to Google Meet alone, not {room.id}.")
    return f"{meet_url.rstrip('/')}/{room.code}?hl=en"
