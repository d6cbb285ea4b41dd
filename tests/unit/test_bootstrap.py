"""What the set-up decides for itself: what is missing, what is to be installed, and for whom."""

from __future__ import annotations

from pathlib import Path

import pytest

import bootstrap


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--engine", "chromium"], True),
        (["--speed", "5", "--engine=chromium"], True),
        (["--engine", "pikastream"], False),
        (["--engine"], False),
        (["chromium"], False),
        ([], False),
    ],
)
def test_a_browser_is_set_up_for_our_own_engine_alone(
    arguments: list[str], *, wanted: bool
) -> None:
    """A plain rehearsal downloads no browser, and no library that only it needs."""
    assert bootstrap.wants_chromium(arguments) is wanted


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


def test_an_environment_that_holds_more_is_kept() -> None:
    """Going from a rehearsal to the tests and back installs nothing the second time."""
    assert bootstrap.LARGER == {
        bootstrap.RUNTIME: (bootstrap.CHROMIUM, bootstrap.DEVELOPMENT),
        bootstrap.CHROMIUM: (bootstrap.DEVELOPMENT,),
        bootstrap.DEVELOPMENT: (),
    }
