"""A folder of summaries for Obsidian and git: links that lead nowhere else, commits of our own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import structlog

from locum.ports import Health
from locum.sinks import MarkdownFolder
from tests.sinks_rig import HOSTILE_TITLES, summary

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=Ada", "-c", "user.email=a@b.c", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    """Answer a repository in which somebody has staged one thing and changed another."""
    folder = tmp_path / "vault"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "note.md").write_text("one\n")
    git(folder, "add", "note.md")
    git(folder, "commit", "--quiet", "-m", "begin")
    (folder / "note.md").write_text("two\n")
    (folder / "staged.md").write_text("mine\n")
    git(folder, "add", "staged.md")
    return folder


def front_of(path: str) -> dict[str, object]:
    """Read the front matter, whose values are JSON."""
    front = Path(path).read_text().split("\n---\n")[0].removeprefix("---\n")
    pairs = (line.partition(": ") for line in front.splitlines())
    return {key: json.loads(value) for key, _, value in pairs}


def exists(path: str | Path) -> bool:
    return os.path.lexists(path)


def text_of(path: str) -> str:
    return Path(path).read_text()


def files_in(folder: Path) -> list[str]:
    return [str(each) for each in folder.rglob("*") if not each.is_dir()]


# ── Obsidian ─────────────────────────────────────────────────────────────────────────────


async def test_a_note_has_tags_aliases_and_links(tmp_path: Path) -> None:
    """In the front matter, where Obsidian looks for them; each person once."""
    sink = MarkdownFolder("vault", tmp_path, tags=("meeting", "work/sync"))
    front = front_of(await sink.file(summary()))

    assert front["tags"] == ["meeting", "work/sync"]
    assert front["aliases"] == ["Weekly sync 2026-11-23"]
    assert front["series"] == "[[Weekly sync]]"
    assert front["people"] == ["[[Boss]]", "[[Dana]]"]


async def test_without_obsidian_nothing_is_added(tmp_path: Path) -> None:
    """The note is as it was."""
    front = front_of(await MarkdownFolder("plain", tmp_path).file(summary()))

    assert {"tags", "aliases", "people", "series"}.isdisjoint(front)


@pytest.mark.parametrize("title", HOSTILE_TITLES, ids=range(len(HOSTILE_TITLES)))
async def test_no_title_leads_out_of_the_vault(tmp_path: Path, title: str) -> None:
    """Neither a file's path nor a link has anything of it that could."""
    vault = tmp_path / "vault"
    sink = MarkdownFolder("vault", vault, tags=("meeting",))
    path = await sink.file(summary(title=title, invited=(title,)))
    front = front_of(path)
    links = re.findall(r"\[\[(.*?)\]\]", str(front.get("people")) + str(front.get("series")))

    assert path in files_in(tmp_path)
    assert all(each.startswith(f"{vault}/") for each in files_in(tmp_path))
    assert not any(set(link) & set('[]#^|\\/:"<>') for link in links)
    assert "\u202e" not in text_of(path)


# ── git ──────────────────────────────────────────────────────────────────────────────────


async def test_each_filing_is_a_commit_of_its_two_files(vault: Path) -> None:
    """By locum; what somebody else staged or changed stays as it was."""
    sink = MarkdownFolder("vault", vault / "meetings", git=True)
    path = await sink.file(summary())
    names = git(vault, "show", "--name-only", "--format=%an <%ae>: %s").splitlines()

    assert names[0] == "locum <locum@localhost>: Summary: Weekly sync, 2026-11-23"
    assert sorted(names[2:]) == sorted(
        str(Path(path).with_suffix(suffix).relative_to(vault)) for suffix in (".json", ".md")
    )
    assert git(vault, "status", "--porcelain").splitlines() == ["M note.md", "A  staged.md"]
    assert [each.health for each in await sink.check()] == [Health.OK, Health.OK]


