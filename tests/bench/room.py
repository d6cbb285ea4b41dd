"""A room on the stage for benches of talk: people who play recordings, a persona, a listener.

Three processes, whose clocks are one (CLOCK_MONOTONIC): the stage with its people
(`python -m tests.bench.room PEOPLE`), the persona (`tests.conversing_process`), and whoever
measures, as one more participant with a connection of its own.

A recording's sample at `x` is spoken at `Played.at(x)`: a packet carries 20 ms and goes out at the
instant of its first sample, where a microphone's would go out at that of its last, so 20 ms are
taken off. What is received counts from the arrival of its packet; what a listener's player adds
(some 40 to 60 ms against jitter) isn't in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
import threading
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

ROOM = "abc-defg-hij"
LISTENER = "Listener"
NOBODY = "nobody"
PACKET_S = 0.02
BIN_S = 0.005

AUDIBLE = 0.004
"""RMS over which something is heard: -48 dBFS. The persona's silence is digital."""

_SURE = 4
_QUIET_S = 0.2
_LIPS_S = 5.0
_WITHIN_S = 90.0


# ── the stage's process ──────────────────────────────────────────────────────────────────


def stage(people: int) -> None:
    """Serve a room with so many people until stdin is closed; each of its lines lets one play."""
    from locum.rehearsal.meet import MeetStage
    from locum.rehearsal.meet.meeting import participant_id
    from locum.rehearsal.meet.serving import served_meet
    from locum.rehearsal.meet.settings import Guests, PageSettings
    from locum.rehearsal.meet.voices import StageVoices
    from locum.rehearsal.rooms import Rooms

    def now() -> datetime:
        return datetime.now(timezone.utc)

    rooms = Rooms(now=now)
    made = MeetStage(now=now, rooms=rooms, settings=PageSettings(guests=Guests.OPEN))
    names = [f"Person {number + 1}" for number in range(people)]
    with served_meet(made) as server:
        for name in names:
            rooms.enter(ROOM, name)
        ids = {v.name: participant_id(ROOM, v.id) for v in rooms.present(ROOM)}
        voices = made.sound
        assert isinstance(voices, StageVoices)
        tell(url=server.base_url)
        for line in sys.stdin:
            asked = json.loads(line)
            if "write" in asked:
                from locum.rehearsal.rooms import StepKind

                rooms.act(StepKind.WRITE, ROOM, names[asked["who"]], asked["write"])
                made.pump()
                continue
            number = asked["number"]
            voices.play(
                ROOM,
                ids[names[asked["who"]]],
                Path(asked["file"]),
                lambda at, number=number: tell(began=at, number=number),  # type: ignore[misc]
            )


class RigError(Exception):
    """The bench itself can't go on."""


_telling = threading.Lock()


def tell(**words: Any) -> None:
    """Say one line to whoever started this process."""
    with _telling:
        print(json.dumps(words, default=str), flush=True)


# ── a process that tells in lines ────────────────────────────────────────────────────────


