"""A camera and a microphone of our own in a page, and ears on what the page receives.

The page's own scripts ask for devices as ever and get ours; what comes in on its connections
is heard. Nothing here knows what meeting the page shows: clicks, captions and names are the
page driver's.
"""

from __future__ import annotations

import asyncio
import base64
import enum
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from locum.core.speech import MouthAt, Spoken
from locum.engines.chromium import scripting, wire
from locum.engines.chromium.channel import PageChannel
from locum.engines.chromium.ears import Contributor, Ears, HeardTrack
from locum.engines.chromium.speech import RATE_HZ, Piece, Speech
from locum.errors import LocumError, TransientError
from locum.ports import HeardSound, Rig
from locum.tasks import Tasks

if TYPE_CHECKING:
    from playwright.async_api import Page
    from typing_extensions import Self

_log = structlog.get_logger(__name__)

__all__ = [
    "Contributor",
    "DeviceState",
    "HeardTrack",
    "MediaProof",
    "MediaSettings",
    "MediaStats",
    "PageMedia",
]

_STEPS = (1.0, 0.75, 0.5)  #: Of the picture's height: 720p, 540p, 360p.
#: How much sound may lie in the page, ahead of its clock, before we wait; and how much is left
#: when we go on.
_FULL = 0.9 * RATE_HZ
_REFILLED = 0.7 * RATE_HZ
#: How long a microphone that is off is waited for.
_OPENED_WITHIN = timedelta(seconds=2)
#: The page says that all was said; should it not, we go on after this much more.
_SAID_WITHIN_S = 5.0
_STUCK_S = 3.0
_TROUBLES_KEPT = 20
_DRESSED_WITHIN_S = 30.0


@dataclass(frozen=True)
class MediaSettings:
    """What the page gets. `origins` are those whose pages get it; empty means all of them."""

    width: int = 1280
    height: int = 720
    fps: int = 30
    camera_label: str = "Locum Camera"
    microphone_label: str = "Locum Microphone"
    nameplate: str = ""
    """Whose stand-in it is, written into the picture: a room shows the signed-in account's name."""
    origins: tuple[str, ...] = ()
    worker: bool = True  #: Draw in a Worker, where the page's policy lets one.
    #: How long a smaller picture is kept, at first, before the next larger is tried.
    patience: timedelta = timedelta(seconds=20)

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        """Widths and heights that the picture can have, the largest first; all even."""
        steps = (
            (round(self.width * s / 2) * 2, round(self.height * s / 2) * 2) for s in _STEPS
        )
        return tuple(dict.fromkeys(size for size in steps if size[1] >= 180))


class DeviceState(enum.Enum):
    """What the page has made of our camera, or our microphone."""

    UNASKED = "unasked"  #: It never asked for it.
    STOPPED = "stopped"  #: It has let go of all it was given.
    MUTED = "muted"  #: It holds a track, which it has switched off.
    LIVE = "live"


@dataclass(frozen=True)
class MediaProof:
    """What the page's connections say of themselves: evidence that we are in a room.

    Counts are sums over all connections that are open now, since each began; energies are those
    of the standard's `totalAudioEnergy`.
    """

    at: datetime
    states: tuple[str, ...]  #: `connectionState` of each open connection.
    frames_encoded: int
    frames_sent: int
    frame_width: int
    frame_height: int
    sound_packets_sent: int
    sound_energy_sent: float
    sound_packets_received: int
    sound_energy_received: float  #: As the page plays it: 0 where it has muted its elements.
    sound_energy_heard: float  #: The same by our own ears, since the page was loaded.
    camera: DeviceState
    microphone: DeviceState

    @property
    def connected(self) -> bool:
        return "connected" in self.states


@dataclass(frozen=True)
class MediaStats:
    """How our side does: counts since the page was loaded, and what is so now."""

    frames_drawn: int
    frames_failed: int  #: Drawn as nothing, since the face couldn't be.
    frames_skipped: int  #: Not written, since the page hadn't taken the one before.
    drawn_fps: float
    draw_ms: float  #: Of one frame, on average of late.
    width: int
    height: int
    in_worker: bool
    late_sounds: int  #: Pieces that came after their instant: a gap was heard.
    lead_ms: float  #: How long a first piece waits now, so that the next isn't late.
    sounds_dropped: int  #: Heard pieces that nobody fetched in time.
    hush_ms: float  #: How long the last hush took in the page.
    troubles: tuple[str, ...]  #: What went wrong in the page's scripts, newest last.


