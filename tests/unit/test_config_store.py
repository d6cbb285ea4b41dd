"""The running config over its edits, and where it is looked for."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from locum.config.load import load
from locum.config.model import Config
from locum.config.places import default_config_path, runtime_dir, state_dir
from locum.config.store import ConfigStore, Reload, describe_changes

GOOD = """
[[calendar.accounts]]
name = "work"
token_file = "token.json"

[personas.asta]
display_name = "Asta"
owner = "Ada Example"
image = "face.png"

[engines.pika]
type = "pikastream"

[[sinks]]
type = "markdown"
folder = "~/meetings"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with the persona's face in it."""
    (tmp_path / "face.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(2000))
    return tmp_path


def load_text(folder: Path, text: str) -> Config:
    path = folder / "locum.toml"
    path.write_text(text)
    return load(path).config


# ── reloading ────────────────────────────────────────────────────────────────────────────


def test_store_takes_good_edits_and_keeps_the_last_good_config(folder: Path) -> None:
    """A reload is taken whole or not at all, and says which settings changed."""
    path = folder / "store.toml"
    path.write_text(GOOD)
    store = ConfigStore(load(path))
    first = store.current

    path.write_text(GOOD + "# A remark.\n")
    assert store.reload().verdict is Reload.UNCHANGED
    assert store.current.digest != first.digest

    path.write_text(GOOD + "[attend]\nlead = '1m'\n")
    outcome = store.reload()
    assert (outcome.verdict, outcome.changes) == (Reload.CHANGED, ("attend.lead",))
    assert store.config.attend.lead == timedelta(minutes=1)

    for bad in (GOOD + "[attend]\nlaed = '2m'\n", "["):
        path.write_text(bad)
        outcome = store.reload()
        assert outcome.verdict is Reload.REJECTED
        assert outcome.problems == store.problems
        assert store.config.attend.lead == timedelta(minutes=1)
    path.unlink()
    assert "config init" in store.reload().problems[0]
    assert store.config.attend.lead == timedelta(minutes=1)

    path.write_text(GOOD)
    assert store.reload().changes == ("attend.lead",)
    assert store.problems == ()


def test_changes_are_named_down_to_the_key(folder: Path) -> None:
    """Items are counted from 1, as in the problems; values are never told."""
    old = load_text(folder, GOOD + "[[rules]]\naction='join'\n[[rules]]\naction='skip'\n")
    new = load_text(
        folder,
        GOOD.replace("Ada Example", "Bo Example").replace("token.json", "other.json")
        + "[[rules]]\naction='join'\n[[rules]]\naction='use'\npersona='asta'\n[[rules]]\naction='join'\n"
        "[attend]\ntrusted_organizers=['example.com']\n[metrics]\nport=1\n",
    )

    assert describe_changes(old, old) == ()
    assert describe_changes(old, new) == (
        "calendar.accounts[1].token_file",
        "attend.trusted_organizers",
        "rules[2].action",
        "rules[2].persona",
        "rules[3]",
        "personas.asta.owner",
        "metrics",
    )


# ── places ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/h"}, "/h/.config/locum/locum.toml"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "/x/locum/locum.toml"),
        ({"HOME": "/h", "XDG_CONFIG_HOME": "relative"}, "/h/.config/locum/locum.toml"),
        ({"XDG_CONFIG_HOME": "/x", "CONFIGURATION_DIRECTORY": "/etc/a:/etc/b"}, "/etc/a/locum.toml"),
        ({"CONFIGURATION_DIRECTORY": "/etc/a", "LOCUM_CONFIG": "/l/x.toml"}, "/l/x.toml"),
        ({"HOME": "/h", "LOCUM_CONFIG": "~/x.toml"}, "/h/x.toml"),
    ],
)  # fmt: skip
def test_config_is_looked_for_where_documented(environ: dict[str, str], expected: str) -> None:
    """LOCUM_CONFIG, then systemd's folder (the first of several), then XDG's, then home."""
    assert default_config_path(environ) == Path(expected)


def test_state_and_socket_are_where_documented() -> None:
    """The config's word, then systemd's, then XDG's, then home; the socket falls back on state."""
    home = {"HOME": "/h"}
    chosen = Config(state_dir=Path("/s"), runtime_dir=Path("/r"))

    assert state_dir(Config(), home) == Path("/h/.local/state/locum")
    assert state_dir(Config(), {**home, "XDG_STATE_HOME": "/x"}) == Path("/x/locum")
    assert state_dir(Config(), {**home, "STATE_DIRECTORY": "/a:/b"}) == Path("/a")
    assert state_dir(chosen, {"STATE_DIRECTORY": "/a"}) == Path("/s")
    assert runtime_dir(Config(), home) == Path("/h/.local/state/locum")
    assert runtime_dir(Config(), {**home, "XDG_RUNTIME_DIR": "/run/user/1"}) == Path(
        "/run/user/1/locum"
    )
    assert runtime_dir(Config(), {**home, "RUNTIME_DIRECTORY": "/a:/b"}) == Path("/a")
    assert runtime_dir(chosen, {"RUNTIME_DIRECTORY": "/a"}) == Path("/r")
