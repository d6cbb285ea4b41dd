"""From a request to a session: browser, face, address, door; and nothing left where it fails."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from locum.core.model import SessionHandle
from locum.core.speech import MouthAt, Spoken
from locum.engines.chromium.browser import BrowserSettings, launched
from locum.engines.chromium.entering import Doorman, Manners
from locum.engines.chromium.evidence import FailureFolders
from locum.engines.chromium.media import MediaSettings, PageMedia
from locum.engines.chromium.meetpage import MeetPage
from locum.engines.chromium.naming import Naming
from locum.engines.chromium.presence import Presence
from locum.engines.chromium.profiles import Profiles
from locum.engines.chromium.session import ChromiumSession, Record
from locum.engines.chromium.settings import ChromiumSettings
from locum.engines.chromium.verdicts import EndedError, Verdict
from locum.errors import TransientError
from locum.ports import Clock, JoinRequest, Rig

_log = structlog.get_logger(__name__)

_GHOST = timedelta(minutes=3)
"""How long after our browser has died its place in a room may still be shown."""

_TOLD_BY_SESSION = frozenset({Verdict.DENIED, Verdict.REMOVED, Verdict.ENDED})
"""What is no error of joining: somebody's wish, or the meeting's end."""


@dataclass
class Joining:
    """One join. `hint` is what a person does where Meet wants one; `address` is the room's."""

    request: JoinRequest
    settings: ChromiumSettings
    browser: BrowserSettings
    clock: Clock
    address: str
    hint: str
    _media: PageMedia | None = field(default=None, init=False)
    _page: MeetPage | None = field(default=None, init=False)

    async def go(
        self,
        body: AsyncExitStack,
        handle: SessionHandle,
        *,
        rig: Rig | None,
        lips: Callable[[Spoken], Sequence[MouthAt]],
        on_over: Callable[[SessionHandle], None],
    ) -> ChromiumSession:
        """Launch, go to the door, and answer the session; closing `body` ends the browser.

        Raises as `ChromiumEngine.join` does.
        """
        began = time.monotonic()
        page, naming = await self._launch(body, rig, lips)
        room = self.request.room.code
        record = Record(room, self.clock, FailureFolders(self.settings.state_dir), self.hint)
        mark = RoomMark(self.settings.state_dir, self.settings.account, room)
        manners = Manners(
            name=self.request.face.display_name,
            accept_recording=self.settings.accept_recording,
            was_here=mark.is_fresh(),
            account=self.settings.account,
        )
        doorman = Doorman(page, manners, record.note)
        _log.info("door_reached", after_s=round(time.monotonic() - began, 1))
        try:
            await page.open(self.address)
            await doorman.enter()
        except EndedError as error:
            if error.verdict not in _TOLD_BY_SESSION:
                detail = await record.keep(page, doorman.last, error)
                _log.warning("door_closed", verdict=error.verdict.name.lower(), detail=detail)
                raise error.verdict.error(error.detail, hint=self.hint) from error
        _log.info("door_passed", after_s=round(time.monotonic() - began, 1))
        media = self._media
        if media is None:  # pragma: no cover - Installed before the door.
            raise TransientError("The page has no devices.")
        presence = Presence(
            page=page,
            media=media,
            clock=self.clock,
            manners=manners,
            admit_by=self.request.admit_by,
            note=record.note,
            is_here=mark.touch,
            wants_captions=self.settings.captions,
            attribution=naming.attribution,
        )

        def over(name: SessionHandle) -> None:
            mark.remove()
            on_over(name)

        return ChromiumSession(handle, presence, media, body.pop_all(), record, on_over=over)

    async def _launch(
        self,
        body: AsyncExitStack,
        rig: Rig | None,
        lips: Callable[[Spoken], Sequence[MouthAt]],
    ) -> tuple[MeetPage, Naming]:
        from playwright.async_api import Error

        origin = "{0.scheme}://{0.netloc}".format(urlsplit(self.address))
        profiles = Profiles(self.settings.state_dir)
        folder = await body.enter_async_context(profiles.taken(self.settings.account))
        context = await body.enter_async_context(
            launched(self.browser, folder, origin=origin, on_gone=self._gone)
        )
        naming = Naming(self.clock)
        try:
            page = await context.new_page()
        except Error as error:
            raise TransientError("The browser opens no page.") from error
        # Before it goes anywhere: what a page has loaded already keeps its own devices.
        self._media = await PageMedia.install(
            page,
            MediaSettings(
                self.settings.width,
                self.settings.height,
                nameplate=self.request.face.display_name,
                origins=(origin,),
            ),
            rig=rig,
            lips=lips,
            now=self.clock.now,
            speaker_of=naming.speaker_of,
        )
        body.push_async_callback(self._media.aclose)
        self._page = MeetPage(page)
        return self._page, naming

    def _gone(self, why: str) -> None:
        if self._page is not None:
            self._page.lose(why)


class RoomMark:
    """Says on the disk that we are in a room, so that our own ghost there is known for ours.

    Written while we are in, and removed when we have left: what is found after a crash, and is
    fresh, is of a browser of ours that is gone.
    """

    def __init__(self, state_dir: Path, account: str, room: str) -> None:
        safe = re.sub(r"[^A-Za-z0-9_.-]", "", f"{account or 'guest'}@{room}")
        self._file = state_dir / "chromium" / "rooms" / safe

    def touch(self) -> None:
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file.touch(mode=0o600)

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)

    def is_fresh(self) -> bool:
        try:
            written = self._file.stat().st_mtime
        except OSError:
            return False
        return 0 <= time.time() - written < _GHOST.total_seconds()
