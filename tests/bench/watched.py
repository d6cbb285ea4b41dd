"""Many calendars on a stage, a real daemon that watches them, and what is seen of both.

Instants are the stage's, whose clock may run faster than the host's; lateness and stalls are
the host's milliseconds, for the daemon doesn't get faster with the clock.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from locum.clock import StageClock
from locum.rehearsal.face import face_png
from tests.bench.rig import Rig, codes, process, running_daemon
from tests.ports import free_port

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
_NEAR_EVERY = timedelta(minutes=15)
"""A near calendar's next meeting is never farther off than the daemon's margin."""

_IDLE = timedelta(minutes=5)
_CATCH_UP_S = 60.0
_TO_START = timedelta(seconds=60)


@dataclass(frozen=True)
class Trial:
    """What is staged, and what is done to it. `seconds` are counted in the stage's time."""

    calendars: int = 1000
    accounts: int = 1
    events: int = 10
    near: float = 0.1
    edits: int = 200
    warm_up: timedelta = 6 * MINUTE
    lasts: timedelta = 20 * MINUTE
    speed: float = 4.0
    seed: int = 7
    quota: int = 600
    calendar_settings: str = ""


@dataclass(frozen=True)
class Edit:
    at: datetime
    uid: str
    start: datetime
    near: bool


@dataclass
class Seen:
    """What came of a trial. Instants are seconds of the stage's time since the daemon was up."""

    trial: Trial
    took_s: float = 0.0
    requests: list[tuple[float, str, int]] = field(default_factory=list)
    """Each request for events: when, of which account, and its status."""
    read_all_after_s: float | None = None
    edits: list[Edit] = field(default_factory=list)
    armed_after_s: list[tuple[bool, float]] = field(default_factory=list)
    """Of each edit that was armed: whether its calendar was near, and after how long."""
    joins_due: int = 0
    late_ms: list[float] = field(default_factory=list)
    stalls_ms: list[float] = field(default_factory=list)
    cpu_share: float = 0.0
    """Of one core, per second of the stage's time, after the warm-up."""
    rss_mb: float = 0.0
    log: Counter[str] = field(default_factory=Counter)

    @property
    def refused(self) -> int:
        return sum(status >= 400 and status != 401 for _, _, status in self.requests)

    def by_user(self) -> dict[str, list[float]]:
        users: dict[str, list[float]] = defaultdict(list)
        for at, user, _ in self.requests:
            users[user].append(at)
        return users

    def steady(self) -> list[float]:
        """Answer when requests came after the warm-up."""
        warm = self.trial.warm_up.total_seconds()
        return [at for at, _, _ in self.requests if warm <= at < self.took_s]


def most_in_a_minute(instants: Sequence[float]) -> int:
    """Answer the most that fall into any 60 s."""
    ordered = sorted(instants)
    most = begin = 0
    for end, at in enumerate(ordered):
        while ordered[begin] <= at - 60:
            begin += 1
        most = max(most, end - begin + 1)
    return most


def watch(trial: Trial, tell: Callable[[str], None]) -> Seen:
    """Run a trial from a cold start to its end."""
    with tempfile.TemporaryDirectory(prefix="locum-watching-") as name:
        return _Watch(trial, Path(name), tell).run()


@dataclass
class _Staged:
    calendar: str
    title: str
    start: datetime
    end: datetime
    near: bool
    due: bool = False
    room: str = ""
    event_id: str = ""
    uid: str = ""


