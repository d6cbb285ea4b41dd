"""Attendances in processes of their own: orders in, the ledger between, nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import locum
from locum import processes
from locum.app.nursing import Nurse
from locum.app.places import ledger_path
from locum.attendance import Attendance, Company, StopSignal
from locum.clock import SystemClock, host_now
from locum.config.load import load, load_taken
from locum.core.model import EndReason, Phase, SessionHandle, SessionKey, SessionRecord
from locum.core.policy import Policy
from locum.dispatch import Children, Order, Routed, Seat, sweep
from locum.dispatch import children as children_module
from locum.dispatch import seats as seats_module
from locum.errors import PermanentError, TransientError
from locum.ledger import Database, Ledger, LedgerError, StateLock, daemon_of
from locum.metrics import Metrics
from locum.persona import Wardrobe
from locum.ports import EngineTraits
from locum.rehearsal.face import face_png
from tests.integration import ledger_writer
from tests.integration.daemon_rig import card, until
from tests.integration.weighty import CHILD, TRAITS, Room, WeightyEngine, open_room, still_there

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("attend_children")]

_ROOT = Path(__file__).parents[2]
_CONFIG = """\
state_dir = "state"
runtime_dir = "state"
[personas.robin]
display_name = "Robin"
owner = "Alex"
image = "face.png"
[engines.pika]
type = "pikastream"
base_url = "http://127.0.0.1:{port}"
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Household:
    """What a daemon has that starts children: the lock, a ledger, a config that it has taken."""

    folder: Path
    room: Room
    traits: EngineTraits = TRAITS
    changes: int = 0
    damage: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = self.folder / "state"
        self.config = self.folder / "locum.toml"
        self.config.write_text(_CONFIG.format(port=self.room.port))
        self.image = self.folder / "face.png"
        self.image.write_bytes(face_png(64) + b"\0" * 2048)
        self.lock = StateLock(self.state)
        self.ledger = Ledger(Database(ledger_path(self.state)))
        self.ledger.database.on_damage = lambda: self.damage.append(
            str(self.ledger.database.damage)
        )
        self.metrics = Metrics()
        self.nurse = Nurse(self.state, self.company, load(self.config))
        self.key = ledger_writer.key(0)

    def company(self) -> Company:
        engine = WeightyEngine("", SystemClock())
        engine.traits = self.traits  # type: ignore[misc]
        return Company(
            ledger=self.ledger,
            clock=SystemClock(),
            metrics=self.metrics,
            engines={"pika": engine},
            personas={"robin": card(self.image)},
            policy=Policy(),
            wardrobe=Wardrobe(self.state),
        )

    def _changed(self) -> None:
        self.changes += 1

    def children(self, command: Sequence[str] = CHILD) -> Children:
        nursery = self.nurse.nursery(self.metrics, self._changed, command)
        return Children(nursery, on_end=lambda: None)

    def claim(self, *, lasts: timedelta = timedelta(hours=1)) -> None:
        now = host_now()
        wanted = ledger_writer.stay(0)
        meeting = replace(
            wanted.meetings[0], start=now, end=now + lasts, calendar=None, event_id=""
        )
        stay = replace(wanted, join_at=now, leave_by=now + lasts, meetings=(meeting,))
        outcome = self.ledger.sessions.claim(
            [stay], now=now, grace=timedelta(minutes=10), prices={"pika": 0.0}
        )
        assert outcome == {self.key: None}

    def claim_again(self) -> None:
        stay = replace(
            ledger_writer.stay(0), leave_by=self.record.leave_by, meetings=self.record.meetings
        )
        self.ledger.sessions.claim_again(self.record, stay, now=host_now(), prices={})

    def be_live(self, at: datetime | None = None) -> None:
        at = at or host_now()
        handle = SessionHandle("weighty-0")
        self.ledger.sessions.transition(self.key, Phase.WAITING, at=at, handle=handle)
        self.ledger.sessions.transition(self.key, Phase.LIVE, at=at, admitted_at=at)

    @property
    def record(self) -> SessionRecord:
        found = self.ledger.sessions.get(self.key)
        assert found is not None
        return found

    def details(self) -> str:
        moves = self.ledger.sessions.transitions(self.key)
        return "\n".join(each.detail for each in moves)

    def counted(self, figure: str) -> bool:
        return figure.encode() in self.metrics.exposition()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Household]:
    monkeypatch.setenv("PYTHONPATH", f"{_ROOT}{os.pathsep}{_ROOT / 'daemon'}")
    monkeypatch.delenv("PIKA_API_BASE_URL", raising=False)
    with open_room() as room:
        household = Household(tmp_path, room)
        yield household
        household.ledger.close()
        household.lock.release()
        until_gone = [each.pids for each in room.presences]
        assert not any(map(still_there, until_gone))


