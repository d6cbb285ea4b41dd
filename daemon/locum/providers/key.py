"""Finds the model's key in the one place that holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from locum.core.secret import Secret
from locum.keys import KeyPlace

CREDENTIAL_NAME = "brain_api_key"
KEY_VARIABLE = "LOCUM_BRAIN_API_KEY"

_PLACE = KeyPlace("The model's", "brain.api_key_file", CREDENTIAL_NAME, KEY_VARIABLE)


def find_key(key_file: Path | None, environ: Mapping[str, str]) -> Secret | None:
    """Read the key: from the file if one is named, else the credential, else the variable.

    None where there is none: a server on this machine needs none, and a provider may have its
    own variable (OPENAI_API_KEY and the like), which it reads for its own address alone.

    Raises:
        HumanNeededError: It can't be read, or is none.
    """
    return _PLACE.find(key_file, environ)
