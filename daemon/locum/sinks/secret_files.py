"""Finds a sink's secret: in the file that the config names, else in a systemd credential."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from locum.core.secret import Secret
from locum.errors import HumanNeededError
from locum.files import UnreadableError, read_regular

_LONGEST = 4096


@dataclass(frozen=True)
class SecretPlace:
    """Where one secret is, and what to call it and its setting when it isn't there."""

    what: str
    setting: str
    credential: str
    file: Path | None
    environ: Mapping[str, str]

    def read(self) -> Secret:
        """Read it anew: a changed file counts at once.

        A named file that can't be read is an error, not a reason to look elsewhere.

        Raises:
            HumanNeededError: There is none, or it can't be read.
        """
        path = self._path()
        hint = f"Make it readable for the user that locum runs as, or correct {self.setting}."
        content = b""
        try:
            content, _ = read_regular(path, limit=_LONGEST + 1)
            text = content.decode().strip()
        except UnreadableError as error:
            raise HumanNeededError(f"{self.what} in {path}: {error}.", hint=hint) from error
        except UnicodeDecodeError:
            text = ""
        # Not quoted, not even in part: it may be a good one with a slip of the keyboard.
        if not text or len(content) > _LONGEST or not text.isprintable():
            raise HumanNeededError(
                f"{self.what}: {path} must hold one line of text, and nothing else.", hint=hint
            )
        return Secret(text)

    def problem(self) -> str | None:
        """Say if every user of this machine may read (or replace) it."""
        if self.file is None:
            return None
        try:
            mode = stat.S_IMODE(self.file.stat().st_mode)
        except OSError:
            return None  # That it can't be read is said where it is read.
        if mode & (stat.S_IROTH | stat.S_IWOTH):
            return f"{self.file} is open to every user of this machine (mode {mode:04o})"
        return None

    def _path(self) -> Path:
        if self.file is not None:
            return self.file
        credentials = self.environ.get("CREDENTIALS_DIRECTORY")
        if credentials and (path := Path(credentials) / self.credential).exists():
            return path
        raise HumanNeededError(
            f"Nothing says where {self.what} is.",
            hint=f"Put it into a file (chmod 600) and name that as {self.setting}, or give "
            f"systemd the credential {self.credential}.",
        )
