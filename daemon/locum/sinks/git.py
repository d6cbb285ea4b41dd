"""Commits what was filed to a folder's git repository, and nothing else of it.

No hook runs, nothing is signed or pushed, and what somebody else has changed or staged stays
as it was. A file that can't be committed is filed all the same.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

_LIMIT_S = 20.0
_TRIES = 6
_BETWEEN_TRIES_S = 0.3

_OURS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "commit.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
)
_WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "locum"), ("EMAIL", "locum@localhost"))
}


class GitError(Exception):
    """git couldn't do it; the text says why."""


class Repository:
    """The work tree that a folder is in. Commits from several threads wait for each other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Lock()

    def commit(self, paths: Sequence[Path], message: str) -> None:
        """Commit these files as they are now; nothing happens if that is how they are there.

        Raises:
            GitError: They aren't committed.
        """
        names = [str(path) for path in paths]
        with self._turn:
            self.examine()
            self._patiently("add", "--", *names)
            if not self._git("status", "--porcelain", "--", *names):
                return
            try:
                # Only these, whatever else is staged.
                self._patiently(
                    *("commit", "--quiet", "--no-verify", "--cleanup=whitespace"),
                    *("--only", "--file=-", "--", *names),
                    text=message,
                )
            except GitError:
                # Else they would slip into whatever somebody commits next.
                with contextlib.suppress(GitError):
                    self._git("reset", "--quiet", "--", *names)
                raise

    def examine(self) -> None:
        """See whether there is a work tree.

        Raises:
            GitError: There is none, or git isn't there.
        """
        if self._git("rev-parse", "--is-inside-work-tree") != "true":
            raise GitError(f"{self._folder} is in no work tree")

    def left_out(self) -> int:
        """Count the files of the folder that aren't committed.

        Raises:
            GitError: It can't be told.
        """
        return len(self._git("status", "--porcelain", "--", ".").splitlines())

    def _patiently(self, *words: str, text: str = "") -> None:
        """Run a command that writes: somebody else may be at it for a moment."""
        for attempt in range(_TRIES):
            try:
                self._git(*words, text=text)
            except GitError as error:
                if ".lock" not in str(error) or attempt == _TRIES - 1:
                    raise
                time.sleep(_BETWEEN_TRIES_S)
            else:
                return

    def _git(self, *words: str, text: str = "") -> str:
        options = [word for setting in _OURS for word in ("-c", setting)]
        # Whoever starts us from a hook or an alias has these set for another repository.
        kept = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        told = {"GIT_TERMINAL_PROMPT": "0", "GIT_LITERAL_PATHSPECS": "1", "LC_ALL": "C"}
        try:
            done = subprocess.run(
                ["git", "-C", str(self._folder), *options, *words],
                input=text.encode(errors="replace"),
                capture_output=True,
                timeout=_LIMIT_S,
                check=False,
                env={**kept, **_WHO, **told},
            )
        except FileNotFoundError:
            raise GitError("git isn't installed") from None
        except subprocess.TimeoutExpired:
            raise GitError(f"git {words[0]} took over {_LIMIT_S:g} s") from None
        except OSError as error:
            raise GitError(f"git can't be run: {error.strerror}") from error
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise GitError(f"git {words[0]}: {said[0][:300] if said else 'it failed'}")
        return done.stdout.decode(errors="replace").strip()
