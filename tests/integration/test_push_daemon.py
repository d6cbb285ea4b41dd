"""Push in the whole daemon: `locum run` in a process of its own, its stage, and the commands."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from locum.cli.examining import _check_push
from locum.cli.reporting import _push_row
from locum.ports import Health
from locum.rehearsal.configuring import write_config
from locum.rehearsal.play import _DaemonProcess
from locum.rehearsal.scenario import parse_scenario
from locum.rehearsal.stage import Stage
from tests.ports import free_port

OWNER = "alex@example.com"
_SCENARIO = f"""
title = "Push"
[owner]
email = "{OWNER}"
name = "Alex"
[[events]]
id = "later"
title = "Later"
starts_at = 90000
duration = 600
organizer = "{OWNER}"
meet = "lat-erla-ter"
"""


@dataclass
class Rig:
    stage: Stage
    config: Path
    daemon: _DaemonProcess

    def push_at(self, port: int | None) -> None:
        """Write the config with push on that port, or without."""
        text = self.config.read_text()
        text = re.sub(r"\[calendar\.push\]\n.*\n.*\n\n", "", text)
        text = re.sub(r'poll_(near|idle) = "\w+"', r'poll_\1 = "1h"', text)
        if port is not None:
            table = (
                "[calendar.push]\n"
                f'public_url = "http://127.0.0.1:{port}/push"\nlisten_port = {port}\n\n'
            )
            text = text.replace("[[calendar.accounts]]", f"{table}[[calendar.accounts]]")
        self.config.write_text(text)

    def wait(self, is_so: Callable[[Mapping[str, Any]], object]) -> Mapping[str, Any]:
        """Wait until the daemon's status is as it should be; it has a minute."""
        deadline = time.monotonic() + 60
        while not is_so(status := self.daemon.status()):
            assert time.monotonic() < deadline, status
            time.sleep(0.05)
        return status

    def planned(self, status: Mapping[str, Any]) -> list[str]:
        return sorted(each["title"] for each in status["next"])

    def edit(self, title: str) -> None:
        start = self.stage.clock.now() + timedelta(hours=3)
        times = {
            name: {"dateTime": (start + length).isoformat()}
            for name, length in (("start", timedelta(0)), ("end", timedelta(hours=1)))
        }
        link = "https://meet.google.com/abc-defg-hij"
        self.stage.google.insert_event(OWNER, {"summary": title, "hangoutLink": link, **times})

    def channels(self) -> list[str]:
        return [each.id for each in self.stage.google.open_channels()]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    stage = Stage(parse_scenario(_SCENARIO.encode()))
    with stage.open() as addresses:
        config = write_config(stage, addresses, tmp_path)
        ready = Rig(stage, config, _DaemonProcess(config, lambda _line: None))
        ready.push_at(free_port())
        with stage.playing():
            try:
                yield ready
            finally:
                ready.daemon.stop()


def _rings(status: Mapping[str, Any]) -> bool:
    return all(each["heard_at"] is not None for each in status["push"]) and status["push"]


def test_an_edit_reaches_the_plan_within_seconds(rig: Rig) -> None:
    """Though it is polled only every hour; after a SIGKILL and a reload too. Off leaves none."""
    rig.daemon.start()
    status = rig.wait(_rings)
    assert [each["calendar"] for each in status["push"]] == ["stage/primary"]
    rig.wait(lambda now: rig.planned(now) == ["Later"])
    rig.edit("Made just now")
    rig.wait(lambda now: rig.planned(now) == ["Later", "Made just now"])
    [push] = rig.daemon.status()["push"]
    assert _check_push(push).health is Health.OK
    assert _push_row(push)[:2] == ("stage/primary", "ok")
    before = rig.channels()

    rig.daemon.kill_and_restart()
    rig.wait(_rings)
    assert rig.channels() == before
    rig.wait(lambda now: len(now["next"]) == 2)
    rig.edit("After the crash")
    rig.wait(lambda now: "After the crash" in rig.planned(now))

    rig.push_at(free_port())
    rig.wait(lambda now: len(rig.channels()) == 1 and rig.channels() != before and _rings(now))
    rig.edit("After the reload")
    rig.wait(lambda now: "After the reload" in rig.planned(now))

    rig.push_at(None)
    status = rig.wait(lambda now: not rig.channels() and not now["push"])
    assert status["push"] == []
    log = rig.daemon.log_path.read_text()
    assert re.findall(r"[A-Za-z0-9_-]{43}", log) == []
    assert "config_needs_restart" not in log


def test_what_doctor_and_status_say_of_push() -> None:
    """Why it fails, what keeps it from being proved, and that polls go on."""
    push = {"calendar": "work/primary", "expires_at": None, "heard_at": None, "problem": "no!"}
    failing, unproved = _check_push(push), _check_push({**push, "problem": None})
    assert (failing.health, failing.detail) == (Health.WARNING, "no!")
    assert unproved.health is Health.WARNING
    assert "calendar.push.public_url" in unproved.next_step
    assert _push_row(push) == ("work/primary", "failing", "no!")
    assert _push_row({**push, "problem": None})[1] == "unproved"
