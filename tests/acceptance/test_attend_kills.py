"""A meeting in a process of its own: each process of its tree killed in turn, and the daemon's.

Nothing is left behind, nobody is doubled, nothing that was heard is lost, and the presence is
back. The browser is a stand-in of real processes that end with nobody (see
`tests.integration.weighty`); how the real one does is measured with it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from locum.core.model import EndReason, SessionKey
from locum.ledger import Database, Ledger
from tests.acceptance.surroundings import Site, meeting, on_stage, until
from tests.integration.weighty import Presence, Room, open_room, still_there

pytestmark = [pytest.mark.timeout(240), pytest.mark.xdist_group("attend_kills")]

_ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def _heavy(
    folder: Path, *, lasts: float = 10_000, **environ: str
) -> Iterator[tuple[Site, Room]]:
    """A daemon that is in a meeting with an engine that weighs."""
    path = os.pathsep.join([str(_ROOT), str(_ROOT / "daemon")])
    environ = {"PYTHONPATH": path, **environ}
    with (
        open_room() as room,
        on_stage(folder, meeting("Meeting", 3, lasts), speed=1.0, environ=environ) as site,
    ):
        [address] = [
            line for line in site.config.read_text().splitlines() if "base_url" in line
        ][:1]
        site.edit(address, f'base_url = "http://127.0.0.1:{room.port}"')
        site.daemon._command = [
            sys.executable, "-m", "tests.integration.weighty", "run", str(site.config)
        ]  # fmt: skip
        with site.playing():
            yield site, room
            everything = [each.pids for each in room.presences]
            if site.daemon.exit_code is None:
                assert site.daemon.stop() == 0
            until(lambda: not any(map(still_there, everything)), "nothing to be left")
        assert room.peak == 1


def _one_inside(room: Room, than: Presence | None = None) -> Presence:
    """Wait until somebody sits in the room who isn't `than`."""

    def found() -> Presence | None:
        return next((each for each in room.inside() if each is not than), None)

    return until(found, "a presence in the room")


def _is_gone(pids: Mapping[str, int]) -> bool:
    return not still_there(pids)


def _said(site: Site) -> list[str]:
    with contextlib.closing(Database(site.ledger, read_only=True)) as database:
        ledger = Ledger(database)
        [record] = ledger.sessions.newest()
        return [each.text for each in ledger.transcripts.of(record.key)]


def _session(site: Site) -> Any:
    return site.until_phase("Meeting", "live")


def test_each_process_of_the_tree_is_killed_in_turn(tmp_path: Path) -> None:
    """Child, driver, main process, renderer, daemon: each time it is back, with all that was said.

    The daemon's child leaves the room in order, before the next daemon's goes back.
    """
    with _heavy(tmp_path) as (site, room):
        heard: list[str] = []
        presence = _one_inside(room)
        for victim in ("child", "driver", "main", "renderer", "daemon"):
            _session(site)
            heard.append(f"before the {victim} went")
            room.say("Ada", heard[-1])
            until(lambda: _said(site) == heard, "what was said to be written")
            before, pids, killed_at = presence, presence.pids, time.monotonic()
            if victim == "daemon":
                site.daemon.kill()
                until(functools.partial(_is_gone, pids), "its child to end")
                assert before.said_goodbye
                site.daemon.start()
            else:
                os.kill(int(pids[victim]), signal.SIGKILL)
            presence = _one_inside(room, than=before)
            print(f"{victim}: back after {presence.came - killed_at:.2f} s")
            assert not still_there(pids)
        session = _session(site)
        assert _said(site) == heard
        assert session["attempts"] == 6


def test_one_that_grows_and_one_that_hangs(tmp_path: Path) -> None:
    """Too heavy, it is ended and gone back to, and the record says why.

    Stopped, it can't leave when its daemon dies: the next daemon ends it before anybody goes
    back. Told to stop, that one has its child leave in order.
    """
    with _heavy(tmp_path, WEIGHTY_LIMIT_MIB="400") as (site, room):
        first = _one_inside(room)
        _session(site)
        room.feed(400)
        second = _one_inside(room, than=first)
        key = SessionKey(str(_session(site)["key"]))
        assert not still_there(first.pids)
        os.kill(int(second.pids["child"]), signal.SIGSTOP)
        site.daemon.kill()
        site.daemon.start()
        third = _one_inside(room, than=second)
        assert not still_there(second.pids)
        _session(site)
        assert site.daemon.stop() == 0
        assert third.said_goodbye
        assert not room.inside()
        with contextlib.closing(Database(site.ledger, read_only=True)) as database:
            sessions = Ledger(database).sessions
            record, moves = sessions.get(key), sessions.transitions(key)
        details = [move.detail for move in moves]
        assert any("more than the 400 of memory_limit" in each for each in details), details
        assert record is not None
        assert record.end_reason is EndReason.SHUTDOWN
