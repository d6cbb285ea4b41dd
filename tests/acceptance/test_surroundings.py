"""The real process in hostile surroundings: a second one, bad configs, wrong clocks, full disks."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from locum.core.money import OVERTIME
from tests.acceptance.surroundings import DaemonProcess, Site, meeting, on_stage, until

pytestmark = pytest.mark.timeout(240)


# ── two at once ──────────────────────────────────────────────────────────────────────────


def _beside(site: Site, name: str, state_dir: str, runtime_dir: str) -> DaemonProcess:
    """Another daemon, not started yet, with a config that differs in its folders only."""
    text = site.config.read_text()
    text = text.replace('state_dir = "state"', f'state_dir = "{state_dir}"')
    text = text.replace('runtime_dir = "state"', f'runtime_dir = "{runtime_dir}"')
    config = site.folder / f"{name}.toml"
    config.write_text(text)
    other = DaemonProcess(config, socket=site.folder / runtime_dir / "control.sock")
    site.others.append(other)
    return other


def test_a_second_daemon_refuses_and_changes_nothing(tmp_path: Path) -> None:
    """On the same ledger, by whatever way, or on the same socket; a dead one is no obstacle."""
    with on_stage(tmp_path, meeting("Meeting", 5, 10_000)) as site, site.playing():
        site.until_phase("Meeting", "live")
        (tmp_path / "linked").symlink_to(site.state)
        (tmp_path / "borrowed").mkdir()
        (tmp_path / "borrowed" / site.ledger.name).symlink_to(site.ledger)
        pid = site.daemon.process.pid
        refusals = {
            _beside(site, "same", "state", "state"): f"Another locum daemon (process {pid})",
            _beside(site, "ledger", "state", "run"): f"Another locum daemon (process {pid})",
            _beside(site, "link", "linked", "run"): f"Another locum daemon (process {pid})",
            _beside(site, "file", "borrowed", "run"): "is a link",
            _beside(site, "socket", "other", "state"): "another locum daemon is running",
        }
        found = {each.name for each in site.state.iterdir()}
        for other in refusals:
            other.spawn()
        for other, told in refusals.items():
            assert (other.ends(), told in other.log()) == (1, True), other.log()
        assert {each.name for each in site.state.iterdir()} == found
        assert site.daemon.status()["pid"] == pid
        assert (site.joins(), len(site.live_rooms())) == (1, 1)
        # What a killed one leaves, its lock and its socket, is nobody's.
        site.daemon.kill()
        assert (site.state / "control.sock").exists()
        assert (site.state / "locum.lock").exists()
        site.daemon.start()
        until(lambda: site.daemon.logged("session_adopted"), "the adoption")
        assert site.daemon.stop() == 0
        assert (site.joins(), site.live_rooms()) == (1, [])


# ── configs that can't be used ───────────────────────────────────────────────────────────

Spoil = Callable[[Path], None]


def _directory(config: Path) -> None:
    config.unlink()
    config.mkdir()


def _cut(config: Path) -> None:
    """As an editor leaves it in the middle of a save: inside of a text."""
    text = config.read_text()
    config.write_text(text[: text.index("Robin") + 2])


def _binary(config: Path) -> None:
    config.write_bytes(b"\x7fELF\xff\xfe" + os.urandom(2048))


def _nothing(config: Path) -> None:
    """As a power cut leaves it: its length, and no content."""
    config.write_bytes(bytes(len(config.read_bytes())))


SPOILED: Mapping[str, tuple[Spoil, str]] = {
    "a folder": (_directory, "it is a folder"),
    "cut": (_cut, "locum.toml"),
    "binary": (_binary, "not written in UTF-8"),
    "filled with nothing": (_nothing, "locum.toml:1"),
    "unreadable": (lambda config: config.chmod(0), "may not read it"),
    "gone": (Path.unlink, "locum.toml"),
}


def _without_privileges() -> list[str]:
    """What runs a command so that file permissions hold for it, root or not."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root reads every file, and setpriv isn't installed")
    return ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]


def _put_back(config: Path, text: str) -> None:
    if config.is_dir():
        config.rmdir()
    elif config.exists():
        config.chmod(0o600)
    config.write_text(text)


def test_a_config_that_cannot_be_used_ends_the_start(tmp_path: Path) -> None:
    """Exit 78, which systemd doesn't answer with a restart, and a word that names the file."""
    wrapper = _without_privileges()
    with on_stage(tmp_path) as site:
        started = {}
        for kind, (spoil, _) in SPOILED.items():
            folder = tmp_path / kind
            folder.mkdir()
            config = folder / site.config.name
            config.write_text(site.config.read_text())
            spoil(config)
            started[kind] = DaemonProcess(config, wrapper=wrapper)
            site.others.append(started[kind])
            started[kind].spawn()
        for kind, daemon in started.items():
            assert (kind, daemon.ends()) == (kind, 78)
            log = daemon.log()
            assert "locum.toml" in log, kind
            assert SPOILED[kind][1] in log, kind
            assert "Traceback" not in log, kind
            assert not (tmp_path / kind / "state").exists()


def _tells_of(daemon: DaemonProcess, problem: str) -> bool:
    return problem in str(daemon.status()["config_problems"])


def _reloads(daemon: DaemonProcess, times: int) -> bool:
    return len(daemon.logged("config_reloaded")) == times


