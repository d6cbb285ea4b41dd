"""A participant without a page that measures what it receives.

`python -m locum.rehearsal.meet.media.observer URL --seconds N --out FILE.json` joins as any
page does, watches one participant and listens to all, and writes what it measured; `Observer`
is the same for programs. It decodes one picture and all sound, and sends nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from locum.errors import LocumError
from locum.rehearsal.meet.media.connection import Connection
from locum.rehearsal.meet.media.measuring import (
    Flow,
    Offsets,
    Series,
    flow,
    lips_against_sound,
)
from locum.rehearsal.meet.media.signalling import Signalling, SocketSignalling
from locum.rehearsal.meet.media.watching import Heard, Region, Seen, Watcher

__all__ = ["Observation", "Observer", "Region", "main", "observe"]

Clock = Literal["arrival", "sender"]

_AUDIO_SLOTS = 3
_WHOLE = Region("whole", 0.0, 0.0, 1.0, 1.0)
_SOUND_GAP_S = 0.1


@dataclass(frozen=True)
class Observation:
    """What was received of one participant's picture, and of everybody's sound.

    `pictures` are of the watched one; `sounds` of everybody, each with its contributing
    source. `skipped` pictures came but weren't decoded, since this machine was too slow: they
    count as received. `began` is the loop's time at which watching began, `seconds` how long
    it lasted.
    """

    watched: str | None
    began: float
    seconds: float
    pictures: tuple[Seen, ...]
    sounds: tuple[Heard, ...]
    skipped: int
    connected_after_s: float | None
    first_picture_after_s: float | None
    regions: tuple[str, ...] = field(default=())

    def flow(self) -> Flow:
        """Frames a second, and freezes: gaps of over 200 ms in their arrival."""
        return flow([each.at for each in self.pictures])

    def sizes(self) -> dict[str, int]:
        """How many frames of which resolution, "1280x720" to a count."""
        counts: dict[str, int] = {}
        for each in self.pictures:
            if each.width:
                name = f"{each.width}x{each.height}"
                counts[name] = counts.get(name, 0) + 1
        return counts

    def sound_of(self, source: int | None = None) -> tuple[Heard, ...]:
        """The packets of one contributing source; of all without one."""
        return tuple(each for each in self.sounds if source in (None, each.source))

    def sound_flow(self, source: int | None = None) -> Flow:
        """Packets a second, and gaps of over 100 ms in their arrival."""
        return flow([each.at for each in self.sound_of(source)], longer_than_s=_SOUND_GAP_S)

    def level_db(self, source: int | None = None) -> float | None:
        """Loudness of what was audible (over -50 dBFS), RMS, in dBFS; None: nothing was."""
        loud = [
            value
            for each in self.sound_of(source)
            for value in each.envelope
            if value > 0.00316
        ]
        return float(20 * np.log10(np.sqrt(np.mean(np.square(loud))))) if loud else None

    def mouth(self, region: str, *, clock: Clock = "arrival") -> Series:
        """How dark a region was, frame by frame: 0 white … 255 black."""
        index = self.regions.index(region)
        return Series.of(
            [
                (at, 255 - each.luma[index])
                for each in self.pictures
                if each.luma
                and (at := each.at if clock == "arrival" else each.sent) is not None
            ]
        )

    def envelope(self, source: int | None = None, *, clock: Clock = "arrival") -> Series:
        """The sound's RMS, every 5 ms.

        By arrival, packets are laid end to end as a player lays them: at the time at which
        half of them had come.
        """
        sounds = self.sound_of(source)
        lag = float(np.median([each.at - each.place for each in sounds])) if sounds else 0.0
        pairs = []
        for each in sounds:
            begin = each.place + lag if clock == "arrival" else each.sent
            if begin is not None:
                pairs += [
                    (begin + (number + 0.5) * 0.005, float(value))
                    for number, value in enumerate(each.envelope)
                ]
        return Series.of(pairs)

    def lips(
        self, region: str, source: int | None = None, *, clock: Clock = "arrival"
    ) -> Offsets:
        """The mouth in `region` against the sound of `source`, in ms; positive: picture late.

        Args:
            region: The name of one of the watched regions.
            source: The contributing source of the voice; None: all that was heard.
            clock: "arrival" is what somebody sees and hears who waits for nothing; "sender"
                is how the sender stamped them, which a player that synchronises shows.
        """
        return lips_against_sound(
            self.mouth(region, clock=clock), self.envelope(source, clock=clock)
        )

    def thumbs(self, region: str) -> tuple[bytes, ...]:
        """8×8 luma of a region for every decoded frame, to compare (`thumb_distance`)."""
        index = self.regions.index(region)
        return tuple(each.thumbs[index] for each in self.pictures if each.thumbs)

    def report(self) -> dict[str, Any]:
        """Everything that fits a screen, as JSON has it."""
        return {
            "watched": self.watched,
            "seconds": self.seconds,
            "connected_after_s": self.connected_after_s,
            "first_picture_after_s": self.first_picture_after_s,
            "picture": {**asdict(self.flow()), "sizes": self.sizes(), "skipped": self.skipped},
            "sound": {
                str(source): {
                    **asdict(self.sound_flow(source)),
                    "level_db": self.level_db(source),
                }
                for source in sorted({each.source or 0 for each in self.sounds})
            },
            "lips": {
                region: {
                    clock: asdict(self.lips(region, clock=clock))
                    for clock in ("arrival", "sender")
                }
                for region in self.regions
                if region != _WHOLE.name
            },
        }

    def series(self) -> dict[str, Any]:
        """Frame by frame and packet by packet, for whoever wants to reckon anew."""
        return {
            "regions": list(self.regions),
            "pictures": [
                [each.at, each.sent, each.width, each.height, list(each.luma)]
                for each in self.pictures
            ],
            "sounds": [[each.at, each.sent, each.source, each.level] for each in self.sounds],
        }


class Observer:
    """Joins, watches and leaves.

    Args:
        signalling: The way into the room.
        watch: The id or display name of whose picture to measure; None: whoever is shown
            first.
        regions: Parts of the picture to keep the darkness and a thumb of; the whole always is.
        video_slots: How many pictures to ask for: the watched one must be among them.
    """

    def __init__(
        self,
        signalling: Signalling,
        *,
        watch: str | None = None,
        regions: Sequence[Region] = (),
        video_slots: int = 5,
        addresses: Sequence[str] | None = None,
    ) -> None:
        self._signalling = signalling
        self._watch = watch
        self._regions = (_WHOLE, *regions)
        self._video_slots = video_slots
        self._connection = Connection(addresses=addresses)
        self._watchers: list[Watcher] = []
        self._connected_at: float | None = None
        self._first_at: float | None = None
        self._began = 0.0

    async def join(self) -> None:
        """Come in and connect; media flow from now on.

        Raises:
            NotAdmittedError: The meeting doesn't let us in.
            OfferRefusedError: The room refuses our offer.
            asyncio.TimeoutError: No connection within 20 s.
        """
        await self._signalling.enter()
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        connected = asyncio.Event()

        def changed() -> None:
            if self._connection.connectionState in {"connected", "failed", "closed"}:
                self._connected_at = loop.time()
                connected.set()

        self._connection.on("connectionstatechange", changed)
        kinds = ["audio"] * _AUDIO_SLOTS + ["video"] * self._video_slots
        self._watchers = [Watcher(self._connection.want(kind), self._regions) for kind in kinds]
        await self._connection.negotiate(self._signalling.exchange)
        for transceiver, watcher in zip(
            self._connection.getTransceivers(), self._watchers, strict=True
        ):
            watcher.mid = transceiver.mid or ""
        await asyncio.wait_for(connected.wait(), 20)
        self._connection.begin_reports()

    async def until_seen(self, within_s: float = 20.0) -> bool:
        """Wait until a picture of the watched one has come; False if none does by then."""
        loop = asyncio.get_running_loop()
        end = loop.time() + within_s
        while loop.time() < end:
            self._choose()
            for watcher in self._watchers:
                if watcher.pictures:
                    self._first_at = watcher.pictures[0].at
                    return True
            await asyncio.sleep(0.02)
        return False

    async def watch(self, seconds: float) -> Observation:
        """Look and listen for so long from now on; may be called again."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        for watcher in self._watchers:
            watcher.clear()
        end, watched = began + seconds, None
        while (left := end - loop.time()) > 0:
            watched = self._choose() or watched
            await asyncio.sleep(min(0.05, left))
        for watcher in self._watchers:
            await watcher.settle()
        pictures = [each for watcher in self._watchers for each in watcher.pictures]
        pictures.sort(key=lambda each: each.at)
        if self._first_at is None and pictures:
            self._first_at = pictures[0].at
        sounds = [each for watcher in self._watchers for each in watcher.sounds]
        sounds.sort(key=lambda each: each.at)
        return Observation(
            watched=watched,
            began=began,
            seconds=seconds,
            pictures=tuple(pictures),
            sounds=tuple(sounds),
            skipped=sum(each.skipped for each in self._watchers),
            connected_after_s=self._since_began(self._connected_at),
            first_picture_after_s=self._since_began(self._first_at),
            regions=tuple(each.name for each in self._regions),
        )

    def _since_began(self, at: float | None) -> float | None:
        return None if at is None else at - self._began

    def _choose(self) -> str | None:
        """Look at the section on which the watched one is now."""
        shown = self._signalling.shown()
        wanted = self._signalling.find(self._watch) if self._watch is not None else None
        if self._watch is None and shown:
            wanted = next(iter(shown.values()))
        for watcher in self._watchers:
            watcher.looking = wanted is not None and shown.get(watcher.mid) == wanted
        return wanted

    def look_at(self, watch: str | None) -> None:
        """Measure another's picture from now on; nobody's, if nobody is called so."""
        self._watch = watch

    async def leave(self) -> None:
        await self._connection.close()
        for watcher in self._watchers:
            await watcher.aclose()
        await self._signalling.leave()


