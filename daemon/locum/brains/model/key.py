"""Finds the model's key in the one place that holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from locum.core.secret import Secret
from locum.errors import HumanNeededError
from locum.files import UnreadableError, read_regular

CREDENTIAL_NAME = "brain_api_key"
KEY_VARIABLE = "LOCUM_BRAIN_API_KEY"
_LARGEST = 4096


def find_key(key_file: Path | None, environ: Mapping[str, str]) -> Secret | None:
    """Read the key: from the file if one is named, else the credential, else the variable.

    None where there is none: a server on this machine needs none, and a provider may have its
    own variable (OPENAI_API_KEY and the like), which it reads for its own address alone.

    Raises:
        HumanNeededError: It can't be read, or is none.
    """
    if key_file is not None:
        return _checked(_read(key_file), str(key_file))
    credentials = environ.get("CREDENTIALS_DIRECTORY")
    if credentials:
        credential = Path(credentials) / CREDENTIAL_NAME
        if credential.exists():
            return _checked(_read(credential), f"the systemd credential {CREDENTIAL_NAME}")
    text = environ.get(KEY_VARIABLE, "")
    return _checked(text, f"the environment's {KEY_VARIABLE}") if text.strip() else None


def _read(path: Path) -> str:
    try:
        content, _ = read_regular(path, limit=_LARGEST)
    except UnreadableError as error:
        raise HumanNeededError(
            f"The model's key file {path}: {error}.",
            hint="Make it readable for the user that locum runs as, or correct "
            "brain.api_key_file in the config.",
        ) from None
    return content.decode("ascii", "replace")


def _checked(text: str, place: str) -> Secret:
    key = text.strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        # Not quoted, not even in part: it may be a good key with a slip of the keyboard.
        raise HumanNeededError(
            f"What stands in {place} is no key ({len(key)} characters).",
            hint="Put the key there, alone.",
        )
    return Secret(key)