class _Watch:
    def __init__(self, trial: Trial, folder: Path, tell: Callable[[str], None]) -> None:
        self._trial = trial
        self._folder = folder
        self._tell = tell
        self._draw = random.Random(trial.seed)
        # Whole seconds: that is what a calendar keeps.
        self._began = datetime.now(timezone.utc).replace(microsecond=0)
        self._clock = StageClock(speed=trial.speed, epoch=self._began, epoch_host=self._began)
        names = [f"person{number:04}@example.com" for number in range(trial.calendars)]
        self._accounts = {
            f"account{number:04}": names[number :: trial.accounts]
            for number in range(trial.accounts)
        }
        self._account_of = {
            calendar: account
            for account, calendars in self._accounts.items()
            for calendar in calendars
        }
        near = self._draw.sample(names, round(trial.near * len(names)))
        self._staged = [
            event for name in names for event in self._events_of(name, near=name in set(near))
        ]
        for event, code in zip(self._staged, codes(len(self._staged)), strict=True):
            event.room = code
        self._started = self._began
        self._seen = Seen(trial)

    def _events_of(self, calendar: str, *, near: bool) -> Iterator[_Staged]:
        trial = self._trial
        # The clock runs while all is being started, and a fast one runs far.
        planned = self._began + trial.warm_up + trial.lasts + _TO_START * trial.speed
        for number in range(trial.events):
            start = planned + timedelta(minutes=60 + self._draw.randrange(36 * 60))
            title = f"{calendar} {number}"
            yield _Staged(calendar, title, start, start + MINUTE / 2, near)
        if near:
            start = self._began + SECOND * self._draw.randrange(_NEAR_EVERY // SECOND)
            while start < planned + _NEAR_EVERY:
                yield _Staged(
                    calendar, f"{calendar} now", start, start + MINUTE, near, due=True
                )
                start += _NEAR_EVERY

    # ── the stage and the daemon ─────────────────────────────────────────────────────────

    def run(self) -> Seen:
        self._tell(f"staging {len(self._staged)} events on {self._trial.calendars} calendars")
        spec = self._folder / "spec.json"
        spec.write_text(json.dumps(self._spec()))
        with (
            _stage_process(spec) as (google, order),
            process("tests.bench.pika_process") as pikastream,
        ):
            for staged, (event_id, uid) in zip(self._staged, google["events"], strict=True):
                staged.event_id, staged.uid = event_id, uid
            port = free_port()
            self._write_config(google, pikastream["address"], port)
            with running_daemon(self._folder) as (pid, took):
                rig = Rig(self._folder, google["address"], pikastream["address"], pid, took)
                with _stalls(port) as stalls:
                    self._follow(rig, order)
                self._seen.stalls_ms = stalls
                self._gather(rig, order)
        return self._seen

    def _spec(self) -> dict[str, Any]:
        begun = self._began.isoformat()
        return {
            "clock": {"speed": self._trial.speed, "epoch": begun, "epoch_host": begun},
            "quota_per_minute": self._trial.quota,
            "accounts": [
                {
                    "email": f"{name}@stage.iam.gserviceaccount.com"
                    if len(calendars) > 1
                    else calendars[0],
                    "is_service": len(calendars) > 1,
                    "calendars": calendars,
                }
                for name, calendars in self._accounts.items()
            ],
            "events": [
                {
                    "calendar": event.calendar,
                    "title": event.title,
                    "start": event.start.isoformat(),
                    "end": event.end.isoformat(),
                    "meet": event.room,
                }
                for event in self._staged
            ],
        }

    def _write_config(self, google: dict[str, Any], pikastream: str, port: int) -> None:
        accounts = []
        sign_ins = zip(self._accounts.items(), google["sign_ins"], strict=True)
        for (name, calendars), sign_in in sign_ins:
            (self._folder / f"{name}.json").write_text(json.dumps(sign_in))
            (self._folder / f"{name}.json").chmod(0o600)
            kind = "service_account" if len(calendars) > 1 else "token_file"
            accounts.append(
                f'[[calendar.accounts]]\nname = "{name}"\n{kind} = "{name}.json"\n'
                f"calendars = {json.dumps(calendars)}\n"
            )
        (self._folder / "face.png").write_bytes(face_png())
        (self._folder / "locum.toml").write_text(f"""\
state_dir = "state"
runtime_dir = "state"
[calendar]
api_root = "{google["address"]}/"
token_uri = "{google["address"]}/token"
{self._trial.calendar_settings}
{"".join(accounts)}
[attend]
lead = "0s"
capacity = 1000
[personas.robin]
display_name = "Robin"
owner = "Alex"
image = "face.png"
[engines.pikastream]
type = "pikastream"
base_url = "{pikastream}"
[metrics]
port = {port}
[stage]
speed = {self._trial.speed!r}
epoch_host = {self._began.isoformat()}
epoch = {self._began.isoformat()}
""")

    # ── while it runs ────────────────────────────────────────────────────────────────────

    def _follow(self, rig: Rig, order: Callable[[object], Any]) -> None:
        trial = self._trial
        self._started = self._clock.now()
        self._tell(f"daemon started after {rig.started_s:.1f} s; reading all calendars")
        measured_from, ends = self._measured()
        # What is edited last must have been read by the end: idle calendars take their time.
        edits_end = ends - min(3 * _IDLE, trial.lasts / 2)
        todo = self._drawn_edits(measured_from, edits_end)
        cpu: float | None = None
        told = time.monotonic()
        while (now := self._clock.now()) < ends:
            if self._seen.read_all_after_s is None and self._all_are_read():
                passed = self._clock.now() - self._started
                self._seen.read_all_after_s = passed.total_seconds()
            if cpu is None and now >= measured_from:
                cpu = rig.cpu_s()
            while todo and todo[0][0] <= now:
                self._edit(todo.pop(0)[1], order)
            if time.monotonic() - told >= 2:
                told = time.monotonic()
                self._tell_progress(rig, now)
            time.sleep(0.05)
        self._await_edits()
        if cpu is not None:
            self._seen.cpu_share = (rig.cpu_s() - cpu) / trial.lasts.total_seconds()
        self._seen.took_s = (ends - self._started).total_seconds()
        self._seen.rss_mb = rig.rss_mb()

    def _await_edits(self) -> None:
        """On a host that is too slow for the stage's clock, wait until the daemon has caught up."""
        limit = time.monotonic() + _CATCH_UP_S
        while time.monotonic() < limit and len(self._armed()) < len(self._seen.edits):
            time.sleep(0.2)

    def _drawn_edits(self, begin: datetime, end: datetime) -> list[tuple[datetime, _Staged]]:
        chosen = self._draw.sample([e for e in self._staged if not e.due], self._trial.edits)
        instants = sorted(begin + (end - begin) * self._draw.random() for _ in chosen)
        return list(zip(instants, chosen, strict=True))

    def _edit(self, event: _Staged, order: Callable[[object], Any]) -> None:
        start = event.start + MINUTE * self._draw.randrange(1, 60)
        end = start + MINUTE / 2
        moved = [event.calendar, event.event_id, start.isoformat(), end.isoformat()]
        at = datetime.fromisoformat(order({"move": moved}))
        self._seen.edits.append(Edit(at, event.uid, start, event.near))

    def _tell_progress(self, rig: Rig, now: datetime) -> None:
        passed = (now - self._started).total_seconds()
        total = (self._trial.warm_up + self._trial.lasts).total_seconds()
        self._tell(
            f"{passed:6.0f} of {total:.0f} s, {self._count_read()} calendars read, "
            f"{len(self._seen.edits)} edits made, {rig.rss_mb():.0f} MB, "
            f"{rig.cpu_s():.1f} s of CPU"
        )

    def _count_read(self) -> int:
        query = "SELECT count(*) FROM calendars WHERE read_at IS NOT NULL"
        return int(self._ledger(query)[0][0])

    def _all_are_read(self) -> bool:
        return self._count_read() == self._trial.calendars

    def _ledger(self, query: str) -> list[Any]:
        path = self._folder / "state" / "ledger.sqlite3"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()

    # ── afterwards ───────────────────────────────────────────────────────────────────────

    def _gather(self, rig: Rig, order: Callable[[object], Any]) -> None:
        seen = self._seen
        since = self._started.timestamp()
        seen.requests = [
            (at - since, self._account_of[calendar], status or 0)
            for at, calendar, status in order({"traffic": 0})
        ]
        seen.armed_after_s = self._armed()
        begun, ended = self._measured()
        due = [each for each in self._staged if each.due and begun <= each.start < ended]
        arrived = rig.rooms_joined()
        seen.joins_due = len(due)
        seen.late_ms = [
            1000 * (arrived[each.room] - self._clock.to_host(each.start).timestamp())
            for each in due
            if each.room in arrived
        ]
        for line in (self._folder / "daemon.log").read_text().splitlines():
            with contextlib.suppress(ValueError):
                logged = json.loads(line)
                if logged.get("level") in {"warning", "error", "critical"}:
                    seen.log[logged.get("event", "")] += 1

    def _armed(self) -> list[tuple[bool, float]]:
        recorded = {
            (str(occurrence), _instant(start)): _instant(at)
            for occurrence, start, at in self._ledger(
                'SELECT occurrence, starts_at, at FROM decisions WHERE "join"'
            )
        }
        return [
            (edit.near, (recorded[edit.uid, edit.start] - edit.at).total_seconds())
            for edit in self._seen.edits
            if (edit.uid, edit.start) in recorded
        ]

    def _measured(self) -> tuple[datetime, datetime]:
        begun = self._started + self._trial.warm_up
        return begun, begun + self._trial.lasts


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@contextlib.contextmanager
def _stage_process(spec: Path) -> Iterator[tuple[dict[str, Any], Callable[[object], Any]]]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.watching_stage", str(spec)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        orders, answers = running.stdin, running.stdout

        def order(what: object) -> Any:
            print(json.dumps(what), file=orders, flush=True)
            return json.loads(answers.readline())

        try:
            yield json.loads(answers.readline()), order
        finally:
            running.kill()


@contextlib.contextmanager
def _stalls(port: int) -> Iterator[list[float]]:
    """Ask the daemon's loop for next to nothing, again and again; yields each answer's delay.

    Milliseconds of the host's.
    """
    delays: list[float] = []
    over = threading.Event()

    def ask() -> None:
        while not over.wait(0.05):
            begun = time.monotonic()
            with socket.create_connection(("127.0.0.1", port), timeout=60) as asked:
                asked.sendall(b"HEAD /none HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                asked.recv(64)
            delays.append(1000 * (time.monotonic() - begun))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield delays
    finally:
        over.set()
        asking.join()
