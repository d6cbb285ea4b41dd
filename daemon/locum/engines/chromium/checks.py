"""What `locum doctor` says about the browser: each part that a meeting needs, and its remedy."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from locum.engines.chromium.browser import (
    INSTALL_EXTRA,
    OLDEST,
    BrowserSettings,
    find_browser,
    is_sandboxed,
)
from locum.engines.chromium.profiles import Profiles
from locum.errors import HumanNeededError
from locum.files import UnreadableError, read_regular
from locum.ports import Finding, Health

_LIBRARIES = {
    "playwright": "drives the browser",
    "numpy": "reckons with sound",
    "cv2": "finds the face in a picture",
}
_NEEDED_MIB = 1024
"""A meeting with a few others takes 600 MiB and more."""

_MIB = 1024 * 1024
_LONGEST_FILE = 64 * 1024
_MEMORY = Path("/proc/meminfo")
_OWN_CGROUP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")
_NAMESPACES = (
    # Debian's own switch, then the kernel's, then Ubuntu's.
    (Path("/proc/sys/kernel/unprivileged_userns_clone"), "0"),
    (Path("/proc/sys/user/max_user_namespaces"), "0"),
    (Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"), "1"),
)


def check_browser(
    settings: BrowserSettings, *, engine: str = "chromium"
) -> tuple[Finding, ...]:
    """Look at all that a session of the browser needs, starting none. Raises nothing.

    It takes a tenth of a second: call it in a thread. `engine` is what the config calls it.
    """
    return tuple(_findings(settings, f"engine {engine}", engine))


def check_profile(profiles: Profiles, account: str) -> Finding:
    """Say whether the account's browser is signed in, as far as anybody last saw."""
    subject = f"browser of {account}"
    known = profiles.noted(account)
    again = f"Give: locum meet login {account}"
    if known.signed_in is None or known.at is None:
        return Finding(subject, Health.BROKEN, "never signed in on this machine", again)
    when = f"{known.at:%Y-%m-%d %H:%M} UTC"
    if not known.signed_in:
        return Finding(subject, Health.BROKEN, f"found signed out on {when}", again)
    return Finding(subject, Health.OK, f"signed in when last seen, on {when}")


def _findings(settings: BrowserSettings, subject: str, engine: str) -> Iterator[Finding]:
    yield _browser(settings, subject, engine)
    yield _sandbox(settings, f"{subject}: sandbox")
    yield _libraries(f"{subject}: libraries")
    if not settings.headless and not os.environ.get("DISPLAY"):
        yield _tool("Xvfb", "xvfb", f"{subject}: display", "makes a screen that nobody sees")
    yield _tool("espeak-ng", "espeak-ng", f"{subject}: voice", "speaks")
    yield _memory(settings, f"{subject}: memory")


def _browser(settings: BrowserSettings, subject: str, engine: str) -> Finding:
    try:
        found = find_browser(settings)
    except HumanNeededError as error:
        hint = error.hint.replace("engines.NAME.", f"engines.{engine}.")
        # A finding shows the hint apart.
        return Finding(subject, Health.BROKEN, str(error).removesuffix(f" {error.hint}"), hint)
    detail = f"{found.path}, version {found.version} (needed: {OLDEST})"
    return Finding(subject, Health.OK, detail)


def _sandbox(settings: BrowserSettings, subject: str) -> Finding:
    if not is_sandboxed():
        return Finding(
            subject,
            Health.WARNING,
            "off: Chromium has none as root, so a page that breaks out of it owns this machine",
            "Run locum as a user of its own: see systemd/locum.service",
        )
    if not settings.sandbox:
        return Finding(
            subject,
            Health.BROKEN,
            "sandbox = false counts for root alone",
            "Take it out of the engine's config",
        )
    for file, off in _NAMESPACES:
        if _line(file) == off:
            return Finding(
                subject,
                Health.WARNING,
                f"{file} is {off}: Chromium may find no way to make its sandbox",
                f"Give: sudo sysctl -w {_sysctl(file)}={'0' if off == '1' else '10000'},"
                " unless `locum rehearse --engine chromium` works as it is",
            )
    return Finding(subject, Health.OK, "on")


def _sysctl(file: Path) -> str:
    return ".".join(file.parts[3:])


def _libraries(subject: str) -> Finding:
    missing = [
        f"{name} ({what})"
        for name, what in _LIBRARIES.items()
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        return Finding(subject, Health.BROKEN, f"missing: {', '.join(missing)}", INSTALL_EXTRA)
    return Finding(subject, Health.OK, "installed")


def _tool(command: str, package: str, subject: str, purpose: str) -> Finding:
    found = shutil.which(command)
    if found is None:
        detail = f"{command}, which {purpose}, isn't installed"
        return Finding(subject, Health.BROKEN, detail, f"Give: sudo apt install {package}")
    return Finding(subject, Health.OK, found)


def _memory(settings: BrowserSettings, subject: str) -> Finding:
    free = _free_memory()
    if free is None:
        return Finding(subject, Health.WARNING, "how much is free can't be told here")
    limit = settings.memory_limit
    detail = f"{free} MiB free; one meeting takes {_NEEDED_MIB} or so"
    if limit is not None:
        detail += f", and {limit} at most"
    if free < _NEEDED_MIB:
        more = "Close something, or raise MemoryMax= of locum's unit"
        return Finding(subject, Health.WARNING, detail, more)
    return Finding(subject, Health.OK, detail)


def _free_memory() -> int | None:
    """Answer how many MiB we could still take: the machine's, or what our unit has left."""
    found = []
    for line in _text(_MEMORY).splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            found.append(int(value.split()[0]) // 1024)
    for folder in _own_cgroups():
        limit, used = _line(folder / "memory.max"), _line(folder / "memory.current")
        if limit.isdecimal() and used.isdecimal():
            found.append((int(limit) - int(used)) // _MIB)
    return max(0, min(found)) if found else None


def _own_cgroups() -> Iterator[Path]:
    for line in _text(_OWN_CGROUP).splitlines():
        if line.startswith("0::/"):
            own = _CGROUPS / line[len("0::/") :]
            yield from (own, *own.parents[: len(own.parts) - len(_CGROUPS.parts)])


def _line(file: Path) -> str:
    return _text(file).strip()


def _text(file: Path) -> str:
    try:
        return read_regular(file, limit=_LONGEST_FILE)[0].decode("utf-8", "replace")
    except UnreadableError:
        return ""