@contextlib.asynccontextmanager
async def attending(
    home: Household, command: Sequence[str] = CHILD, *, claimed_now: bool = True
) -> AsyncIterator[Children]:
    children = home.children(command)
    children.start(home.key, claimed_now=claimed_now)
    try:
        yield children
    finally:
        children.stop(home.key, EndReason.SHUTDOWN)
        await children.drain(timedelta(seconds=30))
        await asyncio.sleep(0.01)  # A transport is gone when the loop has turned once more.


def script(text: str) -> tuple[str, ...]:
    """A child in a few lines of Python; what it is called with comes after."""
    return (sys.executable, "-S", "-c", text)


# ── the plain case ───────────────────────────────────────────────────────────────────────


async def test_a_child_attends(home: Household) -> None:
    """What happens in its room stands in the ledger; it is told to leave, and tells its figures.

    The config that counts is the one that the daemon has taken, whatever lies on the disk.
    """
    home.claim()
    home.config.write_text("[nonsense")
    async with attending(home) as children:
        await until(home.room.inside)
        await until(lambda: home.record.phase is Phase.LIVE)
        home.room.say("Ada", "Let us begin.")
        await until(lambda: home.ledger.transcripts.of(home.key))
        await until(children.memory)
        await until(lambda: home.changes >= 2)
        assert children.running() == {home.key}
        [presence] = home.room.inside()
        child = processes.process(int(presence.pids["child"]))
        assert child is not None
        assert child.parent == os.getpid()
        children.stop(home.key, EndReason.STOPPED_BY_USER)
        await until(lambda: not children.running())
    assert presence.said_goodbye
    assert home.record.phase is Phase.ENDED
    assert home.record.end_reason is EndReason.STOPPED_BY_USER
    assert home.counted('locum_joins_total{engine="pika",outcome="admitted"} 1.0')
    assert list((home.state / "attending").iterdir()) == []


async def test_handed_over(home: Household) -> None:
    """It leaves its room in order, and the ledger as it is: the next daemon goes back."""
    home.claim()
    async with attending(home) as children:
        await until(lambda: home.record.phase is Phase.LIVE)
        await children.hand_over([home.key])
        assert not children.running()
    [presence] = home.room.presences
    assert presence.said_goodbye
    assert home.record.phase is Phase.LIVE


