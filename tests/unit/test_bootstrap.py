"""What the set-up decides for itself: what is missing, what is to be installed, and for whom."""

from __future__ import annotations

from pathlib import Path

import pytest

import bootstrap
from locum.rehearsal.scenario import builtin_scenarios, load_scenario


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--engine", "chromium"], True),
        (["--speed", "5", "--engine=chromium"], True),
        (["--engine", "pikastream"], False),
        (["--engine"], False),
        (["chromium"], False),
        (["--engine", "chromium", "--engine", "pikastream"], False),
        (["--scenario", "standup"], True),
        (["--scenario=scheduling", "--json"], True),
        (["--scenario", "outage"], False),
        (["--scenario", "there-is-none"], False),
        (["--scenario"], False),
        ([], False),
    ],
)
def test_a_browser_is_set_up_for_our_own_engine_alone(
    arguments: list[str], *, wanted: bool
) -> None:
    """A plain rehearsal downloads no browser, and no library that only it needs."""
    assert bootstrap.wants_chromium(arguments) is wanted


def test_every_conversation_gets_a_browser(tmp_path: Path) -> None:
    """What is talked in is told by the scenario's own file, ours or anybody's."""
    built_in = {
        name: load_scenario(file).talk is not None for name, file in builtin_scenarios().items()
    }
    own = tmp_path / "own.toml"
    own.write_bytes(builtin_scenarios()["customer"].read_bytes())

    assert built_in == {
        name: bootstrap.wants_chromium(["--scenario", name]) for name in built_in
    }
    assert bootstrap.wants_chromium(["--scenario", str(own)])


def test_any_browser_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has Chrome isn't given Chromium; who has neither is."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert bootstrap.missing_of(bootstrap.CHROMIUM_PACKAGES) == ["chromium", "espeak-ng"]
    chrome = tmp_path / "google-chrome"
    chrome.write_text("#!/bin/sh\n")
    chrome.chmod(0o755)
    assert bootstrap.missing_of(bootstrap.CHROMIUM_PACKAGES) == ["espeak-ng"]


def test_who_may_not_install_is_told_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without apt-get, set-up ends with what is missing, what for, and what to give."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(bootstrap.SetupError) as refusal:
        bootstrap.need_chromium_packages()
    assert refusal.value.status == bootstrap.MACHINE_LACKS
    assert "apt-get install -y chromium espeak-ng" in str(refusal.value)
    assert "joins with a browser" in str(refusal.value)


def stand_in_apt(folder: Path, install: str, update: str) -> None:
    """Put an apt-get on the path that says these things and installs nothing."""
    scripts = {
        "apt-get": f'case "$*" in *update) echo "{update}" ;; *) echo "{install}"; exit 100 ;; esac',
        "sudo": 'shift; exec "$@"',
        "env": 'shift; exec "$@"',
        "true": "exit 0",
    }
    for name, script in scripts.items():
        file = folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)


@pytest.mark.parametrize(
    ("update", "status", "told"),
    [
        (
            "W: Failed to fetch … Temporary failure resolving 'deb.example.org'",
            bootstrap.NO_NETWORK,
            "Connect this machine",
        ),
        (
            "Hit:1 http://deb.example.org bookworm InRelease",
            bootstrap.MACHINE_LACKS,
            "apt-get install -y chromium espeak-ng",
        ),
    ],
    ids=["no network", "no such package"],
)
def test_a_bare_machine_without_a_network_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, update: str, status: int, told: str
) -> None:
    """Where apt has no list yet, only fetching one meets the network; the error is about that."""
    stand_in_apt(tmp_path, "E: Unable to locate package chromium", update)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(bootstrap.SetupError) as refusal:
        bootstrap.need_chromium_packages()
    assert refusal.value.status == status
    assert told in str(refusal.value)


def test_an_environment_that_holds_more_is_kept() -> None:
    """Going from a rehearsal to the tests and back installs nothing the second time."""
    assert bootstrap.LARGER == {
        bootstrap.RUNTIME: (bootstrap.CHROMIUM, bootstrap.DEVELOPMENT),
        bootstrap.CHROMIUM: (bootstrap.DEVELOPMENT,),
        bootstrap.DEVELOPMENT: (),
    }