class Teller:
    """A process of ours that says what happens in lines of JSON, and ends with its stdin."""

    def __init__(self, process: asyncio.subprocess.Process, module: str) -> None:
        self._process = process
        self._module = module
        self._told: list[dict[str, Any]] = []
        self._news = asyncio.Condition()
        self._over = False
        self._reading = asyncio.ensure_future(self._read())

    @classmethod
    async def start(cls, module: str, *arguments: str) -> Teller:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", module, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        return cls(process, module)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def told(self) -> Sequence[dict[str, Any]]:
        """Everything it has said until now."""
        return self._told

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if line.startswith(b"{"):  # Lines of a log may come in between.
                with contextlib.suppress(ValueError):
                    self._told.append(json.loads(line))
            async with self._news:
                self._news.notify_all()
        self._over = True
        async with self._news:
            self._news.notify_all()

    async def ask(self, **words: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")
        await self._process.stdin.drain()

    async def hears(
        self, wanted: Callable[[dict[str, Any]], bool], within_s: float = _WITHIN_S
    ) -> dict[str, Any] | None:
        """Answer the first line that is wanted, of all that were said; None after `within_s`."""
        seen = 0

        async def first() -> dict[str, Any]:
            nonlocal seen
            async with self._news:
                while True:
                    for line in itertools.islice(self._told, seen, None):
                        seen += 1
                        if wanted(line):
                            return line
                    if self._over:
                        raise RigError(f"{self._module} ended.")
                    await self._news.wait()

        try:
            return await asyncio.wait_for(first(), within_s)
        except asyncio.TimeoutError:
            return None

    async def expects(self, word: str) -> Any:
        found = await self.hears(lambda line: word in line)
        if found is None:
            raise RigError(f"{self._module} didn't say {word} within {_WITHIN_S:g} s.")
        return found[word]

    async def aclose(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 30)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading


# ── what was received ────────────────────────────────────────────────────────────────────


@dataclass
class Track:
    """What came of one contributing source: how loud each 5 ms was, and when they came.

    Instants are the loop's seconds. Bins are in order, but needn't lie end to end.
    """

    at: list[float] = field(default_factory=list)
    level: list[float] = field(default_factory=list)

    def add(self, arrived: float, envelope: Sequence[float]) -> None:
        for number, value in enumerate(envelope):
            self.at.append(max(arrived + number * BIN_S, self.at[-1] if self.at else 0.0))
            self.level.append(value)

    def onset(self, after: float, before: float = float("inf")) -> float | None:
        """When something began to be heard: four loud bins of the next six; None: nothing."""
        for index in range(bisect_left(self.at, after), len(self.at)):
            if self.at[index] >= before:
                return None
            if self.level[index] > AUDIBLE:
                loud = sum(value > AUDIBLE for value in self.level[index : index + 6])
                if loud >= _SURE:
                    return self.at[index]
        return None

    def silence(self, after: float, quiet_s: float = _QUIET_S) -> float | None:
        """When the first silence of so long began, at `after` at the earliest; None: never."""
        heard_until = after
        for index in range(bisect_left(self.at, after), len(self.at)):
            if self.at[index] - heard_until >= quiet_s:
                return heard_until
            if self.level[index] > AUDIBLE:
                heard_until = self.at[index] + BIN_S
        return None

    def spans(self, least_s: float) -> Iterator[tuple[float, float]]:
        """Give each stretch of so long, or longer, without a silence in between."""
        at = 0.0
        while (begin := self.onset(at)) is not None:
            end = self.silence(begin, 0.5) or self.at[-1]
            if end - begin >= least_s:
                yield begin, end
            at = end + BIN_S

    def loud(self, begin: float, end: float) -> bool:
        low, high = bisect_left(self.at, begin), bisect_left(self.at, end)
        return any(value > AUDIBLE for value in self.level[low:high])


@dataclass(frozen=True)
class Played:
    """A recording as somebody played it: `began` is when its first packet went out."""

    name: str
    began: float
    stretches: tuple[tuple[float, float], ...]

    def at(self, second: float) -> float:
        """When what is at `second` in the recording was spoken."""
        return self.began + second - PACKET_S

    @property
    def onset(self) -> float:
        return self.at(self.stretches[0][0])

    @property
    def end(self) -> float:
        return self.at(self.stretches[-1][1])


class Listener:
    """Receives as one more participant, and keeps what came by its source."""

    def __init__(self, url: str, regions: Sequence[Any] = ()) -> None:
        from locum.rehearsal.meet.media.observer import Observer
        from locum.rehearsal.meet.media.signalling import SocketSignalling

        signalling = SocketSignalling(f"{url}/{ROOM}", name=LISTENER)
        self._observer = Observer(signalling, watch=NOBODY, regions=regions)
        self._watching: asyncio.Task[None] | None = None
        self.tracks: dict[int, Track] = {}
        self.observations: list[Any] = []

    async def begin(self) -> None:
        await self._observer.join()
        self._watching = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while True:
            # One after the other without an await in between, so that nothing is lost.
            seen = await self._observer.watch(0.25)
            for each in seen.sounds:
                track = self.tracks.setdefault(each.source or 0, Track())
                track.add(each.at, each.envelope)
            self.observations.append(seen)

    @property
    def source(self) -> int:
        """The persona's: who sends all the time, as a browser does, has sent most."""
        return max(self.tracks, key=lambda each: len(self.tracks[each].at), default=0)

    @property
    def persona(self) -> Track:
        return self.tracks.get(self.source, Track())

    def look_at(self, watch: str) -> None:
        """Decode and keep somebody's picture from now on, or nobody's, where none is called so."""
        self._observer.look_at(watch)

    def lips(self, region: str, clock: Literal["arrival", "sender"]) -> list[float]:
        """The persona's mouth against its voice, in ms, a window at a time.

        Of stretches of speech that are longer than a window: where it begins or is cut off, what
        else a head does counts for more than the lips.
        """
        seen = [each for each in self.observations if each.pictures]
        found: list[float] = []
        for begin, end in self.persona.spans(_LIPS_S):
            part = replace(
                self.observations[0],
                regions=seen[0].regions if seen else (),
                pictures=tuple(
                    one for each in seen for one in each.pictures if begin <= one.at <= end
                ),
                sounds=tuple(
                    one for each in seen for one in each.sounds if begin <= one.at <= end
                ),
            )
            if part.pictures:
                found += part.lips(region, self.source, clock=clock).windows_ms
        return found

    async def aclose(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._observer.leave()


@dataclass
class Rig:
    """All three, running."""

    url: str
    stage: Teller
    listener: Listener
    folder: Path
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def play(self, recording: Any, who: int = 0) -> Played:
        """Let somebody begin to play a recording (`tests.speech.Recording`)."""
        number = next(self._numbers)
        file = recording.write_wav(self.folder / f"{number}.wav")
        await self.stage.ask(who=who, file=str(file), number=number)
        line = await self.stage.hears(lambda told: told.get("number") == number, 10)
        if line is None:
            raise RigError("nobody plays: is the persona's page in the room?")
        return Played(recording.name, line["began"], recording.stretches)


@contextlib.asynccontextmanager
async def rig(people: int, folder: Path, regions: Sequence[Any] = ()) -> AsyncIterator[Rig]:
    """A room with people and a listener; the persona is to be brought in."""
    teller = await Teller.start("tests.bench.room", str(people))
    try:
        url = await teller.expects("url")
        listener = Listener(url, regions)
        await listener.begin()
        try:
            yield Rig(url, teller, listener, folder)
        finally:
            await listener.aclose()
    finally:
        await teller.aclose()


if __name__ == "__main__":
    stage(int(sys.argv[1]))
