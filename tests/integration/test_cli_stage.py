"""The commands as people run them: processes of their own, against a stage and a daemon."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

import locum
from locum.calendars.google_token import CALENDAR_SCOPE, PERMISSIONS
from locum.config.engines import PikaStream
from locum.config.load import load
from locum.control import call_daemon
from locum.errors import LocumError
from locum.rehearsal.configuring import write_config
from locum.rehearsal.scenario import parse_scenario
from locum.rehearsal.stage import Addresses, Stage

SCENARIO = b"""
title = "Commands"
[owner]
email = "alex@example.com"
name = "Alex Winter"
[pikastream]
ready_after = 0.5
[[events]]
id = "review"
title = "Review of the tide tables"
starts_at = 3600
duration = 1800
organizer = "dana@example.com"
meet = "rev-iewt-ide"
attendees = [{ email = "alex@example.com", answer = "accepted" }]
[[events]]
id = "stranger"
title = "Free audit \\u202e\\u001b[2J"
starts_at = 7200
duration = 1800
organizer = "sales@audits.example.net"
meet = "fre-audi-now"
attendees = [{ email = "alex@example.com", answer = "needsAction" }]
[[events]]
id = "earlier"
title = "This morning"
starts_at = -7200
duration = 1800
organizer = "dana@example.com"
meet = "mor-ning-abc"
attendees = [{ email = "alex@example.com", answer = "accepted" }]
[[events]]
id = "lunch"
title = "Lunch"
starts_at = 9000
duration = 1800
organizer = "alex@example.com"
"""
ROOM = "https://meet.google.com/abc-defg-hij"


@dataclass(frozen=True)
class Rig:
    """A stage that is up, and a config for it."""

    stage: Stage
    addresses: Addresses
    config: Path

    @property
    def folder(self) -> Path:
        return self.config.parent

    def variant(self, name: str, text: str) -> Path:
        """Write another config beside the first."""
        path = self.folder / name
        path.write_text(text, "utf-8")
        path.chmod(0o600)
        return path

    def calendar_only(self, *accounts: str) -> str:
        """Answer a config of accounts and nothing else; each is a table's body."""
        head = (
            f'state_dir = "state"\nruntime_dir = "state"\n[calendar]\n'
            f'api_root = "{self.addresses.google}/"\ntoken_uri = "{self.addresses.google}/token"\n'
        )
        return head + "".join(f"[[calendar.accounts]]\n{account}\n" for account in accounts)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    stage = Stage(parse_scenario(SCENARIO))
    with stage.open() as addresses:
        config = write_config(stage, addresses, tmp_path)
        with stage.playing():
            yield Rig(stage, addresses, config)


def environment(folder: Path) -> dict[str, str]:
    """Answer one in which nothing of the caller's own set-up is found."""
    ours = ("LOCUM_", "XDG_", "PIKA_", "BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "NOTIFY_SOCKET")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    source = str(Path(locum.__file__).parents[1])
    return {**kept, "HOME": str(folder), "PYTHONPATH": source, "TZ": "UTC"}


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "locum", *(str(each) for each in arguments)]


