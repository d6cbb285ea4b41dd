"""Files that hold secrets by their name: they are never opened."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import PurePath

_DENIED = (
    ".env",
    ".env.*",
    "*.env",
    ".netrc",
    ".npmrc",
    ".pypirc",
    ".pgpass",
    ".htpasswd",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "*.gpg",
    "*.asc",
    "*.ovpn",
    "*.tfstate",
    "*.tfvars",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "authorized_keys",
    "known_hosts",
    "credentials*",
    "secrets*",
    "secret.*",
    "*secret*.json",
    "*token*.json",
    "client_secret*",
    "service-account*.json",
    "shadow",
    "*.sqlite*",
    "*.db",
)
_DENIED_FOLDERS = frozenset(
    {".git", ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".config", "node_modules"}
)


def is_denied(path: PurePath) -> bool:
    """Whether a file's name says that it holds secrets; `path` is within its folder."""
    if _DENIED_FOLDERS & set(path.parts[:-1]):
        return True
    return any(fnmatchcase(path.name.lower(), pattern) for pattern in _DENIED)
