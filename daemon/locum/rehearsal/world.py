"""Lays out what a scenario's owner has at hand: folders of work with their history, contacts."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from locum.errors import PermanentError
from locum.rehearsal.scenario import Folder, Scenario

_GIT_S = 20.0
_CONTACTS = ("name", "email", "company", "role", "notes")


def furnish(scenario: Scenario, folder: Path, now: datetime) -> None:
    """Write all of it below `folder`; commits are dated from `now` backwards.

    That is the host's time: git reckons from there what was done lately.

    Raises:
        PermanentError: A folder has a history, and git isn't there or fails.
    """
    update = scenario.persona.conduct.update
    if update:
        (folder / "update.txt").write_text(update.strip() + "\n", encoding="utf-8")
    if scenario.contacts:
        with (folder / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(_CONTACTS)
            rows.writerows(
                [getattr(each, key) for key in _CONTACTS] for each in scenario.contacts
            )
    for each in scenario.folders:
        _lay_out(each, folder / "work" / each.name, now, scenario.owner.name)


def _lay_out(folder: Folder, place: Path, now: datetime, owner: str) -> None:
    place.mkdir(parents=True, exist_ok=True)
    if folder.commits:
        _git(place, {}, "init", "--quiet", "--initial-branch=main")
    for commit in sorted(folder.commits, key=lambda each: each.ago, reverse=True):
        _write(place, commit.files)
        when = (now - commit.ago).isoformat(timespec="seconds")
        name = commit.author or owner
        who = {
            f"GIT_{part}_{key}": value
            for part in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", name), ("EMAIL", "nobody@example.com"), ("DATE", when))
        }
        _git(place, who, "add", "--all")
        _git(place, who, "commit", "--quiet", "--allow-empty", "-m", commit.message)
    _write(place, folder.files)


def _write(place: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _git(place: Path, who: Mapping[str, str], *arguments: str) -> None:
    git = shutil.which("git")
    if git is None:
        raise PermanentError("This scenario has a repository: install git.")
    # Nothing of the caller's: no hooks, no signing, no identity.
    own = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    own |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", **who}
    try:
        subprocess.run(
            [git, *arguments],
            cwd=place,
            env=own,
            check=True,
            capture_output=True,
            timeout=_GIT_S,
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode("utf-8", "replace")[-300:]
        raise PermanentError(f"git {arguments[0]} failed in {place}: {said}") from error
    except subprocess.TimeoutExpired as error:
        raise PermanentError(
            f"git {arguments[0]} took over {_GIT_S:.0f} s in {place}."
        ) from error
