"""What a killed daemon left running is ended by `locum reap`, and nothing else is touched."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

import locum
from locum.app.reaper import Fate, Reaping, look, reap
from locum.config.load import load
from locum.config.model import Config
from locum.control import call_daemon
from locum.core.model import (
    EndReason,
    Phase,
    SessionHandle,
    SessionKey,
    SessionRecord,
    Stay,
)
from locum.errors import LocumError
from locum.ledger import Database, Ledger, StateLock
from locum.rehearsal.configuring import write_config
from locum.rehearsal.pikastate import SessionRequest
from locum.rehearsal.scenario import parse_scenario
from locum.rehearsal.stage import Addresses, Stage
from tests.unit.builders import meeting, room
from tests.unit.builders import record as record_of

ROOT = Path(__file__).parents[2]
NOW = timedelta(0)
SHORT = timedelta(seconds=30)
SCENARIO = b"""
title = "A daemon that dies"
[owner]
email = "alex@example.com"
name = "Alex"
[pikastream]
ready_after = 0.2
[[events]]
id = "later"
title = "Later"
starts_at = 3600
duration = 600
organizer = "alex@example.com"
meet = "lat-erla-ter"
"""


@dataclass
class Rig:
    """A stage that is up, a config for it, and the ledger of a daemon that is dead."""

    stage: Stage
    addresses: Addresses
    path: Path

    @property
    def config(self) -> Config:
        return load(self.path, environ={}).config

    @property
    def state(self) -> Path:
        return self.path.parent / "state"

    def open_ledger(self) -> Ledger:
        return Ledger(Database(self.state / "ledger.sqlite3"))

    def left_behind(
        self, phase: Phase, number: int = 0, *, engine: str = "pikastream", runs: bool = True
    ) -> str:
        """Write what a daemon had written when it died; answers the session's key."""
        now = self.stage.clock.now()
        code = f"abc-defg-hi{chr(97 + number)}"
        held = meeting(f"m{number}", room=room(code), start=now, end=now + timedelta(hours=1))
        stay = record_of(held, engine=engine)
        ledger = self.open_ledger()
        sessions = ledger.sessions
        with ledger.database.transaction():
            sessions._insert(_stay(stay), Phase.JOINING, now, now + timedelta(minutes=10))
            ledger.database.execute(
                "INSERT INTO attempts (session, number, engine, price_per_minute, claimed_at) "
                "SELECT key, 1, engine, 0.275, claimed_at FROM sessions WHERE key = ?",
                (stay.key,),
            )
        if phase is Phase.AMBIGUOUS:
            sessions.transition(stay.key, phase, at=now)
        if phase not in {Phase.JOINING, Phase.AMBIGUOUS}:
            handle = self._running(code) if runs else "sess_gone0"
            sessions.transition(stay.key, Phase.WAITING, at=now, handle=SessionHandle(handle))
        if phase in {Phase.LIVE, Phase.LEAVING, Phase.FILED}:
            sessions.transition(stay.key, Phase.LIVE, at=now, admitted_at=now)
        if phase is Phase.LEAVING:
            reason = EndReason.CANCELLED
            sessions.transition(stay.key, Phase.LEAVING, at=now, reason=reason)
        if phase is Phase.FILED:
            reason = EndReason.SCHEDULED_END
            sessions.transition(stay.key, Phase.ENDED, at=now, reason=reason, ended_at=now)
            sessions.transition(stay.key, Phase.FILED, at=now)
        ledger.close()
        return stay.key

    def _running(self, code: str) -> str:
        request = SessionRequest(
            room=code,
            meet_url=f"https://meet.google.com/{code}",
            platform="google_meet",
            bot_name="Robin",
            voice_id="English_radiant_girl",
            image_bytes=2000,
        )
        return self.stage.pikastream.create(request).id

    def reap(self, *, wait: timedelta = NOW, within: timedelta = SHORT) -> Reaping:
        return anyio.run(lambda: reap(self.config, self.state, {}, wait=wait, within=within))

    def rows(self) -> dict[str, tuple[str, str | None, str | None]]:
        """Answer each session's phase and reason, and when its attempt was proved over."""
        ledger = self.open_ledger()
        found = ledger.database.rows(
            "SELECT key, phase, end_reason, attempts.ended_at AS over FROM sessions "
            "JOIN attempts ON session = key"
        )
        ledger.close()
        return {row["key"]: (row["phase"], row["end_reason"], row["over"]) for row in found}


