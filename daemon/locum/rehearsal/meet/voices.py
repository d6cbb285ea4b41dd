"""The meeting page's sound and picture: carries what the state says to the media rooms.

The state is asked from any thread, a media room works on the server's loop alone; everything
crosses over here. A scenario's people get a picture and a voice when the first page is in
their room, because nobody else could see or hear them. Importing this loads nothing heavy;
the first offer does.
"""

from __future__ import annotations

import asyncio
import contextlib
import zlib
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from locum.errors import PermanentError
from locum.rehearsal.meet.participants import Participant
from locum.rehearsal.meet.protocol import ToPage
from locum.rehearsal.meet.state import MeetStage
from locum.tasks import Tasks

if TYPE_CHECKING:
    from locum.rehearsal.meet.media.overhearing import Overhearing
    from locum.rehearsal.meet.media.people import Person
    from locum.rehearsal.meet.media.recorder import Recorder
    from locum.rehearsal.meet.media.room import MediaRoom, MediaServer

_Key = tuple[str, str]
"""A room's code, and a participant's id in it."""

_WITHIN_S = 10.0
_Result = TypeVar("_Result")


class StageVoices:
    """Implements `Sound` for a `MeetStage`, on the loop of its server.

    Args:
        stage: Whose rooms; told of who speaks and of whose picture is where.
        addresses: Where WebRTC listens; None: on every address of this machine.
    """

    def __init__(self, stage: MeetStage, *, addresses: Sequence[str] | None = None) -> None:
        self._stage = stage
        self._addresses = addresses
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: MediaServer | None = None
        self._tasks = Tasks()
        self._serial = 0
        self._wanted: dict[_Key, None] = {}
        self._people: dict[_Key, asyncio.Task[Person]] = {}

    # ── on the server's loop ─────────────────────────────────────────────────────────────

    def begin(self) -> None:
        """Take the running loop for one's own."""
        self._loop = asyncio.get_running_loop()

    async def aclose(self) -> None:
        """End every room, and everything that runs in them."""
        self._loop = None
        await self._tasks.cancel()
        for making in self._people.values():
            making.cancel()
        await asyncio.gather(*self._people.values(), return_exceptions=True)
        self._people.clear()
        if self._server is not None:
            await self._server.aclose()
            self._server = None

    async def negotiate(self, participant: Participant, sdp: str) -> ToPage:
        """Answer a page's offer: the message to send."""
        room = self._room(participant.room)
        for who in (who for code, who in self._wanted if code == participant.room):
            self._person(participant.room, who)
        room.hear(participant.id, participant.microphone)
        try:
            answer = await room.negotiate(participant.id, sdp)
        except PermanentError as error:
            self._stage.note(participant.room, "error", participant.name, str(error))
            return {"type": "refused_offer", "why": str(error)}
        return {"type": "answer", "sdp": answer}

    def _room(self, code: str) -> MediaRoom:
        from locum.rehearsal.meet.media.room import Hooks, MediaServer

        if self._server is None:
            self._server = MediaServer(addresses=self._addresses)
        hooks = Hooks(
            speaking=lambda who, on: self._stage.speaks(code, who, speaking=on),
            slots=partial(self._stage.tell, code),
            connection=partial(self._stage.note, code, "media"),
        )
        return self._server.room(code, hooks=hooks)

    def _person(self, code: str, who: str) -> asyncio.Task[Person]:
        key = code, who
        if key not in self._people:
            seed = zlib.crc32(who.encode())
            making = self._room(code).add_person(who, picture_seed=seed)
            self._people[key] = asyncio.get_running_loop().create_task(making)
        return self._people[key]

    # ── from any thread ──────────────────────────────────────────────────────────────────

    def person_enters(self, room: str, who: str) -> None:
        self._post(self._enter(room, who), wanted=(room, who))

    def person_leaves(self, room: str, who: str) -> None:
        self._post(self._go(room, who), unwanted=(room, who))

    def person_says(self, room: str, who: str, text: str, file: Path | None) -> None:
        self._post(self._speak(room, who, text, file))

    def play(self, room: str, who: str, file: Path, began: Callable[[float], None]) -> None:
        """Let a person say a recording, from now on; `began` is told when, in the loop's seconds.

        `who` is a participant's id; nothing happens if it isn't there, or nobody's page is.
        """
        self._post(self._play(room, who, file, began))

    def hear(self, room: str, who: str, *, allowed: bool) -> None:
        self._post(self._hear(room, who, allowed=allowed))

    def leave(self, room: str, who: str) -> None:
        self._post(self._leave(room, who))

    def record(self, room: str, who: str, file: Path) -> Recorder:
        """Begin to record what the others see of `who`, and all that is said there.

        `who` is a participant's id; stop it with `stop_recording`.

        Raises:
            OSError: The file can't be written.
            PermanentError: The page isn't being served.
        """
        return self._await(self._record(room, who, file))

    def stop_recording(self, recorder: Recorder) -> None:
        self._await(recorder.stop())

    def overhear(self, room: str) -> Overhearing:
        """Begin to take note of who is heard in a room, and when.

        Raises:
            PermanentError: The page isn't being served.
        """
        return self._await(self._overhear(room))

    # ── crossing over ────────────────────────────────────────────────────────────────────

    def _await(self, work: Coroutine[None, None, _Result]) -> _Result:
        if self._loop is None:
            work.close()
            raise PermanentError("The meeting page isn't being served; open the stage first.")
        waiting: Future[_Result] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return waiting.result(_WITHIN_S)

    def _post(
        self,
        work: Coroutine[None, None, None],
        *,
        wanted: _Key | None = None,
        unwanted: _Key | None = None,
    ) -> None:
        if wanted is not None:
            self._wanted[wanted] = None
        if unwanted is not None:
            self._wanted.pop(unwanted, None)
        loop = self._loop
        if loop is None:
            work.close()
            return
        try:
            loop.call_soon_threadsafe(self._start, work)
        except RuntimeError:  # The server ended just now.
            work.close()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        if self._loop is None:
            work.close()
            return
        self._serial += 1
        self._tasks.start(self._serial, work)

    async def _enter(self, room: str, who: str) -> None:
        # Where no page is, nobody would see it; the first offer brings everybody in.
        if self._server is not None and self._server.room(room).participants():
            await self._person(room, who)

    async def _go(self, room: str, who: str) -> None:
        making = self._people.pop((room, who), None)
        if making is not None:
            await (await making).leave()

    async def _speak(self, room: str, who: str, text: str, file: Path | None) -> None:
        making = self._people.get((room, who))
        if making is not None:
            await (await making).say(text, file)

    async def _play(
        self, room: str, who: str, file: Path, began: Callable[[float], None]
    ) -> None:
        making = self._people.get((room, who))
        if making is not None:
            await (await making).say(recording=file, began=began)

    async def _hear(self, room: str, who: str, *, allowed: bool) -> None:
        if self._server is not None:
            self._room(room).hear(who, allowed)

    async def _leave(self, room: str, who: str) -> None:
        if self._server is not None:
            with contextlib.suppress(KeyError):
                await self._room(room).leave(who)

    async def _overhear(self, room: str) -> Overhearing:
        return self._room(room).overhear()

    async def _record(self, room: str, who: str, file: Path) -> Recorder:
        return await self._room(room).record(who, file)
