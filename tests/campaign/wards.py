"""One schedule: a stage with meetings that come and go, and a daemon that isn't let live."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from locum.cli.ending import HUMAN_NEEDED
from locum.errors import LocumError
from locum.ledger import Database, Ledger
from locum.rehearsal.configuring import write_config
from locum.rehearsal.faults import Fault
from locum.rehearsal.scenario import parse_scenario
from locum.rehearsal.stage import Stage, _link, _moment
from tests.campaign.books import FINAL
from tests.campaign.nursery import LifeProcess, Nursery, Orders
from tests.campaign.points import LEDGER
from tests.campaign.story import BREAKAGES
from tests.campaign.verdict import Promises, Scene, Verdict, judge
from tests.campaign.ways import (
    DISK,
    RANDOM,
    Deck,
    disk_fault,
    is_reaping,
    is_stopping,
    passings,
)

_FASTEST, _SLOWEST = 20.0, 4.0
SINKS = ("summaries", "archive")
_OWNER = "alex@example.com"
_UNINVITED = frozenset({"str-ange-rrr", "dec-line-ddd"})
_ROOMS = tuple(f"{letter * 3}-room-one" for letter in "abcdefgh")
_AHEAD = timedelta(seconds=40)
_POLL_S = 10
_TURN_S = 0.03
_PATIENCE = timedelta(seconds=100)
"""How long (on the stage) who is up may take to come to its point; then it dies anywhere."""

_QUICK_S = 0.6
"""Who is up so soon keeps up with the fastest stage."""

_UP_WITHIN_S = 60.0
_WITHIN_S = {"any.running": 1.8, "any.start": 0.15, "any.stop": 0.3, "any.reap": 0.3}

_SETTLED_WITHIN_S = 240.0
_STOPPED_WITHIN_S = 120.0
_TRIES_A_KILL = 4

_JOIN = "/proxy/realtime/meeting-session"

_SCENARIO = """
title = "Meetings without end"
[owner]
email = "alex@example.com"
name = "Alex"
[pikastream]
ready_after = 2
balance = 1000000
[[events]]
id = "stranger"
title = "A stranger's"
starts_at = 5
duration = 100000
organizer = "mallory@example.net"
meet = "str-ange-rrr"
attendees = [{ email = "alex@example.com", answer = "needsAction" }]
[[events]]
id = "declined"
title = "Declined"
starts_at = 5
duration = 100000
organizer = "dana@example.com"
meet = "dec-line-ddd"
attendees = [{ email = "alex@example.com", answer = "declined" }]
"""


class Pace:
    """How fast a stage may run on this machine, by how long its lives take to come up."""

    def __init__(self) -> None:
        self._up_s = _QUICK_S
        self._lock = threading.Lock()

    def note(self, up_s: float) -> None:
        with self._lock:
            self._up_s += (up_s - self._up_s) / 4

    @property
    def speed(self) -> float:
        return min(max(_FASTEST * _QUICK_S / self._up_s, _SLOWEST), _FASTEST)


class Ward:
    """Plays one schedule: `kills` kills, then a life that may settle everything."""

    def __init__(
        self,
        seed: int,
        kills: int,
        folder: Path,
        nursery: Nursery,
        deck: Deck,
        pace: Pace,
        *,
        plant: str | None = None,
    ) -> None:
        self._seed = seed
        self._asked = kills
        self._folder = folder
        self._nursery = nursery
        self._deck = deck
        self._plant = plant
        self._dice = random.Random(f"{seed}: meetings")
        self._pace = pace
        self._stage = Stage(parse_scenario(_SCENARIO.encode()), speed=pace.speed)
        self._promises = Promises()
        self._verdict = Verdict()
        self._lives = 0
        self._meetings = 0
        self._next_start = timedelta(seconds=8)
        self._last_end = timedelta(0)
        self._events: list[tuple[str, timedelta, timedelta]] = []
        self._running: frozenset[str] = frozenset()
        self._life: LifeProcess | None = None
        self._feeding = True
        self.ways: list[str] = []

    @property
    def kills(self) -> int:
        return self._verdict.kills

    def so_far(self) -> Verdict:
        return self._verdict

    def play(self) -> Verdict:
        with self._stage.open() as addresses:
            self._write_config(addresses)
            with self._stage.playing():
                try:
                    for _ in range(_TRIES_A_KILL * self._asked):
                        self._let_one_die()
                        if self.kills >= self._asked:
                            break
                    self._settle()
                finally:
                    if self._life is not None:
                        self._life.send(signal.SIGKILL)
            judge(
                Scene(self._stage, self._folder, SINKS, self._running, _UNINVITED),
                self._verdict,
            )
        return self._verdict

    def _write_config(self, addresses: Any) -> None:
        self._config = write_config(self._stage, addresses, self._folder)
        text = self._config.read_text()
        for old, new in (
            ('grace = "60s"', 'grace = "150s"\ncapacity = 20'),
            ('poll_near = "2s"', f'poll_near = "{_POLL_S}s"'),
            ('poll_idle = "2s"', f'poll_idle = "{_POLL_S}s"'),
            (
                "[stage]",
                '[[sinks]]\ntype = "markdown"\nname = "archive"\nfolder = "archive"\n\n[stage]',
            ),
        ):
            if text.count(old) != 1:
                raise RuntimeError(f"the stage's config has changed: {old}")
            text = text.replace(old, new)
        self._config.write_text(text)

    # ── meetings ─────────────────────────────────────────────────────────────────────────

    def _feed(self) -> None:
        """Keep meetings coming: each a few seconds after the last, some back to back."""
        while self._feeding and self._next_start < self._stage.offset() + _AHEAD:
            dice = self._dice
            start = self._next_start
            self._next_start += timedelta(seconds=dice.choice((3, 6, 9, 12)))
            length = timedelta(seconds=dice.choice((6, 12, 20, 35, 60)))
            room = dice.choice(_ROOMS)
            self._invite(start, length, room)
            if dice.random() < 0.2:
                self._invite(start + length, length, room)

    def _invite(self, start: timedelta, length: timedelta, room: str) -> None:
        self._meetings += 1
        begins = self._begun + start
        body = {
            "summary": f"Meeting {self._meetings}",
            "start": _moment(begins),
            "end": _moment(begins + length),
            "organizer": {"email": _OWNER},
            **_link(room),
        }
        shown = self._stage.google.insert_event(_OWNER, body)
        self._events.append((shown["id"], start, start + length))
        self._last_end = max(self._last_end, start + length)

    def _extend_one(self) -> None:
        """Let a meeting that is on, or about to be, last a little longer."""
        now = self._stage.offset()
        soon = timedelta(seconds=4)
        for place, (event_id, start, end) in enumerate(self._events):
            if start - soon <= now < end - soon:
                longer = end + timedelta(seconds=10)
                body = {"end": _moment(self._begun + longer)}
                self._stage.google.patch_event(_OWNER, event_id, body)
                self._events[place] = (event_id, start, longer)
                self._last_end = max(self._last_end, longer)

    @property
    def _begun(self) -> Any:
        assert self._stage.beginning is not None
        return self._stage.beginning

    # ── lives ────────────────────────────────────────────────────────────────────────────

    def _let_one_die(self) -> None:
        way = self._deck.deal(fresh=self._lives == 0)
        dice = random.Random(f"{self._seed}: life {self._lives}")
        self.ways.append(way)
        self._prepare(way, dice)
        reaping = is_reaping(way)
        named = way not in RANDOM and way not in DISK
        orders = self._orders(
            ("reap", "--wait", "0s", "--within", "5s") if reaping else ("run", "--log-json"),
            point=way if named else None,
            count=passings(way, dice) if named else 1,
            prefix="reap." if reaping else "",
            disk=disk_fault(way, dice),
            full_sinks=dice.randint(1, 3)
            if way.startswith(("outbox-failed", "refiled"))
            else 0,
        )
        life = self._start(orders)
        self._end_it(life, way, dice)
        self._bury(life, way)
        # Mostly at once, as systemd would; sometimes meetings go by meanwhile.
        self._wait(dice.choice((0.0, 0.0, 0.0, 0.1, 0.8)))

    def _orders(self, arguments: tuple[str, ...], **more: Any) -> Orders:
        self._lives += 1
        command, *options = arguments
        return Orders(
            arguments=(command, "--config", str(self._config), *options),
            log=str(self._folder / f"life-{self._lives:02}.log"),
            diary=str(self._folder / f"life-{self._lives:02}.diary"),
            plant=self._plant,
            **more,
        )

    def _start(self, orders: Orders) -> LifeProcess:
        self._life = self._nursery.start(orders)
        return self._life

    def _prepare(self, way: str, dice: random.Random) -> None:
        """Bring about what the way needs to be passed at all."""
        faults = self._stage.pikastream.faults
        start = way.partition(".")[0]
        if start in {"retry", "claim-again"}:
            faults.add(Fault(method="POST", path=_JOIN, status=503))
        elif start == "closed":
            faults.add(Fault(method="POST", path=_JOIN, status=422))
        elif start == "ambiguous":
            faults.add(Fault(method="POST", path=_JOIN, after=True, times=2))
        elif way == "any.running" and dice.random() < 0.5:
            faults.add(
                dice.choice(
                    (
                        Fault(method="DELETE", path="/session/", status=500, times=4),
                        Fault(method="GET", path="/session/", status=503, times=5),
                        Fault(method="POST", path=_JOIN, delay_s=0.3, times=2),
                        Fault(method="POST", path=_JOIN, after=True),
                    )
                )
            )
        elif "backup" in way:
            # As if a new day had begun.
            shutil.rmtree(self._folder / "state" / "backups", ignore_errors=True)
        elif start == "missed":
            self._let_one_be_missed()

    def _let_one_be_missed(self) -> None:
        """Let a meeting become known, and go by while nobody is up."""
        start = self._stage.offset() + timedelta(seconds=2.5 * _POLL_S)
        self._invite(start, timedelta(seconds=5), "mis-sedo-ooo")
        life = self._start(self._orders(("run", "--log-json")))
        self._wait_for(start - timedelta(seconds=4), life)
        self._kill(life)
        self._bury(life, "any.running")
        self._wait_for(start + timedelta(seconds=6))

    def _end_it(self, life: LifeProcess, way: str, dice: random.Random) -> None:
        """See to it that this life ends: by its own point, or else where it is then."""
        if way != "any.start" and not is_reaping(way):
            self._wait_until_up(life)
        if is_stopping(way):
            self._wait(dice.uniform(0.2, 0.8), life)
            life.send(signal.SIGTERM)
        if way.startswith("amend."):
            self._extend_one()
        if way in _WITHIN_S:
            self._wait(dice.uniform(0.0, _WITHIN_S[way]), life)
        else:
            self._wait(self._host_s(_PATIENCE), life)
        self._kill(life)

    def _kill(self, life: LifeProcess) -> None:
        life.send(signal.SIGKILL)
        if not life.wait(_STOPPED_WITHIN_S):
            raise RuntimeError("a life didn't end by SIGKILL")

    def _wait(self, seconds: float, life: LifeProcess | None = None) -> None:
        """Let time go by, meetings coming, until the life is over."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._feed()
            if life is None:
                time.sleep(min(left, _TURN_S))
            elif life.wait(min(left, _TURN_S)):
                return

    def _wait_until_up(self, life: LifeProcess) -> None:
        began = time.monotonic()
        until = began + _UP_WITHIN_S
        while time.monotonic() < until and not life.over.is_set():
            if any("up" in line for line in self._diary()):
                self._pace.note(time.monotonic() - began)
                return
            self._wait(_TURN_S, life)

    def _wait_for(self, offset: timedelta, life: LifeProcess | None = None) -> None:
        self._wait(self._host_s(offset - self._stage.offset()), life)

    def _host_s(self, duration: timedelta) -> float:
        return self._stage.clock.host_duration(duration).total_seconds()

    # ── after a life ─────────────────────────────────────────────────────────────────────

    def _bury(self, life: LifeProcess, way: str) -> None:
        lines = self._diary()
        died = next((line["died"] for line in lines if "died" in line), None)
        failed = any("failed" in line for line in lines)
        if life.killed:
            self._verdict.kills += 1
        elif life.status not in _may_end(
            way, failed=failed, up=any("up" in one for one in lines)
        ):
            self._verdict.find("broken", f"life {self._lives} ({way}) ended: {life.status}")
        hit = way == died if way not in RANDOM else life.killed
        self._deck.note(way, hit=hit or (way in DISK and failed))
        known = {key for _, key, _ in self._promises.moves}
        self._verdict.resumed += self._has_resumed(lines, known)
        self._take_promises(lines)
        if not failed:
            self._find_breakages(way)

    def _diary(self) -> list[dict[str, Any]]:
        path = self._folder / f"life-{self._lives:02}.diary"
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines()]

    def _has_resumed(self, lines: list[dict[str, Any]], known: set[str]) -> bool:
        rejoined = any(
            line.get("committed") == "claim-again" and key in known
            for line in lines
            for _, key, _ in line.get("moves", ())
        )
        return rejoined or any("resumed" in line for line in lines)

    def _take_promises(self, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if "committed" in line:
                self._promises.take(line)
        for what in self._promises.missing(self._folder / "state" / LEDGER):
            self._verdict.find("lost", f"after life {self._lives}: {what}")

    def _find_breakages(self, way: str) -> None:
        log = self._folder / f"life-{self._lives:02}.log"
        for line in log.read_text(errors="replace").splitlines() if log.exists() else ():
            with contextlib.suppress(ValueError):
                event = json.loads(line).get("event")
                if event in BREAKAGES | {"ledger_recovered"}:
                    self._verdict.find("broken", f"life {self._lives} ({way}): {line[:2000]}")

    # ── the last life ────────────────────────────────────────────────────────────────────

    def _settle(self) -> None:
        """Let one live until all is over, and end it in order."""
        self._feeding = False
        self._stage.pikastream.faults.clear()
        life = self._start(self._orders(("run", "--log-json")))
        until = time.monotonic() + _SETTLED_WITHIN_S
        self._wait_until_up(life)
        self._wait_for(self._last_end + timedelta(seconds=_POLL_S), life)
        reads = self._reads()
        # All is known once the calendar was read twice since the last meeting's end.
        while not (self._reads() > reads + 1 and self._is_settled()) and not life.wait(0.2):
            if time.monotonic() > until:
                self._verdict.find("lost", f"not all is over after {_SETTLED_WITHIN_S:g} s")
                break
        self._running = frozenset(each.id for each in self._stage.pikastream.live_sessions())
        life.send(signal.SIGTERM)
        if not life.wait(_STOPPED_WITHIN_S):
            life.send(signal.SIGKILL)
            life.wait(30)
        if life.status != 0:
            self._verdict.find("broken", f"the last life ended: {life.status}")
        lines = self._diary()
        self._verdict.resumed += any("resumed" in line for line in lines)
        self._take_promises(lines)
        self._find_breakages("the last one")

    def _reads(self) -> int:
        return sum(line.get("committed") == "calendar" for line in self._diary())

    def _is_settled(self) -> bool:
        with contextlib.suppress(LocumError):
            database = Database(self._folder / "state" / LEDGER, read_only=True)
            with contextlib.closing(database):
                records = Ledger(database).sessions.newest(10_000)
            return all(record.phase in FINAL for record in records)
        return False


def _may_end(way: str, *, failed: bool, up: bool) -> frozenset[int]:
    """Answer with which statuses a life may have ended by itself, before its death."""
    allowed = set()
    if failed and not up:
        allowed.add(1)  # A daemon refuses to start on a disk that fails; once up, it goes on.
    if is_stopping(way):
        allowed.add(0)
    if is_reaping(way):
        allowed.update({0, 1, HUMAN_NEEDED})
    return frozenset(allowed)