def _stay(record: SessionRecord) -> Stay:
    return Stay(
        key=record.key,
        room=record.room,
        join_at=record.join_at,
        leave_by=record.leave_by,
        persona=record.persona,
        engine=record.engine,
        meetings=record.meetings,
    )


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    stage = Stage(parse_scenario(SCENARIO))
    with stage.open() as addresses:
        path = write_config(stage, addresses, tmp_path)
        with stage.playing():
            yield Rig(stage, addresses, path)


def fates(found: Reaping) -> dict[str, Fate]:
    return {each.orphan.key: each.fate for each in found.outcomes}


# ── the whole of it ──────────────────────────────────────────────────────────────────────


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "locum", *(str(each) for each in arguments)]


def environment(folder: Path) -> dict[str, str]:
    ours = ("LOCUM_", "XDG_", "PIKA_", "NOTIFY_SOCKET")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    source = str(Path(locum.__file__).parents[1])
    return {**kept, "HOME": str(folder), "PYTHONPATH": source, "TZ": "UTC"}


def locum_does(rig: Rig, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments, "-c", rig.path),
        env=environment(rig.path.parent),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def started(rig: Rig) -> subprocess.Popen[bytes]:
    with (rig.path.parent / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            command("run", "--log-json", "-c", rig.path),
            env=environment(rig.path.parent),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + 60
    while not status(rig).get("armed"):
        assert process.poll() is None, (rig.path.parent / "daemon.log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def status(rig: Rig) -> dict[str, Any]:
    try:
        return dict(call_daemon(rig.state / "control.sock", "status"))
    except LocumError:
        return {}


@pytest.mark.timeout(180)
def test_what_a_killed_daemon_left_is_ended_and_may_be_entered_again(rig: Rig) -> None:
    """Killed in a meeting: seen by a dry run, ended by the reaper, rejoined by the next."""
    daemon = started(rig)
    try:
        joined = locum_does(rig, "join", "https://meet.google.com/abc-defg-hij", "--json")
        assert joined.returncode == 0, joined.stderr
        beside = locum_does(rig, "reap", "--json")
        assert (beside.returncode, json.loads(beside.stdout)) == (
            0,
            {"daemon_running": True, "sessions": []},
        )
        assert len(rig.stage.pikastream.live_sessions()) == 1
    finally:
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()

    seen = locum_does(rig, "reap", "--dry-run", "--json")
    (orphan,) = json.loads(seen.stdout)["sessions"]
    assert (seen.returncode, orphan["outcome"], orphan["phase"]) == (1, "found", "live")
    assert len(rig.stage.pikastream.live_sessions()) == 1

    done = locum_does(rig, "reap", "--wait", "0s")
    assert (done.returncode, done.stdout.split()[0]) == (0, "ended"), done.stderr
    assert rig.stage.pikastream.live_sessions() == ()
    assert rig.rows()[orphan["session"]][:2] == ("ended", "shutdown")
    again = locum_does(rig, "reap")
    assert (again.returncode, again.stdout) == (0, "Nothing is left running.\n")

    daemon = started(rig)
    try:
        deadline = time.monotonic() + 60
        while not rig.stage.pikastream.live_sessions():
            assert time.monotonic() < deadline, status(rig)
            time.sleep(0.05)
    finally:
        daemon.kill()
        daemon.wait()
    assert rig.stage.pikastream.peak_in_room == 1


# ── what is ended, and what isn't ────────────────────────────────────────────────────────


def test_everything_that_has_a_name_is_ended(rig: Rig) -> None:
    """Waiting, live, leaving; what is filed stays as it is, and a cancelled one its reason."""
    waiting = rig.left_behind(Phase.WAITING, 0)
    live = rig.left_behind(Phase.LIVE, 1)
    leaving = rig.left_behind(Phase.LEAVING, 2)
    filed = rig.left_behind(Phase.FILED, 3)

    found = rig.reap()

    assert fates(found) == dict.fromkeys([waiting, live, leaving], Fate.ENDED)
    assert [run.request.room for run in rig.stage.pikastream.live_sessions()] == [
        "abc-defg-hid"
    ]
    rows = rig.rows()
    assert {key: row[:2] for key, row in rows.items()} == {
        waiting: ("ended", "shutdown"),
        live: ("ended", "shutdown"),
        leaving: ("ended", "cancelled"),
        filed: ("filed", "scheduled_end"),
    }
    assert [key for key, row in rows.items() if row[2] is None] == [filed]


def test_what_is_over_already_is_written_down(rig: Rig) -> None:
    """The service knows it no more: that is a proof, and nobody is asked twice."""
    key = rig.left_behind(Phase.LIVE, runs=False)

    found = rig.reap(within=timedelta(seconds=20))

    assert fates(found) == {key: Fate.ENDED}
    assert found.outcomes[0].detail == "it was over already"
    assert rig.rows()[key][:2] == ("ended", "shutdown")


def test_a_join_without_a_name_is_for_a_person(rig: Rig) -> None:
    """It may be running, or never have been sent; the next daemon finds it as it was."""
    joining, lost = rig.left_behind(Phase.JOINING, 0), rig.left_behind(Phase.AMBIGUOUS, 1)

    found = rig.reap()

    assert fates(found) == dict.fromkeys([joining, lost], Fate.NEEDS_PERSON)
    assert {row[0] for row in rig.rows().values()} == {"joining", "ambiguous"}
    ledger = rig.open_ledger()
    ledger.database.execute("UPDATE sessions SET claimed_at = '2020-01-01T00:00:00.000000Z'")
    ledger.close()
    assert rig.reap() == Reaping(daemon_runs=False)


def test_a_join_that_waits_for_its_next_try_is_no_orphan(rig: Rig) -> None:
    """Nothing of it runs."""
    key = SessionKey(rig.left_behind(Phase.JOINING))
    ledger = rig.open_ledger()
    now = rig.stage.clock.now()
    ledger.sessions.transition(key, Phase.JOINING, at=now, retry_at=now)
    ledger.close()

    assert rig.reap() == Reaping(daemon_runs=False)


def test_without_its_engine_a_person_is_needed(rig: Rig) -> None:
    """An engine that the config has dropped: the others are ended all the same."""
    gone, known = rig.left_behind(Phase.LIVE, 0, engine="old"), rig.left_behind(Phase.LIVE, 1)

    found = rig.reap()

    assert fates(found) == {gone: Fate.NEEDS_PERSON, known: Fate.ENDED}
    assert 'no engine "old"' in next(
        each.detail for each in found.outcomes if each.orphan.key == gone
    )


# ── when it fails ────────────────────────────────────────────────────────────────────────


def test_a_service_that_does_not_let_go_is_told_again(rig: Rig) -> None:
    """Not proved over within the time: it may run, the ledger keeps it, the next one ends it."""
    rig.stage.pikastream.configure(failing_deletes=10_000)
    key = rig.left_behind(Phase.LIVE)

    found = rig.reap(within=timedelta(seconds=1))

    assert fates(found) == {key: Fate.MAY_RUN}
    assert rig.rows()[key] == ("live", None, None)
    rig.stage.pikastream.configure(failing_deletes=1)
    assert fates(rig.reap(within=timedelta(seconds=30))) == {key: Fate.ENDED}


def test_a_refused_key_is_for_a_person(rig: Rig) -> None:
    """Exit 3, with the hint; the session is still in the ledger."""
    rig.left_behind(Phase.LIVE)
    rig.stage.pikastream.configure(api_key="dk_another")

    done = locum_does(rig, "reap", "--wait", "0s", "--within", "3s", "--json")

    assert done.returncode == 3
    (one,) = json.loads(done.stdout)["sessions"]
    assert (one["outcome"], "key" in one["detail"]) == ("needs_person", True)


def test_a_daemon_that_comes_back_keeps_its_sessions(rig: Rig) -> None:
    """It has the wait to take the lock; then its sessions are its own."""
    rig.left_behind(Phase.LIVE)

    async def with_a_restart() -> Reaping:
        async with anyio.create_task_group() as group:
            locks = []

            async def restart() -> None:
                await anyio.sleep(0.1)
                locks.append(StateLock(rig.state))

            group.start_soon(restart)
            wait = timedelta(seconds=0.5)
            found = await reap(rig.config, rig.state, {}, wait=wait, within=SHORT)
            locks[0].release()
        return found

    assert anyio.run(with_a_restart) == Reaping(daemon_runs=True)
    assert len(rig.stage.pikastream.live_sessions()) == 1


def test_a_bad_edit_keeps_nobody_in_a_meeting(rig: Rig) -> None:
    """The daemon is down because of its config: what ending takes is read all the same."""
    rig.left_behind(Phase.LIVE)
    good = rig.path.read_text("utf-8")
    rig.path.write_text(good.replace('lead = "2s"', 'lead = "soon"') + "[nope]\n", "utf-8")

    done = locum_does(rig, "reap", "--wait", "0s")

    assert (done.returncode, done.stdout.split()[0]) == (0, "ended"), done.stderr
    rig.path.write_text(good.replace('type = "pikastream"', 'type = "no"'), "utf-8")
    refused = locum_does(rig, "reap", "--wait", "0s")
    assert (refused.returncode, refused.stdout) == (78, "")


def test_where_nothing_ever_ran_nothing_is_made(rig: Rig) -> None:
    """No ledger, no sessions; no folder is left by looking."""
    assert look(rig.config, rig.state) == Reaping(daemon_runs=False)
    assert rig.reap() == Reaping(daemon_runs=False)
    assert not rig.state.exists()
    wrong = locum_does(rig, "reap", "--wait", "soon")
    assert (wrong.returncode, "soon" in wrong.stderr) == (2, True)


def test_what_a_dead_daemon_left_is_settled(rig: Rig) -> None:
    """Its minutes are counted when it is proved over, like any other's."""
    key = rig.left_behind(Phase.LIVE)
    rig.reap()

    ledger = rig.open_ledger()
    row = ledger.database.row("SELECT * FROM attempts WHERE session = ?", (key,))
    ledger.close()

    assert row is not None
    assert (row["cost_micros"], row["outcome"]) == (275_000, "shutdown")


# ── its units ────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_its_unit_is_confined_like_the_daemons() -> None:
    """The exposure score, and every line of confinement that locum.service has."""
    unit = ROOT / "systemd" / "locum-reap.service"
    shown = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(unit)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = re.search(r"Overall exposure level for locum-reap\.service: ([\d.]+)", shown)

    assert found is not None
    assert float(found[1]) <= 1.5


def test_its_unit_shares_the_daemons_confinement() -> None:
    """What confines one confines the other; it has no runtime directory to take away."""
    daemon, reaper = (
        _settings(ROOT / "systemd" / f"{name}.service") for name in ("locum", "locum-reap")
    )
    own = {"NoExecPaths", "TasksMax", "MemoryHigh", "MemoryMax"}
    names = [line.partition("=")[0] for line in daemon]
    confining = {*names[names.index("UMask") :]} - own
    # It tells nobody anything, and files nothing: that is for when the daemon is back.
    keys = {line for line in daemon if line.startswith("LoadCredential=")}
    tells = {line for line in keys if not line.startswith("LoadCredential=pika_dev_key:")}
    shared = {line for line in daemon if line.partition("=")[0] in confining} - tells

    assert shared <= set(reaper)
    assert not [line for line in reaper if line.startswith("RuntimeDirectory")]
    assert "ConditionPathExists=/var/lib/locum/ledger.sqlite3" in reaper
    timer = _settings(ROOT / "systemd" / "locum-reap.timer")
    assert "OnUnitInactiveSec=3min" in timer


@pytest.mark.parametrize("suffix", ["", "-user"])
def test_both_daemons_units_call_it(suffix: str) -> None:
    """A daemon that isn't started again has its reaper called, under its installed name."""
    unit = ROOT / "systemd" / f"locum{suffix}.service"
    assert "OnFailure=locum-reap.service" in _settings(unit)
    assert (ROOT / "systemd" / f"locum-reap{suffix}.service").exists()


def _settings(path: Path) -> list[str]:
    lines = path.read_text("utf-8").partition("[Unit]")[2].partition("[Install]")[0]
    return [line for line in lines.splitlines() if "=" in line and not line.startswith("#")]