async def test_one_that_hangs_is_ended(
    home: Household, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says nothing any more: it is ended with its browser, and its session tried again."""
    monkeypatch.setattr(children_module, "_SILENCE", timedelta(seconds=4))
    home.claim()
    async with attending(home) as children:
        await until(lambda: home.record.phase is Phase.LIVE)
        await until(children.memory)
        [presence] = home.room.inside()
        os.kill(int(presence.pids["child"]), signal.SIGSTOP)
        await until(lambda: home.record.retry_at is not None)
        assert not still_there(presence.pids)
    assert "hung" in home.details()


# ── children that fail ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("raise SystemExit(3)", "ended with status 3"),
        ("import os; os.kill(os.getpid(), 9)", "ended by SIGKILL"),
        (
            'print(\'{"lost": "it was too heavy"}\', flush=True); raise SystemExit(1)',
            "too heavy",
        ),
    ],
)
async def test_one_that_ends_is_settled(home: Household, text: str, why: str) -> None:
    """Its join is over, whatever it was: the ledger says so and why, and waits to try again."""
    home.claim()
    async with attending(home, script(text)):
        await until(lambda: home.record.retry_at is not None)
    assert home.record.phase is Phase.JOINING
    assert why in home.details()


async def test_one_that_talks_nonsense(home: Household) -> None:
    """What isn't ours is passed over; what is, is taken in within its bounds."""
    lines = [
        "nonsense", "[1]", "{", "LONG", '{"joined": "made_up"}', '{"spent": -1}',
        '{"joined": "answered", "late_s": "x"}', '{"tree": [[1], ["a", 2]], "memory": "x"}',
        '{"memory": 7}', json.dumps({"damaged": "database disk image is malformed"}),
    ]  # fmt: skip
    text = f"import sys, time\nfor line in {lines!r}: print(line.replace('LONG', 'x' * 200_000), flush=True)\ntime.sleep(60)"
    home.claim()
    async with attending(home, script(text)) as children:
        await until(lambda: home.damage)
        assert children.memory() == {home.key: 7}
        await children.hand_over([home.key])
    assert home.damage == ["database disk image is malformed"]
    assert home.counted('locum_joins_total{engine="pika",outcome="answered"} 1.0')
    assert not home.counted("made_up")


async def test_what_it_leaves_is_ended(home: Household) -> None:
    """A child that dies leaves a process that detached itself; it is found by its mark."""
    text = (
        "import subprocess; p = subprocess.Popen(['sleep', '1000'], start_new_session=True,"
        f" stdout=subprocess.DEVNULL); open({str(home.folder / 'pid')!r}, 'w').write(str(p.pid))"
    )
    home.claim()
    async with attending(home, script(text)) as children:
        await until(lambda: not children.running())
        left = int((home.folder / "pid").read_text())
        assert not still_there({"left": left})


async def test_a_lost_presence_comes_back_at_once_but_not_for_ever(home: Household) -> None:
    """Unbilled and live for less than a minute: a second's wait, until it happens all the time."""
    home.claim()
    waits = []
    for _ in range(7):
        home.be_live()
        async with attending(home, claimed_now=False) as children:
            await until(lambda: not children.running())
        assert home.record.retry_at is not None
        waits.append((home.record.retry_at - host_now()).total_seconds())
        home.claim_again()
    assert max(waits[:5]) <= 1
    assert min(waits[5:]) > 3


async def test_a_billed_presence_is_not_paid_for_all_day(home: Household) -> None:
    """One that costs is tried for again as before: apart, ever more so."""
    home.traits = replace(TRAITS, billed=True)
    home.claim()
    home.be_live()
    stop = StopSignal()
    await (
        home.nurse.nursery(home.metrics, lambda: None)
        .settle(home.key, stop, "gone")
        .run(claimed_now=False)
    )
    assert home.record.retry_at is not None
    assert home.record.retry_at > host_now() + timedelta(seconds=3)


# ── who may ──────────────────────────────────────────────────────────────────────────────


def _by_hand(home: Household, order: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "locum", "attend", home.key],
        input=order,
        capture_output=True,
        timeout=60,
        check=False,
    )


async def test_nobody_else_starts_it(home: Household) -> None:
    """Without an order, with another version's, or from a process that isn't the daemon."""
    home.claim()
    order = home.nurse.order()
    home.lock.release()
    home.lock = StateLock(home.folder / "elsewhere")
    for given, told in [
        (b"", "The daemon starts this command itself"),
        (b"{}\n", "is no order of locum's daemon"),
        (replace(order, version="0.0.1").line(), "Restart the daemon"),
        (order.line(), "is not the daemon of"),
    ]:
        done = _by_hand(home, given)
        assert done.returncode == 1
        assert told in done.stderr.decode()
    assert home.record.phase is Phase.JOINING
    assert not home.room.presences


def test_orders_are_checked() -> None:
    """What was damaged on its way isn't taken for an order."""
    order = Order("1", 7, "/state", "/c.toml", "[x]\n", None, "info")
    assert Order.parse(order.line()) == order
    broken = json.loads(order.line())
    broken["order"]["daemon"] = "7"
    for line in (b"", b"7", b"{}", b'{"order": {}}', json.dumps(broken).encode()):
        with pytest.raises(PermanentError):
            Order.parse(line)


def test_only_the_daemon_migrates(home: Household) -> None:
    """A child of new code beside an old daemon leaves the ledger alone, and makes none."""
    path = ledger_path(home.state)
    version = home.ledger.database.version
    home.ledger.database.execute(f"PRAGMA user_version = {version - 1}")
    with pytest.raises(LedgerError, match="older locum"):
        Database(path, migrate=False)
    home.ledger.database.execute(f"PRAGMA user_version = {version}")
    Database(path, migrate=False).close()
    with pytest.raises(LedgerError, match="isn't there"):
        Database(home.folder / "none.sqlite3", migrate=False)
    assert not (home.folder / "none.sqlite3").exists()


def test_whose_daemon(home: Household, tmp_path: Path) -> None:
    """The lock says which process is the daemon; nobody holds one that was let go."""
    assert daemon_of(home.state) == os.getpid()
    assert daemon_of(tmp_path / "none") is None
    home.lock.release()
    assert daemon_of(home.state) is None
    home.lock = StateLock(home.state)


def test_a_config_once_taken(home: Household) -> None:
    """It is the same, whatever has become of the files that it names."""
    taken = load(home.config)
    home.image.unlink()
    assert load_taken(taken.path, taken.source) == taken.config


