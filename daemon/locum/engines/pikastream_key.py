"""Finds the PikaStream key in the one place that holds it, and says all places if none does."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path

from locum.core.secret import Secret
from locum.errors import HumanNeededError

CREDENTIAL_NAME = "pika_dev_key"
KEY_VARIABLE = "PIKA_DEV_KEY"

_KEY = re.compile(r"dk_[A-Za-z0-9_-]+")
_LONGEST_KEY_FILE = 4096


def find_key(api_key_file: Path | None, environ: Mapping[str, str]) -> Secret:
    """Read the key: from the file if one is named, else the credential, else the variable.

    A named file that can't be read is an error, not a reason to look elsewhere: a key from
    another place could be another account's.

    Raises:
        HumanNeededError: There is none, it can't be read, or it doesn't look like one.
    """
    if api_key_file is not None:
        return _checked(_read(api_key_file), str(api_key_file))
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    if credentials:
        credential = Path(credentials) / CREDENTIAL_NAME
        if credential.exists():
            return _checked(_read(credential), f"the systemd credential {CREDENTIAL_NAME}")
    text = environ.get(KEY_VARIABLE, "")
    if text.strip():
        return _checked(text, f"the environment's {KEY_VARIABLE}")
    raise HumanNeededError(
        "There is no PikaStream key.",
        hint="Put it (it begins with dk_) into a file and name that as api_key_file in the"
        f" engine's config, or give systemd the credential {CREDENTIAL_NAME}, or set"
        f" {KEY_VARIABLE} in the environment.",
    )


def key_file_problem(api_key_file: Path | None) -> str | None:
    """Say if every user of this machine may read (or replace) the key file."""
    if api_key_file is None:
        return None
    try:
        mode = stat.S_IMODE(api_key_file.stat().st_mode)
    except OSError:
        return None  # That it can't be read is said where it is read.
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        return f"{api_key_file} is open to every user of this machine (mode {mode:04o})"
    return None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_KEY_FILE).decode("ascii", "replace")
    except OSError as error:
        raise HumanNeededError(
            f"The PikaStream key file {path} can't be read: {error.strerror}.",
            hint="Make it readable for the user that locum runs as, or correct api_key_file.",
        ) from error


def _checked(text: str, place: str) -> Secret:
    key = text.strip()
    if not _KEY.fullmatch(key):
        # Not quoted, not even in part: it may be a good key with a slip of the keyboard.
        raise HumanNeededError(
            f"What stands in {place} is not a PikaStream key"
            f" ({len(key)} characters{'' if key.startswith('dk_') else ', not beginning with dk_'}).",
            hint="Copy the whole key, which is dk_ followed by letters, digits, - and _.",
        )
    return Secret(key)
