"""Every command by itself: its help, its refusals, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import locum
from locum.cli.ending import CommandGroup
from locum.cli.rehearsing import _coloured
from locum.cli.root import app
from locum.cli.terminal import _table_in_colour, length, one_line, plain, table
from locum.config.example import example_text
from locum.config.schema import schema
from locum.control import DaemonNotRunningError
from locum.errors import (
    AmbiguousError,
    ConfigError,
    HumanNeededError,
    LocumError,
    PermanentError,
    TransientError,
)
from locum.ledger import Database

COMMANDS = (
    ["run"],
    ["rehearse"],
    ["plan"],
    ["why"],
    ["status"],
    ["join"],
    ["leave"],
    ["skip"],
    ["opt-out"],
    ["reload"],
    ["doctor"],
    ["file"],
    ["reap"],
    ["spend"],
    ["ask"],
    ["tools"],
    ["approvals"],
    ["approve"],
    ["deny"],
    ["tool-unit"],
    ["memory", "show"],
    ["memory", "search"],
    ["memory", "approve"],
    ["memory", "settle"],
    ["memory", "forget"],
    ["memory", "export"],
    ["auth", "login"],
    ["auth", "status"],
    ["auth", "revoke"],
    ["meet", "login"],
    ["meet", "status"],
    ["meet", "logout"],
    ["config", "check"],
    ["config", "schema"],
    ["config", "init"],
    ["persona", "new"],
    ["persona", "show"],
    ["persona", "list"],
    ["persona", "check"],
    ["persona", "restore"],
    ["persona", "rm"],
    ["persona", "consent"],
    ["persona", "avatar", "set"],
    ["persona", "avatar", "generate"],
    ["persona", "avatar", "preview"],
    ["persona", "avatar", "rig"],
    ["persona", "voice", "clone"],
    ["persona", "voice", "set"],
    ["persona", "voice", "try"],
    ["models", "pull"],
    ["models", "add"],
    ["models", "list"],
    ["models", "remove"],
    ["notify", "test"],
    ["summarise"],
    ["brief"],
    ["skills", "list"],
    ["skills", "approve"],
    ["attend"],
)
GOOD = 'state_dir = "state"\nruntime_dir = "state"\n'
BAD = """\
state_dir = "state"
runtime_dir = "state"
[attend]
capacity = 0
leed = "30s"
"""


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let nothing of the caller's own set-up be found, nor touched."""
    for name in list(os.environ):
        if name.startswith(("LOCUM_", "XDG_", "PIKA_")) or name.endswith("_DIRECTORY"):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


def locum_does(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments], prog_name="locum")


def written(folder: Path, text: str) -> Path:
    path = folder / "locum.toml"
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    return path


# ── help ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_of_every_command_suffices(command: list[str]) -> None:
    """Each command's help has examples of itself, and its exit codes."""
    done = locum_does(*command, "--help")

    assert done.exit_code == 0
    examples = done.stdout.partition("Examples:")[2]
    assert f"locum {' '.join(command)}" in examples
    assert "Exit codes: 0" in examples
    assert "--config" in done.stdout or command in (
        ["rehearse"],
        ["config", "schema"],
        ["summarise"],
    )


GROUPS = tuple(
    dict.fromkeys(tuple(each[:length]) for each in COMMANDS for length in range(len(each)))
)


@pytest.mark.parametrize("group", GROUPS, ids=" ".join)
def test_lists_of_commands_are_cut_nowhere(group: tuple[str, ...]) -> None:
    """What each command does stands in full, on a terminal of 80 columns."""
    done = CliRunner().invoke(app, [*group, "--help"], prog_name="locum", terminal_width=80)

    commands = done.stdout.partition("Commands:")[2]
    assert [line for line in commands.splitlines() if line.endswith("...")] == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_arguments_stand_out(command: list[str]) -> None:
    """What is to be filled in is in capitals, as in the examples."""
    usage = locum_does(*command, "--help").stdout.partition("\n\n")[0]

    given = usage.partition(" ".join(command))[2]
    assert given == given.upper()


