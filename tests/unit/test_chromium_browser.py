"""Finding a browser, its command line, and its profiles; no browser is started."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from datetime import datetime, timezone
from pathlib import Path

import pytest

from locum.engines.chromium import flags
from locum.engines.chromium.browser import (
    OLDEST,
    BrowserSettings,
    find_browser,
    is_sandboxed,
    launched,
    parse_version,
)
from locum.engines.chromium.checks import check_browser, check_profile
from locum.engines.chromium.profiles import ProfileNote, Profiles
from locum.engines.chromium.signing import Seen, is_signed_in, sign_in_address
from locum.errors import HumanNeededError, PermanentError, TransientError
from locum.ports import Health

pytestmark = pytest.mark.anyio

MEET = "https://meet.google.com/"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def program(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


# ── finding it ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Chromium 150.0.7871.100 built on Debian GNU/Linux 12 (bookworm)", "150.0.7871.100"),
        ("Google Chrome 141.0.7390.54 ", "141.0.7390.54"),
        ("Chromium 149.0.1.2 snap", "149.0.1.2"),
        ("/usr/bin/chromium: 9: [: 25275842560: unexpected operator", None),
        ("warning 12\nChromium 130.0.1.1\n", "130.0.1.1"),
        ("Mozilla Firefox 140.0", None),
        ("", None),
    ],
)
def test_a_version_is_read_from_what_browsers_say(said: str, version: str | None) -> None:
    """Debian's, Chrome's and Ubuntu's; no number of another program's is taken for one."""
    assert parse_version(said) == version


def test_the_first_browser_on_the_path_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's Chromium comes before Chrome; one's own path before both."""
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "google-chrome", "echo Google Chrome 141.0.1.1")
    assert find_browser(BrowserSettings()).version == "141.0.1.1"
    program(tmp_path, "chromium", "echo Chromium 150.0.1.1")
    found = find_browser(BrowserSettings())
    assert (found.path, found.major) == (tmp_path / "chromium", 150)
    own = program(tmp_path, "mine", "echo Chromium 151.0.1.1")
    assert find_browser(BrowserSettings(executable=own)).version == "151.0.1.1"
    # An upgrade is noticed by a daemon that runs on.
    program(tmp_path, "mine", "echo Chromium 152.0.1.1")
    os.utime(own, (1, 1))
    assert find_browser(BrowserSettings(executable=own)).version == "152.0.1.1"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (f"echo Chromium {OLDEST - 1}.0.1.1", f"is version {OLDEST - 1}.0.1.1; {OLDEST} is"),
        ("echo hello", "named no version: it isn't a Chromium"),
        ("exit 3", "ended with status 3"),
    ],
)
def test_a_browser_that_will_not_do_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    """Too old, or no browser at all: which file, what of it, and what to do."""
    own = program(tmp_path, "mine", text)
    with pytest.raises(HumanNeededError, match=complaint) as refusal:
        find_browser(BrowserSettings(executable=own))
    assert str(own) in str(refusal.value)
    assert "sudo apt install chromium" in refusal.value.hint
    finding = check_browser(BrowserSettings(executable=own), engine="room")[0]
    assert (finding.subject, finding.health) == ("engine room", Health.BROKEN)
    assert "engines.room.executable" in finding.next_step
    assert finding.next_step not in finding.detail


async def test_without_a_browser_the_command_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No browser, a path to nothing, a file that isn't a program: nothing is started."""
    pytest.importorskip("playwright")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HumanNeededError, match="sudo apt install chromium"):
        async with launched(BrowserSettings(), tmp_path / "profile"):
            pass
    absent = tmp_path / "nothing"
    with pytest.raises(HumanNeededError, match=r"There is no browser .*nothing"):
        find_browser(BrowserSettings(executable=absent))
    absent.write_text("")
    with pytest.raises(HumanNeededError, match="isn't a program"):
        find_browser(BrowserSettings(executable=absent))


@pytest.mark.skipif(os.geteuid() == 0, reason="as root there is no sandbox to keep")
async def test_nobody_but_root_goes_without_a_sandbox(tmp_path: Path) -> None:
    """A setting can't take the sandbox away."""
    with pytest.raises(PermanentError, match="sandbox"):
        async with launched(BrowserSettings(sandbox=False), tmp_path):
            pass