# ── seats ────────────────────────────────────────────────────────────────────────────────

_SITTER = """
import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(fd, fcntl.LOCK_EX)
print("sits", flush=True)
time.sleep(float(sys.argv[2]))
"""


@contextlib.contextmanager
def _sitting(seat: Seat, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
    seat.path.parent.mkdir(parents=True, exist_ok=True)
    with subprocess.Popen(
        [*script(_SITTER), str(seat.path), str(seconds)],
        stdout=subprocess.PIPE,
        env={**os.environ, processes.MARK: seat.new_mark()},
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


async def test_a_seat_is_for_one(tmp_path: Path) -> None:
    """Who sits there may leave in peace; who doesn't is ended; then it is free."""
    seat = Seat.of(tmp_path, "abc-defg-hij")
    assert seat != Seat.of(tmp_path, "other") != Seat.of(tmp_path / "x", "other")
    with _sitting(seat, 1000) as process:
        with pytest.raises(TransientError):
            seat.take()
        await seat.clear(timedelta(seconds=0.2))
        assert process.wait() == -signal.SIGKILL
    with _sitting(seat, 0.3) as process:
        await seat.clear(timedelta(seconds=30))
        assert process.wait() == 0
    os.close(seat.take())
    seat.forget()
    assert not seat.path.exists()


async def test_a_sweep_spares_what_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Left by an earlier daemon, it is ended; a child of this one goes on."""
    monkeypatch.setattr(seats_module, "POLITE", timedelta(0))
    seat = Seat.of(tmp_path, "abc-defg-hij")
    os.close(_made(seat).take())
    # Its parent ends at once, so it is nobody's.
    orphan = subprocess.run(  # noqa: ASYNC221 - Milliseconds, in a test.
        script(
            "import subprocess; print(subprocess.Popen(['sleep', '1000'],"
            " stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"
        ),
        env={**os.environ, processes.MARK: seat.new_mark()},
        capture_output=True,
        check=True,
    )
    ours = {**os.environ, processes.MARK: seat.new_mark()}
    with subprocess.Popen(["sleep", "1000"], env=ours) as child:  # noqa: ASYNC220 - As above.
        try:
            await sweep(tmp_path)
            assert not still_there({"orphan": int(orphan.stdout)})
            assert child.poll() is None
        finally:
            child.kill()
    assert not seat.path.exists()


def _made(seat: Seat) -> Seat:
    seat.path.parent.mkdir(parents=True, exist_ok=True)
    return seat


# ── which way ────────────────────────────────────────────────────────────────────────────


class Place:
    """A dispatcher that only remembers."""

    def __init__(self) -> None:
        self.keys: set[SessionKey] = set()
        self.told: list[tuple[SessionKey, EndReason]] = []
        self.calls: list[str] = []

    def start(self, key: SessionKey, *, claimed_now: bool) -> None:
        self.keys.add(key)

    def stop(self, key: SessionKey, reason: EndReason) -> None:
        if key in self.keys:
            self.told.append((key, reason))

    def running(self) -> frozenset[SessionKey]:
        return frozenset(self.keys)

    async def hand_over(self, keys: Collection[SessionKey]) -> None:
        self.calls.append("hand_over")

    async def drain(self, within: timedelta) -> None:
        self.calls.append("drain")


async def test_each_session_where_it_belongs() -> None:
    """By its engine's weight when it starts; then it stays there."""
    light, heavy = Place(), Place()
    heavy_ones = {SessionKey("h")}
    weighs: Callable[[SessionKey], bool] = heavy_ones.__contains__
    routed = Routed(light, heavy, weighs=weighs)
    for key in ("h", "l"):
        routed.start(SessionKey(key), claimed_now=True)
    heavy_ones.add(SessionKey("l"))
    routed.start(SessionKey("l"), claimed_now=False)
    assert (light.keys, heavy.keys) == ({"l"}, {"h"})
    routed.stop(SessionKey("h"), EndReason.CANCELLED)
    assert (light.told, heavy.told) == ([], [("h", EndReason.CANCELLED)])
    assert routed.running() == {"h", "l"}
    await routed.hand_over([SessionKey("l")])
    await routed.drain(timedelta(0))
    assert light.calls == heavy.calls == ["hand_over", "drain"]


def test_version_is_told(home: Household) -> None:
    """A child knows by it whether it is of its daemon's code."""
    assert home.nurse.order().version == locum.__version__
    assert isinstance(home.nurse.nursery(home.metrics, lambda: None).settle(
        home.key, StopSignal(), ""
    ), Attendance)  # fmt: skip
