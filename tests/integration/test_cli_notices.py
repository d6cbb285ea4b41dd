"""`locum notify test`, and what the other commands say of notices: as people run them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from locum.cli.root import app
from locum.courier import process
from tests.integration.notices_rig import TOKEN, receiving
from tests.integration.test_cli_stage import command, environment

CONFIG = """\
state_dir = "state"
runtime_dir = "state"
[calendar]
api_root = "http://127.0.0.1:9/"
"""


def config(folder: Path, text: str = '[notify]\nurls_file = "notify.urls"\n') -> Path:
    path = folder / "locum.toml"
    path.write_text(CONFIG + text)
    path.chmod(0o600)
    return path


def does(folder: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def asked(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(each) for each in arguments], prog_name="locum")


def test_a_test_notice_reaches_every_target(tmp_path: Path) -> None:
    """One line a target, and 0: all of them took it. A second run sends it again."""
    with receiving(tmp_path) as (receiver, _):
        path = config(tmp_path)
        said = does(tmp_path, "notify", "test", "-c", path)
        scripts = does(tmp_path, "notify", "test", "--json", "-c", path)
        assert sorted(each.way for each in receiver.received) == ["json"] * 2 + ["ntfy"] * 2
        assert {each.title for each in receiver.received} == {"locum can reach you"}
    assert (said.returncode, scripts.returncode) == (0, 0)
    assert said.stdout.splitlines() == ["ok  ntfy (line 2)  sent", "ok  json (line 4)  sent"]
    assert json.loads(scripts.stdout) == [
        {"target": "ntfy (line 2)", "ok": True, "problem": None},
        {"target": "json (line 4)", "ok": True, "problem": None},
    ]


def test_a_target_that_refuses_is_told_apart(tmp_path: Path) -> None:
    """One doesn't take it: 1, and why, without its token; the other has it."""
    with receiving(tmp_path) as (receiver, _):
        receiver.token = "another"
        done = does(tmp_path, "notify", "test", "-c", config(tmp_path))
        assert [each.way for each in receiver.received] == ["json"]
    assert done.returncode == 1
    assert "broken  ntfy (line 2)  Failed to send ntfy" in done.stdout
    assert "unauthorized" in done.stdout
    assert TOKEN not in done.stdout + done.stderr


def test_doctor_looks_at_the_targets(tmp_path: Path) -> None:
    """Each is a line of its own; a file that others may read is a warning."""
    with receiving(tmp_path) as (receiver, _):
        (tmp_path / "notify.urls").chmod(0o644)
        done = does(tmp_path, "doctor", "--json", "-c", config(tmp_path))
        assert receiver.received == ()
    found = {each["subject"]: each["health"] for each in json.loads(done.stdout)}
    assert found["notices"] == "warning"
    assert found["notices to ntfy (line 2)"] == "ok"
    assert found["notices to json (line 4)"] == "ok"


@pytest.mark.parametrize(
    ("text", "told"),
    [("", "has no [notify]"), ("[notify]\n", "Nothing says where notices go")],
    ids=["off", "no addresses"],
)
def test_nowhere_to_send_to_needs_a_person(tmp_path: Path, text: str, told: str) -> None:
    """3, and the next step."""
    done = does(tmp_path, "notify", "test", "-c", config(tmp_path, text))

    assert done.returncode == 3
    assert told in done.stderr


def test_without_the_extra_every_command_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`config check` warns, `doctor` and `notify test` tell a person; none of them fails oddly."""
    monkeypatch.setattr(process, "find_spec", lambda _: None)
    monkeypatch.setattr("locum.config.load.find_spec", lambda _: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = config(tmp_path, "[notify]\n")
    install = "pip install 'locum[notify]'"

    check, tried = asked("config", "check", "-c", path), asked("notify", "test", "-c", path)
    doctor = asked("doctor", "--json", "-c", path)

    assert (check.exit_code, tried.exit_code) == (0, 3)
    assert install in check.stderr
    assert install in tried.stderr
    [finding] = [each for each in json.loads(doctor.stdout) if each["subject"] == "notices"]
    assert (finding["health"], finding["needs_person"]) == ("broken", True)
    assert install in finding["next_step"]


def test_with_the_extra_a_config_with_notices_is_no_warning(tmp_path: Path) -> None:
    """The warning above is about the extra, nothing else."""
    done = asked("config", "check", "--json", "-c", config(tmp_path))

    warnings = json.loads(done.stdout)["warnings"]
    assert [each for each in warnings if "notify" in each] == []