def test_a_bad_save_changes_nothing_and_a_good_one_counts(tmp_path: Path) -> None:
    """The last good config stays, log and status say so, and the meeting goes on."""
    meetings = meeting("Meeting", 5, 10_000)
    with on_stage(tmp_path, meetings, wrapper=_without_privileges()) as site:
        good = site.config.read_text()
        with site.playing():
            site.until_phase("Meeting", "live")
            for number, (kind, (spoil, told)) in enumerate(SPOILED.items(), start=1):
                spoil(site.config)
                # It may be seen in the middle of what spoils it, and refused for that first.
                until(functools.partial(_tells_of, site.daemon, told), f"a refusal of: {kind}")
                assert told in str(site.daemon.logged("config_rejected")[-1]["problems"])
                assert len(site.live_rooms()) == 1
                text = good.replace('lead = "2s"', f'lead = "{number + 2}s"')
                _put_back(site.config, text)
                until(
                    functools.partial(_reloads, site.daemon, number),
                    f"the good save after: {kind}",
                )
                until(lambda: not site.daemon.status()["config_problems"], "no more problems")
            assert site.joins() == 1
            assert site.daemon.stop() == 0
            assert site.live_rooms() == []


# ── a clock that is wrong ────────────────────────────────────────────────────────────────


def _faketime(file: Path) -> dict[str, str]:
    """The environment in which `file` says how wrong the wall clock is; never the steady one."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("libfaketime isn't installed (Debian's package faketime)")
    file.write_text("+0\n")
    return {
        "LD_PRELOAD": str(found[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
    }


def test_a_clock_that_jumps_an_hour_either_way_doubles_nobody(tmp_path: Path) -> None:
    """Forward in a meeting, back before the next: each is attended once the clock is right."""
    clock = tmp_path / "clock"
    environ = _faketime(clock)
    first, second = meeting("Around", 10, 200), meeting("Before", 270, 90)
    with on_stage(tmp_path, first, second, speed=10, environ=environ) as site, site.playing():
        hour = timedelta(hours=1) / site.stage.clock.speed

        def set_wrong(by: timedelta) -> None:
            jumps = len(site.daemon.logged("clock_jumped"))
            file = clock.with_suffix(".new")
            file.write_text(f"{by.total_seconds():+.0f}\n")
            file.replace(clock)
            until(lambda: len(site.daemon.logged("clock_jumped")) > jumps, "word of the jump")

        site.until_phase("Around", "live")
        set_wrong(hour)  # It seems to be over, and the next one past.
        until(lambda: not site.live_rooms(), "the end, by the wrong clock")
        site.until_phase("Before", "missed")
        set_wrong(timedelta(0))
        until(site.live_rooms, "the way back into what is still on")
        until(lambda: not site.live_rooms(), "its end")
        set_wrong(-hour)
        site.wait_until(275)
        assert site.live_rooms() == []  # It is an hour early, by that clock.
        set_wrong(timedelta(0))
        until(site.live_rooms, "the meeting that had begun")
        site.until_phase("Before", "filed")
        assert site.stage.pikastream.peak_in_room == 1
        assert site.live_rooms() == []
        rooms = [each.request.room for each in site.stage.pikastream.sessions()]
        assert rooms == [first.meet, first.meet, second.meet]
        assert site.daemon.logged("pass_failed") == []
        assert site.daemon.stop() == 0


# ── a disk that is full ──────────────────────────────────────────────────────────────────


def _on_a_small_disk(state: Path) -> list[str]:
    """What runs a command that alone sees a small file system at `state`."""
    make = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    mount = 'mount -t tmpfs -o size=3m tmpfs "$0" && exec "$@"'
    state.mkdir(mode=0o700)
    try:
        tried = subprocess.run(
            [*make, mount, str(state), "true"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("unshare isn't installed (Debian's package util-linux)")
    if tried.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {tried.stderr.strip()}")
    return [*make, mount, str(state)]


def _fill(folder: Path) -> Path:
    """Fill the file system until nothing more goes in; answers the file that does."""
    file = folder / "fill"
    with file.open("wb", buffering=0) as filling:
        for size in (65536, 4096, 1):
            with contextlib.suppress(OSError):
                while filling.write(b"x" * size):
                    pass
    return file


def test_a_full_disk_keeps_nobody_in_a_meeting(tmp_path: Path) -> None:
    """It leaves at the end, says what is wrong, joins nothing new, and files when it can."""
    wrapper = _on_a_small_disk(tmp_path / "state")
    meetings = meeting("Attended", 5, 120), meeting("Due meanwhile", 150, 3000)
    socket = tmp_path / "run" / "control.sock"
    with on_stage(tmp_path, *meetings, wrapper=wrapper, socket=socket) as site:
        site.edit('runtime_dir = "state"', 'runtime_dir = "run"')
        with site.playing():
            session = site.until_phase("Attended", "live")
            inside = Path(f"/proc/{site.daemon.process.pid}/root")
            filled = _fill(inside / str(site.state).lstrip("/"))
            until(lambda: not site.live_rooms(), "the end of the presence")
            (left,) = site.stage.pikastream.sessions()
            assert left.ended is not None
            # Before it would have left without being told to.
            assert left.ended < datetime.fromisoformat(session["leave_by"]) + OVERTIME
            until(lambda: "disk is full" in site.daemon.log(), "word of the full disk")
            site.wait_until(170)
            assert site.joins() == 1
            assert site.daemon.status()["running"]
            assert site.filed() == {}
            filled.unlink()
            site.until_phase("Attended", "filed")
            site.until_phase("Due meanwhile", "live")
            assert dict(site.filed()) == {"Attended": 1}
            assert site.stage.pikastream.peak_in_room == 1
            assert site.daemon.stop() == 0
            assert site.live_rooms() == []
