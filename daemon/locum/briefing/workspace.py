"""Folders of one's own work: what has been written and done lately, to be able to answer.

Only files that the config's patterns name are read, none through a link that leads out of the
folder, none whose name says that it holds secrets, and of each not more than its beginning.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePath

from locum.briefing.secrets import is_denied
from locum.core.redaction import without_secrets
from locum.errors import PermanentError
from locum.files import UnreadableError, read_regular

_LARGEST_FILE = 64 * 1024  # Bytes that are read of one.
_LARGEST_IN_ALL = 512 * 1024
_MOST_FILES = 200
_MOST_LOOKED_AT = 20_000
_GIT_S = 10.0
_MOST_COMMITS = 100
_LONGEST_LOG = 64 * 1024


@dataclass(frozen=True)
class Workspace:
    """What may be read of one folder; `git_log` is how far back its commits are told."""

    name: str
    folder: Path
    include: tuple[str, ...] = ("updates.md",)
    exclude: tuple[str, ...] = ()
    git_log: timedelta = timedelta(0)


@dataclass(frozen=True)
class Excerpt:
    """One file's beginning, or the log; `dropped` lines held what looked like a secret."""

    name: str
    text: str
    dropped: int = 0
    is_cut: bool = False


def read_workspace(workspace: Workspace) -> tuple[Excerpt, ...]:
    """Read what may be told of a folder: its log first, then files by name.

    Blocking, within some seconds.

    Raises:
        PermanentError: The folder isn't there, or can't be read.
    """
    if not workspace.folder.is_dir():
        raise PermanentError(
            f'Workspace "{workspace.name}": there is no folder {workspace.folder}. Correct '
            "`folder` in the config, or take the workspace out."
        )
    found: list[Excerpt] = []
    log = _git_log(workspace)
    if log is not None:
        found.append(log)
    left = _LARGEST_IN_ALL
    for path in _chosen(workspace):
        excerpt = _read(workspace.folder, path, min(left, _LARGEST_FILE))
        if excerpt is not None:
            left -= len(excerpt.text)
            found.append(excerpt)
        if left <= 0:
            break
    return tuple(found)


def _chosen(workspace: Workspace) -> list[PurePath]:
    """Answer the files to read, newest first: what changed lately is what is asked about."""
    dated: list[tuple[float, str]] = []
    for relative in _walked(workspace.folder):
        path = PurePath(relative)
        if not _matches(path, workspace.include) or _matches(path, workspace.exclude):
            continue
        if is_denied(path):
            continue
        try:
            status = os.lstat(workspace.folder / path)
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode):
            dated.append((-status.st_mtime, relative))
    return [PurePath(relative) for _, relative in sorted(dated)[:_MOST_FILES]]


def _walked(folder: Path) -> Iterator[str]:
    """Name the files below a folder, following no links."""
    looked_at = 0
    for place, folders, files in os.walk(folder, followlinks=False):
        folders[:] = sorted(each for each in folders if each not in {".git", "node_modules"})
        for name in sorted(files):
            looked_at += 1
            if looked_at > _MOST_LOOKED_AT:
                return
            yield os.path.relpath(os.path.join(place, name), folder)  # noqa: PTH118 - os.walk's own.


def _matches(path: PurePath, patterns: tuple[str, ...]) -> bool:
    """Whether a path fits a glob; "**/" stands for any folders, none included."""
    return any(
        (path.match(pattern) and ("/" not in pattern or _depth_fits(path, pattern)))
        or ("**/" in pattern and _deep_match(path, pattern))
        for pattern in patterns
    )


def _depth_fits(path: PurePath, pattern: str) -> bool:
    return len(path.parts) == len(PurePath(pattern).parts)


def _deep_match(path: PurePath, pattern: str) -> bool:
    before, _, after = pattern.partition("**/")
    folders = PurePath(before).parts
    if path.parts[: len(folders)] != folders:
        return False
    return PurePath(*path.parts[len(folders) :]).match(after)


def _read(folder: Path, relative: PurePath, limit: int) -> Excerpt | None:
    """Read a file's beginning; None for what is no text, or lies outside."""
    path = folder / relative
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            return None
        content, _ = read_regular(path, limit=limit + 1, follow=False)
    except (OSError, UnreadableError):
        return None
    if b"\0" in content:
        return None
    text, dropped = without_secrets(content[:limit].decode("utf-8", "replace"))
    return Excerpt(str(relative), text.strip(), dropped, len(content) > limit)


def _git_log(workspace: Workspace) -> Excerpt | None:
    """Tell the commits of late: who, when, what. A folder that is no repository has none."""
    git = shutil.which("git")
    if workspace.git_log <= timedelta(0) or git is None:
        return None
    since = f"--since={int(workspace.git_log.total_seconds())} seconds ago"
    command = [
        git,
        # The folder's own settings may name programs to run.
        *("-c", "core.fsmonitor=false", "-c", "log.showSignature=false"),
        *("-c", "core.hooksPath=/dev/null", "-c", "core.pager=cat"),
        *("-C", str(workspace.folder), "log", "--no-merges", "--no-color", "--no-ext-diff"),
        *("--no-textconv", "--no-show-signature", "--no-mailmap", since, f"-n{_MOST_COMMITS}"),
        *("--date=short", "--format=%ad %an: %s", "--", "."),
    ]
    environ = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C.UTF-8",
    }
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environ,
            timeout=_GIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0 or not done.stdout.strip():
        return None
    text, dropped = without_secrets(done.stdout[:_LONGEST_LOG].decode("utf-8", "replace"))
    return Excerpt("git log", text.strip(), dropped, len(done.stdout) > _LONGEST_LOG)