def test_list_of_commands_is_whole() -> None:
    """No command escapes the test above."""

    def below(command: Any, path: list[str]) -> list[list[str]]:
        commands = getattr(command, "commands", None)
        if commands is None:
            return [path]
        return [each for name, one in commands.items() for each in below(one, [*path, name])]

    assert sorted(below(typer.main.get_command(app), [])) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_takes_a_config(command: list[str], tmp_path: Path) -> None:
    """`--config` is never a usage error, even where no config is needed."""
    done = locum_does(*command, "-c", tmp_path / "none.toml", "--help")

    assert done.exit_code == 0


def test_root_help_names_every_exit_code() -> None:
    """What scripts rely on stands where one looks first."""
    told = locum_does("--help").stdout

    lines = [line.split() for line in told.partition("Exit codes:")[2].splitlines()]
    codes = [line[0] for line in lines if line and line[0].isdigit()]
    assert codes == ["0", "1", "2", "3", "4", "78"]


def test_version() -> None:
    """`locum --version` is one line."""
    assert locum_does("--version").stdout == f"locum {locum.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["plann"],
        ["plan", "--days", "0"],
        ["plan", "--days", "soon"],
        ["rehearse", "--speed", "0.05"],
        ["rehearse", "--speed", "101"],
        ["run", "--log-level", "loud"],
        ["why"],
        ["join"],
        ["spend", "--month", "2026-13"],
        ["config", "chek"],
    ],
    ids=" ".join,
)
def test_wrong_command_lines_exit_2(arguments: list[str]) -> None:
    """A usage error is told on stderr, with the next step, and is no other failure."""
    done = locum_does(*arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert "Error:" in done.stderr


HEAVY = "asyncio httpx pydantic rich structlog googleapiclient apscheduler uvicorn sqlite3"


def test_nothing_heavy_is_imported_at_start() -> None:
    """`locum --help` costs the time of typer, and no more."""
    program = (
        "import sys; sys.argv = ['locum', '--help']\n"
        "from locum.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        f"sys.exit(' '.join(sorted(set({HEAVY.split()!r}) & set(sys.modules))) or 0)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(locum.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "Exit codes:" in done.stdout


# ── how commands end ─────────────────────────────────────────────────────────────────────

ENDINGS: list[tuple[BaseException, int, str]] = [
    (ConfigError(("a.toml:1: one", "a.toml:2: two")), 78, "a.toml:1: one\na.toml:2: two\n"),
    (HumanNeededError("It ended.", hint="Sign in."), 3, "Error: It ended. Sign in.\n"),
    (PermanentError("No."), 1, "Error: No.\n"),
    (TransientError("Later."), 1, "Error: Later.\n"),
    (AmbiguousError("Who knows?"), 1, "Error: Who knows?\n"),
    (LocumError("Something."), 1, "Error: Something.\n"),
    (PermanentError("It \x1b[2J wipes\u202e."), 1, "Error: It \\x1b[2J wipes\\u202e.\n"),
    (KeyboardInterrupt(), 130, ""),
    (typer.Exit(7), 7, ""),
]


@pytest.mark.parametrize(
    ("error", "code", "told"), ENDINGS, ids=[repr(ending[0])[:40] for ending in ENDINGS]
)
def test_errors_become_a_message_and_a_code(error: BaseException, code: int, told: str) -> None:
    """What locum raises on purpose never ends in a traceback, and stdout stays empty."""
    failing = typer.Typer(cls=CommandGroup, rich_markup_mode=None)
    failing.callback()(lambda: None)

    @failing.command()
    def fail() -> None:
        raise error

    done = CliRunner().invoke(failing, ["fail"])

    assert (done.exit_code, done.stdout, done.stderr) == (code, "", told)


def test_unexpected_errors_are_not_hidden() -> None:
    """A bug of ours keeps its traceback: hiding it would help nobody."""
    failing = typer.Typer(cls=CommandGroup, rich_markup_mode=None)
    failing.callback()(lambda: None)

    @failing.command()
    def fail() -> None:
        raise ZeroDivisionError

    assert isinstance(CliRunner().invoke(failing, ["fail"]).exception, ZeroDivisionError)


def test_absent_daemon_has_a_code_of_its_own(tmp_path: Path) -> None:
    """Scripts tell "no daemon" from "the daemon said no"."""
    failing = typer.Typer(cls=CommandGroup, rich_markup_mode=None)
    failing.callback()(lambda: None)

    @failing.command()
    def fail() -> None:
        raise DaemonNotRunningError(tmp_path / "socket")

    done = CliRunner().invoke(failing, ["fail"])

    assert done.exit_code == 4
    assert "locum run" in done.stderr


@pytest.mark.parametrize(
    "command",
    [["plan"], ["doctor"], ["auth", "login"], ["auth", "status"], ["auth", "revoke"]],
    ids=" ".join,
)
def test_bad_config_exits_78_with_every_problem(command: list[str], tmp_path: Path) -> None:
    """All problems are told at once, each with its line."""
    done = locum_does(*command, "--config", written(tmp_path, BAD))

    assert done.exit_code == 78
    told = done.stderr + done.stdout
    assert "locum.toml:4: attend.capacity" in told
    assert "locum.toml:5: attend.leed" in told


def test_missing_config_names_the_next_step() -> None:
    """Who begins is told how to."""
    done = locum_does("plan")

    assert done.exit_code == 78
    assert "locum config init" in done.stderr


# ── config ───────────────────────────────────────────────────────────────────────────────


def test_init_writes_the_example_where_it_is_looked_for(own_home: Path) -> None:
    """`config init` prints the path on stdout, and `config check` reads that very file."""
    done = locum_does("config", "init")

    path = own_home / ".config/locum/locum.toml"
    assert (done.exit_code, done.stdout) == (0, f"{path}\n")
    assert path.read_text("utf-8") == example_text()
    assert path.stat().st_mode & 0o022 == 0
    assert {each.name for each in path.parent.iterdir()} == {"locum.toml", "standin.png"}
    assert "standin.png" in done.stderr
    checked = locum_does("config", "check")
    assert (checked.exit_code, checked.stderr) == (0, "")


def test_init_keeps_a_face_that_is_there(tmp_path: Path) -> None:
    """Not even --force, which is about the config, replaces somebody's picture."""
    face = tmp_path / "standin.png"
    face.write_bytes(b"mine")

    done = locum_does("config", "init", "--path", tmp_path, "--force")

    assert (done.exit_code, face.read_bytes()) == (0, b"mine")
    assert "standin.png" not in done.stderr


def test_init_replaces_nothing_unless_told(tmp_path: Path) -> None:
    """A config that somebody wrote is kept; --force replaces it."""
    path = written(tmp_path, "mine")

    refused = locum_does("config", "init", "--path", path)
    kept = path.read_text()
    forced = locum_does("config", "init", "-c", path, "--force")

    assert (refused.exit_code, kept, forced.exit_code) == (1, "mine", 0)
    assert "--force" in refused.stderr
    assert path.read_text("utf-8") == example_text()


def test_init_into_a_folder(tmp_path: Path) -> None:
    """A folder is taken to mean the file in it."""
    done = locum_does("config", "init", "--path", tmp_path)

    assert done.stdout == f"{tmp_path / 'locum.toml'}\n"


def test_init_where_nothing_can_be_written() -> None:
    """An impossible place is named, and the next step with it."""
    done = locum_does("config", "init", "--path", "/dev/null/locum.toml")

    assert (done.exit_code, done.stdout) == (1, "")
    assert "/dev/null/locum.toml can't be written" in done.stderr
    assert "--path" in done.stderr


def test_check_in_words_and_in_json(tmp_path: Path) -> None:
    """A config that can be used exits 0; what is hardly meant is a warning."""
    path = written(tmp_path, GOOD)

    said = locum_does("config", "check", "--config", path)
    found = json.loads(locum_does("config", "check", "--json", "-c", path).stdout)

    assert (said.exit_code, said.stdout) == (0, f"{path} can be used.\n")
    assert (found["ok"], found["path"], found["problems"]) == (True, str(path), [])
    assert said.stderr.splitlines() == [f"Warning: {each}" for each in found["warnings"]]
    assert len(found["warnings"]) >= 3


def test_check_of_a_bad_config_in_json(tmp_path: Path) -> None:
    """With --json the problems are on stdout, and the code stays 78."""
    done = locum_does("config", "check", "--json", "-c", written(tmp_path, BAD))

    found = json.loads(done.stdout)
    assert (done.exit_code, done.stderr, found["ok"]) == (78, "", False)
    assert [problem.split(":")[1] for problem in found["problems"]] == ["4", "5"]


def test_schema_is_json_schema() -> None:
    """`config schema` prints the schema, and nothing else."""
    done = locum_does("config", "schema")

    found = json.loads(done.stdout)
    assert (done.exit_code, done.stderr, found) == (0, "", schema())
    jsonschema.Draft202012Validator.check_schema(found)


# ── without a daemon ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "command",
    [["join", "https://meet.google.com/abc-defg-hij"], ["leave"], ["skip", "x"], ["reload"]],
    ids=" ".join,
)
def test_asking_without_a_daemon_exits_4(command: list[str], tmp_path: Path) -> None:
    """Whoever asks nobody is told how to start it."""
    done = locum_does(*command, "-c", written(tmp_path, GOOD))

    assert (done.exit_code, done.stdout) == (4, "")
    assert "locum run" in done.stderr


def test_status_without_a_daemon(tmp_path: Path) -> None:
    """It says so clearly, in words and in JSON; nothing is made on the way."""
    path = written(tmp_path, GOOD)

    said = locum_does("status", "-c", path)
    found = locum_does("status", "--json", "-c", path)

    assert (said.exit_code, found.exit_code, found.stderr) == (4, 4, "")
    assert "locum is not running" in said.stdout
    assert json.loads(found.stdout)["running"] is False
    assert not (tmp_path / "state").exists()


def test_asking_without_daemon_and_with_bad_config_tells_the_config(tmp_path: Path) -> None:
    """Where no daemon runs on an older one, the config's problems are what matters."""
    done = locum_does("leave", "-c", written(tmp_path, BAD))

    assert done.exit_code == 78
    assert "attend.leed" in done.stderr


def test_why_without_a_ledger(tmp_path: Path) -> None:
    """Before the first run there is nothing to explain; it says what helps instead."""
    done = locum_does("why", "x", "-c", written(tmp_path, GOOD))

    assert (done.exit_code, done.stdout) == (1, "")
    assert "locum plan" in done.stderr


@pytest.mark.parametrize("text", [GOOD, BAD], ids=["good", "bad"])
def test_why_reads_the_ledger_whatever_the_config(text: str, tmp_path: Path) -> None:
    """A bad edit doesn't hide what was decided before it."""
    path = written(tmp_path, text)
    Database(tmp_path / "state" / "ledger.sqlite3").close()

    done = locum_does("why", "budget", "-c", path)

    assert done.exit_code == 1
    assert 'Nothing that was decided on is called "budget"' in done.stderr


def test_ledger_that_is_none(tmp_path: Path) -> None:
    """A file that is no ledger is named; there is no traceback."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "ledger.sqlite3").write_bytes(b"no database at all, but long enough")

    done = locum_does("why", "x", "-c", written(tmp_path, GOOD))

    assert done.exit_code == 1
    assert "ledger.sqlite3 can't be" in done.stderr


def test_plan_without_calendars(tmp_path: Path) -> None:
    """A config that watches nothing gives an empty plan, and a hint."""
    done = locum_does("plan", "--json", "-c", written(tmp_path, GOOD))

    assert (done.exit_code, json.loads(done.stdout)) == (0, [])
    assert "[[calendar.accounts]]" in done.stderr


# ── accounts ─────────────────────────────────────────────────────────────────────────────


def accounts(*names: str) -> str:
    return GOOD + "".join(
        f'[[calendar.accounts]]\nname = "{name}"\nclient_secrets = "c.json"\n' for name in names
    )


@pytest.mark.parametrize(
    ("names", "given", "told"),
    [
        ((), [], "names no accounts"),
        (("work", "home"), [], "work, home"),
        (("work",), ["wrok"], "there is work"),
    ],
)
def test_account_must_be_clear(
    names: tuple[str, ...], given: list[str], told: str, tmp_path: Path
) -> None:
    """None, one of several, or an unknown one: which there are is told."""
    done = locum_does("auth", "revoke", *given, "-c", written(tmp_path, accounts(*names)))

    assert done.exit_code == 2
    assert told in done.stderr


def test_lone_account_needs_no_name(tmp_path: Path) -> None:
    """With one account, `auth login` knows which; here it lacks its OAuth client."""
    done = locum_does("auth", "login", "-c", written(tmp_path, accounts("work")))

    assert done.exit_code == 3
    assert "no OAuth client in" in done.stderr


def test_auth_status_of_an_account_without_a_sign_in(tmp_path: Path) -> None:
    """It exits 3, and names the command that helps, in words and in JSON."""
    path = written(tmp_path, accounts("work"))

    said = locum_does("auth", "status", "-c", path)
    done = locum_does("auth", "status", "--json", "-c", path)

    found = json.loads(done.stdout)
    assert (said.exit_code, done.exit_code, done.stderr) == (3, 3, "")
    assert (found[0]["account"], found[0]["signed_in"]) == ("work", False)
    assert found[0]["next_step"] == "Run `locum auth login work`."
    assert "locum auth login work" in said.stderr


# ── rehearse ─────────────────────────────────────────────────────────────────────────────


def test_scenarios_are_listed() -> None:
    """`rehearse --list` names what `--scenario` takes."""
    found = json.loads(locum_does("rehearse", "--list", "--json").stdout)
    said = locum_does("rehearse", "--list").stdout

    assert "default" in [each["name"] for each in found]
    assert [line.split()[0] for line in said.splitlines()] == [each["name"] for each in found]


def test_unknown_scenario(tmp_path: Path) -> None:
    """Which there are is told, and no folder is made."""
    done = locum_does("rehearse", "--scenario", "nope", "--into", tmp_path / "new")

    assert (done.exit_code, done.stdout) == (78, "")
    assert "default" in done.stderr
    assert not (tmp_path / "new").exists()


def test_earlier_rehearsal_is_not_gone_on_with(tmp_path: Path) -> None:
    """Its ledger would spoil the new one's numbers; it is neither used nor deleted."""
    (tmp_path / "state").mkdir()

    done = locum_does("rehearse", "--into", tmp_path)

    assert (done.exit_code, done.stdout) == (1, "")
    assert "an earlier rehearsal" in done.stderr


LINES = [
    "   6.7 s [tid-gaug-abc] Dana Reyes entered",
    "  13.2 s [tid-gaug-abc] Dana Reyes: Morning: one question. [maybe] 7.0 s",
    '   7.0 s locum: "Tide gauge" is joining',
    "The daemon runs (process 1), its log is /tmp/x",
    "",
]


@pytest.mark.parametrize("line", LINES)
def test_colour_changes_no_text(line: str) -> None:
    """What is told on a terminal is what is told elsewhere, in colour."""
    assert _coloured(line).plain == line


# ── what is shown ────────────────────────────────────────────────────────────────────────


@settings(derandomize=True, max_examples=1000)
@given(st.text())
def test_nothing_shown_steers_a_terminal(text: str) -> None:
    """Whatever a stranger writes, only printable characters and line ends are left of it."""
    shown = plain(text)

    assert all(char.isprintable() or char == "\n" for char in shown)
    assert "\n" not in one_line(text)
    assert plain(shown) == shown


def test_tables_are_plain_and_unwrapped_off_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One row is one line, however long; columns are aligned, nothing trails."""
    table([("join", "a\nb", "x" * 300), ("skip", "c", "")], indent=2)

    assert capsys.readouterr().out == f"  join  a b  {'x' * 300}\n  skip  c\n"


def test_narrow_terminals_keep_times_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long columns give way to short ones; nothing of them is cut off."""
    monkeypatch.setenv("COLUMNS", "60")
    _table_in_colour([["join", "14:00–14:30", "a title " * 9, "/a/very/long/path" * 4]], 2)

    shown = capsys.readouterr().out
    assert "join  14:00–14:30" in shown
    assert max(len(line) for line in shown.splitlines()) <= 60
    assert shown.count("/") == 16


def test_empty_table_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """No rows, no lines."""
    table([])

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_800, "2 days"),
    ],
)
def test_lengths_are_said_as_people_say_them(seconds: int, said: str) -> None:
    """The unit grows with the length."""
    assert length(timedelta(seconds=seconds)) == said