def test_doctor_says_that_root_has_no_sandbox() -> None:
    """As root it is a warning, with the way out; for others the sandbox counts."""
    found = {finding.subject: finding for finding in check_browser(BrowserSettings())}
    sandbox = found["engine chromium: sandbox"]
    assert (sandbox.health is Health.OK) <= is_sandboxed()
    if not is_sandboxed():
        assert sandbox.health is Health.WARNING
        assert "systemd/locum.service" in sandbox.next_step


# ── its command line ─────────────────────────────────────────────────────────────────────


def line(**changed: object) -> list[str]:
    settings: dict[str, object] = {
        "headless": True,
        "sandboxed": True,
        "language": "en-US",
        "size": (640, 360),
        **changed,
    }
    return flags.command_line(Path("/p"), **settings)  # type: ignore[arg-type]


def test_flags_say_what_is_asked_and_hide_nothing() -> None:
    """The sandbox stays unless it can't, devices aren't given away, automation isn't hidden."""
    arguments = line()
    assert "--no-sandbox" not in arguments
    assert "--no-sandbox" in line(sandboxed=False)
    assert "--headless=new" in arguments
    assert "--headless=new" not in line(headless=False)
    assert "--use-fake-ui-for-media-stream" not in arguments
    assert not any("AutomationControlled" in argument for argument in arguments)
    assert not any(argument.startswith("--user-agent") for argument in arguments)


def test_addresses_are_shown_to_a_stage_alone() -> None:
    """Our own addresses go into WebRTC's candidates on loopback, and nowhere else."""
    shown = "--allow-loopback-in-peer-connection"
    for origin in ("http://127.0.0.1:80", "http://localhost", "http://[::1]:1"):
        assert shown in line(origin=origin)
    for origin in ("https://meet.google.com", "", "http://127.0.0.1.example.com", "http://["):
        assert shown not in line(origin=origin)


def test_one_list_of_features_is_made_of_several() -> None:
    """Chromium takes only the last: ours and the user's are put together."""
    (off,) = [
        argument
        for argument in line(extra=("--disable-features=Mine,Translate", "--mine"))
        if argument.startswith("--disable-features=")
    ]
    names = off.partition("=")[2].split(",")
    assert "Mine" in names
    assert names.count("Translate") == 1


def test_no_key_of_ours_reaches_the_browser(tmp_path: Path) -> None:
    """What the daemon's environment holds besides stays with the daemon."""
    given = {
        "PIKA_DEV_KEY": "dk_x",
        "CREDENTIALS_DIRECTORY": "/c",
        "PATH": "/bin",
        "DISPLAY": ":1",
    }
    passed = flags.environment(given, tmp_path, screen=None)
    assert passed["PATH"] == "/bin"
    assert {"PIKA_DEV_KEY", "CREDENTIALS_DIRECTORY", "DISPLAY"} & passed.keys() == set()
    assert flags.screen_of(given) == {"DISPLAY": ":1"}
    assert flags.screen_of({}) is None


# ── signed in or not ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("address", "controls", "signed_in"),
    [
        (f"{MEET}landing?hl=en", ("New meeting", "Google Account: Alex"), True),
        (f"{MEET}landing", ("Sign in", "New meeting"), False),
        (f"{MEET}landing", ("Anmelden", "Neue Besprechung"), False),
        (MEET, (), False),
        ("https://workspace.google.com/products/meet/", ("Start a meeting",), False),
        ("https://accounts.google.com/v3/signin/identifier", ("Next",), False),
        ("https://meet.google.com.example.com/", ("New meeting",), False),
        ("http://meet.google.com/", ("New meeting",), False),
        ("about:blank", ("New meeting",), False),
    ],
)
def test_a_sign_in_is_proved_by_where_the_page_is_and_what_it_offers(
    address: str, controls: tuple[str, ...], *, signed_in: bool
) -> None:
    """Only the meetings' own page, laid out, without an offer to sign in."""
    assert is_signed_in(Seen(address, controls), MEET) is signed_in


