"""Finds a package's tarball in a registry, the one that its user's npm would ask.

npm itself isn't needed. A registry is asked for the package as npm asks it, and believed in
nothing but where the tarball lies.
https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx

from locum.errors import PermanentError
from locum.files import UnreadableError, read_regular
from locum.models.asking import Host, as_address, page_of, shown

_PUBLIC = "https://registry.npmjs.org"
"""npm's own default. Of a package index no address stands here, as there is always a pip to ask
where none is set; npm is on few of the machines that locum runs on, and can't be asked for its."""

_MACHINE = (Path("/etc/npmrc"), Path("/usr/etc/npmrc"), Path("/usr/local/etc/npmrc"))
_LARGEST_SETTINGS = 1 << 20
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_ACCEPT = "application/vnd.npm.install-v1+json, application/json;q=0.8"


def registry_address(given: str, package: str, environ: Mapping[str, str] = os.environ) -> str:
    """Answer the registry to ask: what was given, or what npm is set to for this package.

    As npm has it, a scope's own setting (`@scope:registry`) comes before the one for all, and
    the environment before the user's npmrc, and that before the machine's.
    """
    if given:
        return as_address(given)
    scope = package.partition("/")[0] if package.startswith("@") else ""
    named = (scope and _setting(f"{scope}:registry", environ)) or _setting("registry", environ)
    return as_address(named or _PUBLIC)


def _setting(key: str, environ: Mapping[str, str]) -> str:
    for name, value in environ.items():
        if name.lower() == f"npm_config_{key}" and value:
            return value
    return next(
        (value for path in _npmrcs(environ) if (value := _read(path, key, environ))), ""
    )


def _npmrcs(environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environ.get("HOME", "/nonexistent"))
    yield Path(environ.get("NPM_CONFIG_USERCONFIG") or home / ".npmrc")
    machine = environ.get("NPM_CONFIG_GLOBALCONFIG")
    yield from (Path(machine),) if machine else _MACHINE


def _read(path: Path, key: str, environ: Mapping[str, str]) -> str:
    """Answer a setting of an npmrc, its last line for it; a `${NAME}` is of the environment."""
    try:
        content, _ = read_regular(path, limit=_LARGEST_SETTINGS)
    except UnreadableError:
        return ""
    found = ""
    for line in content.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == key:
            found = value.strip().strip("\"'")
    return _VARIABLE.sub(lambda match: environ.get(match[1], match[0]), found)


def tarball_of(client: httpx.Client, registry: str, package: str, version: str) -> str | None:
    """Answer where a registry says that a version's tarball lies; None if it hasn't that.

    Raises:
        TransientError: It doesn't answer.
        PermanentError: It isn't a registry, or wants a sign-in.
    """
    host = Host(registry, "registry", "--registry")
    page = page_of(client, host, package.replace("/", "%2F"), accept=_ACCEPT)
    if page is None:
        return None
    try:
        versions: dict[str, Any] = json.loads(page.content)["versions"]
        if version not in versions:
            return None
        tarball = str(versions[version]["dist"]["tarball"])
        address = _as_npm_would(tarball, registry)
    except (ValueError, RecursionError, KeyError, TypeError):
        raise PermanentError(f"{shown(registry)} doesn't answer as a registry does.") from None
    # A registry on the network names no files of this machine.
    if urlsplit(address).scheme not in {"http", "https"}:
        raise PermanentError(f"{host} names no address for {package} {version}.")
    return address


def _as_npm_would(tarball: str, registry: str) -> str:
    """Answer where to fetch a tarball that lies at the registry itself.

    Raises:
        ValueError: It is no address.
    """
    there, home = urlsplit(tarball), urlsplit(registry)
    if there.hostname == urlsplit(_PUBLIC).hostname != home.hostname:
        # Many a mirror passes on what the public registry says; npm goes to the mirror then
        # (its setting `replace-registry-host`).
        path = there.path
        if not path.startswith(f"{home.path}/"):
            path = home.path + path
        return urlunsplit((home.scheme, home.netloc, path, there.query, ""))
    if (there.scheme, there.hostname, there.port) == (home.scheme, home.hostname, home.port):
        # With the name and password that may stand in the registry's address, and nowhere else.
        return urlunsplit((home.scheme, home.netloc, there.path, there.query, ""))
    return tarball