_NOTHING = Piece(0, "", ())


@dataclass
class _Utterance:
    """What is being said now: how much of it the page has, and how much lay ahead when asked."""

    number: int
    ended: asyncio.Future[int]  #: How many samples were heard.
    sent: int = 0  #: What the page has taken,
    given: int = 0  #: and what is on its way besides.
    ahead: int = 0
    asked_at: float = 0.0

    def heard(self, at: float) -> int:
        """As far as we know, where the page can't say it any more."""
        passed = int((at - self.asked_at) * RATE_HZ)
        return min(max(0, self.sent - self.ahead + passed), self.sent)

    def end(self, samples: int) -> None:
        if not self.ended.done():
            self.ended.set_result(min(samples, self.given))


class PageMedia:
    """One page's camera, microphone and ears: `ports.Embodied`, and the proof that it works.

    After a reload of the page it goes on; what was being said then is dropped.
    """

    def __init__(
        self,
        settings: MediaSettings,
        *,
        rig: Rig | None,
        lips: Callable[[Spoken], Sequence[MouthAt]],
        now: Callable[[], datetime],
        speaker_of: Callable[[HeardTrack], str],
    ) -> None:
        self._settings = settings
        self._rig = rig
        self._lips = lips
        self._now = now
        self._ears = Ears(now=now, speaker_of=speaker_of)
        self._tasks = Tasks()
        self._turn = asyncio.Lock()
        self._newest = 0  #: Utterances are numbered upwards, in the page too.
        self._hushed = 0  #: Those up to this number are not to be said (any more).
        self._saying: _Utterance | None = None
        self._attentive = False
        self._troubles: deque[str] = deque(maxlen=_TROUBLES_KEPT)
        self._channel: PageChannel

    @classmethod
    async def install(
        cls,
        page: Page,
        settings: MediaSettings,
        *,
        rig: Rig | None,
        lips: Callable[[Spoken], Sequence[MouthAt]],
        now: Callable[[], datetime],
        speaker_of: Callable[[HeardTrack], str] = lambda _: "",
    ) -> Self:
        """Prepare `page`, before it goes anywhere: what it has loaded already keeps its own.

        Without a `rig` a test pattern is shown. `lips` is called in a thread. `speaker_of` names
        who is heard on a track; it is asked for every piece of sound, so it must be quick.

        Raises:
            TransientError: The page is gone.
        """
        media = cls(settings, rig=rig, lips=lips, now=now, speaker_of=speaker_of)
        media._channel = await PageChannel.open(
            page, on_message=media._told, on_left=media._left
        )
        await media._channel.install(
            scripting.bundle(media._for_scripts()), worker=scripting.worker()
        )
        return media

    def _for_scripts(self) -> dict[str, object]:
        return {
            "binding": self._channel.binding,
            "door": self._channel.door,
            "workerPath": self._channel.worker_path,
            "sizes": self._settings.sizes,
            "nameplate": self._settings.nameplate,
            "fps": self._settings.fps,
            "patienceMs": self._settings.patience / timedelta(milliseconds=1),
            "cameraLabel": self._settings.camera_label,
            "microphoneLabel": self._settings.microphone_label,
            "origins": self._settings.origins,
            "worker": self._settings.worker,
            "dressed": self._rig is not None,
        }

    # ── speaking ─────────────────────────────────────────────────────────────────────────

    async def say(self, spoken: AsyncIterable[Spoken]) -> timedelta:
        """Say it aloud, one utterance after the other, and answer how much of it was heard.

        What can't be heard, since the page has muted or stopped our microphone or is being
        loaded, is dropped, and not asked of the voice.

        Raises:
            LocumError: What `spoken` raised, once what it had given before was said.
        """
        self._newest += 1
        number = self._newest
        async with self._turn:
            if not await self._may_say(number):
                return timedelta()
            utterance = _Utterance(number, asyncio.get_running_loop().create_future())
            self._saying = utterance
            try:
                await self._say(utterance, spoken)
            finally:
                self._saying = None
        return timedelta(seconds=utterance.ended.result() / RATE_HZ)

    async def _may_say(self, number: int) -> bool:
        if number <= self._hushed:
            return False
        try:
            opened = await self._channel.call(
                "opened", _OPENED_WITHIN / timedelta(milliseconds=1)
            )
        except TransientError as error:
            _log.warning("speech_dropped", reason=str(error))
            return False
        if opened is not True:
            _log.warning("speech_dropped", reason="our microphone is off in the page")
        return opened is True and number > self._hushed

    async def _say(self, utterance: _Utterance, spoken: AsyncIterable[Spoken]) -> None:
        """Return when the page has ended it, and raise what the voice did."""
        sending = asyncio.ensure_future(self._send_all(utterance, spoken))
        try:
            first: set[asyncio.Future[Any]] = {sending, utterance.ended}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            within_s = utterance.ahead / RATE_HZ + _SAID_WITHIN_S
            await asyncio.wait({utterance.ended}, timeout=within_s)
        finally:
            if not utterance.ended.done():  # We are cancelled, or the page says nothing.
                utterance.end(utterance.heard(_host_now()))
                await asyncio.shield(self._hush_page(utterance.number))
            sending.cancel()
            await asyncio.wait({sending})
        if not sending.cancelled() and (error := sending.exception()) is not None:
            raise error

    async def _send_all(self, utterance: _Utterance, spoken: AsyncIterable[Spoken]) -> None:
        """Send it, never far ahead of the page's clock, and stop where the page has ended it."""
        speech = Speech()
        failure: LocumError | None = None
        try:
            async for piece in spoken:
                mouths = await asyncio.to_thread(self._lips, piece)
                for part in speech.add(piece.sound, mouths):
                    await self._send(utterance, part)
        except LocumError as error:
            failure = error
        finally:
            # A voice goes on working until its iterator is closed.
            if (aclose := getattr(spoken, "aclose", None)) is not None:
                await aclose()
        for part in speech.rest():
            await self._send(utterance, part)
        await self._send(utterance, _NOTHING, complete=True)
        if failure is not None:
            raise failure

    async def _send(
        self, utterance: _Utterance, piece: Piece, *, complete: bool = False
    ) -> None:
        if utterance.ended.done():
            return
        utterance.given += piece.samples
        utterance.ahead = await self._push(utterance, piece, complete=complete)
        utterance.sent += piece.samples
        moved_at = _host_now()
        while utterance.ahead > _FULL and not (complete or utterance.ended.done()):
            await asyncio.sleep((utterance.ahead - _REFILLED) / RATE_HZ)
            before, utterance.ahead = utterance.ahead, await self._push(utterance, _NOTHING)
            if utterance.ahead < before:
                moved_at = _host_now()
            elif _host_now() - moved_at > _STUCK_S:
                self._trouble("sound", "the page's audio clock stands still")
                await self._hush_page(utterance.number)

    async def _push(
        self, utterance: _Utterance, piece: Piece, *, complete: bool = False
    ) -> int:
        """Hand a piece to the page, and answer how much lies ahead there.

        Where the page has ended the utterance, or is gone, it is ended here too.
        """
        try:
            ahead = await self._channel.call(
                "push", utterance.number, piece.pcm, piece.keyframes, complete
            )
        except TransientError as error:
            _log.warning("speech_dropped", reason=str(error))
            ahead = -1
        if not isinstance(ahead, int) or ahead < 0:
            utterance.end(utterance.heard(_host_now()))
            return 0
        utterance.asked_at = _host_now()
        return ahead

    async def hush(self) -> None:
        """Fall silent at once; utterances that wait for their turn are dropped too."""
        self._hushed = self._newest
        await self._hush_page(self._hushed)
        if (saying := self._saying) is not None:
            # The page has said by now how much was heard, unless it had nothing of it, or is gone.
            saying.end(saying.heard(_host_now()))

    async def duck(self, *, down: bool) -> None:
        """Go on 12 dB more quietly, or as before, within 20 ms; the next utterance is loud."""
        await self._gesture("duck", down)

    async def _hush_page(self, number: int) -> None:
        try:
            await self._channel.call("hush", number)
        except TransientError as error:
            _log.info("hush_without_page", reason=str(error))

    # ── being seen ───────────────────────────────────────────────────────────────────────

    async def listen(self, *, attentive: bool) -> None:
        """Show, or stop showing, that somebody is being listened to; after a reload too."""
        self._attentive = attentive
        await self._gesture("listen", attentive)

    async def nod(self) -> None:
        """Nod once, if there is anybody to see it."""
        await self._gesture("nod")

    async def _gesture(self, name: str, *values: object) -> None:
        try:
            await self._channel.call(name, *values)
        except TransientError as error:
            _log.debug("gesture_dropped", gesture=name, reason=str(error))

    async def _dress(self) -> None:
        """Give the page what its camera shows."""
        await self._gesture("listen", self._attentive)
        if (rig := self._rig) is None:
            return
        textures = {name: base64.b64encode(png).decode() for name, png in rig.textures.items()}
        clothes = {"kind": rig.kind, "rig": rig.document.decode(), "textures": textures}
        try:
            await self._channel.call("dress", clothes, within_s=_DRESSED_WITHIN_S)
        except TransientError as error:
            self._trouble("face", str(error))

    # ── hearing, and what else the page tells ────────────────────────────────────────────

    def sounds(self) -> AsyncIterator[HeardSound]:
        """Give what is heard until `aclose`. For one reader."""
        return self._ears.sounds()

    def _told(self, message: str) -> None:
        try:
            if message.startswith("~"):
                self._ears.hear(message)
            else:
                self._take(wire.MESSAGE.validate_json(message))
        except ValueError as error:  # pydantic's too.
            self._trouble("message", str(error).splitlines()[0])

    def _take(self, message: wire.Message) -> None:
        match message:
            case wire.NewTrack(track=number, id=id_, streams=streams, mid=mid):
                self._ears.track(number, HeardTrack(id_, streams, mid))
            case wire.EndedTrack(track=number):
                self._ears.untrack(number)
            case wire.Sources(track=number, sources=sources):
                self._ears.contributed(number, tuple(Contributor(*s) for s in sources))
            case wire.SaidSoFar(id=number, frames=frames, why=why):
                if why == "muted":
                    _log.warning("speech_dropped", reason="our microphone was switched off")
                if (saying := self._saying) is not None and saying.number == number:
                    saying.end(frames)
            case wire.CameraAsked():
                self._tasks.start("dress", self._dress())
            case wire.Trouble(where=where, what=what):
                self._trouble(where, what)

    def _trouble(self, where: str, what: str) -> None:
        _log.warning("page_script_failed", where=where, what=what)
        self._troubles.append(f"{where}: {what}")

    def _left(self) -> None:
        """Go on with another document: nothing of the last one sounds, or is heard, any more."""
        self._ears.forget()
        if (saying := self._saying) is not None and not saying.ended.done():
            _log.warning("speech_dropped", reason="the page was loaded anew")
            saying.end(saying.heard(_host_now()))

    # ── evidence ─────────────────────────────────────────────────────────────────────────

    async def proof(self) -> MediaProof:
        """Ask the page's connections.

        Raises:
            TransientError: The page doesn't answer, or is being loaded.
        """
        told = _parsed(wire.ProofTold, await self._channel.call("proof"))
        fields = told.model_dump()
        fields["camera"] = DeviceState(told.camera)
        fields["microphone"] = DeviceState(told.microphone)
        return MediaProof(at=self._now(), **fields)

    async def stats(self) -> MediaStats:
        """Ask the page's scripts. Raises as `proof` does."""
        told = _parsed(wire.StatsTold, await self._channel.call("stats"))
        return MediaStats(
            frames_drawn=told.drawn,
            frames_skipped=told.skipped,
            frames_failed=told.failed,
            drawn_fps=told.rate,
            draw_ms=told.busy_ms,
            width=told.width,
            height=told.height,
            in_worker=told.in_worker,
            late_sounds=told.late,
            lead_ms=told.lead_ms,
            sounds_dropped=self._ears.dropped,
            hush_ms=told.hush_ms,
            troubles=tuple(self._troubles),
        )

    async def aclose(self) -> None:
        """Let go of the page, and end what is being said. Idempotent; it may be gone already."""
        await self.hush()
        await self._tasks.cancel()
        await self._channel.aclose()
        self._ears.close()


_Told = TypeVar("_Told", bound=BaseModel)


def _parsed(model: type[_Told], answer: object) -> _Told:
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        raise TransientError(
            f"The page answers nonsense: {error.errors()[0]['msg']}"
        ) from error


def _host_now() -> float:
    return asyncio.get_running_loop().time()