async def test_the_same_again_is_no_commit_and_a_change_is_one(vault: Path) -> None:
    """Filing twice leaves one; another edition is another."""
    sink = MarkdownFolder("vault", vault, git=True)
    await sink.file(summary())
    await sink.file(summary())
    assert git(vault, "rev-list", "--count", "HEAD") == "2"
    await sink.file(summary(source="captions", edition=2))
    assert git(vault, "rev-list", "--count", "HEAD") == "3"
    assert git(vault, "log", "-1", "--format=%s").startswith("Summary: Update: Weekly sync")


@pytest.mark.parametrize("title", HOSTILE_TITLES, ids=range(len(HOSTILE_TITLES)))
async def test_no_title_is_an_option_of_gits(vault: Path, title: str) -> None:
    """It is the first line of one commit's message, and nothing is amended."""
    await MarkdownFolder("vault", vault, git=True).file(summary(title=title))

    assert git(vault, "rev-list", "--count", "HEAD") == "2"
    assert len(git(vault, "log", "-1", "--format=%B").splitlines()) == 1


async def test_no_hook_runs(vault: Path, tmp_path: Path) -> None:
    """Neither the repository's own nor one of a configured folder."""
    for name in ("pre-commit", "commit-msg", "post-commit", "prepare-commit-msg"):
        hook = vault / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        hook.chmod(0o755)
    git(vault, "config", "commit.gpgSign", "true")
    await MarkdownFolder("vault", vault, git=True).file(summary())

    assert git(vault, "rev-list", "--count", "HEAD") == "2"
    assert not (tmp_path / "ran").exists()


async def test_a_first_commit_can_be_ours(tmp_path: Path) -> None:
    """A repository that has none yet is one."""
    git(tmp_path, "init", "--quiet")
    await MarkdownFolder("vault", tmp_path / "meetings", git=True).file(summary())

    assert git(tmp_path, "rev-list", "--count", "HEAD") == "1"


async def test_no_repository_keeps_no_file_from_being_filed(tmp_path: Path) -> None:
    """It is logged, and `doctor` says what to do."""
    sink = MarkdownFolder("vault", tmp_path / "vault", git=True)
    with structlog.testing.capture_logs() as logs:
        path = await sink.file(summary())
    _, finding = await sink.check()

    assert exists(path)
    assert [each["event"] for each in logs] == ["summary_not_committed"]
    assert finding.health is Health.WARNING
    assert "git init" in finding.next_step


async def test_a_merge_that_isn_t_finished_keeps_the_file_and_is_told(vault: Path) -> None:
    """Git commits no part of a merge; afterwards the next edition is committed."""
    git(vault, "checkout", "--quiet", "--force", "-b", "side")
    (vault / "note.md").write_text("side\n")
    git(vault, "commit", "--quiet", "-am", "side")
    git(vault, "checkout", "--quiet", "main")
    (vault / "note.md").write_text("main\n")
    git(vault, "commit", "--quiet", "-am", "main")
    with pytest.raises(subprocess.CalledProcessError):
        git(vault, "merge", "side")
    sink = MarkdownFolder("vault", vault, git=True)
    with structlog.testing.capture_logs() as logs:
        path = await sink.file(summary())
    _, finding = await sink.check()

    assert exists(path)
    assert "partial commit during a merge" in logs[0]["problem"]
    assert "aren't committed" in finding.detail
    (vault / "note.md").write_text("both\n")
    git(vault, "commit", "--quiet", "-am", "merged")
    await sink.file(summary(edition=2))
    assert git(vault, "log", "-1", "--format=%an") == "locum"


async def test_a_lock_that_is_left_behind_is_waited_for_only_so_long(vault: Path) -> None:
    """Another git may be at it; one that died keeps no file from being filed."""
    (vault / ".git/index.lock").touch()
    with structlog.testing.capture_logs() as logs:
        path = await MarkdownFolder("vault", vault, git=True).file(summary())

    assert exists(path)
    assert "index.lock" in logs[0]["problem"]


async def test_another_repositorys_environment_is_not_ours(
    vault: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon started from a hook would otherwise commit there."""
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    await MarkdownFolder("vault", vault, git=True).file(summary())
    monkeypatch.undo()

    assert git(vault, "rev-list", "--count", "HEAD") == "2"
    assert not exists(other / "index")