def locum_does(rig: Rig, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=environment(rig.folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def decisions(done: subprocess.CompletedProcess[str]) -> list[tuple[str, str]]:
    """Answer titles and codes of `plan --json`; fails if stdout is anything but JSON."""
    return [(item["title"], item["code"]) for item in json.loads(done.stdout)]


AHEAD = [
    ("Review of the tide tables", "accepted"),
    ("Free audit [2J", "waiting_for_answer"),
    ("Lunch", "no_meet_link"),
]

# ── plan ─────────────────────────────────────────────────────────────────────────────────


def test_plan_in_json(rig: Rig) -> None:
    """Each event ahead, in order, with what scripts need of it; no daemon, no ledger."""
    done = locum_does(rig, "plan", "--json", "-c", rig.config)

    assert (done.returncode, decisions(done)) == (0, AHEAD)
    first = json.loads(done.stdout)[0]
    assert first["decision"] == "join"
    assert first["reason"] == "the account accepted it"
    assert first["meet_url"] == "https://meet.google.com/rev-iewt-ide"
    assert first["estimated_cost_usd"] == pytest.approx(31 * 0.275, abs=0.01)
    assert not (rig.folder / "state").exists()


def test_plan_for_people(rig: Rig) -> None:
    """Plain lines, the reason on each, the cost at the end; nothing steers a terminal."""
    done = locum_does(rig, "plan", "--past", "-c", rig.config)

    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
    assert done.stderr in {"", "Reading 1 calendar …\n"}  # Told where it takes a while.
    assert re.search(r"skip  \S+  This morning +it is over", done.stdout)
    assert re.search(r"join  \S+  Review of .* accepted it +as stand-in  \$8\.5", done.stdout)
    assert done.stdout.splitlines()[-1] == "1 to join, 3 to skip; at most $8.53 in all."


def test_plan_of_a_config_with_accounts_only(rig: Rig) -> None:
    """Neither persona nor engine is needed to see what would be joined."""
    path = rig.variant("bare.toml", rig.calendar_only('name = "a"\ntoken_file = "token.json"'))

    done = locum_does(rig, "plan", "--json", "-c", path)

    assert (done.returncode, decisions(done)) == (0, AHEAD)
    assert json.loads(done.stdout)[0]["persona"] is None
    assert "add [personas.NAME]" in done.stderr
    assert "add [engines.NAME]" in done.stderr


@pytest.mark.parametrize(
    ("second", "code", "told"),
    [
        ('name = "b"\ntoken_file = "none.json"', 3, "locum auth login b"),
        ('name = "b"\ntoken_file = "token.json"\ncalendars = ["nope@example.com"]', 1, "nope"),
    ],
    ids=["not signed in", "no such calendar"],
)
def test_plan_shows_the_others_when_one_calendar_fails(
    rig: Rig, second: str, code: int, told: str
) -> None:
    """What fails is told on stderr, and by the exit code; the rest is shown."""
    first = 'name = "a"\ntoken_file = "token.json"'
    path = rig.variant("two.toml", rig.calendar_only(first, second))

    done = locum_does(rig, "plan", "--json", "-c", path)

    assert (done.returncode, decisions(done)) == (code, AHEAD)
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_closed_pipe_is_quiet(rig: Rig) -> None:
    """`locum plan | head -0` ends without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command("config", "schema"),
        env=environment(rig.folder),
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (141, b"")


def test_output_without_room_is_one_sentence(rig: Rig) -> None:
    """Where stdout goes to a full disk, it is said, with the next step."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command("config", "schema"),
            env=environment(rig.folder),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr == b"Error: No space left on device. Make room, then try again.\n"


# ── doctor ───────────────────────────────────────────────────────────────────────────────


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, tuple[str, bool]]:
    return {
        item["subject"]: (item["health"], item["needs_person"])
        for item in json.loads(done.stdout)
    }


def test_doctor_tries_every_part(rig: Rig) -> None:
    """On a stage all is well, but that no daemon runs."""
    done = locum_does(rig, "doctor", "--json", "-c", rig.config)

    found = findings(done)
    assert done.returncode == 0
    assert found.pop("daemon") == ("warning", False)
    assert found == {
        "brain": ("ok", False),
        "config": ("ok", False),
        "state directory": ("ok", False),
        "ledger": ("ok", False),
        "persona stand-in": ("ok", False),
        "Google account stage": ("ok", False),
        "calendar stage/primary": ("ok", False),
        "PikaStream key": ("ok", False),
        "PikaStream at 127.0.0.1": ("ok", False),
        "sink markdown": ("ok", False),
        "clock": ("ok", False),
    }


def test_doctor_tells_what_only_a_person_can_mend(rig: Rig) -> None:
    """Spent credits and an ended sign-in exit 3; anything else that is broken, 1."""
    rig.stage.pikastream.configure(balance=Decimal(5))
    rig.stage.google.revoke("alex@example.com")

    done = locum_does(rig, "doctor", "--json", "-c", rig.config)
    said = locum_does(rig, "doctor", "-c", rig.config)

    assert (done.returncode, said.returncode) == (3, 3)
    assert findings(done)["PikaStream at 127.0.0.1"] == ("broken", True)
    assert findings(done)["calendar stage/primary"] == ("broken", True)
    assert "locum auth login stage" in said.stdout.partition("What to do:")[2]

    (rig.folder / "summaries").write_text("in the way")
    broken = locum_does(rig, "doctor", "--json", "-c", rig.config)
    assert (broken.returncode, findings(broken)["sink markdown"]) == (1, ("broken", False))


def test_a_sign_in_that_lacks_transcripts(rig: Rig) -> None:
    """Asked for in the config, and not covered by the sign-in: it says so, and what to do."""
    text = rig.config.read_text().replace(
        'name = "stage"', 'name = "stage"\nmeet_transcripts = true'
    )
    config = rig.variant("transcripts.toml", text)

    done = locum_does(rig, "doctor", "--json", "-c", config)
    subject = "Google Meet's transcripts (stage)"
    [found] = [each for each in json.loads(done.stdout) if each["subject"] == subject]
    assert done.returncode == 3
    assert (found["health"], found["needs_person"]) == ("broken", True)
    assert "doesn't allow locum to read Google Meet's transcripts" in found["detail"]
    assert "locum auth login stage" in found["next_step"]

    scopes = (CALENDAR_SCOPE, PERMISSIONS["transcripts"].scope)
    address = f"{rig.addresses.google}/token"
    info = rig.stage.google.authorized_user_info("alex@example.com", address, scopes)
    (rig.folder / "token.json").write_text(json.dumps(info))
    done = locum_does(rig, "doctor", "--json", "-c", config)
    assert findings(done)[subject] == ("ok", False)


def test_doctor_makes_nothing(rig: Rig) -> None:
    """Asked before the first run, maybe by root, it leaves no folder of its own behind."""
    without_sinks = rig.config.read_text().replace(
        '[[sinks]]\ntype = "markdown"\nfolder = "summaries"\n', ""
    )
    config = rig.variant("new.toml", without_sinks.replace('"state"', '"new/state"'))

    done = locum_does(rig, "doctor", "--json", "-c", config)

    assert findings(done)["state directory"] == ("ok", False)
    assert findings(done)["sink markdown"] == ("ok", False)
    assert not (rig.folder / "new").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_doctor_asked_by_root_says_whom_to_ask_as(rig: Rig) -> None:
    """What works for root may not for the daemon, and what root writes must stay readable."""
    nobody = 65534
    for path in (rig.folder, rig.folder / "token.json"):
        os.chown(path, nobody, nobody)
    (rig.folder / "state").mkdir(mode=0o700)
    os.chown(rig.folder / "state", nobody, nobody)
    token = json.loads((rig.folder / "token.json").read_text())
    (rig.folder / "token.json").write_text(json.dumps({**token, "expiry": None}))

    done = locum_does(rig, "doctor", "-c", rig.config)

    assert done.returncode == 0
    assert "sudo -u nobody locum doctor" in done.stdout
    assert "token" in json.loads((rig.folder / "token.json").read_text())
    for name in ("token.json", "token.json.lock"):
        assert (rig.folder / name).stat().st_uid == nobody


# ── auth ─────────────────────────────────────────────────────────────────────────────────


@dataclass
class Login:
    """A `locum auth login` that waits for its person, and the address that it shows."""

    process: subprocess.Popen[str]
    address: str

    def end(self, pasted: str | None = None) -> tuple[int, str, str]:
        told, problems = self.process.communicate(pasted, timeout=60)
        return self.process.returncode, told, problems


@contextlib.contextmanager
def login(rig: Rig, config: Path) -> Iterator[Login]:
    process = subprocess.Popen(
        command("auth", "login", "-c", config),
        env=environment(rig.folder),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        shown = (line.strip() for line in process.stderr)
        yield Login(process, next(line for line in shown if "/o/oauth2/" in line))
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def test_signing_in_and_out(rig: Rig) -> None:
    """Through the consent page to a sign-in that works, and out again."""
    account = 'name = "new"\nclient_secrets = "client.json"\ntoken_file = "new.json"'
    path = rig.variant("new.toml", rig.calendar_only(account))

    with login(rig, path) as waiting:
        page = httpx.get(waiting.address, follow_redirects=True, trust_env=False)
        code, told, _ = waiting.end()

    assert (page.status_code, code) == (200, 0)
    assert "new.json" in told
    assert (rig.folder / "new.json").stat().st_mode & 0o777 == 0o600
    status = json.loads(locum_does(rig, "auth", "status", "--json", "-c", path).stdout)
    assert [(item["account"], item["signed_in"]) for item in status] == [("new", True)]
    assert decisions(locum_does(rig, "plan", "--json", "-c", path)) == AHEAD

    out = locum_does(rig, "auth", "revoke", "new", "-c", path)
    assert (out.returncode, (rig.folder / "new.json").exists()) == (0, False)
    assert locum_does(rig, "auth", "status", "-c", path).returncode == 3
    assert locum_does(rig, "auth", "revoke", "-c", path).returncode == 3


def test_signing_in_by_paste(rig: Rig) -> None:
    """Where the browser can't come back, the address at which it failed is pasted."""
    account = 'name = "new"\nclient_secrets = "client.json"\ntoken_file = "new.json"'
    path = rig.variant("new.toml", rig.calendar_only(account))

    with login(rig, path) as waiting:
        redirect = httpx.get(waiting.address, trust_env=False).headers["location"]
        code, told, _ = waiting.end(f"http://127.0.0.1/?state=other&code=x\n{redirect}\n")

    assert (code, "new.json" in told) == (0, True)
    assert decisions(locum_does(rig, "plan", "--json", "-c", path)) == AHEAD


# ── rehearse ─────────────────────────────────────────────────────────────────────────────


def test_stage_is_served_until_interrupted(tmp_path: Path) -> None:
    """One line of JSON leads a daemon of one's own there; Ctrl-C ends it in order."""
    rig_less = environment(tmp_path)
    process = subprocess.Popen(
        command("rehearse", "--serve", "--into", tmp_path / "stage"),
        env=rig_less,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        served = json.loads(process.stdout.readline())
        planned = subprocess.run(
            command("plan", "--past", "--json", "-c", served["config"]),
            env=rig_less,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        code = process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()

    assert (code, rest) == (0, "")
    assert served["account"] == "alex@example.com"
    assert served["token_uri"] == f"{served['google']}/token"
    engine = load(Path(served["config"])).config.engines["pikastream"]
    assert isinstance(engine, PikaStream)
    assert engine.base_url == served["pikastream"]
    key = (tmp_path / "stage" / "pika_dev_key").read_text().strip()
    assert served["pika_dev_key"] == key
    assert served["model"].startswith("http://127.0.0.1:")
    assert (tmp_path / "stage" / "brain.key").read_text().strip() == served["model_api_key"]
    assert [item["decision"] for item in json.loads(planned.stdout)] == ["join", "skip", "skip"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_interrupted_rehearsal_leaves_no_daemon(number: int, tmp_path: Path) -> None:
    """Whoever ends a rehearsal early ends its daemon too."""
    process = subprocess.Popen(
        # Who runs tests in the background has made them deaf to one of the two.
        ("env", "--default-signal=INT", *command("rehearse", "--into", tmp_path / "stage")),
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        runs = next(line for line in process.stderr if line.startswith("The daemon runs"))
        process.send_signal(number)
        rest = process.stderr.read()
        code = process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
        process.stderr.close()

    assert code == 128 + number
    assert "Traceback" not in rest
    daemon = int(runs.split("process ")[1].split(")")[0])
    with pytest.raises(ProcessLookupError):
        os.kill(daemon, 0)


# ── the daemon ───────────────────────────────────────────────────────────────────────────


@pytest.fixture
def daemon(rig: Rig) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon that the commands talk to, with both events read."""
    log = rig.folder / "daemon.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command("run", "--config", rig.config, "--log-json", "--log-level", "debug"),
            env=environment(rig.folder),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
        )
    try:
        deadline = time.monotonic() + 60
        while not _has_read(rig):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


def _has_read(rig: Rig) -> bool:
    try:
        return bool(call_daemon(rig.folder / "state" / "control.sock", "status")["armed"])
    except LocumError:
        return False


def test_a_new_sign_in_counts_at_once(rig: Rig, daemon: subprocess.Popen[bytes]) -> None:
    """A daemon that was shut out reads the calendar again without waiting for its turn."""
    with login(rig, rig.config) as waiting:
        httpx.get(waiting.address, follow_redirects=True, trust_env=False)
        code, _, problems = waiting.end()

    assert code == 0
    assert "The daemon that is running reads its calendars now." in problems
    assert daemon.poll() is None


def test_a_pace_that_the_quota_stretches_is_shown(
    rig: Rig, daemon: subprocess.Popen[bytes]
) -> None:
    """By the check before, and by the status once the daemon keeps to it."""
    tight = "[calendar]\npoll_near = '1s'\npoll_idle = '1s'\nrequests_per_minute = 10\n"
    text = re.sub(r"(?m)^poll_(near|idle) = .*\n", "", rig.config.read_text())
    rig.config.write_text(text.replace("[calendar]\n", tight))

    checked = locum_does(rig, "config", "check", "-c", rig.config)
    assert checked.returncode == 0
    assert "for Google's quota, calendars are read every" in checked.stdout + checked.stderr
    assert locum_does(rig, "reload", "-c", rig.config).returncode == 0
    said = locum_does(rig, "status", "-c", rig.config).stdout
    assert re.search(
        r"Read less often, for Google's quota\n  \w+ +\d+ calendars? +every ", said
    )
    assert daemon.poll() is None


def test_a_day_with_the_daemon(rig: Rig, daemon: subprocess.Popen[bytes]) -> None:
    """Every command that talks to it, one after the other, as a person might."""
    config = ("-c", rig.config)

    _second_daemon_is_refused(rig, daemon.pid)
    _skip_and_undo(rig)
    _opt_out_and_undo(rig)

    joined = locum_does(rig, "join", ROOM, "--title", "By hand", "--json", *config)
    session = json.loads(joined.stdout)["session"]
    assert (joined.returncode, session["phase"], session["title"]) == (0, "live", "By hand")
    again = locum_does(rig, "join", ROOM, *config)
    assert (again.returncode, again.stdout) == (
        0,
        f"In the meeting {ROOM} as stand-in\n",
    )
    nobody = locum_does(rig, "join", ROOM, "--persona", "nobody", *config)
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert 'no persona "nobody"' in nobody.stderr

    status = json.loads(locum_does(rig, "status", "--json", *config).stdout)
    assert (status["running"], status["pid"]) == (True, daemon.pid)
    assert [item["title"] for item in status["next"]] == ["Review of the tide tables"]
    said = locum_does(rig, "status", *config)
    assert re.search(r"Now\n  live .* By hand +https://meet", said.stdout)

    left = locum_does(rig, "leave", "by hand", *config)
    assert (left.returncode, left.stdout) == (0, 'Left "By hand".\n')
    assert not rig.stage.pikastream.live_sessions()
    assert locum_does(rig, "leave", *config).returncode == 1

    _why(rig)
    _spend(rig)
    _bad_edit(rig)
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(timeout=60) == 0
    after = locum_does(rig, "status", "--json", *config)
    assert after.returncode == 4
    assert [item["title"] for item in json.loads(after.stdout)["sessions"]] == ["By hand"]


def test_a_persona_with_a_folder_joins_once_it_may(
    rig: Rig, daemon: subprocess.Popen[bytes]
) -> None:
    """From the config's persona to one on disk, its consent, and the record of who joined."""
    config = ("-c", rig.config)
    text = rig.config.read_text("utf-8")
    inline = re.search(r"(?s)(?<=\[personas\.stand-in\]\n).*?(?=\n\[)", text)
    assert inline is not None
    rig.config.write_text(text.replace(inline[0], ""), "utf-8")
    assert locum_does(rig, "reload", *config).returncode == 0
    [unmade] = _personas(rig)
    assert "locum persona new stand-in" in unmade["trouble"]

    words = (
        "--display-name",
        "Robin",
        "--owner",
        "Alex Winter",
        "--face",
        rig.folder / "face.png",
    )
    made = locum_does(rig, "persona", "new", "stand-in", *words, *config)
    assert made.returncode == 0, made.stderr
    assert "consent" in _personas(rig)[0]["trouble"]
    planned = decisions(locum_does(rig, "plan", "--json", *config))
    assert planned[0] == ("Review of the tide tables", "persona_unfit")

    agreed = ("--person", "Alex Winter", "--how", "in writing", "--yes")
    given = locum_does(rig, "persona", "consent", "stand-in", *agreed, *config)
    assert given.returncode == 0, given.stderr
    assert _personas(rig)[0]["may_join"]
    joined = locum_does(rig, "join", ROOM, "--json", *config)
    assert joined.returncode == 0, joined.stderr
    identity = json.loads(joined.stdout)["session"]["identity"]
    checked = json.loads(
        locum_does(rig, "persona", "check", "stand-in", "--json", *config).stdout
    )
    [live] = rig.stage.pikastream.live_sessions()
    assert identity["digest"] == checked["hashes"]["identity"]
    assert identity["image"] == checked["hashes"]["face.jpg"] == live.request.image_sha256
    assert live.request.bot_name == "Robin (AI stand-in for Alex Winter)"
    assert daemon.poll() is None


def _personas(rig: Rig) -> list[dict[str, Any]]:
    status = json.loads(locum_does(rig, "status", "--json", "-c", rig.config).stdout)
    return list(status["personas"])


def _second_daemon_is_refused(rig: Rig, pid: int) -> None:
    second = locum_does(rig, "run", "--config", rig.config)
    assert second.returncode == 1
    assert f"Another locum daemon (process {pid})" in second.stderr
    assert "Traceback" not in second.stderr


def _skip_and_undo(rig: Rig) -> None:
    """What is skipped shows in the plan of another process, until it is undone."""
    config = ("-c", rig.config)
    skipped = locum_does(rig, "skip", "tide tables", *config)
    assert (skipped.returncode, skipped.stdout[:6]) == (0, "skip: ")
    planned = decisions(locum_does(rig, "plan", "--json", *config))
    assert planned[0] == ("Review of the tide tables", "skipped_by_user")
    undone = locum_does(rig, "skip", "tide tables", "--undo", "--json", *config)
    assert json.loads(undone.stdout)["event"]["code"] == "accepted"
    assert locum_does(rig, "skip", "nothing like it", *config).returncode == 1


def _opt_out_and_undo(rig: Rig) -> None:
    """What somebody opted out of is listed with a name, and skipped until that is undone."""
    config = ("-c", rig.config)
    assert locum_does(rig, "opt-out", *config).stdout == "Nobody has opted out of anything.\n"
    told = locum_does(rig, "opt-out", "tide tables", "--by", "Dana", *config)
    assert "Review of the tide tables" in told.stdout
    assert "by Dana" in told.stdout
    planned = decisions(locum_does(rig, "plan", "--json", *config))
    assert planned[0] == ("Review of the tide tables", "opted_out")
    undone = locum_does(rig, "opt-out", "tide tables", "--undo", "--json", *config)
    assert json.loads(undone.stdout) == {"opt_outs": []}
    planned = decisions(locum_does(rig, "plan", "--json", *config))
    assert planned[0] == ("Review of the tide tables", "accepted")
    assert locum_does(rig, "opt-out", "tide tables", "--undo", *config).returncode == 1
    assert locum_does(rig, "opt-out", "--undo", *config).returncode == 2


def _why(rig: Rig) -> None:
    """The trace of what was joined and left by hand."""
    traced = locum_does(rig, "why", "by hand", "--json", "-c", rig.config)
    trace = json.loads(traced.stdout)
    codes = [entry["code"] for entry in trace["decisions"]]
    phases = [step["after"] for step in trace["sessions"][0]["steps"]]
    assert (codes[0], codes[-1]) == ("user_join", "stopped_by_user")
    assert [phase for phase in phases if phase in {"live", "ended"}] == ["live", "ended"]
    said = locum_does(rig, "why", "by hand", "-c", rig.config)
    assert said.returncode == 0
    assert "join: you asked for it (locum join)" in said.stdout


def _spend(rig: Rig) -> None:
    """What was asked for by hand is nobody's, and is told while the daemon goes on."""
    found = json.loads(locum_does(rig, "spend", "--json", "-c", rig.config).stdout)
    [row] = found["by_meeting"]
    assert (row["title"], row["organizer"], row["joins"]) == ("By hand", None, 1)
    assert 0 < row["spent_usd"] == found["spent_usd"] == found["by_organizer"][0]["spent_usd"]
    assert [stay["title"] for stay in found["forecast"]["stays"]] == [
        "Review of the tide tables"
    ]
    said = locum_does(rig, "spend", "-c", rig.config)
    assert (said.returncode, said.stderr) == (0, "")
    assert re.search(r"\(by hand\) +\$", said.stdout)


def _bad_edit(rig: Rig) -> None:
    """A bad edit is told by `reload`, and cuts nobody off from the daemon."""
    good = rig.config.read_text("utf-8")
    config: Sequence[str | Path] = ("-c", rig.config)
    assert locum_does(rig, "reload", *config).stdout == "Nothing has changed.\n"
    rig.config.write_text(good + "[nope]\n", "utf-8")
    refused = locum_does(rig, "reload", *config)
    status = locum_does(rig, "status", "--json", *config)
    assert (refused.returncode, refused.stdout, status.returncode) == (78, "", 0)
    assert "nope: unknown key" in refused.stderr
    assert "nope" in json.loads(status.stdout)["config_problems"][0]
    rig.config.write_text(good, "utf-8")
