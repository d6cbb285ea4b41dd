"""Finds a service's key in the one place that holds it: a file, a credential, or a variable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from locum.core.secret import Secret
from locum.errors import HumanNeededError
from locum.files import UnreadableError, read_regular

_LARGEST = 4096


@dataclass(frozen=True)
class KeyPlace:
    """Where one service's key may be; `whose` begins a message ("The model's")."""

    whose: str
    setting: str  #: The config's key that names a file with it.
    credential: str  #: The systemd credential's name,
    variable: str  #: and the environment's.

    def find(self, key_file: Path | None, environ: Mapping[str, str]) -> Secret | None:
        """Read the key: from the file if one is named, else the credential, else the variable.

        None where there is none.

        Raises:
            HumanNeededError: It can't be read, or is none.
        """
        if key_file is not None:
            return _checked(self._read(key_file), str(key_file))
        credentials = environ.get("CREDENTIALS_DIRECTORY")
        if credentials:
            credential = Path(credentials) / self.credential
            if credential.exists():
                place = f"the systemd credential {self.credential}"
                return _checked(self._read(credential), place)
        text = environ.get(self.variable, "")
        return _checked(text, f"the environment's {self.variable}") if text.strip() else None

    def _read(self, path: Path) -> str:
        try:
            content, _ = read_regular(path, limit=_LARGEST)
        except UnreadableError as error:
            raise HumanNeededError(
                f"{self.whose} key file {path}: {error}.",
                hint="Make it readable for the user that locum runs as, or correct "
                f"{self.setting} in the config.",
            ) from None
        return content.decode("ascii", "replace")


def is_open_to_all(path: Path | None) -> bool:
    """Whether every user of this machine may read a key's file."""
    try:
        return path is not None and bool(path.stat().st_mode & 0o006)
    except OSError:
        return False  # That it can't be read is said where it is read.


def _checked(text: str, place: str) -> Secret:
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        # Not quoted, not even in part: it may be a good key with a slip of the keyboard.
        raise HumanNeededError(
            f"What stands in {place} is no key ({len(key)} characters).",
            hint="Put the key there, alone.",
        )
    return Secret(key)