def test_the_sign_in_is_googles_or_the_stages() -> None:
    """It leads back to where meetings are; a password is typed at no other place."""
    assert sign_in_address(MEET) == (
        "https://accounts.google.com/ServiceLogin"
        "?continue=https%3A%2F%2Fmeet.google.com%2F&hl=en"
    )
    stage = sign_in_address("http://127.0.0.1:1/", "de")
    assert stage == "http://127.0.0.1:1/ServiceLogin?continue=%2F&hl=de"
    assert Seen("", (), "- text: Alex alex@example.com").account == "alex@example.com"


# ── profiles ─────────────────────────────────────────────────────────────────────────────


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def signed(folder: Path, text: str = "cookie") -> None:
    """Put into a profile what a browser would: a sign-in, a cache, and its hold."""
    (folder / "Default/Cache").mkdir(parents=True, exist_ok=True)
    (folder / "Default/Cache/big").write_bytes(bytes(1000))
    (folder / "Local State").write_text(text)
    (folder / "SingletonLock").symlink_to("host-1")
    with sqlite3.connect(folder / "Default/Cookies") as database:
        database.execute("CREATE TABLE cookies (value TEXT)")
        database.execute("INSERT INTO cookies VALUES (?)", (text,))
    database.close()


async def test_an_accounts_folder_is_its_own_and_stays(tmp_path: Path) -> None:
    """For its owner's eyes alone; what was signed in is there again, caches aren't."""
    profiles = Profiles(tmp_path)
    async with profiles.taken("work") as folder:
        signed(folder)
        assert {mode(part) for part in (folder, *folder.parents[:3])} == {0o700}
    async with profiles.taken("work") as again:
        assert again == folder
        assert (again / "Local State").read_text() == "cookie"
        assert not (again / "Default/Cache").exists()
        assert not (again / "SingletonLock").is_symlink()
    async with profiles.taken("home") as other:
        assert other != folder
        assert list(other.iterdir()) == []


async def test_a_second_session_gets_a_copy_that_goes(tmp_path: Path) -> None:
    """Two meetings at once: the second one's browser is signed in too, and leaves nothing."""
    profiles = Profiles(tmp_path)
    async with profiles.taken("work") as own:
        signed(own)
        async with profiles.taken("work") as copy, profiles.taken("") as guests:
            assert len({own, copy, guests}) == 3
            with sqlite3.connect(copy / "Default/Cookies") as database:
                assert database.execute("SELECT * FROM cookies").fetchall() == [("cookie",)]
            database.close()
            assert not (copy / "Default/Cache").exists()
            assert list(guests.iterdir()) == []
            (copy / "Local State").write_text("changed")
        assert (own / "Local State").read_text() == "cookie"
        assert list((tmp_path / "chromium/sessions").iterdir()) == []


async def test_a_half_written_copy_is_not_used(tmp_path: Path) -> None:
    """Where the database in use can't be copied whole, that is said, and is worth another try."""
    profiles = Profiles(tmp_path)
    async with profiles.taken("work") as own:
        (own / "Default").mkdir()
        (own / "Default/Cookies").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 20)
        with pytest.raises(TransientError, match="can't be copied now"):
            async with profiles.taken("work"):
                pass
    assert list((tmp_path / "chromium/sessions").iterdir()) == []


async def test_left_overs_of_killed_sessions_are_swept(tmp_path: Path) -> None:
    """A copy whose process is gone is removed; one that is in use isn't."""
    profiles = Profiles(tmp_path)
    async with profiles.taken("") as in_use:
        (in_use / "mine").write_text("")
        left = tmp_path / "chromium/sessions/left"
        (left / "profile").mkdir(parents=True)
        (left / "profile/cookie").write_text("secret")
        await profiles.sweep()
        assert not left.exists()
        assert (in_use / "mine").exists()