async def observe(
    signalling: Signalling,
    seconds: float,
    *,
    watch: str | None = None,
    regions: Sequence[Region] = (),
) -> Observation:
    """Join, watch for so many seconds from the first picture on (waited for 20 s), leave."""
    observer = Observer(signalling, watch=watch, regions=regions)
    try:
        await observer.join()
        await observer.until_seen()
        return await observer.watch(seconds)
    finally:
        await observer.leave()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 0, or 1 with a line that says what failed."""
    parser = argparse.ArgumentParser(prog="observer", description=__doc__)
    parser.add_argument("url", help="the meeting's page: http://HOST:PORT/abc-defg-hij")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--out", type=Path, required=True, help="a JSON file")
    parser.add_argument("--watch", help="whose picture: a display name or an id")
    parser.add_argument("--name", default="Observer")
    parser.add_argument("--series", action="store_true", help="every frame and packet too")
    parser.add_argument(
        "--region",
        action="append",
        default=[],
        type=Region.parse,
        metavar="NAME=X,Y,W,H",
        help="a part of the picture, in fractions of it",
    )
    chosen = parser.parse_args(arguments)
    if not 0 < chosen.seconds <= 7_200:
        parser.error(f"--seconds {chosen.seconds:g}: give 0 to 7200.")
    began = time.time()
    try:
        seen = asyncio.run(
            observe(
                SocketSignalling(chosen.url, name=chosen.name),
                chosen.seconds,
                watch=chosen.watch,
                regions=chosen.region,
            )
        )
    except (LocumError, ValueError, OSError, asyncio.TimeoutError) as error:
        sys.stderr.write(f"{chosen.url}: {str(error) or type(error).__name__}\n")
        return 1
    result = {"began": began, **seen.report()}
    if chosen.series:
        result["series"] = seen.series()
    chosen.out.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