async def test_a_sign_in_beside_a_session_counts_from_the_next(tmp_path: Path) -> None:
    """A meeting that goes on keeps what it has; a copy made then, and the next, get the new."""
    profiles = Profiles(tmp_path)
    async with profiles.taken("work") as own:
        signed(own, "old")
        async with profiles.signing_in("work") as new:
            assert (new / "Local State").read_text() == "old"
            (new / "Local State").write_text("new")
            with pytest.raises(PermanentError, match="is signing in"):
                async with profiles.signing_in("work"):
                    pass
        assert (own / "Local State").read_text() == "old"
        async with profiles.taken("work") as copy:
            assert (copy / "Local State").read_text() == "new"
    async with profiles.taken("work") as own:
        assert (own / "Local State").read_text() == "new"


async def test_a_sign_in_that_is_given_up_changes_nothing(tmp_path: Path) -> None:
    """The profile stays as it was, and nothing of the attempt is kept."""
    profiles = Profiles(tmp_path)
    async with profiles.taken("work") as own:
        signed(own, "old")

    async def give_up() -> None:
        async with profiles.signing_in("work") as new:
            (new / "Local State").write_text("new")
            raise HumanNeededError("No.", hint="")

    with pytest.raises(HumanNeededError):
        await give_up()
    async with profiles.taken("work") as own:
        assert (own / "Local State").read_text() == "old"
        assert sorted(each.name for each in own.parent.iterdir()) == [
            "lock",
            "profile",
            "signing.lock",
        ]


async def test_a_swap_that_was_killed_half_way_is_finished(tmp_path: Path) -> None:
    """Between two renames, neither sign-in is lost."""
    profiles = Profiles(tmp_path)
    home = tmp_path / "chromium/accounts/work"
    for name in ("old", "next"):
        (home / name).mkdir(parents=True)
        (home / name / "Local State").write_text(name)
    async with profiles.taken("work") as own:
        assert (own / "Local State").read_text() == "next"
    assert not (home / "old").exists()


async def test_a_profile_is_deleted_unless_it_is_used(tmp_path: Path) -> None:
    """Logging out removes the folder, and refuses while a session has it."""
    profiles = Profiles(tmp_path)
    assert await profiles.forget("work") is False
    async with profiles.taken("work") as own:
        signed(own)
        with pytest.raises(PermanentError, match="locum leave"):
            await profiles.forget("work")
        assert own.exists()
    assert await profiles.forget("work") is True
    assert not own.parent.exists()


@pytest.mark.parametrize("name", ["..", ".", "a/b", "a" * 65, "a\0b", "wörk"])
async def test_no_account_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    """A name that a path could be made of is refused, and nothing is made."""
    with pytest.raises(PermanentError, match="can't have a profile"):
        async with Profiles(tmp_path / "state").taken(name):
            pass
    assert not (tmp_path / "state").exists()


def test_what_was_seen_of_a_profile_is_noted(tmp_path: Path) -> None:
    """When, where and whether; a file that was spoilt is nothing known, not an error."""
    profiles = Profiles(tmp_path)
    assert profiles.noted("work") == ProfileNote()
    assert check_profile(profiles, "work").health is Health.BROKEN
    at = datetime(2026, 11, 28, 9, 30, tzinfo=timezone.utc)
    profiles.note("work", signed_in=True, at=at, where=f"{MEET}landing?secret=1")
    assert profiles.noted("work") == ProfileNote(signed_in=True, at=at, where=f"{MEET}landing")
    assert check_profile(profiles, "work").health is Health.OK
    profiles.note("work", signed_in=False, at=at)
    finding = check_profile(profiles, "work")
    assert finding.next_step == "Give: locum meet login work"
    assert "2026-11-28 09:30 UTC" in finding.detail
    note = tmp_path / "chromium/accounts/work/note.json"
    for spoilt in ("[]", "{", '{"signed_in": 1}', '{"signed_in":1,"at":"x","where":""}'):
        note.write_text(spoilt)
        assert profiles.noted("work") == ProfileNote()


async def test_a_lock_of_another_process_is_respected(tmp_path: Path) -> None:
    """What another process holds is never taken from it, only copied."""
    home = tmp_path / "chromium/accounts/work"
    home.mkdir(parents=True)
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        async with Profiles(tmp_path).taken("work") as folder:
            assert folder.is_relative_to(tmp_path / "chromium/sessions")
    finally:
        os.close(descriptor)
